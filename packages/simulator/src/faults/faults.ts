import type { VirtualClock } from '../clock/virtual-clock.ts'
import { SimulatorError } from '../errors.ts'

export const FAULT_KINDS = [
  'throttle',
  'cutBefore',
  'cutAfter',
  'unprocessed',
  'html503',
  'slow',
  'internalError',
  'truncatedBody',
  'refuse',
] as const
export type FaultKind = (typeof FAULT_KINDS)[number]

export const OPERATIONS = [
  'BatchMeterUsage',
  'ResolveCustomer',
  'GetEntitlements',
  'SearchAgreements',
  'DescribeAgreement',
  'GetAgreementTerms',
  'GetAgreementEntitlements',
  'SendAgreementCancellationRequest',
  'GetAgreementCancellationRequest',
  'ListAgreementCancellationRequests',
  'CancelAgreementCancellationRequest',
] as const
export type Operation = (typeof OPERATIONS)[number]

/** Operations of the services that carry notifications; only a fault that names one of them hits it. */
export const DELIVERY_OPERATIONS = ['PutEvents', 'ReceiveMessage', 'SendMessage', 'DeleteMessage'] as const
export type DeliveryOperation = (typeof DELIVERY_OPERATIONS)[number]

/**
 * Something to go wrong, as ordered. Of several that fit a call, the one ordered first hits it.
 *
 * - `throttle`: `ThrottlingException`, not taken
 * - `cutBefore`, `cutAfter`: the connection is destroyed before or after the call was taken
 * - `unprocessed`: `share` of a batch's records (default all) come back in `UnprocessedRecords`; of `PutEvents`,
 *   `share` of the entries fail with `InternalFailure`
 * - `html503`: a load balancer's HTML page with status 503, not taken
 * - `slow`: the answer comes after `delayMs` of real time; with `taken: false` it is then an internal error
 * - `internalError`: `InternalServiceErrorException`, status 500; `taken` says whether the call took effect
 * - `truncatedBody`: taken, but half of the answer's body is missing
 * - `refuse`: the request-level error `error`, not taken
 */
export interface FaultOrder {
  readonly kind: FaultKind
  /** Default: each operation of AWS Marketplace's services (`unprocessed`: only `BatchMeterUsage`). */
  readonly operation?: Operation | DeliveryOperation
  /** Only calls for this product. */
  readonly productCode?: string
  /** How many calls it hits; without it, each until withdrawn. */
  readonly times?: number
  /** Chance from 0 to 1 that a fitting call is hit; for `unprocessed`, that a record is left. Default 1. */
  readonly share?: number
  /** Virtual time from which it may hit, ISO 8601 or epoch ms. */
  readonly from?: string | number
  /** Virtual time from which it no longer hits. */
  readonly until?: string | number
  /** `slow`: how long the answer takes, in ms of real time. Default 1000. */
  readonly delayMs?: number
  /** `slow` (default `true`), `internalError` (default `false`): whether the call takes effect. */
  readonly taken?: boolean
  /** `refuse`: the error code. Default `DisabledApiException`. */
  readonly error?: string
}

/** An order as kept: what is left of it, and how often it hit. */
export interface Fault extends FaultOrder {
  readonly id: string
  readonly hits: number
  /** Calls it will still hit; absent if without limit. */
  readonly remaining?: number
}

export interface FaultBook {
  /** @throws {SimulatorError} `invalid` */
  order(order: FaultOrder): Fault
  list(): Fault[]
  /** @throws {SimulatorError} `not_found` */
  withdraw(id: string): void
  clear(): void
  readonly isEmpty: boolean
  /** How many calls each kind has hit since the start, by orders that are over too. */
  hits(): Readonly<Partial<Record<FaultKind, number>>>
  /** The fault that hits a call, if any; counts the hit. `productOf` is only asked if a fault wants to know. */
  strike(operation: Operation | DeliveryOperation, productOf: () => string | undefined): Fault | undefined
  /** Picks a record with the chance `share`, from the seed. */
  chance(share: number): boolean
}

const DELAY_MS_MAX = 600_000
const TIMES_MAX = 1_000_000_000
const FAULTS_MAX = 1_000

/** @param seed - the same seed, orders and calls give the same hits */
export function createFaultBook(clock: VirtualClock, seed: number): FaultBook {
  const faults = new Map<string, Fault>()
  const random = createRandom(seed)
  const hits = new Map<FaultKind, number>()
  let ordered = 0

  const chance = (share: number) => share >= 1 || random() < share

  return {
    order(value) {
      const order = parseFault(value)
      if (faults.size >= FAULTS_MAX)
        throw new SimulatorError('invalid', `at most ${FAULTS_MAX} faults at a time`)
      const id = `fault-${++ordered}`
      const fault = { ...order, id, hits: 0, ...(order.times !== undefined && { remaining: order.times }) }
      faults.set(id, fault)
      return fault
    },
    list: () => [...faults.values()],
    withdraw(id) {
      if (!faults.delete(id)) throw new SimulatorError('not_found', `no fault ${id}`)
    },
    clear: () => faults.clear(),
    get isEmpty() {
      return faults.size === 0
    },
    hits: () => Object.fromEntries(hits),
    strike(operation, productOf) {
      const now = clock.now()
      for (const fault of faults.values()) {
        if (!fits(fault, operation, now)) continue
        if (fault.productCode !== undefined && fault.productCode !== productOf()) continue
        if (fault.kind !== 'unprocessed' && !chance(fault.share ?? 1)) continue
        hits.set(fault.kind, (hits.get(fault.kind) ?? 0) + 1)
        const left = fault.remaining === undefined ? undefined : fault.remaining - 1
        if (left === 0) faults.delete(fault.id)
        else
          faults.set(fault.id, {
            ...fault,
            hits: fault.hits + 1,
            ...(left !== undefined && { remaining: left }),
          })
        return fault
      }
      return undefined
    },
    chance,
  }
}

function fits(fault: Fault, operation: Operation | DeliveryOperation, now: number): boolean {
  if (!isWanted(fault, operation)) return false
  if (fault.from !== undefined && now < toEpochMs(fault.from)) return false
  return fault.until === undefined || now < toEpochMs(fault.until)
}

function isWanted({ kind, operation: wanted }: Fault, operation: Operation | DeliveryOperation): boolean {
  if (wanted !== undefined) return wanted === operation
  return kind === 'unprocessed' ? operation === 'BatchMeterUsage' : !isForDelivery(operation)
}

function isForDelivery(operation: Operation | DeliveryOperation): operation is DeliveryOperation {
  return (DELIVERY_OPERATIONS as readonly string[]).includes(operation)
}

/** @throws {SimulatorError} `invalid`, naming the field */
export function parseFault(value: unknown): FaultOrder {
  check(typeof value === 'object' && value !== null && !Array.isArray(value), 'a fault must be an object')
  const order = value as Record<string, unknown>
  for (const field of Object.keys(order)) {
    check(Object.hasOwn(FIELDS, field), `a fault has no ${field}; it has ${Object.keys(FIELDS).join(', ')}`)
  }
  for (const [field, rule] of Object.entries(FIELDS)) {
    const given = order[field]
    check(
      given === undefined ? field !== 'kind' : rule.accepts(given),
      `${field} of a fault must be ${rule.expects}`,
    )
  }
  check(
    order.kind !== 'unprocessed' ||
      [undefined, 'BatchMeterUsage', 'PutEvents'].includes(order.operation as string),
    'a fault of kind unprocessed is for BatchMeterUsage and PutEvents only',
  )
  return { ...order } as unknown as FaultOrder
}

const isWhole = (max: number, min: number) => (value: unknown) =>
  Number.isInteger(value) && (value as number) >= min && (value as number) <= max
const isTime = (value: unknown) =>
  (typeof value === 'string' || typeof value === 'number') && Number.isFinite(toEpochMs(value))
const isText = (pattern: RegExp) => (value: unknown) => typeof value === 'string' && pattern.test(value)
const isOneOf = (values: readonly string[]) => (value: unknown) => values.includes(value as string)

const FIELDS: Record<keyof FaultOrder, { accepts: (value: unknown) => boolean; expects: string }> = {
  kind: { accepts: isOneOf(FAULT_KINDS), expects: `one of ${FAULT_KINDS.join(', ')}` },
  operation: {
    accepts: isOneOf([...OPERATIONS, ...DELIVERY_OPERATIONS]),
    expects: `one of ${[...OPERATIONS, ...DELIVERY_OPERATIONS].join(', ')}`,
  },
  productCode: { accepts: isText(/^.{1,255}$/), expects: 'a product code' },
  times: { accepts: isWhole(TIMES_MAX, 1), expects: 'a whole number from 1' },
  share: {
    accepts: (value) => typeof value === 'number' && value >= 0 && value <= 1,
    expects: 'a number from 0 to 1',
  },
  from: { accepts: isTime, expects: 'a time (ISO 8601 or epoch ms)' },
  until: { accepts: isTime, expects: 'a time (ISO 8601 or epoch ms)' },
  delayMs: { accepts: isWhole(DELAY_MS_MAX, 0), expects: `a whole number from 0 to ${DELAY_MS_MAX}` },
  taken: { accepts: (value) => typeof value === 'boolean', expects: 'true or false' },
  error: {
    accepts: isText(/^[A-Z][A-Za-z]{2,60}$/),
    expects: 'an AWS error code such as DisabledApiException',
  },
}

function toEpochMs(time: string | number): number {
  return typeof time === 'number' ? time : Date.parse(time)
}

function check(holds: boolean, message: string): void {
  if (!holds) throw new SimulatorError('invalid', message)
}

/** Mulberry32: small, and the same everywhere for the same seed. */
function createRandom(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296
  }
}
