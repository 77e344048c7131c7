import { createHmac } from 'node:crypto'
import type { InjectOptions } from 'fastify'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { DomainError } from '../domain/error.ts'
import { createSigningCertificates } from '../marketplace/notifications/signing-certificates.ts'
import {
  ACTION,
  aConfirmation,
  aNotification,
  anAuthority,
  aWeb,
  CERTIFICATE_URL,
  type Envelope,
  PRODUCT_CODE,
  signed,
  TOPIC,
} from '../marketplace/notifications/sns.fixture.ts'
import { createAwsSnsGate } from '../marketplace/notifications/sns-gate.ts'
import { aClock } from '../storage/contract/fixtures.ts'
import { anApp, NOW } from './app.fixture.ts'

const aws = anAuthority().signer()
const stranger = anAuthority('Stranger').signer()
const OUR_TOPIC = 'arn:aws:sns:us-east-1:993604559884:marketplace-events'
const RELAY = { secret: 'a shared secret of the relay', toleranceMs: 300_000 }
const RELAY_NOW = NOW + 86_400_000

let seller: Awaited<ReturnType<typeof anApp>>
let web: ReturnType<typeof aWeb>
beforeEach(async () => {
  seller = await start()
})
afterEach(() => seller.close())

async function start(given: Parameters<typeof anApp>[0] = {}) {
  web = aWeb({ [CERTIFICATE_URL]: aws.certificate })
  const options = { mode: 'live', get: web.get } as const
  const certificates = createSigningCertificates({ ...options, clock: aClock(NOW) })
  return anApp({
    gate: createAwsSnsGate({ ...options, certificates }),
    elapsed: () => 0, // however slow this machine is
    topics: [OUR_TOPIC],
    // A relay lives by real time, whatever the server's clock says.
    relay: { ...RELAY, clock: { now: () => RELAY_NOW } },
    ...given,
  })
}

let address = 0
async function post(
  payload: string | object,
  headers: Readonly<Record<string, string>> = {},
  more: InjectOptions = {},
) {
  const response = await seller.app.inject({
    method: 'POST',
    url: '/marketplace/webhook',
    remoteAddress: `10.0.${(address++ >> 8) & 255}.${address & 255}`,
    payload: typeof payload === 'string' ? payload : JSON.stringify(payload),
    headers: { 'content-type': 'text/plain; charset=UTF-8', ...headers },
    ...more,
  })
  return {
    status: response.statusCode,
    body: response.json(),
    text: response.payload,
    headers: response.headers,
  }
}

const postSns = (envelope: Envelope) => post(envelope, { 'x-amz-sns-message-type': envelope.Type! })
const bySns = (message: object | string, fields: Envelope = {}) =>
  postSns(signed(aNotification(message, fields), aws))

function postRelayed(
  payload: object | string,
  given: { timestamp?: string; secret?: string; signature?: string } = {},
) {
  const body = typeof payload === 'string' ? payload : JSON.stringify(payload)
  const { timestamp = String(RELAY_NOW / 1000), secret = RELAY.secret } = given
  const signature =
    given.signature ?? createHmac('sha256', secret).update(`${timestamp}.${body}`).digest('hex')
  return post(body, {
    'content-type': 'application/json',
    'x-signature': signature,
    'x-timestamp': timestamp,
  })
}

const events = async () => (await seller.deps.cases.listEvents({ limit: 100 })).items
const audited = async () =>
  (await seller.deps.audit.list({ limit: 1000 })).items.filter(({ action }) =>
    action.startsWith('notification.'),
  )
const alarms = async () =>
  (await seller.deps.usage.listAlarms(100)).filter(({ kind }) => kind === 'notifications')

const LICENSED = {
  version: '0',
  id: '6b6b2f3c-59e8-4e2b-9a64-0d3a1c2e7a11',
  'detail-type': 'License Updated - Manufacturer',
  source: 'aws.agreement-marketplace',
  account: '993604559884',
  time: '2026-11-21T07:20:00Z',
  region: 'us-east-1',
  resources: ['arn:aws:aws-marketplace::aws:agreement:agmt-1'],
  detail: {
    agreement: { id: 'agmt-1' },
    product: { id: 'prod-k35yywhyj4eqg', code: PRODUCT_CODE },
    license: { arn: 'arn:aws:license-manager::294406891311:license:l-9d01d15f86334a8894365cd7350556ff' },
    acceptor: { accountId: '782858285006' },
    proposer: { accountId: '993604559884' },
  },
}

/** It was refused for good: with a problem, an audit line, and nothing kept. */
async function expectRefused(answer: Awaited<ReturnType<typeof post>>, why: string, status = 403) {
  expect([answer.status, answer.body.details?.why ?? answer.body.code]).toEqual([status, why])
  expect(answer.headers['content-type']).toContain('application/problem+json')
  expect(await audited()).toMatchObject([{ action: 'notification.refused', after: { why } }])
  expect(await events()).toEqual([])
}

describe('a message of SNS', () => {
  it('is kept before it is answered, and waits for its buyer', async () => {
    expect(await bySns(ACTION)).toMatchObject({ status: 200, body: { status: 'waiting' } })
    expect(await events()).toMatchObject([
      {
        state: 'waiting',
        receivedAt: NOW,
        event: {
          id: '0d7a1f3e-0000-5000-8000-000000000001',
          channel: 'sns',
          kind: 'access_granted',
          occurredAt: Date.parse('2026-11-21T07:29:00.123Z'),
          customerIdentifier: 'ifAPi5AcF3',
          freeTrial: true,
        },
      },
    ])
    expect(await audited()).toEqual([])
  })

  it('is known when it comes again, and told so', async () => {
    await bySns(ACTION)
    expect(await bySns(ACTION)).toMatchObject({ status: 200, body: { status: 'known' } })
    expect(await events()).toHaveLength(1)
  })

  it('is taken as JSON, in signature version 2, and from a topic of the seller’s own', async () => {
    const envelope = signed(aNotification(LICENSED, { TopicArn: OUR_TOPIC }), aws, { version: '2' })
    expect(await post(envelope, { 'content-type': 'application/json' })).toMatchObject({ status: 200 })
    expect(await events()).toMatchObject([{ event: { id: LICENSED.id, channel: 'eventbridge' } }])
  })

  it('of an unknown kind is kept and shown', async () => {
    expect(await bySns({ action: 'new', 'product-code': PRODUCT_CODE })).toMatchObject({
      body: { status: 'kept' },
    })
    expect(await events()).toMatchObject([{ state: 'kept', event: { kind: 'unknown', name: 'new' } }])
  })

  it('that AWS signed but nobody can read is put aside for a person, with an alarm: it would come the same again', async () => {
    expect(await bySns('hello')).toMatchObject({ status: 200, body: { status: 'rejected' } })
    expect(await seller.deps.cases.listRejected(10)).toMatchObject([
      { channel: 'sns', payload: 'hello', reason: expect.stringContaining('JSON') },
    ])
    expect(await alarms()).toMatchObject([{ subject: 'rejected messages' }])
  })

  it('that cannot be stored now is to come again', async () => {
    await seller.close()
    seller = await start({
      notifications: {
        ...seller.deps.notifications,
        sns: async () => {
          throw new DomainError('ledger.busy', 'the ledger is busy')
        },
      },
    })
    const answer = await bySns(ACTION)
    expect(answer).toMatchObject({ status: 503, body: { code: 'ledger.busy' } })
    expect(answer.headers['retry-after']).toBeDefined()
    expect(await audited()).toEqual([])
  })

  it('whose certificate cannot be fetched now is to come again', async () => {
    web.put(CERTIFICATE_URL, 0)
    expect(await bySns(ACTION)).toMatchObject({ status: 503, body: { code: 'marketplace.unavailable' } })
    expect(await audited()).toEqual([])
  })
})

describe('is refused with a 4xx and an audit line:', () => {
  it('what was changed after it was signed', async () => {
    const message = signed(aNotification(ACTION), aws)
    await expectRefused(
      await postSns({ ...message, Message: message.Message!.replace('success', 'fail') }),
      'forged',
    )
    expect((await audited())[0]).toMatchObject({ actor: 'system', subject: TOPIC, after: { channel: 'sns' } })
  })

  it('what somebody else signed', async () => {
    await expectRefused(await postSns(signed(aNotification(ACTION), stranger)), 'forged')
  })

  it('what is not signed', async () => {
    await expectRefused(await postSns(aNotification(ACTION)), 'unsigned')
  })

  it('a bare message, as SNS sends it by raw delivery', async () => {
    await expectRefused(await post(ACTION, { 'x-amz-sns-rawdelivery': 'true' }), 'unsigned')
  })

  it('an event that nobody vouches for', async () => {
    await expectRefused(await post(LICENSED), 'unsigned')
  })

  it('what is signed well, of a topic that is not ours', async () => {
    const theirs = TOPIC.replace('287250355862', '999999999999')
    await expectRefused(await bySns(ACTION, { TopicArn: theirs }), 'wrong_topic')
    expect((await audited())[0]).toMatchObject({ subject: theirs })
    expect(web.asked).toEqual([])
  })

  it('what is of AWS Marketplace’s topic for somebody else’s product', async () => {
    await expectRefused(
      await bySns(ACTION, { TopicArn: TOPIC.replace(PRODUCT_CODE, 'somebody0else0') }),
      'wrong_topic',
    )
  })

  it('a certificate at another host', async () => {
    const url = 'https://sns.us-east-1.amazonaws.com.example/x.pem'
    await expectRefused(await postSns(signed(aNotification(ACTION), stranger, { url })), 'certificate')
    expect(web.asked).toEqual([])
  })

  it('a certificate that is not there', async () => {
    const url = 'https://sns.us-east-1.amazonaws.com/other.pem'
    await expectRefused(await postSns(signed(aNotification(ACTION), stranger, { url })), 'certificate')
  })

  it.each(['hello', '[]', '{"Type":"Notification"}', '{"TopicArn":"x"}'])(
    'what is no message: %s',
    async (text) => {
      const answer = await post(text)
      expect(answer.status).toBeLessThan(404)
      expect(await audited()).toHaveLength(1)
      expect(await events()).toEqual([])
    },
  )

  it('what SNS sent long ago, shown again', async () => {
    await bySns(ACTION)
    seller.clock.set(NOW + 3 * 3_600_000)
    const answer = await bySns(ACTION)
    expect([answer.status, answer.body.details]).toEqual([403, { why: 'replayed', topic: TOPIC }])
    expect(await audited()).toMatchObject([{ after: { why: 'replayed' } }])
  })

  it('but not what comes late for the first time, nor its repetition', async () => {
    seller.clock.set(NOW + 30 * 86_400_000)
    expect(await bySns(ACTION)).toMatchObject({ status: 200, body: { status: 'waiting' } })
    expect(await bySns(ACTION)).toMatchObject({ status: 200, body: { status: 'known' } })
  })

  it('a flood of forgeries does not fill the trail', async () => {
    const forged = signed(aNotification(ACTION), stranger)
    for (let count = 0; count < 200; count++) expect((await postSns(forged)).status).toBe(403)
    expect(await audited()).toHaveLength(60)
    seller.clock.set(NOW + 60_000)
    await postSns(forged)
    expect((await audited()).slice(0, 2)).toMatchObject([
      {},
      { subject: 'notifications', after: { count: 140 } },
    ])
  })

  it('and one address that sends without end is told to wait', async () => {
    const forged = JSON.stringify(signed(aNotification(ACTION), stranger))
    let limited: Awaited<ReturnType<typeof post>> | undefined
    for (let count = 0; count <= 600; count++)
      limited = await post(forged, {}, { remoteAddress: '192.0.2.9' })
    expect([limited?.status, limited?.body.code]).toEqual([429, 'request.too_many'])
    expect(limited?.headers['retry-after']).toBeDefined()
  })

  it('what is larger than SNS can send, and what is another kind of content', async () => {
    expect((await post('x'.repeat(262_145))).status).toBe(413)
    expect((await post('<x/>', { 'content-type': 'application/xml' })).status).toBe(415)
    expect(
      (await post(Buffer.from([0xff]).toString('latin1'), {}, { payload: Buffer.from([0xff]) })).status,
    ).toBe(400)
  })

  it('and nothing of what it says is written down', async () => {
    const secret = 'a-secret-in-a-forged-message'
    await postSns(signed(aNotification({ ...ACTION, note: secret }), stranger))
    await postRelayed({ note: secret }, { secret: 'another secret' })
    expect(JSON.stringify(await audited()) + seller.logged()).not.toContain(secret)
    expect(JSON.stringify(await audited()) + seller.logged()).not.toContain(RELAY.secret)
  })
})

describe('a subscription of a topic', () => {
  it('is confirmed by its link, once it is known to be ours', async () => {
    const confirmation = aConfirmation()
    web.put(confirmation.SubscribeURL!, '<ConfirmSubscriptionResponse/>')
    expect(await postSns(signed(confirmation, aws))).toMatchObject({
      status: 200,
      body: { status: 'confirmed' },
    })
    expect(web.asked).toContain(confirmation.SubscribeURL)
    expect(await audited()).toMatchObject([
      { action: 'notification.subscribed', subject: TOPIC, actor: 'aws' },
    ])
  })

  it.each([
    ['of another topic', { TopicArn: 'arn:aws:sns:us-east-1:999999999999:theirs' }, aws, 'wrong_topic'],
    ['that is forged', {}, stranger, 'forged'],
    ['that leads elsewhere', { SubscribeURL: 'https://example.com/' }, aws, 'wrong_link'],
    ['that is old', { Timestamp: '2026-11-18T07:29:00.000Z' }, aws, 'expired'],
  ] as const)('is not confirmed %s', async (_, fields, keys, why) => {
    const confirmation = signed(aConfirmation(fields), keys)
    web.put(confirmation.SubscribeURL!, 'ok')
    await expectRefused(await postSns(confirmation), why)
    expect(web.asked).not.toContain(confirmation.SubscribeURL)
  })

  it('that SNS does not confirm now is asked for again', async () => {
    const confirmation = aConfirmation()
    web.put(confirmation.SubscribeURL!, 500)
    const answer = await postSns(signed(confirmation, aws))
    expect([answer.status, answer.text.includes('token-1')]).toEqual([503, false])
  })

  it('that somebody ended raises an alarm, until it is confirmed again', async () => {
    const ended = aConfirmation({ Type: 'UnsubscribeConfirmation' })
    web.put(ended.SubscribeURL!, 'ok')
    expect(await postSns(signed(ended, aws))).toMatchObject({ status: 200, body: { status: 'unsubscribed' } })
    expect(web.asked).toEqual([CERTIFICATE_URL])
    expect(await alarms()).toMatchObject([{ subject: TOPIC }])
    expect(await audited()).toMatchObject([{ action: 'notification.unsubscribed', subject: TOPIC }])
    await postSns(signed(aConfirmation(), aws))
    expect(await alarms()).toEqual([])
  })

  it('whose end is shown again later raises nothing', async () => {
    const ended = aConfirmation({ Type: 'UnsubscribeConfirmation', Timestamp: '2026-11-21T05:00:00.000Z' })
    await expectRefused(await postSns(signed(ended, aws)), 'expired')
    expect(await alarms()).toEqual([])
  })
})

describe('a relay', () => {
  it('may bring SNS’s bare message with an id, which counts once', async () => {
    const message = { ...ACTION, messageId: 'relayed-1' }
    expect(await postRelayed(message)).toMatchObject({ status: 200, body: { status: 'waiting' } })
    expect(
      await postRelayed(message, { timestamp: new Date(RELAY_NOW + 1_000).toISOString() }),
    ).toMatchObject({ status: 200, body: { status: 'known' } })
    expect(await events()).toMatchObject([
      { event: { id: 'relayed-1', channel: 'relay', occurredAt: RELAY_NOW } },
    ])
  })

  it('may say when AWS sent it', async () => {
    await postRelayed({ ...ACTION, messageId: 'relayed-1', timestamp: '2026-11-21T07:00:00Z' })
    expect(await events()).toMatchObject([{ event: { occurredAt: Date.parse('2026-11-21T07:00:00Z') } }])
  })

  it('may bring SNS’s envelope or an event of EventBridge: the same as if it came itself', async () => {
    await bySns(ACTION)
    expect(await postRelayed(aNotification(ACTION))).toMatchObject({ body: { status: 'known' } })
    expect(await postRelayed(LICENSED)).toMatchObject({ status: 200 })
    expect((await events()).map(({ event: { id, channel } }) => [id, channel])).toEqual([
      [LICENSED.id, 'relay'],
      ['0d7a1f3e-0000-5000-8000-000000000001', 'sns'],
    ])
  })

  it.each([
    ['no id', ACTION],
    ['an id that is no text', { ...ACTION, messageId: 7 }],
    ['a confirmation', aConfirmation()],
    ['no JSON', 'hello'],
  ])('is told what is wrong with %s', async (_, body) => {
    await expectRefused(await postRelayed(body), 'notification.unreadable', 400)
  })

  it.each([
    ['another secret', { secret: 'somebody else’s secret' }, 'forged'],
    ['a time that has passed', { timestamp: String(RELAY_NOW / 1000 - 301) }, 'expired'],
    ['a time to come', { timestamp: String(RELAY_NOW / 1000 + 301) }, 'expired'],
    ['no signature to speak of', { signature: 'deadbeef' }, 'unsigned'],
  ])('is refused with %s', async (_, given, why) => {
    await expectRefused(await postRelayed({ ...ACTION, messageId: 'relayed-1' }, given), why)
    expect((await audited())[0]).toMatchObject({ subject: 'relay' })
  })

  it('is refused where none is configured; SNS’s own messages are not', async () => {
    await seller.close()
    seller = await start({ relay: undefined })
    await expectRefused(await postRelayed({ ...ACTION, messageId: 'relayed-1' }), 'unsigned')
    const message = signed(aNotification(ACTION), aws)
    expect(
      await post(message, { 'x-amz-sns-message-type': 'Notification', 'x-signature': 'x' }),
    ).toMatchObject({ status: 200 })
  })
})

describe('an API destination of EventBridge', () => {
  const show = async (scopes: Parameters<typeof seller.aKey>[0], product?: string) => {
    const { secret } = await seller.aKey(scopes, product)
    return post(LICENSED, {
      'content-type': 'application/json; charset=utf-8',
      authorization: `Bearer ${secret}`,
    })
  }

  it('shows a key that may write events', async () => {
    expect(await show(['events:write'])).toMatchObject({ status: 200, body: { status: 'waiting' } })
    expect(await show(['admin'])).toMatchObject({ status: 200, body: { status: 'known' } })
    expect(await events()).toMatchObject([{ event: { channel: 'eventbridge', kind: 'access_granted' } }])
  })

  it('is refused without that scope, and with a key of one product: events are of all', async () => {
    await expectRefused(await show(['usage:write', 'usage:read']), 'key.scope_missing')
    expect(await show(['events:write'], 'acme')).toMatchObject({
      status: 403,
      body: { code: 'key.bound_to_product' },
    })
  })

  it('is refused with a key that is not ours', async () => {
    await expectRefused(
      await post(LICENSED, { authorization: `Bearer ${seller.secret}x` }),
      'key.unknown',
      401,
    )
  })
})
