import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import { setTimeout as pause } from 'node:timers/promises'
import {
  createSimulator,
  createVirtualClock,
  type Destinations,
  type Settings,
  type SimulatedProduct,
  type Simulator,
} from '@tollkeeper/simulator'
import {
  composeEngine,
  composeServer,
  createAgreements,
  createLogger,
  type Engine,
  openLedger,
} from '../../../compose.ts'
import type { Config } from '../../../config.ts'
import type { Clock } from '../../../domain/clock.ts'
import { issueServiceKey } from '../../../domain/keys/issue-service-key.ts'
import type { KeyScope } from '../../../domain/keys/service-key.ts'
import type { Product } from '../../../domain/products/product.ts'
import { HOUR_MS, hourOf, hourStart, MINUTE_MS } from '../../../domain/usage/hour.ts'
import { urlOf } from '../../serving.ts'
import { type Browser, openBrowser } from './browser.ts'
import { toListing } from './listing.ts'
import { type ProvisioningSystem, startProvisioningSystem } from './provisioning.ts'
import { rehearsedConfig } from './rehearsed-config.ts'
import { createSellerApi, type SellerApi } from './seller-api.ts'

/** In the middle of a month and of an hour: what happens at their ends is the other rehearsal's. */
const START = Date.UTC(2026, 10, 10, 9, 7)
/** Minutes of each hour at which the jobs run: closely after its beginning, when most is due. */
const JOB_MINUTES = [0, 5, 10, 15, 20, 30, 45]
/** In memory, where the system has such a place: nobody waits for a disk to be safe from a power failure here. */
const IN_MEMORY = '/dev/shm'
const QUEUE = 'marketplace'
const SELLER_ACCOUNT = '111122223333'
const EVENTS_TOPIC = `arn:aws:sns:us-east-1:${SELLER_ACCOUNT}:marketplace-events`
/** Real time that a queued notification may take to be fetched. */
const FETCH_MS_MAX = 5_000
/** A message that was given back is hidden for less than this, one in hand for longer. */
const GIVEN_BACK_MS_MAX = 20_000
/** What a seller's product may do with its key. */
const PRODUCT_SCOPES: readonly KeyScope[] = [
  'usage:write',
  'usage:read',
  'access:check',
  'subscriptions:write',
]
const ANYTHING_PER_SECOND = 1_000_000
const SETTINGS: Partial<Settings> = {
  sellerAccountId: SELLER_ACCOUNT,
  // Their calls are spaced in real time, of which as little as possible goes by here.
  searchAgreementsPerSecond: ANYTHING_PER_SECOND,
  describeAgreementPerSecond: ANYTHING_PER_SECOND,
  getAgreementTermsPerSecond: ANYTHING_PER_SECOND,
  agreementCancellationsPerSecond: ANYTHING_PER_SECOND,
}

/**
 * How AWS's notifications reach the server. `queue`: SNS (legacy) or an EventBridge rule, to a queue. `https`: signed
 * messages of SNS to the webhook; an EventBridge rule sends to a topic of the seller's.
 */
export type Route = 'queue' | 'https'

/** A real server, a real ledger and a simulated AWS Marketplace, for one product, on a clock that only we move. */
export interface World {
  readonly product: Product
  /** The product as AWS Marketplace lists it. */
  readonly listing: SimulatedProduct
  readonly simulator: Simulator
  /** Only the last look at the ledger's own balance goes past the API. */
  readonly engine: Engine
  /** Of the server. */
  readonly url: string
  /** The HTTP API with the product's own key. */
  readonly api: SellerApi
  /** Where the server tells the seller's systems what happens. */
  readonly provisioning: ProvisioningSystem
  /** Secret of the relay that the server knows. */
  readonly relaySecret: string
  /** Where the ledger's files are. */
  readonly directory: string
  now(): number
  /** Time goes on, with notifications and jobs; each is done when it resolves. */
  pass(ms: number): Promise<void>
  passUntil(time: number): Promise<void>
  /** Everything that is due now. */
  settle(): Promise<void>
  /** From now on; what is due already comes the old way. */
  route(by: Route): Promise<void>
  /** Where nothing else is said. */
  readonly usualRoute: Route
  /** A new buyer's browser, at an address of its own. */
  openBrowser(): Browser
  /** 12 digits, of nobody yet. */
  newAccountId(): string
  /** All that the server logged. */
  logged(): string
  /** A service key besides the product's own. */
  issueKey(scopes: readonly KeyScope[]): Promise<string>
  /** Of an operator. */
  adminKey(): Promise<string>
  /** All buyers leave: what one item did is no burden to the next. */
  clear(): Promise<void>
  close(): Promise<void>
}

/**
 * @param config - of the seller; where it says how things are outside of this machine, the rehearsal does not look
 * @throws {CliError} for a product that could not be listed
 */
export async function createLifecycleWorld(config: Config, product: Product): Promise<World> {
  const closers: (() => Promise<unknown> | unknown)[] = []
  const close = async () => {
    for (const closer of closers.splice(0).reverse()) await closer()
  }
  try {
    return { ...(await openWorld(config, product, (closer) => closers.push(closer))), close }
  } catch (error) {
    await close()
    throw error
  }
}

/** @param atEnd - what to close, in the order in which it was opened */
async function openWorld(
  config: Config,
  given: Product,
  atEnd: (closer: () => Promise<unknown> | unknown) => void,
): Promise<Omit<World, 'close'>> {
  const directory = await mkdtemp(join(existsSync(IN_MEMORY) ? IN_MEMORY : tmpdir(), 'tollkeeper-lifecycle-'))
  atEnd(() => rm(directory, { recursive: true, force: true }))
  const virtual = createVirtualClock({ start: START, running: false })
  // Nobody else moves this clock: whoever waits lets the time pass.
  const clock: Clock = { now: () => virtual.now(), sleep: async (ms) => virtual.advance(ms) }
  const simulator = await createSimulator({ clock: virtual, products: [], seed: 1, settings: SETTINGS })
  atEnd(() => simulator.close())
  const { url: endpoint } = await simulator.listen()
  // There from the start, as at AWS: the server asks for it whether anything comes through it or not.
  simulator.delivery.queues.put(QUEUE, {})
  const provisioning = await startProvisioningSystem()
  atEnd(() => provisioning.close())

  const relaySecret = randomBytes(32).toString('hex')
  const rehearsed = rehearsedConfig(config, given, {
    endpoint,
    relaySecret,
    file: join(directory, 'ledger.db'),
    webhook: provisioning,
    queueUrl: `${endpoint}/${SELLER_ACCOUNT}/${QUEUE}`,
    topicArn: EVENTS_TOPIC,
  })
  const [product = given] = rehearsed.products
  const ledger = await openLedger(rehearsed, clock)
  atEnd(() => ledger.close())
  const log = createLogKeeper()
  const engine = await composeEngine(ledger, {
    clock,
    agreements: await createAgreements(rehearsed, { haste: 1_000 }),
    syncsAgreements: true,
    logger: createLogger({ log: { level: 'debug' } }, log.stream),
  })
  // This machine may be busy with more than us; how the server sheds load is not what is rehearsed.
  const app = await composeServer(engine, { overloadDelayMs: 0 })
  atEnd(() => Promise.all([app.close(), engine.poller.stop(), engine.jobs.stop()]))
  await app.listen({ host: '127.0.0.1', port: 0 })
  const address = app.server.address()
  const url = urlOf('127.0.0.1', typeof address === 'object' && address !== null ? address.port : 0)
  const listing = simulator.marketplace.addProduct(toListing(product, url))

  const issueKey = async (scopes: readonly KeyScope[]): Promise<string> => {
    const request = { name: 'lifecycle', scopes, product: undefined }
    return (await issueServiceKey({ keys: ledger.keys, clock }, request, 'cli:rehearse')).secret
  }
  const settle = async () => {
    await simulator.delivery.flush()
    await untilFetched(simulator)
    await engine.jobs.runOnce()
    await engine.telling.runOnce()
  }
  const passUntil = async (time: number) => {
    while (virtual.now() < time) {
      virtual.set(Math.min(time, nextJobAt(virtual.now())))
      await settle()
    }
  }
  const route = async (by: Route) => {
    await settle()
    simulator.deliverTo(destinationsOf(product, by, url))
    await settle()
  }
  engine.poller.start()
  const usualRoute: Route = product.metering === 'legacy' ? 'https' : 'queue'
  await route(usualRoute)

  let admin: Promise<string> | undefined
  let accounts = 0
  let browsers = 0
  return {
    product,
    listing,
    simulator,
    engine,
    url,
    api: createSellerApi(url, await issueKey(PRODUCT_SCOPES)),
    provisioning,
    relaySecret,
    directory,
    now: () => virtual.now(),
    pass: (ms) => passUntil(virtual.now() + ms),
    passUntil,
    settle,
    route,
    usualRoute,
    // Addresses for documentation (RFC 5737); the server believes its proxy, which we are.
    openBrowser: () => openBrowser(`203.0.113.${++browsers % 254}`),
    newAccountId: () => String(200_000_000_000 + ++accounts),
    logged: log.text,
    issueKey,
    adminKey() {
      admin ??= issueKey(['admin'])
      return admin
    },
    async clear() {
      const { marketplace } = simulator
      for (const { id, end } of marketplace.listSubscriptions({ productCode: product.productCode }))
        if (end === undefined || end.endedAt > virtual.now()) marketplace.cancel(id)
      await settle()
    },
  }
}

/** When the jobs run next, after a time. */
function nextJobAt(time: number): number {
  const hour = hourStart(hourOf(time))
  const minute = JOB_MINUTES.find((candidate) => hour + candidate * MINUTE_MS > time)
  return minute === undefined ? hour + HOUR_MS : hour + minute * MINUTE_MS
}

function destinationsOf({ metering }: Product, by: Route, url: string): Destinations {
  const http = { protocol: 'http', endpoint: `${url}/marketplace/webhook` } as const
  if (metering === 'legacy')
    return { subscriptions: [by === 'https' ? http : { protocol: 'sqs', endpoint: QUEUE }] }
  return by === 'https'
    ? {
        subscriptions: [{ ...http, topicArn: EVENTS_TOPIC }],
        rules: [{ name: 'to-topic', target: { topicArn: EVENTS_TOPIC } }],
      }
    : { rules: [{ name: 'to-queue', target: { queue: QUEUE } }] }
}

/** The server fetches from its queue by itself, in real time, as from SQS. What it does not take stays there. */
async function untilFetched({ delivery }: Simulator): Promise<void> {
  const until = performance.now() + FETCH_MS_MAX
  const isLeft = () => {
    const messages = delivery.queues.find(QUEUE)?.messages.values() ?? []
    // What the server could not take it gives back for some seconds; what it has in hand is hidden for longer.
    return [...messages].some(
      ({ receiveCount, visibleAt }) =>
        receiveCount === 0 || (receiveCount === 1 && visibleAt > Date.now() + GIVEN_BACK_MS_MAX),
    )
  }
  while (isLeft() && performance.now() < until) await pause(1)
}

function createLogKeeper(): { readonly stream: Writable; text(): string } {
  let text = ''
  const stream = new Writable({
    write(chunk: Buffer, _, done) {
      text += chunk.toString()
      done()
    },
  })
  return { stream, text: () => text }
}
