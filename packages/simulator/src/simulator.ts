import { randomInt } from 'node:crypto'
import { createVirtualClock, type VirtualClock } from './clock/virtual-clock.ts'
import { DEMO_PRODUCTS } from './demo-products.ts'
import { SimulatorError } from './errors.ts'
import { createFaultBook, type FaultBook } from './faults/faults.ts'
import { createHttpServer, type ListenOptions } from './http/http-server.ts'
import { createMarketplace, type Marketplace } from './marketplace/marketplace.ts'
import type { SimulatedProduct } from './marketplace/product.ts'
import { createQuota } from './marketplace/quota.ts'
import type { Settings } from './marketplace/settings.ts'
import { applyFact, type MarketplaceState } from './marketplace/state.ts'
import { damaged, type Journal, type JournalEntry, openJournal } from './state/journal.ts'
import { type Call, createCallLog } from './wire/call-log.ts'
import { type AwsReply, type AwsRequest, handleAws } from './wire/handle-aws.ts'

export interface SimulatorOptions {
  /** Defaults to one that runs with real time. Where the state file says, it is put to the time kept there. */
  readonly clock?: VirtualClock
  /** Defaults to a demo set. With a state file, these are added to (and replace) what it holds. */
  readonly products?: readonly SimulatedProduct[]
  readonly settings?: Partial<Settings>
  /** Keep all state in this file; without it, in memory only. */
  readonly stateFile?: string
  /** Makes identifiers and the hits of faults repeatable: a whole number below 2^32. A state file keeps its own. */
  readonly seed?: number
  /** Told of each call, as one object. Tokens are never in it. */
  readonly logger?: (line: object) => void
}

/** AWS Marketplace on a laptop. */
export interface Simulator {
  readonly clock: VirtualClock
  /** The state machine, without HTTP. */
  readonly marketplace: Marketplace
  readonly faults: FaultBook
  /** The latest AWS calls, newest first. */
  calls(): Call[]
  /** One AWS call, faults included, without sockets. */
  handleAws(request: AwsRequest): Promise<AwsReply>
  /** @throws the system's error, e.g. `EADDRINUSE` */
  listen(options?: ListenOptions): Promise<{ url: string; port: number }>
  /** Stops listening, breaks open connections and releases the state file. */
  close(): Promise<void>
}

/** @throws {SimulatorError} `invalid` for options that make no sense, `state_file` for an unusable file */
export async function createSimulator(options: SimulatorOptions = {}): Promise<Simulator> {
  const clock = options.clock ?? createVirtualClock()
  const givenSeed = options.seed ?? randomInt(2 ** 32)
  if (!Number.isInteger(givenSeed) || givenSeed < 0 || givenSeed >= 2 ** 32) {
    throw new SimulatorError('invalid', `seed must be a whole number below 2^32, not ${givenSeed}`)
  }
  if (options.stateFile === undefined) return startSimulator(options, clock, givenSeed)
  const { journal, entries } = openJournal(options.stateFile, givenSeed)
  try {
    return startSimulator(options, clock, journal.seed, journal, (state) =>
      restore(options.stateFile ?? '', entries, state, clock),
    )
  } catch (error) {
    journal.close()
    throw error
  }
}

function startSimulator(
  options: SimulatorOptions,
  clock: VirtualClock,
  seed: number,
  journal?: Journal,
  restoreInto?: (state: MarketplaceState) => void,
): Simulator {
  const calls = createCallLog()
  const { marketplace, context } = createMarketplace({
    clock,
    seed,
    settings: {},
    calls: calls.counts,
    ...(journal !== undefined && { persist: journal.append }),
  })
  restoreInto?.(context.state)

  const isNew = context.state.products.size === 0
  for (const product of options.products ?? (isNew ? DEMO_PRODUCTS : [])) marketplace.addProduct(product)
  if (options.settings !== undefined) marketplace.updateSettings(options.settings)

  const faults = createFaultBook(clock, seed)
  const quota = createQuota()
  const door = { context, faults, calls, quota }
  const stopWatching = journal === undefined ? undefined : clock.onChange(() => keepClock(journal))
  if (journal !== undefined) keepClock(journal)

  function keepClock(to: Journal): void {
    const now = clock.now()
    to.append({ kind: 'clock', running: clock.running, now, offsetMs: now - Date.now() })
  }

  const simulator: Simulator = {
    clock,
    marketplace,
    faults,
    calls: calls.list,
    async handleAws(request) {
      const reply = handleAws(door, request)
      options.logger?.({
        at: clock.now(),
        target: request.target,
        region: request.region,
        status: statusOf(reply),
      })
      return reply
    },
    listen: (listenOptions = {}) => server.listen(listenOptions),
    async close() {
      await server.close()
      stopWatching?.()
      journal?.close()
    },
  }
  const server = createHttpServer(simulator)
  return simulator
}

/** @throws {SimulatorError} `state_file` for a line that does not fit those before it */
function restore(
  path: string,
  entries: readonly JournalEntry[],
  state: MarketplaceState,
  clock: VirtualClock,
): void {
  let lastClock: (JournalEntry & { kind: 'clock' }) | undefined
  for (const [index, entry] of entries.entries()) {
    try {
      if (entry.kind === 'clock') lastClock = entry
      else applyFact(state, entry)
    } catch (error) {
      throw damaged(path, index + 2, (error as Error).message, error)
    }
  }
  if (lastClock === undefined) return
  clock.run(lastClock.running)
  clock.set(lastClock.running ? Date.now() + lastClock.offsetMs : lastClock.now)
}

function statusOf(reply: AwsReply): number | 'cut' {
  return reply.kind === 'cut' ? 'cut' : reply.status
}
