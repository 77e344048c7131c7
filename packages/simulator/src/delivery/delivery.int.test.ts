import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  ChangeMessageVisibilityCommand,
  DeleteMessageCommand,
  GetQueueUrlCommand,
  ReceiveMessageCommand,
  SQSClient,
} from '@aws-sdk/client-sqs'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
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

function subscribe(simulator: Simulator, productCode: string, accountId = '782858285006') {
  return simulator.marketplace.subscribe({ productCode, accountId })
}

/** A simulator whose notifications of the legacy product reach a confirmed endpoint. */
async function aSubscribedEndpoint(options: Parameters<typeof aSimulator>[0] = {}) {
  const { simulator, url } = await aServedSimulator(options)
  const endpoint = await aSellerEndpoint()
  simulator.deliverTo({ subscriptions: [{ protocol: 'http', endpoint: endpoint.url }] })
  await simulator.delivery.flush()
  return { simulator, url, endpoint }
}

/** What became of the notifications, oldest first. */
function statesOf(simulator: Simulator) {
  return simulator.delivery.notifications().map(({ type, deliveries }) => [type, deliveries[0]?.state])
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

describe('an endpoint that fails', () => {
  it('is tried again after a server error, with the same message', async () => {
    const { simulator, endpoint } = await aSubscribedEndpoint()
    const failing = endpoint.arrived.length
    endpoint.answer = (request) => (request <= failing + 2 ? 503 : 200)
    subscribe(simulator, 'legacy')
    await simulator.delivery.flush()
    const ids = endpoint.messages().map(({ MessageId }) => MessageId)
    expect([ids.length, new Set(ids).size]).toEqual([3, 1])
    expect(simulator.delivery.notifications()).toMatchObject([
      { id: ids[0], deliveries: [{ state: 'delivered', attempts: 3 }] },
    ])
  })

  it('is not tried again after a refusal, but when told so', async () => {
    const { simulator, endpoint, url } = await aSubscribedEndpoint()
    endpoint.answer = () => 403
    subscribe(simulator, 'legacy')
    await simulator.delivery.flush()
    expect(endpoint.messages()).toHaveLength(1)
    const [notification] = simulator.delivery.notifications()
    expect(notification?.deliveries).toMatchObject([{ state: 'failed', attempts: 1, error: 'status 403' }])
    endpoint.answer = () => 200
    const response = await fetch(`${url}/_control/notifications/${notification?.id}/redeliver`, {
      method: 'POST',
    })
    expect(response.status).toBe(204)
    await simulator.delivery.flush()
    expect(endpoint.messages().map(({ MessageId }) => MessageId)).toEqual([
      notification?.id,
      notification?.id,
    ])
    expect(statesOf(simulator)).toEqual([['subscribe-success', 'delivered']])
  })

  it('is left in peace for a while when it goes on failing', async () => {
    const { simulator, endpoint } = await aSubscribedEndpoint()
    const failing = endpoint.arrived.length
    const times: number[] = []
    endpoint.answer = (request) => {
      times.push(performance.now())
      return request <= failing + 3 ? 500 : 200
    }
    subscribe(simulator, 'legacy')
    await simulator.delivery.flush()
    const [, , third = 0, fourth = 0] = times
    expect(times).toHaveLength(4)
    expect(fourth - third).toBeGreaterThanOrEqual(990)
  })

  it('does not keep the simulator from stopping', async () => {
    const { simulator, endpoint } = await aSubscribedEndpoint()
    const inBackOff = new Promise<void>((resolve) => {
      endpoint.answer = () => {
        if (endpoint.messages().length === 3) resolve()
        return 500
      }
    })
    subscribe(simulator, 'legacy')
    const flushed = expect(simulator.delivery.flush()).rejects.toMatchObject({ name: 'AbortError' })
    await inBackOff
    await simulator.close()
    await flushed
    expect(endpoint.messages()).toHaveLength(3)
  })

  it('is given up after so many attempts, and holds nobody else up for ever', async () => {
    const { simulator, endpoint } = await aSubscribedEndpoint({ settings: { deliveryAttemptsMax: 3 } })
    endpoint.answer = () => 500
    const { id } = subscribe(simulator, 'legacy')
    await simulator.delivery.flush()
    await endpoint.close()
    simulator.marketplace.cancel(id)
    simulator.clock.advance(60_000)
    await simulator.delivery.flush()
    expect(simulator.delivery.notifications()).toMatchObject([
      { deliveries: [{ state: 'failed', attempts: 3, error: 'status 500' }] },
      { deliveries: [{ state: 'failed', attempts: 3, error: 'ECONNREFUSED' }] },
    ])
  })
})

describe('the end of a subscription', () => {
  it('is told to the endpoint, which gets nothing more', async () => {
    const { simulator, endpoint, url } = await aSubscribedEndpoint()
    simulator.deliverTo({})
    subscribe(simulator, 'legacy')
    await simulator.delivery.flush()
    expect(endpoint.messages()).toEqual([])
    const ended = endpoint.messages('UnsubscribeConfirmation')
    expect(ended.map(({ TopicArn }) => TopicArn)).toContain(SUBSCRIPTION_TOPIC)
    expect(await isGenuine(ended[0] ?? {}, await (await fetch(`${url}/_control/ca.pem`)).text())).toBe(true)
    expect(simulator.delivery.destinations().topicSubscriptions).toEqual([])
  })

  it('can come from the endpoint, by the link in a message, and be undone by the link in the answer', async () => {
    const { simulator, endpoint } = await aSubscribedEndpoint()
    const { id } = subscribe(simulator, 'legacy')
    await simulator.delivery.flush()
    expect((await fetch(endpoint.messages()[0]?.UnsubscribeURL ?? '')).status).toBe(200)
    simulator.marketplace.cancel(id)
    simulator.clock.advance(60_000)
    await simulator.delivery.flush()
    expect(actions(endpoint.messages())).toEqual(['subscribe-success'])
    expect((await fetch(endpoint.messages('UnsubscribeConfirmation')[0]?.SubscribeURL ?? '')).status).toBe(
      200,
    )
    await simulator.delivery.flush()
    expect(actions(endpoint.messages())).toEqual(['subscribe-success', 'unsubscribe-pending'])
  })

  it('cannot come from a page of another site, nor with a wrong token', async () => {
    const { simulator, endpoint, url } = await aSubscribedEndpoint()
    subscribe(simulator, 'legacy')
    await simulator.delivery.flush()
    const foreign = await fetch(endpoint.messages()[0]?.UnsubscribeURL ?? '', {
      headers: { origin: 'https://example.com' },
    })
    expect(foreign.status).toBe(403)
    const query = new URLSearchParams({
      Action: 'ConfirmSubscription',
      TopicArn: SUBSCRIPTION_TOPIC,
      Token: 'x',
    })
    const wrong = await fetch(`${url}/?${query}`)
    expect([wrong.status, await wrong.text()]).toEqual([400, expect.stringContaining('InvalidParameter')])
  })
})

describe('a subscription without the link', () => {
  it('is confirmed by a signed call', async () => {
    const { simulator, endpoint, url } = await aSubscribedEndpointThatWaits()
    const [asked] = endpoint.messages('SubscriptionConfirmation')
    const call = async (service: string) => {
      const date = new Date().toISOString().replace(/[-:]|\.\d{3}/g, '')
      const response = await fetch(url, {
        method: 'POST',
        headers: {
          'content-type': 'application/x-www-form-urlencoded',
          'x-amz-date': date,
          authorization: `AWS4-HMAC-SHA256 Credential=AKID/${date.slice(0, 8)}/us-east-1/${service}/aws4_request, SignedHeaders=host;x-amz-date, Signature=${'0'.repeat(64)}`,
        },
        body: new URLSearchParams({
          Action: 'ConfirmSubscription',
          Version: '2010-03-31',
          TopicArn: SUBSCRIPTION_TOPIC,
          Token: asked?.Token ?? '',
        }).toString(),
      })
      return { status: response.status, text: await response.text() }
    }
    expect((await call('sqs')).status).toBe(403)
    expect(await call('sns')).toMatchObject({
      status: 200,
      text: expect.stringContaining(`<SubscriptionArn>${SUBSCRIPTION_TOPIC}:`),
    })
    await simulator.delivery.flush()
    expect(actions(endpoint.messages())).toEqual(['subscribe-success'])
  })

  async function aSubscribedEndpointThatWaits() {
    const { simulator, url } = await aServedSimulator()
    const endpoint = await aSellerEndpoint()
    endpoint.confirms = false
    simulator.deliverTo({
      subscriptions: [{ topicArn: SUBSCRIPTION_TOPIC, protocol: 'http', endpoint: endpoint.url }],
    })
    subscribe(simulator, 'legacy')
    const asked = new Promise<void>((resolve) => {
      endpoint.answer = () => {
        resolve()
        return 200
      }
    })
    await asked
    return { simulator, endpoint, url }
  }
})

describe('other ways to the seller', () => {
  it('leads from a topic to a queue, in an envelope or raw', async () => {
    const { simulator, url } = await aServedSimulator()
    simulator.deliverTo({
      subscriptions: [
        { protocol: 'sqs', endpoint: 'wrapped' },
        { protocol: 'sqs', endpoint: 'bare', rawMessageDelivery: true },
      ],
    })
    subscribe(simulator, 'legacy')
    await simulator.delivery.flush()
    const client = sqsClient(url)
    const { bodies: wrapped } = await receive(client, 'wrapped')
    const { bodies: bare } = await receive(client, 'bare')
    expect(wrapped).toMatchObject([{ Type: 'Notification', TopicArn: SUBSCRIPTION_TOPIC }])
    expect(JSON.parse(wrapped[0].Message)).toEqual(bare[0])
    expect(bare).toMatchObject([{ action: 'subscribe-success', 'product-code': 'legacy' }])
    expect(await isGenuine(wrapped[0], await simulator.delivery.caCertificate())).toBe(true)
  })

  it('leads from the event bus through a topic of the seller', async () => {
    const { simulator } = await aServedSimulator()
    const endpoint = await aSellerEndpoint()
    const topicArn = 'arn:aws:sns:us-east-1:111122223333:marketplace-events'
    simulator.deliverTo({
      rules: [{ name: 'licenses', detailTypes: ['License Updated - Manufacturer'], target: { topicArn } }],
      subscriptions: [{ topicArn, protocol: 'http', endpoint: endpoint.url }],
    })
    subscribe(simulator, 'prodcode1')
    simulator.clock.advance(60_000)
    await simulator.delivery.flush()
    const messages = endpoint.messages()
    expect(messages).toMatchObject([{ TopicArn: topicArn }])
    expect(JSON.parse(messages[0]?.Message ?? '')).toEqual(
      simulator.marketplace
        .notifications()
        .find(({ payload }) => payload['detail-type'] === 'License Updated - Manufacturer')?.payload,
    )
  })

  it('leads from the event bus to an API destination, with the header that it was given', async () => {
    const { simulator, url } = await aServedSimulator()
    const endpoint = await aSellerEndpoint()
    const destinations = {
      rules: [{ name: 'api', target: { url: endpoint.url, headers: { 'x-secret': 'open sesame' } } }],
    }
    const put = await fetch(`${url}/_control/destinations`, {
      method: 'PUT',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(destinations),
    })
    const shown = await put.text()
    expect([put.status, shown.includes('x-secret'), shown.includes('sesame')]).toEqual([200, true, false])
    subscribe(simulator, 'prodcode1')
    await fetch(`${url}/_control/notifications/flush`, { method: 'POST' })
    expect(endpoint.arrived.map(({ text }) => JSON.parse(text)['detail-type'])).toEqual([
      'License Updated - Manufacturer',
    ])
    expect(endpoint.arrived[0]?.headers).toMatchObject({
      'x-secret': 'open sesame',
      'content-type': 'application/json; charset=utf-8',
      'user-agent': 'Amazon/EventBridge/ApiDestinations',
    })
  })

  it('begins when it is set up, or earlier if told so', async () => {
    const { simulator } = await aServedSimulator()
    subscribe(simulator, 'prodcode1')
    simulator.clock.advance(60_000)
    const count = (queue: string) => simulator.delivery.queues.find(queue)?.messages.size
    const late = { name: 'late', target: { queue: 'late' } }
    simulator.deliverTo({ rules: [late, { name: 'early', target: { queue: 'early' }, since: utc('12:00') }] })
    await simulator.delivery.flush()
    expect([count('late'), count('early')]).toEqual([0, 2])
    simulator.deliverTo({ rules: [late] })
    subscribe(simulator, 'prodcode1')
    simulator.clock.advance(60_000)
    await simulator.delivery.flush()
    expect([count('late'), count('early')]).toEqual([2, 2])
  })

  it('begins anew where the clock is put back to', async () => {
    const { simulator } = await aServedSimulator()
    const count = (queue: string) => simulator.delivery.queues.find(queue)?.messages.size
    simulator.deliverTo({
      rules: [
        { name: 'begun', target: { queue: 'begun' } },
        { name: 'to-come', target: { queue: 'to-come' }, since: utc('18:00') },
      ],
    })
    simulator.clock.set(utc('09:00'))
    subscribe(simulator, 'prodcode1')
    simulator.clock.advance(60_000)
    await simulator.delivery.flush()
    expect([count('begun'), count('to-come')]).toEqual([2, 0])
  })

  it('is walked by itself, whether the clock runs or jumps', async () => {
    const { simulator, url } = await aServedSimulator()
    simulator.deliverTo({ rules: [{ name: 'all', target: { queue: 'all' } }] })
    const client = sqsClient(url)
    subscribe(simulator, 'prodcode1')
    const licensed = await receive(client, 'all', { WaitTimeSeconds: 20 })
    simulator.clock.advance(10_900)
    simulator.clock.run(true)
    const created = await receive(client, 'all', { WaitTimeSeconds: 20 })
    expect([...licensed.bodies, ...created.bodies].map((event) => event['detail-type'])).toEqual([
      'License Updated - Manufacturer',
      'Purchase Agreement Created - Proposer',
    ])
  })
})

describe('faults of notifications', () => {
  /** A legacy subscription with all four messages of its life. */
  function aWholeLife(simulator: Simulator) {
    const { id } = subscribe(simulator, 'legacy')
    simulator.clock.advance(1_000)
    simulator.marketplace.cancel(id)
    simulator.clock.advance(2 * 3_600_000)
  }

  it('repeats a message under the same id', async () => {
    const { simulator, endpoint } = await aSubscribedEndpoint()
    simulator.delivery.faults.order({ kind: 'repeat', copies: 3, times: 1 })
    aWholeLife(simulator)
    await simulator.delivery.flush()
    const ids = endpoint.messages().map(({ MessageId }) => MessageId)
    expect([ids.length, new Set(ids).size]).toEqual([5, 3])
    expect(endpoint.messages()[0]).toEqual(endpoint.messages()[2])
  })

  it('delays a message by virtual time, while others pass it', async () => {
    const { simulator, endpoint } = await aSubscribedEndpoint()
    simulator.delivery.faults.order({ kind: 'delay', by: '3h', type: 'subscribe-success' })
    aWholeLife(simulator)
    await simulator.delivery.flush()
    expect(statesOf(simulator)[0]).toEqual(['subscribe-success', 'waiting'])
    simulator.clock.advance(3_600_000)
    await simulator.delivery.flush()
    expect(actions(endpoint.messages())).toEqual([
      'unsubscribe-pending',
      'unsubscribe-success',
      'subscribe-success',
    ])
    expect(endpoint.messages()[2]?.Timestamp).toBe('2026-11-20T12:30:00.000Z')
  })

  it('delivers the next ones in reverse', async () => {
    const { simulator, endpoint } = await aSubscribedEndpoint()
    simulator.delivery.faults.order({ kind: 'reorder', times: 3 })
    aWholeLife(simulator)
    await simulator.delivery.flush()
    expect(actions(endpoint.messages())).toEqual([
      'unsubscribe-success',
      'unsubscribe-pending',
      'subscribe-success',
    ])
    expect(simulator.delivery.faults.list()).toEqual([])
  })

  it('drops a message for good', async () => {
    const { simulator, endpoint } = await aSubscribedEndpoint()
    simulator.delivery.faults.order({ kind: 'drop', type: 'unsubscribe-pending', times: 1 })
    aWholeLife(simulator)
    await simulator.delivery.flush()
    simulator.delivery.faults.clear()
    await simulator.delivery.flush()
    expect(actions(endpoint.messages())).toEqual(['subscribe-success', 'unsubscribe-success'])
    expect(statesOf(simulator)[1]).toEqual(['unsubscribe-pending', 'dropped'])
  })

  it('holds what is told, until it is released', async () => {
    const { simulator, endpoint, url } = await aSubscribedEndpoint()
    simulator.delivery.faults.order({ kind: 'hold', type: 'subscribe-success' })
    aWholeLife(simulator)
    await simulator.delivery.flush()
    expect(actions(endpoint.messages())).toEqual(['unsubscribe-pending', 'unsubscribe-success'])
    expect(statesOf(simulator)[0]).toEqual(['subscribe-success', 'held'])
    await fetch(`${url}/_control/notifications/release`, { method: 'POST' })
    await simulator.delivery.flush()
    expect(actions(endpoint.messages()).at(-1)).toBe('subscribe-success')
  })

  it.each(['tamper', 'forge', 'wrongTopic', 'wrongCertHost'] as const)(
    'sends one that is not to be trusted (%s), and the genuine one when asked again',
    async (kind) => {
      const { simulator, endpoint } = await aSubscribedEndpoint()
      const ca = await simulator.delivery.caCertificate()
      simulator.delivery.faults.order({ kind, times: 1 })
      endpoint.answer = () => 403
      subscribe(simulator, 'legacy')
      await simulator.delivery.flush()
      const [bad] = endpoint.messages()
      endpoint.answer = () => 200
      simulator.delivery.redeliver(bad?.MessageId ?? '')
      await simulator.delivery.flush()
      const [, good] = endpoint.messages()
      expect(await isGenuine(good ?? {}, ca)).toBe(true)
      expect(good?.MessageId).toBe(bad?.MessageId)
      const changed = Object.keys(good ?? {}).filter((field) => good?.[field] !== bad?.[field])
      switch (kind) {
        case 'tamper':
          expect(changed).toEqual(['Message'])
          expect(await isGenuine(bad ?? {}, ca)).toBe(false)
          break
        case 'forge':
          expect(changed).toEqual(['Signature', 'SigningCertURL'])
          expect(await isGenuine(bad ?? {}, ca)).toBe(false)
          break
        case 'wrongTopic':
          expect(changed).toEqual(['TopicArn', 'Signature'])
          expect(await isGenuine(bad ?? {}, ca)).toBe(true)
          break
        case 'wrongCertHost':
          expect(changed).toEqual(['SigningCertURL'])
          expect(new URL(bad?.SigningCertURL ?? '').hostname).not.toMatch(/\.amazonaws\.com(\.cn)?$|^127\./)
      }
    },
  )

  it('leaves what has no signature alone', async () => {
    const { simulator } = await aServedSimulator()
    simulator.deliverTo({ rules: [{ name: 'all', target: { queue: 'all' } }] })
    simulator.delivery.faults.order({ kind: 'tamper' })
    subscribe(simulator, 'prodcode1')
    await simulator.delivery.flush()
    expect(simulator.delivery.faults.list()).toMatchObject([{ hits: 0 }])
    expect(statesOf(simulator)).toEqual([['License Updated - Manufacturer', 'delivered']])
  })
})

describe('with a state file', () => {
  let folder: string
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'delivery-'))
    cleanups.push(() => rmSync(folder, { recursive: true, force: true }))
  })

  const open = () => aServedSimulator({ stateFile: join(folder, 'state.jsonl') })

  it('goes on after a restart: nothing twice, nothing left out, no new confirmation, the same keys', async () => {
    const endpoint = await aSellerEndpoint()
    const first = await open()
    first.simulator.deliverTo({
      subscriptions: [{ protocol: 'http', endpoint: endpoint.url }],
      rules: [{ name: 'all', target: { queue: 'all' } }],
    })
    subscribe(first.simulator, 'legacy')
    const { id } = subscribe(first.simulator, 'prodcode1')
    await first.simulator.delivery.flush()
    const ca = await first.simulator.delivery.caCertificate()
    const client = sqsClient(first.url)
    const { QueueUrl, messages } = await receive(client, 'all', { VisibilityTimeout: 0 })
    await client.send(new DeleteMessageCommand({ QueueUrl, ReceiptHandle: messages[0]?.ReceiptHandle }))
    first.simulator.marketplace.cancel(id)
    subscribe(first.simulator, 'legacy', '111111111111')
    const before = endpoint.arrived.length
    await first.simulator.close()

    const { simulator } = await open()
    simulator.clock.advance(60_000)
    await simulator.delivery.flush()
    expect(await simulator.delivery.caCertificate()).toBe(ca)
    const kept = [...(simulator.delivery.queues.find('all')?.messages.values() ?? [])]
    expect(kept.map(({ body }) => JSON.parse(body)['detail-type'])).toEqual([
      'Purchase Agreement Ended - Proposer',
      'Purchase Agreement Created - Proposer',
      'License Deprovisioned - Manufacturer',
    ])
    const after = endpoint.arrived.slice(before).map(({ text }) => JSON.parse(text))
    expect(actions(after)).toEqual(['subscribe-success'])
    expect(await isGenuine(after[0], ca)).toBe(true)
  })

  it('keeps what was received but not deleted, and takes the receipts of before', async () => {
    const first = await open()
    const client = sqsClient(first.url)
    first.simulator.delivery.queues.put('orders', {})
    first.simulator.delivery.queues.send('orders', { body: '1' })
    first.simulator.delivery.queues.send('orders', { body: '2' })
    const { messages } = await receive(client, 'orders')
    await first.simulator.close()
    const { url, simulator } = await open()
    const again = sqsClient(url)
    const { messages: none, QueueUrl } = await receive(again, 'orders')
    expect(none).toEqual([])
    await again.send(new DeleteMessageCommand({ QueueUrl, ReceiptHandle: messages[0]?.ReceiptHandle }))
    await again.send(
      new ChangeMessageVisibilityCommand({
        QueueUrl,
        ReceiptHandle: messages[1]?.ReceiptHandle,
        VisibilityTimeout: 0,
      }),
    )
    expect((await receive(again, 'orders')).bodies).toEqual([2])
    expect(simulator.delivery.queues.send('orders', { body: '3' }).id).not.toBe(messages[0]?.MessageId)
  })

  it('delivers again what no answer came for', async () => {
    const endpoint = await aSellerEndpoint()
    const first = await open()
    first.simulator.deliverTo({ rules: [{ name: 'api', target: { url: endpoint.url } }] })
    let isClosed: Promise<void> | undefined
    endpoint.answer = () => {
      isClosed = first.simulator.close()
      return 500
    }
    subscribe(first.simulator, 'prodcode1')
    await expect(first.simulator.delivery.flush()).rejects.toThrow()
    await isClosed
    endpoint.answer = () => 200
    const { simulator } = await open()
    await simulator.delivery.flush()
    const ids = endpoint.arrived.map(({ text }) => JSON.parse(text).id)
    expect([ids.length, new Set(ids).size]).toEqual([2, 1])
  })
})
