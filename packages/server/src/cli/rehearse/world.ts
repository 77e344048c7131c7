import { randomUUID } from 'node:crypto'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { createSimulator, createVirtualClock, type Simulator } from '@tollkeeper/simulator'
import { stringify } from 'yaml'
import {
  composeEngine,
  composeServer,
  createLogger,
  createScratchStore,
  type Engine,
  openLedger,
  type ScratchStore,
} from '../../compose.ts'
import {
  type DynamoStoreConfig,
  type PostgresStoreConfig,
  type StoreConfig,
  sqliteStore,
} from '../../config/store.ts'
import { type Config, demoConfig, NO_RATE_LIMITS } from '../../config.ts'
import type { Clock } from '../../domain/clock.ts'
import { issueServiceKey } from '../../domain/keys/issue-service-key.ts'
import { type Dimension, type Product, USAGE_PRODUCT } from '../../domain/products/product.ts'
import { newSubscription } from '../../domain/subscriptions/subscription.ts'
import type { EventOutcome } from '../../domain/usage/usage-event.ts'
import { toSimulated } from '../commands/dev.ts'
import { CliError } from '../output.ts'
import { urlOf } from '../serving.ts'
import { Acknowledgements } from './acknowledgements.ts'
import { CALL_TIMEOUT_MS } from './faults.ts'
import type { LineReport } from './to-usage-reports.ts'

/** The product that a log is rehearsed as. */
const PRODUCT: Omit<Product, 'dimensions'> = {
  id: 'rehearsal',
  title: 'Rehearsal',
  ...USAGE_PRODUCT,
  productCode: 'rehearsal0tollkeeper00000',
  metering: 'license',
  region: 'us-east-1',
  listing: 'rehearsal',
  graceMs: 15 * 60_000,
  goodbyeSettleMs: 10 * 60_000,
  plans: [],
}

/** Events in one request, as the API allows. */
export const BATCH = 1_000

/** How often a batch is sent while the server says that it is overloaded, and how long between. */
const ATTEMPTS_MAX = 100
const BUSY_WAIT_MS = 200

/** A real server, a real ledger and a simulated AWS Marketplace, on a clock that only we move. */
export interface World {
  readonly engine: Engine
  readonly simulator: Simulator
  readonly directory: string
  now(): number
  advanceTo(time: number): void
  /** A buyer accepts an agreement now, and has a subscription from now on. */
  subscribe(buyer: string): Promise<void>
  /** Whose subscription of the simulator it is. */
  buyerOf(subscriptionId: string): string
  /** Over HTTP. One outcome for each, in order. */
  report(buyers: readonly string[], reports: readonly LineReport[]): Promise<readonly EventOutcome[]>
  close(): Promise<void>
}

/**
 * @param keep - a directory to leave everything in, for `tollkeeper dev`; without it, all is removed at the end
 */
export async function createWorld(options: {
  dimensions: readonly Dimension[]
  startAt: number
  keep: string | undefined
  /** Where to make a store for the ledger; default: a file. */
  store: DynamoStoreConfig | PostgresStoreConfig | undefined
}): Promise<World> {
  const directory =
    options.keep === undefined ? await mkdtemp(join(tmpdir(), 'tollkeeper-rehearse-')) : resolve(options.keep)
  await mkdir(directory, { recursive: true, mode: 0o700 })
  const product: Product = { ...PRODUCT, dimensions: options.dimensions }
  const virtual = createVirtualClock({ start: options.startAt, running: false })
  // Nobody else moves this clock: whoever waits lets the time pass.
  const clock: Clock = { now: () => virtual.now(), sleep: async (ms) => virtual.advance(ms) }
  const simulator = await createSimulator({
    clock: virtual,
    products: [toSimulated(product, 'http://127.0.0.1:4000')],
    settings: { licenseDelayMs: 0, createdDelayMs: 0 },
    seed: 1,
    ...(options.keep !== undefined && { stateFile: join(directory, 'simulator.jsonl') }),
  })
  const scratch: ScratchStore =
    options.store === undefined
      ? { store: sqliteStore(join(directory, 'ledger.db')), remove: async () => {} }
      : await createScratchStore(options.store)
  const config = configOf(product, (await simulator.listen()).url, scratch.store)
  const ledger = await openLedger(config, clock)
  const engine = await composeEngine(ledger, { clock, logger: createLogger({ log: { level: 'silent' } }) })
  const app = await composeServer(engine)
  await app.listen({ host: '127.0.0.1', port: 0 })
  const address = app.server.address()
  const url = urlOf('127.0.0.1', typeof address === 'object' && address !== null ? address.port : 0)
  const { secret } = await issueServiceKey(
    { keys: ledger.keys, clock },
    { name: 'rehearsal', scopes: ['usage:write'], product: undefined },
    'cli:rehearse',
  )
  if (options.keep !== undefined)
    await writeFile(
      join(directory, 'tollkeeper.yaml'),
      toYaml(product, options.store === undefined ? 'sqlite:./ledger.db' : scratch.store.url),
      { mode: 0o600 },
    )

  const subscriptions = new Map<string, string>()
  const buyers = new Map<string, string>()
  /** Ids of events that the server has said it counts. */
  const acknowledgements = new Acknowledgements()
  return {
    engine,
    simulator,
    directory,
    now: () => virtual.now(),
    advanceTo: (time) => {
      if (time > virtual.now()) virtual.set(time)
    },
    async subscribe(buyer) {
      const order = simulator.marketplace.subscribe({
        productCode: product.productCode,
        accountId: accountOf(buyers.size),
        buyerName: buyer.slice(0, 100) || 'nobody',
      })
      const { subscription } = await ledger.subscriptions.create(
        newSubscription({
          id: `sub_${randomUUID()}`,
          product: product.id,
          buyer: `buy_${randomUUID()}`,
          tenantId: buyer,
          status: 'active',
          licenseArn: order.licenseArn,
          customerAwsAccountId: order.accountId,
          agreementId: order.agreementId,
          accessStart: virtual.now(),
          createdAt: virtual.now(),
        }),
        'cli:rehearse',
      )
      subscriptions.set(buyer, subscription.id)
      buyers.set(order.id, buyer)
    },
    buyerOf: (subscriptionId) => buyers.get(subscriptionId) ?? subscriptionId,
    async report(names, reports) {
      const events = reports.map((report, index) => ({
        subscriptionId: subscriptions.get(names[index]!),
        dimension: report.dimension,
        correlationId: report.id,
        usageTime: new Date(report.time).toISOString(),
        ...(report.quantity !== undefined && { quantity: report.quantity }),
        ...(report.value !== undefined && { value: report.value }),
      }))
      for (let attempt = 1; ; attempt++) {
        const response = await fetch(`${url}/usage`, {
          method: 'POST',
          headers: { authorization: `Bearer ${secret}`, 'content-type': 'application/json' },
          body: JSON.stringify(events),
        })
        const answer = (await response.json()) as { outcomes?: EventOutcome[]; detail?: string }
        if (response.ok && answer.outcomes !== undefined)
          return acknowledgements.read(answer.outcomes, attempt > 1)
        if (response.status !== 503 || attempt === ATTEMPTS_MAX)
          throw new CliError(
            `the server refused a batch with ${response.status}: ${answer.detail ?? ''} (is this machine overloaded?)`,
          )
        // A busy machine: what every client does, the same events again a little later.
        await sleep(BUSY_WAIT_MS)
      }
    },
    async close() {
      await app.close()
      await engine.jobs.stop()
      await simulator.close()
      await ledger.close()
      if (options.keep !== undefined) return
      await scratch.remove()
      await rm(directory, { recursive: true, force: true })
    },
  }
}

function configOf(product: Product, endpoint: string, store: StoreConfig): Config {
  const base = demoConfig()
  return {
    ...base,
    mode: 'simulated',
    log: { level: 'silent' },
    server: { ...base.server, rateLimits: NO_RATE_LIMITS },
    store,
    aws: { ...base.aws, endpoint, timeoutMs: CALL_TIMEOUT_MS },
    products: [product],
    subscriptions: [],
  }
}

/** AWS account ids have twelve digits. */
function accountOf(index: number): string {
  return String(100_000_000_000 + index)
}

/** What `tollkeeper dev` needs to go on where the rehearsal ended. */
function toYaml(product: Product, storeUrl: string): string {
  return stringify({
    mode: 'simulated',
    store: { url: storeUrl },
    products: [
      {
        id: product.id,
        title: product.title,
        productCode: product.productCode,
        dimensions: product.dimensions.map((dimension) => ({
          key: dimension.key,
          aggregation: dimension.aggregation,
          ...((dimension.aggregation === 'max' || dimension.aggregation === 'unique') && {
            per: dimension.per,
          }),
          scale: dimension.scale,
          unitSize: dimension.unitSize.toString(),
          ...(dimension.price !== undefined && { price: dimension.price }),
        })),
      },
    ],
  })
}
