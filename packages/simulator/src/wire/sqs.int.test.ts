import { once } from 'node:events'
import { connect } from 'node:net'
import {
  ChangeMessageVisibilityBatchCommand,
  ChangeMessageVisibilityCommand,
  CreateQueueCommand,
  DeleteMessageBatchCommand,
  DeleteMessageCommand,
  DeleteQueueCommand,
  GetQueueAttributesCommand,
  GetQueueUrlCommand,
  ListQueuesCommand,
  type Message,
  PurgeQueueCommand,
  ReceiveMessageCommand,
  type ReceiveMessageCommandInput,
  SendMessageBatchCommand,
  SendMessageCommand,
  SetQueueAttributesCommand,
  SQSClient,
} from '@aws-sdk/client-sqs'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Simulator } from '../simulator.ts'
import { aSimulator, utc } from '../test-values.ts'

let simulator: Simulator
let client: SQSClient
let configuration: ConstructorParameters<typeof SQSClient>[0]
let QueueUrl: string

beforeEach(async () => {
  simulator = await aSimulator()
  const { url } = await simulator.listen()
  const credentials = { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'secret' }
  configuration = { endpoint: url, region: 'us-east-1', credentials, maxAttempts: 1 }
  client = new SQSClient(configuration)
  QueueUrl = await create('orders')
})
afterEach(async () => {
  client.destroy()
  await simulator.close()
})

async function create(QueueName: string, Attributes: Record<string, string> = {}): Promise<string> {
  return (await client.send(new CreateQueueCommand({ QueueName, Attributes }))).QueueUrl ?? ''
}

async function send(MessageBody: string, url = QueueUrl) {
  return client.send(new SendMessageCommand({ QueueUrl: url, MessageBody }))
}

async function receive(more: Partial<ReceiveMessageCommandInput> = {}): Promise<Message[]> {
  const input = { QueueUrl, MaxNumberOfMessages: 10, MessageSystemAttributeNames: ['All' as const], ...more }
  return (await client.send(new ReceiveMessageCommand(input))).Messages ?? []
}

/** Headers as the SDK signs them, without those that belong to one request. */
async function signedHeaders(): Promise<Record<string, string>> {
  const spy = new SQSClient({ ...configuration })
  let seen: Record<string, string> = {}
  spy.middlewareStack.add(
    (next) => (args) => {
      seen = (args.request as { headers: Record<string, string> }).headers
      return next(args)
    },
    { step: 'finalizeRequest', priority: 'low', name: 'spy' },
  )
  await spy.send(new ListQueuesCommand({}))
  spy.destroy()
  const kept = ['authorization', 'x-amz-date', 'content-type']
  return Object.fromEntries(Object.entries(seen).filter(([name]) => kept.includes(name)))
}

const bodies = (messages: readonly Message[]) => messages.map(({ Body }) => Body)

describe('SQS, to the unmodified AWS SDK', () => {
  it('has queues: made, found, listed, described and deleted', async () => {
    expect(QueueUrl).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/111122223333\/orders$/)
    expect(await create('orders')).toBe(QueueUrl)
    expect(await create('orders', { VisibilityTimeout: '30' })).toBe(QueueUrl)
    await expect(create('orders', { VisibilityTimeout: '31' })).rejects.toMatchObject({
      name: 'QueueNameExists',
    })
    await expect(create('no spaces')).rejects.toMatchObject({ name: 'InvalidParameterValue' })
    await expect(create('other', { Nonsense: '1' })).rejects.toMatchObject({ name: 'InvalidAttributeName' })
    await expect(create('other', { VisibilityTimeout: '43201' })).rejects.toMatchObject({
      name: 'InvalidAttributeValue',
    })

    const other = await create('other')
    expect((await client.send(new ListQueuesCommand({}))).QueueUrls).toEqual([QueueUrl, other])
    expect((await client.send(new GetQueueUrlCommand({ QueueName: 'other' }))).QueueUrl).toBe(other)
    await client.send(
      new SetQueueAttributesCommand({ QueueUrl: other, Attributes: { VisibilityTimeout: '7' } }),
    )
    await send('one', other)
    const { Attributes } = await client.send(
      new GetQueueAttributesCommand({ QueueUrl: other, AttributeNames: ['All'] }),
    )
    expect(Attributes).toMatchObject({
      QueueArn: 'arn:aws:sqs:us-east-1:111122223333:other',
      VisibilityTimeout: '7',
      ApproximateNumberOfMessages: '1',
      ApproximateNumberOfMessagesNotVisible: '0',
      CreatedTimestamp: String(utc('12:30') / 1000),
    })
    await client.send(new DeleteQueueCommand({ QueueUrl: other }))
    await expect(client.send(new GetQueueUrlCommand({ QueueName: 'other' }))).rejects.toMatchObject({
      name: 'QueueDoesNotExist',
      $metadata: { httpStatusCode: 400 },
    })
  })

  it('keeps a message, hides it from others while one has it, and shows it again', async () => {
    const { MessageId } = await send('{"a":"ü"}')
    const [first, ...none] = await receive()
    expect([first?.MessageId, first?.Body, none]).toEqual([MessageId, '{"a":"ü"}', []])
    expect(first?.Attributes).toEqual({
      SenderId: '111122223333',
      SentTimestamp: String(utc('12:30')),
      ApproximateReceiveCount: '1',
      ApproximateFirstReceiveTimestamp: String(utc('12:30')),
    })
    expect(await receive()).toEqual([])
    const visible = { QueueUrl, ReceiptHandle: first?.ReceiptHandle, VisibilityTimeout: 0 }
    await client.send(new ChangeMessageVisibilityCommand(visible))
    await expect(client.send(new ChangeMessageVisibilityCommand(visible))).rejects.toMatchObject({
      name: 'MessageNotInflight',
    })
    const [second] = await receive({ VisibilityTimeout: 0 })
    expect(second?.Attributes?.ApproximateReceiveCount).toBe('2')
    expect(bodies(await receive())).toHaveLength(1)
  })

  it('deletes by the latest receipt only', async () => {
    await send('one')
    const [stale] = await receive({ VisibilityTimeout: 0 })
    const [latest] = await receive({ VisibilityTimeout: 0 })
    await client.send(new DeleteMessageCommand({ QueueUrl, ReceiptHandle: stale?.ReceiptHandle }))
    expect(await receive({ VisibilityTimeout: 0 })).toHaveLength(1)
    await client.send(new DeleteMessageCommand({ QueueUrl, ReceiptHandle: latest?.ReceiptHandle }))
    const [last] = await receive({ VisibilityTimeout: 0 })
    await client.send(new DeleteMessageCommand({ QueueUrl, ReceiptHandle: last?.ReceiptHandle }))
    expect(await receive()).toEqual([])
    await client.send(new DeleteMessageCommand({ QueueUrl, ReceiptHandle: last?.ReceiptHandle }))
    await expect(
      client.send(new DeleteMessageCommand({ QueueUrl, ReceiptHandle: 'nonsense' })),
    ).rejects.toMatchObject({ name: 'ReceiptHandleIsInvalid', $metadata: { httpStatusCode: 404 } })
  })

  it('answers a long poll the moment a message comes, whoever sends it', async () => {
    const polled = receive({ WaitTimeSeconds: 20 })
    const started = performance.now()
    await send('at last')
    expect(bodies(await polled)).toEqual(['at last'])
    expect(performance.now() - started).toBeLessThan(5_000)
  })

  it('answers a long poll when a hidden message can be seen again', async () => {
    await send('one')
    const [taken] = await receive()
    const polled = receive({ WaitTimeSeconds: 20 })
    await client.send(
      new ChangeMessageVisibilityCommand({
        QueueUrl,
        ReceiptHandle: taken?.ReceiptHandle,
        VisibilityTimeout: 1,
      }),
    )
    expect(bodies(await polled)).toEqual(['one'])
  })

  it('gives nothing to a poller who has hung up', async () => {
    const { hostname, port } = new URL(QueueUrl)
    const poll = JSON.stringify({ QueueUrl, WaitTimeSeconds: 20 })
    const headers = Object.entries(await signedHeaders()).map(([name, value]) => `${name}: ${value}\r\n`)
    const socket = connect(Number(port), hostname)
    await once(socket, 'connect')
    socket.end(
      `POST / HTTP/1.1\r\nhost: ${hostname}\r\n${headers.join('')}x-amz-target: AmazonSQS.ReceiveMessage\r\ncontent-length: ${poll.length}\r\n\r\n${poll}`,
    )
    socket.resume()
    await once(socket, 'close') // the server has seen it, too: it closes second
    await send('for the living')
    expect(bodies(await receive({ WaitTimeSeconds: 5 }))).toEqual(['for the living'])
  })

  it('moves what was received too often to the dead-letter queue', async () => {
    const dead = await create('dead')
    const RedrivePolicy = JSON.stringify({
      deadLetterTargetArn: 'arn:aws:sqs:us-east-1:111122223333:dead',
      maxReceiveCount: 2,
    })
    await client.send(new SetQueueAttributesCommand({ QueueUrl, Attributes: { RedrivePolicy } }))
    const { MessageId } = await send('poison')
    for (const _ of [1, 2]) expect(await receive({ VisibilityTimeout: 0 })).toHaveLength(1)
    expect(await receive({ VisibilityTimeout: 0 })).toEqual([])
    const [letter] = await receive({ QueueUrl: dead })
    expect(letter).toMatchObject({
      MessageId,
      Body: 'poison',
      Attributes: { DeadLetterQueueSourceArn: 'arn:aws:sqs:us-east-1:111122223333:orders' },
    })
  })

  it('takes batches, and tells of each entry', async () => {
    const Entries = [
      { Id: 'a', MessageBody: 'one' },
      { Id: 'b', MessageBody: 'two' },
      { Id: 'c', MessageBody: '\u0000' },
    ]
    const sent = await client.send(new SendMessageBatchCommand({ QueueUrl, Entries }))
    expect(sent.Successful?.map(({ Id }) => Id)).toEqual(['a', 'b'])
    expect(sent.Failed).toMatchObject([{ Id: 'c', Code: 'InvalidMessageContents', SenderFault: true }])
    const [one, two] = await receive()
    const visibility = await client.send(
      new ChangeMessageVisibilityBatchCommand({
        QueueUrl,
        Entries: [
          { Id: 'a', ReceiptHandle: one?.ReceiptHandle, VisibilityTimeout: 0 },
          { Id: 'b', ReceiptHandle: 'nonsense', VisibilityTimeout: 0 },
        ],
      }),
    )
    expect(visibility.Failed).toMatchObject([{ Id: 'b', Code: 'ReceiptHandleIsInvalid' }])
    const [again] = await receive()
    const removed = await client.send(
      new DeleteMessageBatchCommand({
        QueueUrl,
        Entries: [
          { Id: 'a', ReceiptHandle: again?.ReceiptHandle },
          { Id: 'b', ReceiptHandle: two?.ReceiptHandle },
        ],
      }),
    )
    expect(removed.Successful).toHaveLength(2)
    const { Attributes } = await client.send(
      new GetQueueAttributesCommand({ QueueUrl, AttributeNames: ['ApproximateNumberOfMessagesNotVisible'] }),
    )
    expect(Attributes).toEqual({ ApproximateNumberOfMessagesNotVisible: '0' })
  })

  it.each([
    [[], 'EmptyBatchRequest'],
    [
      Array.from({ length: 11 }, (_, n) => ({ Id: `${n}`, MessageBody: 'x' })),
      'TooManyEntriesInBatchRequest',
    ],
    [
      [
        { Id: 'a', MessageBody: 'x' },
        { Id: 'a', MessageBody: 'y' },
      ],
      'BatchEntryIdsNotDistinct',
    ],
    [[{ Id: 'a b', MessageBody: 'x' }], 'InvalidBatchEntryId'],
    [[1, 2].map((n) => ({ Id: `${n}`, MessageBody: 'x'.repeat(600_000) })), 'BatchRequestTooLong'],
  ])('refuses a batch of a wrong make (%#)', async (Entries, name) => {
    await expect(client.send(new SendMessageBatchCommand({ QueueUrl, Entries }))).rejects.toMatchObject({
      name,
    })
    expect(await receive()).toEqual([])
  })

  it.each([
    { MaxNumberOfMessages: 11 },
    { MaxNumberOfMessages: 0 },
    { WaitTimeSeconds: 21 },
    { VisibilityTimeout: 43_201 },
  ])('refuses to receive with %j', async (input) => {
    await expect(receive(input)).rejects.toMatchObject({ name: 'InvalidParameterValue' })
  })

  it('carries attributes that the SDK can check', async () => {
    const sent = await client.send(
      new SendMessageCommand({
        QueueUrl,
        MessageBody: 'x',
        MessageAttributes: {
          kind: { DataType: 'String', StringValue: 'order' },
          bytes: { DataType: 'Binary', BinaryValue: new Uint8Array([1, 2]) },
        },
      }),
    )
    const [message] = await receive({ MessageAttributeNames: ['All'] })
    expect(message?.MessageAttributes).toEqual({
      bytes: { DataType: 'Binary', BinaryValue: new Uint8Array([1, 2]) },
      kind: { DataType: 'String', StringValue: 'order' },
    })
    expect(message?.MD5OfMessageAttributes).toBe(sent.MD5OfMessageAttributes)
  })

  it('purges', async () => {
    await send('one')
    await client.send(new PurgeQueueCommand({ QueueUrl }))
    expect(await receive()).toEqual([])
  })

  it('wants credentials scoped to sqs', async () => {
    const headers = await signedHeaders()
    const { authorization } = headers
    const call = async (changed: string) => {
      const response = await fetch(new URL('/', QueueUrl), {
        method: 'POST',
        headers: { ...headers, 'x-amz-target': 'AmazonSQS.ListQueues', authorization: changed },
        body: '{}',
      })
      return [response.status, response.headers.get('x-amzn-query-error'), await response.json()]
    }
    expect((await call(authorization ?? ''))[0]).toBe(200)
    expect(await call(authorization?.replace('/sqs/', '/sns/') ?? '')).toMatchObject([
      400,
      'InvalidSignatureException;Sender',
      { __type: 'com.amazonaws.sqs#InvalidSignatureException' },
    ])
  })

  it('goes wrong as ordered, and only then', async () => {
    await send('one')
    simulator.faults.order({ kind: 'throttle' })
    expect(await receive({ VisibilityTimeout: 0 })).toHaveLength(1)
    simulator.faults.clear()
    simulator.faults.order({ kind: 'cutBefore', operation: 'ReceiveMessage', times: 1 })
    await expect(receive()).rejects.toMatchObject({ code: 'ECONNRESET' })
    simulator.faults.order({ kind: 'cutAfter', operation: 'ReceiveMessage', times: 1 })
    await expect(receive({ VisibilityTimeout: 0 })).rejects.toMatchObject({ code: 'ECONNRESET' })
    const [message] = await receive({ VisibilityTimeout: 0 })
    expect(message?.Attributes?.ApproximateReceiveCount).toBe('3')
    simulator.faults.order({ kind: 'internalError', operation: 'DeleteMessage', times: 1, taken: true })
    await expect(
      client.send(new DeleteMessageCommand({ QueueUrl, ReceiptHandle: message?.ReceiptHandle })),
    ).rejects.toMatchObject({ name: 'InternalError', $metadata: { httpStatusCode: 500 } })
    expect(await receive()).toEqual([])
  })
})
