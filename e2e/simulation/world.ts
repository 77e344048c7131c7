import type { Clock } from '../../packages/server/src/domain/clock.ts'
import type { EntitlementStore } from '../../packages/server/src/domain/entitlements/entitlement-store.ts'
import {
  createProductCatalog,
  type ProductCatalog,
} from '../../packages/server/src/domain/products/product.ts'
import type { SubscriptionStore } from '../../packages/server/src/domain/subscriptions/subscription-store.ts'
import { closeDueBuckets } from '../../packages/server/src/domain/usage/close-due-buckets.ts'
import { createIngestUsage, type IngestUsage } from '../../packages/server/src/domain/usage/ingest-usage.ts'
import { reportSilence } from '../../packages/server/src/domain/usage/report-silence.ts'
import { submitDueRecords } from '../../packages/server/src/domain/usage/submit-due-records.ts'
import type { UsageStore } from '../../packages/server/src/domain/usage/usage-store.ts'
import { createSimulator, createVirtualClock, type Simulator } from '../../packages/simulator/src/index.ts'
import { createSharedLedger } from './ledgers.ts'
import { Crash, createLife, type Life } from './life.ts'
import type { Random } from './random.ts'
import type { Scenario } from './scenario.ts'
import type { MortalStores } from './shared-ledger.ts'
import { createSimulatedMetering, type Wire } from './simulated-metering.ts'

const TIMEOUT_MS = 2_000
export const ACCEPT_BACK_MS = 7 * 86_400_000

/** One process of ours: the real use cases on the real store, until it dies. */
export interface Worker {
  readonly name: string
  readonly life: Life
  readonly usage: UsageStore
  readonly subscriptions: SubscriptionStore
  readonly entitlements: EntitlementStore
  readonly catalog: ProductCatalog
  readonly ingest: IngestUsage
  close(): Promise<void>
  silence(): Promise<void>
  submit(): Promise<void>
}

export interface World {
  readonly simulator: Simulator
  readonly wire: Wire
  readonly workers: Worker[]
  readonly clock: Clock
  /** Set by the run: what other processes do while one is busy. */
  meanwhile: (worker: Worker) => Promise<void>
  /** The chance that a connection to AWS is refused before a byte leaves. */
  refusedShare: number
  /** A dead process is started anew on the same database. */
  revive(worker: Worker): Promise<void>
  dispose(): Promise<void>
}

/** @param store - see `createSharedLedger` */
export async function createWorld(
  scenario: Scenario,
  seed: number,
  random: Random,
  store?: string,
): Promise<World> {
  const virtual = createVirtualClock({ start: scenario.start, running: false })
  const simulator = await createSimulator({
    clock: virtual,
    products: scenario.listings,
    settings: scenario.settings,
    seed,
  })
  const wire: Wire = { sent: new Map(), keys: new Map() }
  // Whoever waits lets time pass: there is nobody else who would.
  const clock: Clock = { now: () => virtual.now(), sleep: async (ms) => virtual.advance(Math.ceil(ms)) }
  const ledger = await createSharedLedger(scenario.onFile, store)
  const opened: MortalStores[] = []
  const workers: Worker[] = []

  const start = async (index: number) => {
    await opened[index]?.close()
    const life = createLife(() => world.meanwhile(workers[index]!))
    const stores = await ledger.open(life)
    opened[index] = stores
    const { usage, subscriptions, entitlements } = stores
    const metering = createSimulatedMetering({
      simulator,
      life,
      wire,
      timeoutMs: TIMEOUT_MS,
      refused: () => random.chance(world.refusedShare),
    })
    // Configuration may change while a process runs.
    const catalog: ProductCatalog = {
      list: () => scenario.products,
      find: (name) => createProductCatalog(scenario.products).find(name),
      findByListing: () => undefined,
      planAt: (...asked) => createProductCatalog(scenario.products).planAt(...asked),
    }
    const limits = { acceptBackMs: ACCEPT_BACK_MS, acceptAheadMs: 300_000 }
    workers[index] = {
      name: `worker ${index + 1}`,
      life,
      usage,
      subscriptions,
      entitlements,
      catalog,
      ingest: createIngestUsage({ usage, subscriptions, catalog, clock, limits }),
      close: async () => void (await closeDueBuckets({ usage, subscriptions, catalog }, clock.now())),
      silence: async () => void (await reportSilence({ usage, subscriptions, catalog }, clock.now())),
      submit: async () => void (await submitDueRecords({ usage, metering, clock, timeoutMs: TIMEOUT_MS })),
    }
  }

  const world: World = {
    simulator,
    wire,
    workers,
    clock,
    meanwhile: async () => {},
    refusedShare: 0,
    async revive(worker) {
      const index = workers.indexOf(worker)
      if (index >= 0) await start(index)
    },
    async dispose() {
      for (const stores of opened) await stores.close()
      await ledger.remove()
      await simulator.close()
    },
  }
  await start(0)
  await start(1)
  return world
}

export function isCrash(error: unknown): boolean {
  return error instanceof Crash
}
