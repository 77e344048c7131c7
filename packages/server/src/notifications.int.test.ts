import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import {
  createSimulator,
  createVirtualClock,
  type Destinations,
  type SimulatedProduct,
} from '@tollkeeper/simulator'
import { afterEach, describe, expect, it, vi } from 'vitest'
import {
  composeEngine,
  composeManageProducts,
  composeServer,
  createLogger,
  declareConfiguration,
  openLedger,
  openStores,
} from './compose.ts'
import { loadConfig } from './config.ts'
import { issueServiceKey } from './domain/keys/issue-service-key.ts'

/** The whole way, against the simulated AWS: its SNS with real signatures, its EventBridge and its SQS. */

const START = Date.parse('2026-11-21T07:30:00Z')
const LEGACY = 'legacy0code0of0twenty0fiv'
const LICENSED = 'licens0code0of0twenty0fiv'
const QUEUE = 'marketplace'
const SIGNING_TOPIC = `arn:aws:sns:us-east-1:287250355862:aws-mp-subscription-notification-${LEGACY}`
const OWN_TOPIC = 'arn:aws:sns:us-east-1:123456789012:marketplace-events'

const cleanups: (() => Promise<void> | void)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

async function aSeller(
  given: { queues?: readonly string[]; receivesMax?: number; signatureVersion?: '1' | '2' } = {},
) {
  const directory = mkdtempSync(join(tmpdir(), 'tollkeeper-notifications-'))
  cleanups.push(() => rmSync(directory, { recursive: true, force: true }))
  const clock = createVirtualClock({ start: START, running: false })
  const simulator = await createSimulator({
    clock,
    products: [],
    seed: 1,
    settings: {
      licenseDelayMs: 60_000,
      createdDelayMs: 10_000,
      throttling: false,
      snsSignatureVersion: given.signatureVersion ?? '1',
    },
  })
  cleanups.push(() => simulator.close())
  const { url: aws } = await simulator.listen()

  const file = join(directory, 'tollkeeper.yaml')
  const queues = (given.queues ?? []).map((name) => `${aws}/123456789012/${name}`)
  writeFileSync(
    file,
    JSON.stringify({
      mode: 'simulated',
      log: { level: 'silent' },
      store: { url: 'sqlite:./ledger.db' },
      aws: { endpoint: aws },
      notifications: { sqsQueues: queues, snsTopics: [OWN_TOPIC], receivesMax: given.receivesMax ?? 10 },
      products: [
        { id: 'old', productCode: LEGACY, metering: 'legacy', dimensions: [{ key: 'requests' }] },
        { id: 'new', productCode: LICENSED, dimensions: [{ key: 'requests' }] },
      ],
    }),
  )
  const config = loadConfig({ file, cwd: directory, env: {} })
  const ledger = await openLedger(config, clock)
  const engine = await composeEngine(ledger, { clock, logger: createLogger(config) })
  // Tests load the machine: being slow is not what they are about.
  const app = await composeServer(engine, { overloadDelayMs: 0 })
  await app.listen({ host: '127.0.0.1', port: 0 })
  const url = `http://127.0.0.1:${(app.server.address() as AddressInfo).port}`
  cleanups.push(async () => {
    await app.close()
    await engine.poller.stop()
    await ledger.close()
  })
  for (const { id, productCode, metering } of config.products) {
    const product: SimulatedProduct = {
      productCode,
      title: id,
      metering,
      pricing: 'usage',
      fulfillmentUrl: `${url}/marketplace/register/${id}`,
      dimensions: [{ key: 'requests' }],
    }
    simulator.marketplace.addProduct(product)
  }

  return {
    simulator,
    ledger,
    engine,
    url,
    file,
    aws,
    async deliverTo(destinations: Destinations) {
      simulator.deliverTo(destinations)
      await simulator.delivery.flush()
    },
    async advance(minutes: number) {
      clock.advance(minutes * 60_000)
      await simulator.delivery.flush()
    },
    buy: (productCode: string) => simulator.marketplace.subscribe({ productCode, accountId: '782858285006' }),
    /** What the buyer's browser does after "Set up your account". */
    async setUp({ id, productCode }: { id: string; productCode: string }) {
      const token = simulator.marketplace.setUpAccount(id)
      const listing = config.products.find((product) => product.productCode === productCode)?.listing
      const response = await fetch(`${url}/marketplace/register/${listing}`, {
        method: 'POST',
        body: new URLSearchParams({ 'x-amzn-marketplace-token': token }),
        redirect: 'manual',
      })
      expect(response.status).toBe(303)
    },
    events: async () => (await ledger.cases.listEvents({ limit: 100 })).items.toReversed(),
    names: async () =>
      (await ledger.cases.listEvents({ limit: 100 })).items.toReversed().map(({ event }) => event.name),
    refusals: async () =>
      (await ledger.audit.list({ limit: 100 })).items.filter(
        ({ action }) => action === 'notification.refused',
      ),
    deliveries: () =>
      simulator.delivery
        .notifications()
        .map(({ type, deliveries }) => [type, deliveries[0]?.state, deliveries[0]?.error]),
    statuses: async () => (await ledger.subscriptions.list({ limit: 10 })).map(({ status }) => status),
    left: () => simulator.delivery.queues.list().flatMap(([, { messages }]) => [...messages.keys()]),
    alarms: async () =>
      (await ledger.usage.listAlarms(100))
        .filter(({ kind }) => kind === 'notifications')
        .map(({ subject }) => subject),
  }
}

type Seller = Awaited<ReturnType<typeof aSeller>>
const overHttps = ({ url }: Seller): Destinations => ({
  subscriptions: [{ protocol: 'http', endpoint: `${url}/marketplace/webhook` }],
})
const eventually = <T>(check: () => T | Promise<T>) => vi.waitFor(check, { timeout: 20_000, interval: 20 })

describe('SNS over HTTP', () => {
  it.each(['1', '2'] as const)(
    'confirms its topics, and follows a buyer from the purchase to the end, signed in version %s',
    async (signatureVersion) => {
      const seller = await aSeller({ signatureVersion })
      await seller.deliverTo(overHttps(seller))
      expect(seller.simulator.delivery.destinations().topicSubscriptions.map(({ state }) => state)).toEqual([
        'confirmed',
        'confirmed',
      ])

      const bought = seller.buy(LEGACY)
      const { id, customerIdentifier } = bought
      await seller.advance(2)
      expect(await seller.events()).toMatchObject([
        {
          state: 'waiting',
          event: { kind: 'access_granted', customerIdentifier, productCode: LEGACY, freeTrial: false },
        },
      ])
      await seller.setUp(bought)
      expect(await seller.statuses()).toEqual(['active'])
      expect(await seller.events()).toMatchObject([{ state: 'followed' }])

      seller.simulator.marketplace.cancel(id)
      await seller.advance(5)
      expect(await seller.statuses()).toEqual(['cancelling'])
      await seller.advance(120)
      expect(await seller.names()).toEqual([
        'subscribe-success',
        'unsubscribe-pending',
        'unsubscribe-success',
      ])
      expect(await seller.refusals()).toEqual([])
      expect(seller.deliveries().every(([, state]) => state === 'delivered')).toBe(true)
    },
  )

  it.each([
    ['tamper', 'forged'],
    ['forge', 'certificate'],
    ['wrongTopic', 'wrong_topic'],
    ['wrongCertHost', 'certificate'],
  ] as const)(
    'refuses what comes with the fault %s, with a line in the audit trail, and takes the genuine one afterwards',
    async (kind, why) => {
      const seller = await aSeller()
      await seller.deliverTo(overHttps(seller))
      seller.simulator.delivery.faults.order({ kind, times: 1 })
      seller.buy(LEGACY)
      await seller.advance(2)
      expect(seller.deliveries()).toEqual([['subscribe-success', 'failed', 'status 403']])
      expect(await seller.events()).toEqual([])
      const subject =
        kind === 'wrongTopic' ? SIGNING_TOPIC.replace('287250355862', '999999999999') : SIGNING_TOPIC
      expect(await seller.refusals()).toMatchObject([
        { subject, actor: 'system', after: { channel: 'sns', why } },
      ])

      const [genuine] = seller.simulator.delivery.notifications()
      seller.simulator.delivery.redeliver(genuine!.id)
      await seller.simulator.delivery.flush()
      expect(await seller.events()).toMatchObject([{ event: { id: genuine!.id } }])
    },
  )

  it('counts once what comes three times, and in whatever order', async () => {
    const seller = await aSeller()
    await seller.deliverTo(overHttps(seller))
    seller.simulator.delivery.faults.order({ kind: 'repeat', copies: 3 })
    seller.simulator.delivery.faults.order({ kind: 'reorder', times: 2 })
    const bought = seller.buy(LEGACY)
    await seller.advance(2)
    await seller.setUp(bought)
    seller.simulator.marketplace.cancel(bought.id)
    await seller.advance(10)
    expect(await seller.names()).toEqual(['unsubscribe-pending', 'subscribe-success'])
    expect(seller.deliveries().map(([, state]) => state)).toEqual(['delivered', 'delivered'])
    expect(await seller.refusals()).toEqual([])
  })

  it('raises an alarm when somebody ends a topic’s subscription', async () => {
    const seller = await aSeller()
    await seller.deliverTo(overHttps(seller))
    await seller.deliverTo({})
    expect(await seller.alarms()).toContain(SIGNING_TOPIC)
    await seller.deliverTo(overHttps(seller))
    expect(await seller.alarms()).toEqual([])
  })
})

it('takes neither notifications nor registrations while another process moves the ledger, tells strangers nothing of that, and takes both afterwards', async () => {
  const seller = await aSeller()
  const other = await openStores(seller.ledger.config)
  cleanups.push(() => other.close())
  const guard = await other.guardLedger(START)
  const copy = { id: 'copy_1', to: 'postgres://db.example.com/ledger', isFinished: false }
  await guard.hold({ reason: `the ledger is being copied to ${copy.to}`, copy }, 'test', START)

  const bought = seller.buy(LEGACY)
  const register = () =>
    fetch(`${seller.url}/marketplace/register/old`, {
      method: 'POST',
      body: new URLSearchParams({
        'x-amzn-marketplace-token': seller.simulator.marketplace.setUpAccount(bought.id),
      }),
      redirect: 'manual',
    })
  const { customerIdentifier } = bought
  const action = { 'customer-identifier': customerIdentifier, 'product-code': LEGACY }
  const body = JSON.stringify({ action: 'subscribe-success', ...action })
  const message = { id: 'sqs-1', body, sentAt: START, receives: 1, receipt: '1' }
  const notify = () => fetch(`${seller.url}/marketplace/webhook`, { method: 'POST', body })
  for (const refused of [await register(), await notify()])
    expect([refused.status, await refused.text()]).toEqual([
      503,
      expect.not.stringContaining('db.example.com'),
    ])
  await expect(seller.engine.notifications.queued(message)).rejects.toMatchObject({
    code: 'ledger.waiting_for_release',
  })
  expect([await seller.events(), await seller.statuses()]).toEqual([[], []])
  const ready = await fetch(`${seller.url}/ready`)
  expect([ready.status, await ready.json()]).toEqual([
    503,
    { ready: false, checks: { ledger: 'waits for a person: see `tollkeeper usage status`' } },
  ])

  await guard.release('test', START)
  expect((await fetch(`${seller.url}/ready`)).status).toBe(200)
  expect((await register()).status).toBe(303)
  expect((await notify()).status).toBe(403)
  await seller.engine.notifications.queued(message)
  expect(await seller.statuses()).toEqual(['active'])
})

it('writes neither products nor plans to a ledger that is being moved: the copy would not have them', async () => {
  const { ledger, engine } = await aSeller()
  const other = await openStores(ledger.config)
  cleanups.push(() => other.close())
  const guard = await other.guardLedger(START)
  const copy = { id: 'copy_1', to: 'postgres://db.example.com/ledger', isFinished: false }
  await guard.hold({ reason: 'the ledger is being copied', copy }, 'test', START)
  await ledger.guard.refresh()

  const put = () =>
    composeManageProducts(ledger, engine.clock).putPlan(
      'new',
      { id: 'pro', body: {}, from: undefined },
      'cli:test',
    )
  await expect(put()).rejects.toMatchObject({ code: 'ledger.waiting_for_release' })
  await declareConfiguration(ledger, engine.clock)
  expect(await other.catalogStore.revision()).toBe(0)

  await guard.release('test', START)
  await ledger.guard.refresh()
  await declareConfiguration(ledger, engine.clock)
  expect((await put()).created).toBe(true)
})

describe('EventBridge', () => {
  const NAMES = ['Purchase Agreement Created - Proposer', 'License Updated - Manufacturer']

  it('comes by an API destination that shows a service key', async () => {
    const seller = await aSeller()
    const { ledger, engine, url } = seller
    const request = { name: 'api destination', scopes: ['events:write'] as const, product: undefined }
    const { secret } = await issueServiceKey({ keys: ledger.keys, clock: engine.clock }, request, 'cli:test')
    const target = (authorization: string) => ({
      url: `${url}/marketplace/webhook`,
      headers: { authorization },
    })
    await seller.deliverTo({ rules: [{ name: 'api', target: target(`Bearer ${secret}`) }] })
    const bought = seller.buy(LICENSED)
    await seller.setUp(bought)
    await seller.advance(2)
    expect(await seller.names()).toEqual(NAMES)
    expect(await seller.statuses()).toEqual(['active'])
  })

  it('comes by a topic of the seller’s own: the same events under the same ids', async () => {
    const seller = await aSeller({ queues: [QUEUE] })
    await seller.deliverTo({
      rules: [
        { name: 'topic', target: { topicArn: OWN_TOPIC } },
        { name: 'queue', target: { queue: QUEUE } },
      ],
      subscriptions: [
        { topicArn: OWN_TOPIC, protocol: 'http', endpoint: `${seller.url}/marketplace/webhook` },
      ],
    })
    const bought = seller.buy(LICENSED)
    await seller.setUp(bought)
    await seller.advance(2)
    expect(await seller.names()).toEqual(NAMES)
    seller.engine.poller.start()
    await eventually(() => expect(seller.left()).toEqual([]))
    expect(await seller.names()).toEqual(NAMES)
    expect(await seller.statuses()).toEqual(['active'])
  })
})

describe('SQS', () => {
  it('brings events of EventBridge and messages of SNS, with and without envelope, and is emptied', async () => {
    const seller = await aSeller({ queues: [QUEUE, 'raw'] })
    await seller.deliverTo({
      rules: [{ name: 'queue', target: { queue: QUEUE } }],
      subscriptions: [
        { protocol: 'sqs', endpoint: QUEUE },
        { protocol: 'sqs', endpoint: 'raw', rawMessageDelivery: true },
      ],
    })
    seller.engine.poller.start()
    const bought = seller.buy(LICENSED)
    await seller.setUp(bought)
    const old = seller.buy(LEGACY)
    await seller.setUp(old)
    await seller.advance(2)
    await eventually(async () => {
      expect(seller.left()).toEqual([])
      expect(await seller.events()).toHaveLength(4)
    })
    expect(await seller.statuses()).toEqual(['active', 'active'])
    seller.simulator.marketplace.cancel(bought.id)
    await seller.advance(2)
    await eventually(async () => expect(await seller.statuses()).toEqual(['active', 'cancelling']))
  })

  it('is stopped while it waits for messages, at once', async () => {
    const seller = await aSeller({ queues: [QUEUE] })
    await seller.deliverTo({ rules: [{ name: 'queue', target: { queue: QUEUE } }] })
    seller.engine.poller.start()
    seller.buy(LICENSED)
    await seller.advance(2)
    await eventually(() => expect(seller.left()).toEqual([]))
    const asked = performance.now()
    await seller.engine.poller.stop()
    // It would wait for twenty seconds.
    expect(performance.now() - asked).toBeLessThan(10_000)
  })

  it('gives up what nobody can read after so many tries, keeps it for a person, and lists it', async () => {
    const seller = await aSeller({ queues: [QUEUE], receivesMax: 1 })
    seller.simulator.delivery.queues.put(QUEUE, {})
    seller.simulator.delivery.queues.send(QUEUE, { body: 'hello' })
    seller.engine.poller.start()
    await eventually(() => expect(seller.left()).toEqual([]))
    expect(await seller.alarms()).toEqual(['rejected messages'])
    const { rejected } = await tollkeeper(seller, 'event', 'list', '--rejected', '--json')
    expect(rejected).toMatchObject([
      { channel: 'sns', payload: 'hello', reason: expect.stringContaining('JSON') },
    ])
  })

  it('that is not there raises an alarm, until it is', async () => {
    const seller = await aSeller({ queues: [QUEUE] })
    seller.engine.poller.start()
    await eventually(async () => expect(await seller.alarms()).toEqual([`queue ${QUEUE}`]))
    seller.simulator.delivery.queues.put(QUEUE, {})
    seller.simulator.delivery.queues.send(QUEUE, {
      body: JSON.stringify({
        action: 'subscribe-success',
        'customer-identifier': 'a',
        'product-code': LEGACY,
      }),
    })
    await eventually(() => expect(seller.left()).toEqual([]))
    await eventually(async () => expect(await seller.alarms()).toEqual([]))
  })
})

it('lists on the command line what was told', async () => {
  const seller = await aSeller()
  await seller.deliverTo(overHttps(seller))
  seller.buy(LEGACY)
  await seller.advance(2)
  const { events } = await tollkeeper(seller, 'event', 'list', '--state', 'waiting', '--json')
  expect(events).toMatchObject([
    { state: 'waiting', event: { kind: 'access_granted', name: 'subscribe-success' } },
  ])
  expect((await tollkeeper(seller, 'event', 'list', '--kind', 'unknown', '--json')).events).toEqual([])
  expect((await tollkeeper(seller, 'event', 'list', '--product', 'new', '--json')).events).toEqual([])
  const table = await run(seller, 'event', 'list')
  expect(table).toMatch(/subscribe-success +access_granted +waiting/)
  await expect(run(seller, 'event', 'list', '--kind', 'nonsense')).rejects.toThrow('access_granted')
  await expect(run(seller, 'event', 'list', '--product', 'nonsense')).rejects.toThrow('there are old, new')
  await expect(run(seller, 'event', 'list', '--rejected', '--kind', 'unknown')).rejects.toThrow('--kind')
})

const BIN = fileURLToPath(new URL('../bin/tollkeeper.js', import.meta.url))

async function run({ file }: Seller, ...given: readonly string[]): Promise<string> {
  const { stdout } = await promisify(execFile)(process.execPath, [BIN, ...given, '--config', file])
  return stdout
}

async function tollkeeper(seller: Seller, ...given: readonly string[]): Promise<Record<string, unknown>> {
  return JSON.parse(await run(seller, ...given))
}
