import type { Message, SQSClient } from '@aws-sdk/client-sqs'
import type { NotificationQueue, QueuedMessage } from '../../domain/subscriptions/notification-queue.ts'
import { type AwsClientOptions, awsClientConfig, checkEndpoint, placeOf } from '../aws-client.ts'
import { requestHandlerOptions, WATCH_PLACE, type Watch } from '../aws-exchange.ts'
import { whereIsHost } from '../loopback.ts'

export interface SqsQueueOptions extends Omit<AwsClientOptions, 'endpoint'> {
  readonly queueUrl: string
  /** Where the URL does not say it, as those of VPC endpoints and of the simulator do not. */
  readonly region: string
}

/** A queue of SQS; close it to let go of its connections. */
export interface SqsQueue extends NotificationQueue {
  close(): void
}

/** SQS's maximum (API reference, read November 2026): a longer wait costs fewer calls and delivers at once all the same. */
const WAIT_SECONDS = 20
const MESSAGES_MAX = 10
/** Ten messages are taken within seconds; what a killed process held comes back after that. */
const VISIBILITY_SECONDS = 60
/** On top of a wait. */
const ANSWER_MS = 10_000

/**
 * A queue through the AWS SDK, loaded when it is first used.
 *
 * @throws {Error} where mode and URL do not fit: pretend and real never mix
 */
export function createSqsQueue(options: SqsQueueOptions): SqsQueue {
  const { queueUrl: QueueUrl } = options
  const url = new URL(QueueUrl)
  // Given as the endpoint: else the SDK would look for one in the environment.
  const clientOptions: AwsClientOptions = { ...options, endpoint: url.origin }
  checkEndpoint(clientOptions, 'queue')
  if (options.mode !== 'simulated' && url.protocol !== 'https:')
    throw new Error(`in ${options.mode} mode a queue's URL must begin with https://: ${url.host}`)
  let loading: Promise<Loaded> | undefined
  const load = () => {
    loading ??= loadClient(clientOptions, regionOf(url) ?? options.region)
    return loading
  }

  return {
    name: url.pathname.split('/').filter(Boolean).at(-1) ?? url.host,
    async receive(signal) {
      const { client, sdk } = await load()
      const { Messages: messages = [] } = await client.send(
        new sdk.ReceiveMessageCommand({
          QueueUrl,
          WaitTimeSeconds: WAIT_SECONDS,
          MaxNumberOfMessages: MESSAGES_MAX,
          VisibilityTimeout: VISIBILITY_SECONDS,
          MessageSystemAttributeNames: ['SentTimestamp', 'ApproximateReceiveCount'],
        }),
        { abortSignal: signal },
      )
      return messages.map(toQueued)
    },
    async delete({ receipt }) {
      const { client, sdk } = await load()
      await client.send(new sdk.DeleteMessageCommand({ QueueUrl, ReceiptHandle: receipt }))
    },
    async retryIn({ receipt }, seconds) {
      const { client, sdk } = await load()
      await client.send(
        new sdk.ChangeMessageVisibilityCommand({
          QueueUrl,
          ReceiptHandle: receipt,
          VisibilityTimeout: seconds,
        }),
      )
    },
    close() {
      loading?.then(({ client }) => client.destroy(), ignore)
    },
  }
}

interface Loaded {
  readonly client: SQSClient
  readonly sdk: typeof import('@aws-sdk/client-sqs')
}

async function loadClient(options: AwsClientOptions, region: string): Promise<Loaded> {
  const sdk = await import('@aws-sdk/client-sqs')
  const client = new sdk.SQSClient({
    region,
    ...awsClientConfig(options, 'queue'),
    requestHandler: requestHandlerOptions(WAIT_SECONDS * 1000 + ANSWER_MS),
  })
  client.middlewareStack.add(onlyTo(placeOf(options.mode)), WATCH_PLACE)
  return { client, sdk }
}

/** The last look before the wire: whatever made the address, it must fit the mode. */
function onlyTo(where: 'loopback' | 'elsewhere'): Watch {
  return (next) => async (args) => {
    const { request } = args as { request?: { hostname?: string } }
    const host = request?.hostname ?? ''
    if (whereIsHost(host) !== where) throw new Error(`the address ${host} is not allowed in this mode`)
    return next(args)
  }
}

function toQueued(message: Message): QueuedMessage {
  const { MessageId, Body, ReceiptHandle, Attributes = {} } = message
  return {
    id: MessageId ?? '',
    body: Body ?? '',
    receipt: ReceiptHandle ?? '',
    sentAt: Number(Attributes.SentTimestamp ?? Number.NaN),
    receives: Number(Attributes.ApproximateReceiveCount ?? 1),
  }
}

/** `sqs.us-east-1.amazonaws.com`, or as it was written long ago. */
function regionOf({ hostname }: URL): string | undefined {
  return (
    /^sqs\.([a-z0-9-]+)\.amazonaws\.com(?:\.cn)?$/.exec(hostname)?.[1] ??
    /^([a-z0-9-]+)\.queue\.amazonaws\.com(?:\.cn)?$/.exec(hostname)?.[1]
  )
}

function ignore(): void {}
