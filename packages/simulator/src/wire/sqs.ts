import { createHash } from 'node:crypto'
import { QUEUE_NAME } from '../delivery/destinations.ts'
import type { Queue, QueueMessage } from '../delivery/queue.ts'
import type { Queues, Receipt } from '../delivery/queues.ts'
import { AwsError } from '../marketplace/aws-error.ts'
import type { Input, JsonService, ServiceCall } from './json-service.ts'
import { md5OfAttributes, readMessageAttributes } from './sqs-attributes.ts'

/** Limits of SQS (developer guide, read November 2026). */
const BATCH_MAX = 10
const MESSAGE_BYTES_MAX = 1_048_576
const VISIBILITY_SECONDS_MAX = 43_200
const DELAY_SECONDS_MAX = 900
const WAIT_SECONDS_MAX = 20
const RECEIVE_MAX = 10
/** What may be in a message: XML 1.0's characters. */
const FORBIDDEN_CHARACTERS = /[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/u
const ENTRY_ID = /^[A-Za-z0-9_-]{1,80}$/

/** Attributes of a queue, and what they are unless given. */
const ATTRIBUTE_DEFAULTS: Readonly<Record<string, string>> = {
  VisibilityTimeout: '30',
  DelaySeconds: '0',
  ReceiveMessageWaitTimeSeconds: '0',
  MaximumMessageSize: String(MESSAGE_BYTES_MAX),
  MessageRetentionPeriod: '345600',
}
const ATTRIBUTE_RANGES: Readonly<Record<string, readonly [min: number, max: number]>> = {
  VisibilityTimeout: [0, VISIBILITY_SECONDS_MAX],
  DelaySeconds: [0, DELAY_SECONDS_MAX],
  ReceiveMessageWaitTimeSeconds: [0, WAIT_SECONDS_MAX],
  MaximumMessageSize: [1_024, MESSAGE_BYTES_MAX],
  MessageRetentionPeriod: [60, 1_209_600],
}

/** Error codes as SQS wrote them before it had JSON; SDKs are told both. */
const QUERY_CODES: Readonly<Record<string, string>> = {
  QueueDoesNotExist: 'AWS.SimpleQueueService.NonExistentQueue',
  QueueNameExists: 'QueueAlreadyExists',
  BatchEntryIdsNotDistinct: 'AWS.SimpleQueueService.BatchEntryIdsNotDistinct',
  BatchRequestTooLong: 'AWS.SimpleQueueService.BatchRequestTooLong',
  EmptyBatchRequest: 'AWS.SimpleQueueService.EmptyBatchRequest',
  InvalidBatchEntryId: 'AWS.SimpleQueueService.InvalidBatchEntryId',
  TooManyEntriesInBatchRequest: 'AWS.SimpleQueueService.TooManyEntriesInBatchRequest',
  MessageNotInflight: 'AWS.SimpleQueueService.MessageNotInflight',
  UnsupportedOperation: 'AWS.SimpleQueueService.UnsupportedOperation',
}

const OPERATIONS: Readonly<Record<string, (input: Input, call: ServiceCall) => object | Promise<object>>> = {
  CreateQueue: createQueue,
  DeleteQueue(input, call) {
    call.delivery.queues.delete(nameOf(input, call).name)
    return {}
  },
  GetQueueUrl({ QueueName }, call) {
    const name = String(QueueName ?? '')
    if (call.delivery.queues.find(name) === undefined) throw noQueue()
    return { QueueUrl: urlOf(name, call) }
  },
  ListQueues({ QueueNamePrefix = '' }, call) {
    const names = call.delivery.queues.list().map(([name]) => name)
    return {
      QueueUrls: names
        .filter((name) => name.startsWith(String(QueueNamePrefix)))
        .map((name) => urlOf(name, call)),
    }
  },
  GetQueueAttributes: getQueueAttributes,
  SetQueueAttributes(input, call) {
    const { name, queue } = nameOf(input, call)
    call.delivery.queues.put(name, { ...queue.attributes, ...readAttributes(input.Attributes) })
    return {}
  },
  SendMessage(input, call) {
    const { name, queue } = nameOf(input, call)
    return sent(send(name, queue, input, call.delivery.queues))
  },
  SendMessageBatch(input, call) {
    const { name, queue } = nameOf(input, call)
    const entries = readBatch(input)
    const bytes = entries.reduce(
      (sum, { MessageBody }) => sum + Buffer.byteLength(String(MessageBody ?? '')),
      0,
    )
    if (bytes > MESSAGE_BYTES_MAX) {
      throw new AwsError(
        'BatchRequestTooLong',
        `Batch requests cannot be longer than ${MESSAGE_BYTES_MAX} bytes. You have sent ${bytes} bytes.`,
      )
    }
    return forEach(entries, (entry) => sent(send(name, queue, entry, call.delivery.queues)))
  },
  ReceiveMessage: receiveMessage,
  DeleteMessage(input, call) {
    const { name } = nameOf(input, call)
    call.delivery.queues.remove(name, readReceipt(name, input.ReceiptHandle))
    return {}
  },
  DeleteMessageBatch(input, call) {
    const { name } = nameOf(input, call)
    return forEach(readBatch(input), ({ ReceiptHandle }) => {
      call.delivery.queues.remove(name, readReceipt(name, ReceiptHandle))
      return {}
    })
  },
  ChangeMessageVisibility(input, call) {
    changeVisibility(nameOf(input, call).name, input, call.delivery.queues)
    return {}
  },
  ChangeMessageVisibilityBatch(input, call) {
    const { name } = nameOf(input, call)
    return forEach(readBatch(input), (entry) => {
      changeVisibility(name, entry, call.delivery.queues)
      return {}
    })
  },
  PurgeQueue(input, call) {
    call.delivery.queues.purge(nameOf(input, call).name)
    return {}
  },
}

/**
 * SQS in the AWS JSON protocol: standard queues. `SentTimestamp` is virtual time; waiting, delays and visibility
 * timeouts run in real time, as the consumer's do.
 *
 * @see {@link https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/Welcome.html | API reference}
 */
export const SQS: JsonService = {
  prefix: 'AmazonSQS.',
  scope: 'sqs',
  contentType: 'application/x-amz-json-1.0',
  namespace: 'com.amazonaws.sqs#',
  internalError: 'InternalError',
  operations: Object.keys(OPERATIONS),
  errorHeaders: ({ code, status }) => ({
    'x-amzn-query-error': `${QUERY_CODES[code] ?? code};${status >= 500 ? 'Receiver' : 'Sender'}`,
  }),
  // A consumer that polls would push everything else out of the log.
  isLogged: (operation, output) => operation !== 'ReceiveMessage' || 'Messages' in output,
  perform(operation, input, call) {
    const perform = Object.hasOwn(OPERATIONS, operation) ? OPERATIONS[operation] : undefined
    if (perform === undefined) throw new AwsError('UnknownOperationException', `SQS has no ${operation} here`)
    return perform(input, call)
  },
}

function createQueue({ QueueName, Attributes }: Input, call: ServiceCall): object {
  const { queues } = call.delivery
  const name = String(QueueName ?? '')
  if (name.endsWith('.fifo')) {
    throw new AwsError(
      'UnsupportedOperation',
      'The simulator has standard queues only: AWS Marketplace needs no other',
    )
  }
  if (!QUEUE_NAME.test(name)) {
    throw invalid('Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length')
  }
  const attributes = readAttributes(Attributes)
  const known = queues.find(name)
  if (known === undefined) queues.put(name, attributes)
  else {
    const before = { ...ATTRIBUTE_DEFAULTS, ...known.attributes }
    const other = Object.entries(attributes).find(([key, value]) => before[key] !== value)
    if (other !== undefined) {
      throw new AwsError(
        'QueueNameExists',
        `A queue already exists with the same name and a different value for attribute ${other[0]}`,
      )
    }
  }
  return { QueueUrl: urlOf(name, call) }
}

function getQueueAttributes(input: Input, call: ServiceCall): object {
  const { name, queue } = nameOf(input, call)
  const now = Date.now()
  const messages = [...queue.messages.values()]
  const hidden = messages.filter(({ visibleAt }) => visibleAt > now)
  const delayed = hidden.filter(({ receiveCount }) => receiveCount === 0).length
  const created = String(Math.floor(queue.createdAt / 1000))
  const all: Readonly<Record<string, string>> = {
    QueueArn: arnOf(name, call),
    ApproximateNumberOfMessages: String(messages.length - hidden.length),
    ApproximateNumberOfMessagesNotVisible: String(hidden.length - delayed),
    ApproximateNumberOfMessagesDelayed: String(delayed),
    CreatedTimestamp: created,
    LastModifiedTimestamp: created,
    ...ATTRIBUTE_DEFAULTS,
    ...queue.attributes,
  }
  const names = readNames(input.AttributeNames)
  const wanted = Object.entries(all).filter(([key]) => names.includes('All') || names.includes(key))
  return wanted.length === 0 ? {} : { Attributes: Object.fromEntries(wanted) }
}

async function receiveMessage(input: Input, call: ServiceCall): Promise<object> {
  const { name, queue } = nameOf(input, call)
  const attributes = { ...ATTRIBUTE_DEFAULTS, ...queue.attributes }
  const waitSeconds = readWhole(input, 'WaitTimeSeconds', [0, WAIT_SECONDS_MAX])
  const visibilitySeconds = readWhole(input, 'VisibilityTimeout', [0, VISIBILITY_SECONDS_MAX])
  const messages = await call.delivery.queues.receive(name, {
    max: readWhole(input, 'MaxNumberOfMessages', [1, RECEIVE_MAX]) ?? 1,
    waitMs: (waitSeconds ?? Number(attributes.ReceiveMessageWaitTimeSeconds)) * 1000,
    visibilityTimeoutMs: (visibilitySeconds ?? Number(attributes.VisibilityTimeout)) * 1000,
    ...(call.request.signal !== undefined && { signal: call.request.signal }),
  })
  if (messages.length === 0) return {}
  const systemNames = [...readNames(input.AttributeNames), ...readNames(input.MessageSystemAttributeNames)]
  const names = readNames(input.MessageAttributeNames)
  return { Messages: messages.map((message) => toReceived(message, name, { systemNames, names }, call)) }
}

function toReceived(
  message: QueueMessage,
  queue: string,
  { systemNames, names }: { systemNames: readonly string[]; names: readonly string[] },
  call: ServiceCall,
): object {
  const { id, body, sentAt, receiveCount, firstReceivedAt, deadLetterOf, messageAttributes = {} } = message
  const system: Readonly<Record<string, string>> = {
    SenderId: call.sellerAccountId(),
    SentTimestamp: String(sentAt),
    ApproximateReceiveCount: String(receiveCount),
    ApproximateFirstReceiveTimestamp: String(firstReceivedAt ?? sentAt),
    ...(deadLetterOf !== undefined && { DeadLetterQueueSourceArn: arnOf(deadLetterOf, call) }),
  }
  const wantedSystem = Object.entries(system).filter(
    ([key]) => systemNames.includes('All') || systemNames.includes(key),
  )
  const wanted = Object.entries(messageAttributes).filter(([key]) => isWanted(key, names))
  return {
    MessageId: id,
    ReceiptHandle: writeReceipt(queue, { id, receiveCount }),
    MD5OfBody: md5(body),
    Body: body,
    ...(wantedSystem.length > 0 && { Attributes: Object.fromEntries(wantedSystem) }),
    ...(wanted.length > 0 && {
      MessageAttributes: Object.fromEntries(wanted),
      MD5OfMessageAttributes: md5OfAttributes(Object.fromEntries(wanted)),
    }),
  }
}

function isWanted(attribute: string, names: readonly string[]): boolean {
  return names.some(
    (name) =>
      name === 'All' ||
      name === attribute ||
      (name.endsWith('.*') && attribute.startsWith(name.slice(0, -2))),
  )
}

function send(name: string, { attributes }: Queue, input: Input, queues: Queues): QueueMessage {
  const { MessageBody: body } = input
  if (typeof body !== 'string' || body === '') {
    throw new AwsError('MissingParameter', 'The request must contain the parameter MessageBody.')
  }
  const bytesMax = Number({ ...ATTRIBUTE_DEFAULTS, ...attributes }.MaximumMessageSize)
  if (Buffer.byteLength(body) > bytesMax) {
    throw invalid(
      `One or more parameters are invalid. Reason: Message must be shorter than ${bytesMax} bytes.`,
    )
  }
  if (FORBIDDEN_CHARACTERS.test(body)) {
    throw new AwsError('InvalidMessageContents', 'The message contains characters outside the allowed set.')
  }
  const messageAttributes = readMessageAttributes(input.MessageAttributes)
  const delaySeconds = readWhole(input, 'DelaySeconds', [0, DELAY_SECONDS_MAX])
  return queues.send(name, {
    body,
    delayMs: (delaySeconds ?? Number(attributes.DelaySeconds ?? 0)) * 1000,
    ...(messageAttributes !== undefined && { messageAttributes }),
  })
}

function sent({ id, body, messageAttributes }: QueueMessage): object {
  return {
    MessageId: id,
    MD5OfMessageBody: md5(body),
    ...(messageAttributes !== undefined && { MD5OfMessageAttributes: md5OfAttributes(messageAttributes) }),
  }
}

function changeVisibility(name: string, input: Input, queues: Queues): void {
  const receipt = readReceipt(name, input.ReceiptHandle)
  const seconds = readWhole(input, 'VisibilityTimeout', [0, VISIBILITY_SECONDS_MAX])
  if (seconds === undefined) {
    throw new AwsError('MissingParameter', 'The request must contain the parameter VisibilityTimeout.')
  }
  if (!queues.changeVisibility(name, receipt, seconds * 1000)) {
    throw new AwsError(
      'MessageNotInflight',
      `Value ${String(input.ReceiptHandle)} for parameter ReceiptHandle is invalid. Reason: Message does not exist or is not available for visibility timeout change.`,
    )
  }
}

/** Does something with each entry of a batch: one that fails leaves the others alone. */
function forEach(entries: readonly Input[], perform: (entry: Input) => object): object {
  const Successful: object[] = []
  const Failed: object[] = []
  for (const entry of entries) {
    try {
      Successful.push({ Id: entry.Id, ...perform(entry) })
    } catch (error) {
      if (!(error instanceof AwsError)) throw error
      Failed.push({ Id: entry.Id, SenderFault: true, Code: error.code, Message: error.message })
    }
  }
  return { Successful, Failed }
}

function readBatch({ Entries: entries }: Input): Input[] {
  if (!Array.isArray(entries) || entries.length === 0) {
    throw new AwsError('EmptyBatchRequest', 'There should be at least one entry in the request.')
  }
  if (entries.length > BATCH_MAX) {
    throw new AwsError(
      'TooManyEntriesInBatchRequest',
      `Maximum number of entries per request are ${BATCH_MAX}. You have sent ${entries.length}.`,
    )
  }
  const ids = entries.map((entry: Input | null) => String(entry?.Id ?? ''))
  if (!ids.every((id) => ENTRY_ID.test(id))) {
    throw new AwsError(
      'InvalidBatchEntryId',
      'A batch entry id can only contain alphanumeric characters, hyphens and underscores. It can be at most 80 letters long.',
    )
  }
  const twice = ids.find((id, index) => ids.indexOf(id) !== index)
  if (twice !== undefined) throw new AwsError('BatchEntryIdsNotDistinct', `Id ${twice} repeated.`)
  return entries
}

function readAttributes(value: unknown): Record<string, string> {
  const attributes: Record<string, string> = {}
  for (const [name, given] of Object.entries((value ?? {}) as Record<string, unknown>)) {
    const text = String(given)
    const range = ATTRIBUTE_RANGES[name]
    if (range !== undefined) {
      if (!/^\d{1,9}$/.test(text) || Number(text) < range[0] || Number(text) > range[1]) {
        throw new AwsError('InvalidAttributeValue', `Invalid value for the parameter ${name}.`)
      }
    } else if (name === 'RedrivePolicy') checkRedrivePolicy(text)
    // Policies and encryption are taken, and mean nothing here.
    else if (!/^(Policy|Kms\w+|SqsManagedSseEnabled|RedriveAllowPolicy)$/.test(name)) {
      throw new AwsError('InvalidAttributeName', `Unknown Attribute ${name}.`)
    }
    attributes[name] = text
  }
  return attributes
}

function checkRedrivePolicy(text: string): void {
  let policy: { deadLetterTargetArn?: unknown; maxReceiveCount?: unknown } | null = null
  try {
    policy = JSON.parse(text)
  } catch {
    // Judged below.
  }
  const name =
    String(policy?.deadLetterTargetArn ?? '')
      .split(':')
      .at(-1) ?? ''
  const count = Number(policy?.maxReceiveCount)
  if (!QUEUE_NAME.test(name) || !Number.isInteger(count) || count < 1 || count > 1000) {
    throw new AwsError(
      'InvalidAttributeValue',
      `Value ${text} for parameter RedrivePolicy is invalid. Reason: it must have a deadLetterTargetArn and a maxReceiveCount from 1 to 1000.`,
    )
  }
}

function readWhole(input: Input, field: string, [min, max]: readonly [number, number]): number | undefined {
  const value = input[field]
  if (value === undefined || value === null) return undefined
  if (!Number.isInteger(value) || (value as number) < min || (value as number) > max) {
    throw invalid(
      `Value ${String(value)} for parameter ${field} is invalid. Reason: Must be between ${min} and ${max}, if provided.`,
    )
  }
  return value as number
}

function readNames(value: unknown): string[] {
  return Array.isArray(value) ? value.map(String) : []
}

function nameOf({ QueueUrl }: Input, { delivery }: ServiceCall): { name: string; queue: Queue } {
  const name =
    String(QueueUrl ?? '')
      .split('/')
      .at(-1) ?? ''
  const queue = delivery.queues.find(name)
  if (queue === undefined) throw noQueue()
  return { name, queue }
}

function urlOf(name: string, { request, sellerAccountId }: ServiceCall): string {
  return `${request.origin}/${sellerAccountId()}/${name}`
}

function arnOf(name: string, { request, sellerAccountId }: ServiceCall): string {
  return `arn:aws:sqs:${request.region}:${sellerAccountId()}:${name}`
}

function writeReceipt(queue: string, { id, receiveCount }: Receipt): string {
  return Buffer.from(JSON.stringify([queue, id, receiveCount])).toString('base64')
}

function readReceipt(queue: string, handle: unknown): Receipt {
  try {
    const [name, id, receiveCount] = JSON.parse(Buffer.from(String(handle), 'base64').toString())
    if (name === queue) return { id: String(id), receiveCount: Number(receiveCount) }
  } catch {
    // As below.
  }
  throw new AwsError(
    'ReceiptHandleIsInvalid',
    `The input receipt handle "${String(handle)}" is not a valid receipt handle.`,
    404,
  )
}

function md5(text: string): string {
  return createHash('md5').update(text).digest('hex')
}

function noQueue(): AwsError {
  return new AwsError('QueueDoesNotExist', 'The specified queue does not exist.')
}

function invalid(message: string): AwsError {
  return new AwsError('InvalidParameterValue', message)
}
