import {
  ChangeMessageVisibilityCommand,
  DeleteMessageCommand,
  GetQueueUrlCommand,
  ReceiveMessageCommand,
  SQSClient,
} from '@aws-sdk/client-sqs'
import { afterEach, describe, expect, it } from 'vitest'
import type { Simulator } from '../simulator.ts'
import { aProduct, aSimulator, utc } from '../test-values.ts'
import { anEndpoint, type Endpoint, isGenuine } from './sns-endpoint.fixture.ts'

const SUBSCRIPTION_TOPIC = 'arn:aws:sns:us-east-1:287250355862:aws-mp-subscription-notification-legacy'
const cleanups: (() => Promise<void> | void)[] = []

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

async function aServedSimulator(options: Parameters<typeof aSimulator>[0] = {}) {
  const simulator = await aSimulator({
    products: [aProduct(), aProduct({ productCode: 'legacy', metering: 'legacy' })],
    ...options,
  })
  cleanups.push(() => simulator.close())
  const { url } = await simulator.listen()
  return { simulator, url }
}

async function aSellerEndpoint(): Promise<Endpoint> {
  const endpoint = await anEndpoint()
  cleanups.push(() => endpoint.close())
  return endpoint
}

function sqsClient(url: string) {
  const client = new SQSClient({
    endpoint: url,
    region: 'us-east-1',
    credentials: { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'secret' },
    maxAttempts: 1,
  })
  cleanups.push(() => client.destroy())
  return client
}

async function receive(client: SQSClient, queue: string, more = {}) {
  const { QueueUrl } = await client.send(new GetQueueUrlCommand({ QueueName: queue }))
  const { Messages = [] } = await client.send(
    new ReceiveMessageCommand({
      QueueUrl,
      MaxNumberOfMessages: 10,
      MessageSystemAttributeNames: ['All'],
      ...more,
    }),
  )
  return { QueueUrl, messages: Messages, bodies: Messages.map(({ Body }) => JSON.parse(Body ?? '')) }
}

const actions = (messages: readonly Record<string, string>[]) =>
  messages.map(({ Message }) => JSON.parse(Message ?? '').action)

function subscribe(simulator: Simulator, productCode: string) {
  return simulator.marketplace.subscribe({ productCode, accountId: '782858285006' })
}

describe('SNS over HTTP', () => {
  it('asks for confirmation of each topic first, then delivers signed messages in order', async () => {
    const { simulator } = await aServedSimulator()
    const endpoint = await aSellerEndpoint()
    simulator.deliverTo({ subscriptions: [{ protocol: 'http', endpoint: endpoint.url }] })
    const { id, customerIdentifier } = subscribe(simulator, 'legacy')
    simulator.marketplace.cancel(id)
    simulator.clock.advance(2 * 3_600_000)
    await simulator.delivery.flush()

    const types = endpoint.arrived.map(({ headers }) => headers['x-amz-sns-message-type'])
    expect(types).toEqual([
      'SubscriptionConfirmation',
      'SubscriptionConfirmation',
      'Notification',
      'Notification',
      'Notification',
    ])
    expect(actions(endpoint.messages())).toEqual([
      'subscribe-success',
      'unsubscribe-pending',
      'unsubscribe-success',
    ])
    const [message] = endpoint.messages()
    expect(message).toMatchObject({
      Type: 'Notification',
      TopicArn: SUBSCRIPTION_TOPIC,
      Timestamp: '2026-11-20T12:30:00.000Z',
      SignatureVersion: '1',
    })
    expect(JSON.parse(message?.Message ?? '')).toEqual({
      action: 'subscribe-success',
      'customer-identifier': customerIdentifier,
      'product-code': 'legacy',
      'offer-identifier': expect.stringMatching(/^offer-/),
      isFreeTrialTermPresent: 'false',
    })
    expect(endpoint.arrived[2]?.headers).toMatchObject({
      'content-type': 'text/plain; charset=UTF-8',
      'x-amz-sns-message-id': message?.MessageId,
      'x-amz-sns-topic-arn': SUBSCRIPTION_TOPIC,
      'x-amz-sns-subscription-arn': expect.stringContaining(`${SUBSCRIPTION_TOPIC}:`),
    })
  })

  it.each(['1', '2'] as const)(
    'signs as version %s so that its own authority vouches for it',
    async (version) => {
      const { simulator, url } = await aServedSimulator({ settings: { snsSignatureVersion: version } })
      const endpoint = await aSellerEndpoint()
      simulator.deliverTo({ subscriptions: [{ protocol: 'http', endpoint: endpoint.url }] })
      subscribe(simulator, 'legacy')
      await simulator.delivery.flush()
      const ca = await (await fetch(`${url}/_control/ca.pem`)).text()
      const messages = endpoint.arrived.map(({ text }) => JSON.parse(text))
      expect(messages).toHaveLength(3)
      for (const message of messages) {
        expect(message.SignatureVersion).toBe(version)
        expect(message.SigningCertURL).toMatch(
          /^http:\/\/127\.0\.0\.1:\d+\/SimpleNotificationService-[0-9a-f]+\.pem$/,
        )
        expect(await isGenuine(message, ca)).toBe(true)
        expect(await isGenuine({ ...message, Message: `${message.Message} ` }, ca)).toBe(false)
      }
    },
  )

  it('delivers nothing to an endpoint that does not confirm, and all of it once it does', async () => {
    const { simulator } = await aServedSimulator()
    const endpoint = await aSellerEndpoint()
    endpoint.confirms = false
    endpoint.answer = () => 403
    simulator.deliverTo({
      subscriptions: [{ topicArn: SUBSCRIPTION_TOPIC, protocol: 'http', endpoint: endpoint.url }],
    })
    subscribe(simulator, 'legacy')
    await simulator.delivery.flush()
    expect(endpoint.messages()).toEqual([])
    expect(simulator.delivery.destinations().topicSubscriptions).toMatchObject([
      { state: 'pending', error: 'status 403' },
    ])
    endpoint.answer = () => 200
    await fetch(endpoint.messages('SubscriptionConfirmation')[0]?.SubscribeURL ?? '')
    await simulator.delivery.flush()
    expect(actions(endpoint.messages())).toEqual(['subscribe-success'])
  })
})

describe('queues', () => {
  it('get events of EventBridge as they are, once each, and keep them until they are deleted', async () => {
    const { simulator, url } = await aServedSimulator()
    simulator.deliverTo({ rules: [{ name: 'all', target: { queue: 'marketplace' } }] })
    const { id } = subscribe(simulator, 'prodcode1')
    simulator.clock.advance(60_000)
    simulator.marketplace.cancel(id)
    simulator.clock.advance(60_000)
    await simulator.delivery.flush()
    await simulator.delivery.flush()

    const client = sqsClient(url)
    const { bodies, messages, QueueUrl } = await receive(client, 'marketplace')
    expect(bodies).toEqual(simulator.marketplace.notifications().map(({ payload }) => payload))
    expect(bodies.map((event) => event['detail-type'])).toEqual([
      'License Updated - Manufacturer',
      'Purchase Agreement Created - Proposer',
      'Purchase Agreement Ended - Proposer',
      'License Deprovisioned - Manufacturer',
    ])
    expect(messages[0]?.Attributes).toMatchObject({
      ApproximateReceiveCount: '1',
      SentTimestamp: String(utc('12:32')),
    })
    expect((await receive(client, 'marketplace')).messages).toEqual([])
    const [first, second] = messages.map(({ ReceiptHandle }) => ({ QueueUrl, ReceiptHandle }))
    await client.send(new DeleteMessageCommand(first ?? { QueueUrl, ReceiptHandle: '' }))
    await client.send(
      new ChangeMessageVisibilityCommand({
        QueueUrl,
        ...second,
        ReceiptHandle: second?.ReceiptHandle,
        VisibilityTimeout: 0,
      }),
    )
    const again = await receive(client, 'marketplace')
    expect(again.bodies).toEqual([bodies[1]])
    expect(again.messages[0]?.Attributes).toMatchObject({ ApproximateReceiveCount: '2' })
  })
})
