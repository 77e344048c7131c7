import { randomInt } from 'node:crypto'
import { createVirtualClock, type VirtualClock } from './clock/virtual-clock.ts'
import { createDelivery, type Delivery, type DeliveryInside } from './delivery/delivery.ts'
import { isDeliveryFact } from './delivery/delivery-state.ts'
import type { Destinations } from './delivery/destinations.ts'
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
import type { ServiceDoor, ServiceRequest } from './wire/json-service.ts'
import { handleService } from './wire/services.ts'

export interface SimulatorOptions {
  /** Defaults to one that runs with real time. Where the state file says, it is put to the time kept there. */
  readonly clock?: VirtualClock
  /** Defaults to a demo set. With a state file, these are added to (and replace) what it holds. */
  readonly products?: readonly SimulatedProduct[]
  readonly settings?: Partial<Settings>
  /** Where notifications go. With a state file, this replaces what it holds. */
  readonly deliverTo?: Destinations
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
  /** How notifications get to the seller: queues, what was delivered, faults of delivery. */
  readonly delivery: Delivery
  /**
   * Delivers notifications there from now on, instead of where they went before. They are delivered by themselves
   * once their virtual time has come; `delivery.flush()` resolves when those that are due are.
   *
   * @throws {SimulatorError} `invalid`
   */
  deliverTo(destinations: Destinations): void
  /** The latest AWS calls, newest first. */
  calls(): Call[]
  /** One AWS call, faults included, without sockets. */
  handleAws(request: AwsRequest): Promise<AwsReply>
  /** One call of SQS or EventBridge, without sockets. */
  handleService(request: ServiceRequest): Promise<AwsReply>
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
    return startSimulator(options, clock, journal.seed, journal, (state, delivery) =>
      restore(options.stateFile ?? '', entries, { state, delivery, clock }),
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
  restoreInto?: (state: MarketplaceState, delivery: DeliveryInside) => void,
): Simulator {
  const calls = createCallLog()
  const { marketplace, context } = createMarketplace({
    clock,
    seed,
    settings: {},
    calls: calls.counts,
    persist(fact) {
      journal?.append(fact)
      if (fact.kind !== 'usage') delivery.poke()
    },
  })
  const delivery = createDelivery({
    clock,
    uuid: context.identifiers.uuid,
    notifications: () => marketplace.notifications(),
    products: () => marketplace.listProducts(),
    productOf: (subscriptionId) => context.state.subscriptions.find(subscriptionId)?.productCode,
    settings: () => context.state.settings,
    ...(journal !== undefined && { persist: journal.append }),
  })
  restoreInto?.(context.state, delivery)

  const isNew = context.state.products.size === 0
  for (const product of options.products ?? (isNew ? DEMO_PRODUCTS : [])) marketplace.addProduct(product)
  if (options.settings !== undefined) marketplace.updateSettings(options.settings)

  if (options.deliverTo !== undefined) delivery.deliverTo(options.deliverTo)

  const faults = createFaultBook(clock, seed)
  const quota = createQuota()
  const door = { context, faults, calls, quota }
  const services: ServiceDoor = {
    clock,
    delivery,
    faults,
    calls,
    sellerAccountId: () => context.state.settings.sellerAccountId,
  }
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
    delivery,
    deliverTo: delivery.deliverTo,
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
    handleService: (request) => handleService(services, request),
    async listen(listenOptions = {}) {
      const listening = await server.listen(listenOptions)
      delivery.listening(listening.url)
      return listening
    },
    async close() {
      await delivery.close()
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
  into: { state: MarketplaceState; delivery: DeliveryInside; clock: VirtualClock },
): void {
  const { state, delivery, clock } = into
  let lastClock: (JournalEntry & { kind: 'clock' }) | undefined
  for (const [index, entry] of entries.entries()) {
    try {
      if (entry.kind === 'clock') lastClock = entry
      else if (isDeliveryFact(entry)) delivery.restore(entry)
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
