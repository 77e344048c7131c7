import { type Hour, hourOf } from '../../domain/usage/hour.ts'
import type { TagSetKey } from '../../domain/usage/tags.ts'
import type { RecordedEvent, RoutedEvent } from '../../domain/usage/usage-event.ts'
import {
  createGateBook,
  type GateChanges,
  type GateSource,
  isGated,
  passEvent,
  withCounters,
} from '../quota/gate-book.ts'
import { type Counters, countEvent, type RunningTotal } from './count-event.ts'
import { keyText } from './key-text.ts'
import {
  ACCEPTED,
  CONFLICT,
  DUPLICATE,
  OVERFLOW,
  OVERFLOW_OUTCOME,
  outcomeOf,
  RESTAMPED,
  STALE,
  SUPERSEDED,
  TOO_OLD,
  UNBILLABLE,
  UNBILLABLE_OUTCOME,
} from './outcomes.ts'
import { type Placed, placeNext } from './place-event.ts'

/** Events of one caller, in order. */
export interface IngestCall {
  readonly events: readonly RoutedEvent[]
  /** When they were received, ms. */
  readonly now: number
  /** Of the subscriptions that they were routed by. */
  readonly epoch: number
  /**
   * It was written before, and nobody knows whether that was committed: an event that is found with this very `now` is
   * told as it was recorded then, not as a duplicate of itself.
   */
  readonly isRetried?: boolean
}

/** An event as the ledger has it. */
export interface SeenEvent<Meter> {
  readonly meter: Meter
  /** ms. */
  readonly time: number
  readonly quantity: number
  readonly value: Uint8Array | undefined
  readonly tags: TagSetKey
  readonly state: number
  /** ms. */
  readonly receivedAt: number
}

/**
 * The ledger as it was loaded for these events; pure look-ups. A meter is known by whatever the engine calls it, the same
 * value for the same meter (`===`).
 */
export interface LoadedLedger<Meter> {
  readonly epoch: number
  /** Events timed before it are refused, ms. */
  readonly horizon: number
  meterOf(routed: RoutedEvent): Meter
  /** The event of this id, whatever its time. @param id - `keyText` of its key */
  findEvent(id: string): SeenEvent<Meter> | undefined
  /** May the same report be routed to either? After a renewal, or where a buyer left and came back. */
  isSameBuyer(seen: Meter, meter: Meter): boolean
  /** Takes this bucket no usage any more? One that nothing is known of does. */
  isClosed(meter: Meter, hour: Hour): boolean
  /** Has this bucket no room for what would be added to it, though it is open? Without it, all have. */
  isFull?(meter: Meter, hour: Hour): boolean
  kinOf(meter: Meter): readonly Meter[]
  peak(meter: Meter, period: string): number | undefined
  hasValue(meter: Meter, period: string, value: Uint8Array): boolean
  total(meter: Meter, source: string): RunningTotal | undefined
  /** What gated events are judged by; where there may be any. */
  readonly gates?: GateSource | undefined
}

/** What is to be written if all buckets take what `placed` adds to them (`foldByBucket`). */
export interface IngestPlan<Meter> {
  /**
   * Events that count, in order. A bucket that does not take its addition sends its events on (`placeNext`); what not even
   * an unbillable sum has room for is marked `OVERFLOW` and not written.
   */
  readonly placed: readonly Placed<Meter>[]
  /** New values only. */
  readonly peaks: readonly { readonly meter: Meter; readonly period: string; readonly peak: number }[]
  readonly values: readonly { readonly meter: Meter; readonly period: string; readonly value: Uint8Array }[]
  readonly totals: readonly ({ readonly meter: Meter; readonly source: string } & RunningTotal)[]
  /** Counters and reservations that gated events change. */
  readonly gates: GateChanges
  /** What each caller is told, once all events have their final place. */
  outcomes(): readonly (readonly RecordedEvent[])[]
}

/** What has to be loaded of these events, which may be less than all: none that a look at the clock or the epoch refuses. */
export function eventsToLoad(
  calls: readonly IngestCall[],
  { epoch, horizon }: { readonly epoch: number; readonly horizon: number },
): readonly RoutedEvent[] {
  return calls.flatMap((call) =>
    call.epoch === epoch ? call.events.filter(({ event }) => event.time >= horizon) : [],
  )
}

/** Pairs that `isSameBuyer` may be asked for: meters that one id was reported for. */
export function metersToCompare<Meter>(
  events: readonly RoutedEvent[],
  { meterOf, findEvent }: Pick<LoadedLedger<Meter>, 'meterOf' | 'findEvent'>,
): readonly (readonly [seen: Meter, meter: Meter])[] {
  const firsts = new Map<string, Set<Meter>>()
  const pairs: (readonly [Meter, Meter])[] = []
  for (const routed of events) {
    const id = keyText(routed.key)
    const meter = meterOf(routed)
    let seen = firsts.get(id)
    if (seen === undefined) {
      const stored = findEvent(id)
      seen = new Set(stored === undefined ? [] : [stored.meter])
      firsts.set(id, seen)
    }
    for (const other of seen) if (other !== meter) pairs.push([other, meter])
    seen.add(meter)
  }
  return pairs
}

/** Decides on events of one transaction, in order: which of them count, where, and by how much. Nothing is written yet. */
export function planIngest<Meter>(
  calls: readonly IngestCall[],
  ledger: LoadedLedger<Meter>,
): IngestPlan<Meter> {
  const { counters, peaks, values, totals } = countersOn(ledger)
  const placed: Placed<Meter>[] = []
  const results: (RecordedEvent | Placed<Meter> | Repeat<Meter>)[][] = []
  /** Of this transaction. */
  const byId = new Map<string, Placed<Meter>>()
  const retold = new Set<string>()
  const gates = createGateBook(ledger.gates ?? NO_GATES)

  const takes = (meter: Meter, hour: Hour) =>
    !ledger.isClosed(meter, hour) && ledger.isFull?.(meter, hour) !== true
  const decide = (routed: RoutedEvent, call: IngestCall) => {
    const { event } = routed
    if (event.time < ledger.horizon) return TOO_OLD
    const id = keyText(routed.key)
    const meter = ledger.meterOf(routed)
    const first = byId.get(id)
    if (first !== undefined)
      return { first, outcome: compare(seenIn(first), routed, meter, ledger.isSameBuyer) }
    const seen = ledger.findEvent(id)
    if (seen !== undefined) {
      const outcome = compare(seen, routed, meter, ledger.isSameBuyer)
      const isOwn = call.isRetried && outcome === DUPLICATE && seen.receivedAt === call.now
      if (!isOwn || retold.has(id)) return outcome
      retold.add(id)
      return outcomeOf(seen.state, routed)
    }
    if (routed.hasHeir && routed.hours.every((hour) => ledger.isClosed(meter, hour))) return SUPERSEDED
    const delta = countEvent(routed, meter, counters)
    if (typeof delta !== 'number') return delta
    const hour = hourOf(event.time)
    const place: Placed<Meter> = {
      routed,
      now: call.now,
      meter,
      hour,
      delta,
      next: 0,
      counted: hour,
      state: ACCEPTED,
    }
    do placeNext(place)
    while (place.state !== UNBILLABLE && !takes(meter, place.counted))
    if (isGated(routed)) {
      // What nobody can be billed for is not let through; what was let through before is kept and shown.
      const isLost = place.state === UNBILLABLE && routed.gate.reservation === undefined
      const refused = isLost ? UNBILLABLE_OUTCOME : passEvent(gates, routed, call.now)
      if (refused !== undefined) return refused
    }
    byId.set(id, place)
    placed.push(place)
    return place
  }

  for (const call of calls) {
    const isStale = call.epoch !== ledger.epoch
    results.push(call.events.map((routed) => (isStale ? STALE : decide(routed, call))))
  }
  return {
    placed,
    peaks: peaks.all(),
    values: values.all(),
    totals: totals.all(),
    gates: gates.changes(),
    outcomes: () =>
      results.map((call, index) =>
        call.map((result, position) =>
          withCounters(gates, conclude(result), calls[index]!.events[position]!),
        ),
      ),
  }
}

const NO_GATES: GateSource = { counter: () => undefined, reservation: () => undefined, due: () => [] }

/** An event whose id came before in the same transaction. */
interface Repeat<Meter> {
  readonly first: Placed<Meter>
  readonly outcome: RecordedEvent
}

function conclude<Meter>(result: RecordedEvent | Placed<Meter> | Repeat<Meter>): RecordedEvent {
  if ('routed' in result) return outcomeOf(result.state, result.routed)
  if (!('first' in result)) return result
  const { state } = result.first
  if (state === OVERFLOW) return OVERFLOW_OUTCOME
  if (result.outcome.status === 'conflict') return result.outcome
  return state === UNBILLABLE ? UNBILLABLE_OUTCOME : DUPLICATE
}

function seenIn<Meter>({ meter, routed, state, now }: Placed<Meter>): SeenEvent<Meter> {
  const { time, quantity, value, tags } = routed.event
  return { meter, time, quantity, value, tags, state, receivedAt: now }
}

/** The same event again, or another one of the same id? */
export function compare<Meter>(
  seen: Omit<SeenEvent<Meter>, 'receivedAt'>,
  { event, gate }: RoutedEvent,
  meter: Meter,
  isSameBuyer: LoadedLedger<Meter>['isSameBuyer'],
): RecordedEvent {
  // The gate stamps the time itself: its caller's retry has another.
  const isSameTime = seen.time === event.time || gate !== undefined
  const isSame =
    isSameTime &&
    seen.quantity === event.quantity &&
    sameBytes(seen.value, event.value) &&
    seen.tags === event.tags &&
    (seen.meter === meter || isSameBuyer(seen.meter, meter))
  if (!isSame) return isSameTime ? CONFLICT : RESTAMPED
  return seen.state === UNBILLABLE ? UNBILLABLE_OUTCOME : DUPLICATE
}

function sameBytes(a: Uint8Array | undefined, b: Uint8Array | undefined): boolean {
  return a === undefined || b === undefined ? a === b : Buffer.compare(a, b) === 0
}

/** Counters that begin with what was loaded and keep what changes beside it. */
function countersOn<Meter>(ledger: LoadedLedger<Meter>) {
  const peaks = createChanges<Meter, { meter: Meter; period: string; peak: number }>()
  const values = createChanges<Meter, { meter: Meter; period: string; value: Uint8Array }>()
  const totals = createChanges<Meter, { meter: Meter; source: string } & RunningTotal>()
  const nameOf = (period: string, value: Uint8Array) => `${period} ${keyText(value)}`
  const counters: Counters<Meter> = {
    kinOf: (meter) => ledger.kinOf(meter),
    peak: (meter, period) => peaks.get(meter, period)?.peak ?? ledger.peak(meter, period),
    setPeak: (meter, period, peak) => peaks.set(meter, period, { meter, period, peak }),
    hasValue: (meter, period, value) =>
      values.get(meter, nameOf(period, value)) !== undefined || ledger.hasValue(meter, period, value),
    addValue: (meter, period, value) => values.set(meter, nameOf(period, value), { meter, period, value }),
    total: (meter, source) => totals.get(meter, source) ?? ledger.total(meter, source),
    setTotal: (meter, source, total) => totals.set(meter, source, { meter, source, ...total }),
  }
  return { counters, peaks, values, totals }
}

/** The latest of each meter and name. */
function createChanges<Meter, Change>() {
  const byMeter = new Map<Meter, Map<string, Change>>()
  return {
    get: (meter: Meter, name: string) => byMeter.get(meter)?.get(name),
    set(meter: Meter, name: string, change: Change) {
      let byName = byMeter.get(meter)
      if (byName === undefined) {
        byName = new Map()
        byMeter.set(meter, byName)
      }
      byName.set(name, change)
    },
    all: () => [...byMeter.values()].flatMap((byName) => [...byName.values()]),
  }
}
