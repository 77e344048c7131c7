import assert from 'node:assert/strict'
import type Database from 'better-sqlite3'
import { DomainError } from '../../domain/error.ts'
import { AWS_RULES } from '../../domain/usage/aws-rules.ts'
import { type Hour, hourOf, hourStart, monthStart } from '../../domain/usage/hour.ts'
import { formatBaseUnits } from '../../domain/usage/quantity.ts'
import { UNTAGGED } from '../../domain/usage/tags.ts'
import type { RecordedEvent, RoutedEvent } from '../../domain/usage/usage-event.ts'
import { RAISE_ALARM } from './alarms.ts'
import { createRecentIds } from './recent-ids.ts'
import type { SqliteDatabase } from './sqlite.ts'
import type { EventWriter } from './usage-store.ts'

const ACCEPTED = 0
const LATE = 1
const UNBILLABLE = 2
/** Nothing was written: the hour has no room for it. */
const OVERFLOW = 3
/** Statuses of a bucket that takes usage: open, or so far only with what nobody is billed for. */
const OPEN = 0
const UNTOUCHED = 3
/** A bucket, and all that a meter ever counts, stays far below 2^63. */
const BUCKET_MAX = 4_000_000_000_000_000_000n
/** Rows in one insert, largest first: more than 32 gain nothing, and what is left over should not go one by one. */
const ROWS = [32, 8, 1] as const
const EVENT_COLUMNS = 13
/** Events in one transaction at most: the event loop waits for it. */
const GROUP_EVENTS_MAX = 4_000
/** Events and calls that wait at most: memory is bounded, and who comes later is told at once. */
const WAITING_EVENTS_MAX = 100_000
const WAITING_CALLS_MAX = 10_000
/** Ids read at once while a day is learned. */
const LEARN_SLICE = 10_000
/** More than any hour since the epoch that fits a date: meter and hour share one exact number. */
const HOURS = 2 ** 23

interface Call {
  readonly events: readonly RoutedEvent[]
  readonly now: number
  readonly epoch: number
  resolve(outcomes: readonly RecordedEvent[]): void
  reject(error: unknown): void
}

/**
 * The hot path: events of all requests that wait are written in one transaction and one flush to the disk.
 *
 * Where a group fails, each request is tried alone, so that one cannot fail the others; a locked ledger fails all that wait.
 */
export function createSqliteEventWriter(database: SqliteDatabase): EventWriter {
  const statements = prepare(database.handle)
  const recentIds = createRecentIds()
  const meters = new Map<string, number>()
  const tagSets = new Map<string, TagSet>()
  /** Meters of the same dimension whose subscriptions renew each other, by meter: they share peaks, values and totals. */
  const kin = new Map<number, readonly number[]>()
  let kinEpoch = -1
  let waiting: Call[] = []
  let waitingEvents = 0
  let scheduled = false
  /** What the ledger had taken in after our last write: more means that another process wrote. */
  let ingestedKnown = -1
  const unknown = new Set<number>()
  let learning = false

  const flush = async () => {
    while (waiting.length > 0) {
      const group = takeGroup()
      try {
        const outcomes = await database.transactionSync(() => writeGroup(group))
        for (const [index, call] of group.entries()) call.resolve(outcomes[index]!)
      } catch (error) {
        forget()
        if (isBusy(error)) for (const call of [...group, ...takeAll()]) call.reject(error)
        else if (group.length === 1) group[0]!.reject(error)
        else await Promise.all(group.map(alone))
      }
    }
    // Not before: what comes while the ledger is locked waits here, where it is counted.
    scheduled = false
  }

  const alone = async (call: Call) => {
    try {
      const [outcomes] = await database.transactionSync(() => writeGroup([call]))
      call.resolve(outcomes!)
    } catch (error) {
      forget()
      call.reject(error)
    }
  }

  function takeGroup(): Call[] {
    let events = 0
    let calls = 0
    while (
      calls < waiting.length &&
      (calls === 0 || events + waiting[calls]!.events.length <= GROUP_EVENTS_MAX)
    ) {
      events += waiting[calls]!.events.length
      calls++
    }
    const group = waiting.slice(0, calls)
    waiting = waiting.slice(calls)
    waitingEvents -= events
    return group
  }

  function takeAll(): Call[] {
    const all = waiting
    waiting = []
    waitingEvents = 0
    return all
  }

  /** A transaction that was rolled back may have made these. */
  function forget() {
    meters.clear()
    tagSets.clear()
    kin.clear()
    ingestedKnown = -1
  }

  function writeGroup(group: readonly Call[]): RecordedEvent[][] {
    const state = readState()
    if (state.epoch !== kinEpoch) kin.clear()
    kinEpoch = state.epoch
    if (state.ingested !== ingestedKnown) distrust()
    const outcomes: RecordedEvent[][] = []
    const batch: Batch = { placed: [], hours: new Set(), rows: [], repeats: [] }
    for (const call of group) {
      if (call.epoch !== state.epoch) {
        outcomes.push(call.events.map(() => STALE))
        continue
      }
      const result = new Array<RecordedEvent>(call.events.length)
      placeCall(call, result, state.horizon, batch)
      outcomes.push(result)
    }
    finish(batch)
    const written = batch.placed.length
    if (written > 0) statements.setIngested.run(String(state.ingested + written))
    ingestedKnown = state.ingested + written
    return outcomes
  }

  function readState() {
    const state = { epoch: 0, horizon: 0, ingested: 0 }
    for (const { name, value } of statements.state.all() as { name: keyof typeof state; value: string }[])
      state[name] = Number(value)
    return state
  }

  /** Another process took events in, or this one has just started: look every day's ids up until they are known. */
  function distrust() {
    kin.clear()
    for (const { hour } of statements.hours.all() as { hour: number }[]) {
      recentIds.setKnown(dayOf(hour), false)
      unknown.add(dayOf(hour))
    }
    if (unknown.size > 0 && !learning) {
      learning = true
      setImmediate(() => void learn())
    }
  }

  /** Reads the ids of days that are not known, newest first, a slice at a time so that requests go on. */
  async function learn() {
    while (unknown.size > 0 && database.handle.open) {
      const day = Math.max(...unknown)
      unknown.delete(day)
      recentIds.drop(day)
      recentIds.setKnown(day, false)
      let from = { hour: day * 24, key: new Uint8Array(0) as Uint8Array }
      for (;;) {
        if (!database.handle.open) return
        const slice = statements.keysAfter.all(
          from.hour,
          from.hour,
          from.key,
          day * 24 + 23,
          LEARN_SLICE,
        ) as (typeof from)[]
        for (const { key } of slice) recentIds.add(day, key)
        if (slice.length < LEARN_SLICE) break
        from = slice.at(-1)!
        await new Promise((resolve) => setImmediate(resolve))
      }
      if (!unknown.has(day)) recentIds.setKnown(day, true)
    }
    learning = false
  }

  /** Decides on the events of one call. Those that count join the batch: the whole group is booked at once. */
  function placeCall(call: Call, result: RecordedEvent[], horizon: number, batch: Batch): void {
    const { events, now } = call
    for (let index = 0; index < events.length; index++) {
      const routed = events[index]!
      const hour = hourOf(routed.event.time)
      if (routed.event.time < horizon) {
        result[index] = TOO_OLD
        continue
      }
      const meter = meterOf(routed)
      const days = recentIds.candidates(routed.key)
      if (days.length > 0) {
        insertEvents(batch.rows)
        const seen = find(hour, routed.key, days) ?? findInBatch(routed.key, batch)
        if (seen !== undefined) {
          result[index] = compare(seen, routed, meter)
          if (batch.placed.length > 0) batch.repeats.push({ result, index, routed, meter, hour, days })
          continue
        }
      }
      if (routed.hasHeir && isSealed(routed, meter)) {
        result[index] = SUPERSEDED
        continue
      }
      const delta = countedBy(routed, meter)
      if (typeof delta !== 'number') {
        result[index] = delta
        continue
      }
      const placed: Placed = {
        result,
        index,
        now,
        routed,
        meter,
        hour,
        delta,
        next: 0,
        counted: hour,
        state: ACCEPTED,
        tags: tagSetOf(routed),
      }
      place(placed)
      batch.rows.push(placed)
      batch.placed.push(placed)
      batch.hours.add(hour)
      recentIds.add(dayOf(hour), routed.key)
      if (batch.rows.length === ROWS[0]) insertEvents(batch.rows)
    }
  }

  function finish({ placed, rows, repeats }: Batch): void {
    insertEvents(rows)
    const hasMoved = book(placed)
    countHours(placed)
    for (const { result, index, state, routed } of placed) result[index] = outcomeOf(state, routed)
    alarmOfEdges(placed)
    // What they repeat may be an event of this very batch, and booked elsewhere than it was placed.
    if (!hasMoved) return
    for (const { result, index, routed, meter, hour, days } of repeats) {
      const seen = find(hour, routed.key, days)
      result[index] = seen === undefined ? OVERFLOW_OUTCOME : compare(seen, routed, meter)
    }
  }

  /** Is none of its hours open any more? */
  function isSealed({ hours }: RoutedEvent, meter: number): boolean {
    return hours.every((hour) => {
      const status = statements.bucketStatus.get(meter, hour)
      return status !== undefined && status !== OPEN && status !== UNTOUCHED
    })
  }

  /** The next hour that may take it, or nobody's. */
  function place(placed: Placed): void {
    const hour = placed.routed.hours[placed.next++]
    placed.state =
      hour === undefined ? UNBILLABLE : hour === placed.hour && !placed.routed.isInherited ? ACCEPTED : LATE
    placed.counted = hour ?? placed.hour
  }

  /** Writes the rows, and empties the list. */
  function insertEvents(rows: Placed[]): void {
    let at = 0
    for (const { rows: many, values, statement } of statements.inserts) {
      for (; rows.length - at >= many; at += many) {
        for (let row = 0; row < many; row++) fill(values, row * EVENT_COLUMNS, rows[at + row]!)
        statement.run(values)
      }
    }
    rows.length = 0
  }

  /**
   * Adds the events to their buckets; a bucket that closed meanwhile sends its events on to their next hour.
   *
   * @returns whether any was sent on
   */
  function book(placed: readonly Placed[]): boolean {
    let left: readonly Placed[] = placed
    let hasMoved = false
    while (left.length > 0) {
      const moved: Placed[] = []
      for (const fold of foldByBucket(left)) {
        if (fold.state === UNBILLABLE) {
          if (bookUnbillable(fold)) hasMoved = true
          continue
        }
        const added = statements.addToBucket.run(
          fold.meter,
          fold.counted,
          fold.delta,
          fold.events.length,
          BUCKET_MAX - fold.delta,
        )
        if (added.changes === 1 || openUntouched(fold)) addTags(fold)
        else moved.push(...fold.events)
      }
      for (const event of moved) {
        hasMoved = true
        place(event)
        statements.moveEvent.run(event.counted, event.state, event.hour, event.routed.key)
      }
      left = moved
    }
    return hasMoved
  }

  /** A bucket of what nobody is billed for opens with the first that is billed. */
  function openUntouched({ meter, counted, delta, events }: Fold): boolean {
    return statements.openUntouched.run(delta, events.length, meter, counted).changes === 1
  }

  /**
   * Books what nobody is billed for. Where the sum has no room for all, it takes each that fits, and the others are taken
   * back.
   *
   * @returns whether any was
   */
  function bookUnbillable({ meter, counted, delta, events }: Fold): boolean {
    const add = (amount: bigint) =>
      statements.addUnbillable.run(meter, counted, amount, amount, BUCKET_MAX - amount).changes === 1
    if (add(delta)) return false
    for (const event of events) {
      if (add(BigInt(event.delta))) continue
      event.state = OVERFLOW
      statements.removeEvent.run(event.hour, event.routed.key)
    }
    return true
  }

  /** Adds each tag set's share; past AWS's bound, what has another tag set counts as untagged: it is part of the bucket alone. */
  function addTags({ meter, counted, tags }: Fold): void {
    let room: number | undefined
    for (const [set, delta] of tags) {
      if (statements.growTag.run(delta, meter, counted, set).changes === 1) continue
      room ??= AWS_RULES.allocationsMax - (statements.countTags.get(meter, counted) as number)
      if (room <= 0) continue
      statements.addTag.run(meter, counted, set, delta)
      room--
    }
  }

  /** Late usage that is billed in another month than its own, or under a later agreement, is for a person to see. */
  function alarmOfEdges(placed: readonly Placed[]): void {
    for (const { state, routed, meter, counted, delta, now } of placed) {
      if (state !== LATE) continue
      const { time } = routed.event
      const overMonth = monthStart(time) !== monthStart(hourStart(counted))
      const overAgreement = time < (statements.accessStart.get(meter) as number)
      if (!overMonth && !overAgreement) continue
      const month = new Date(time).toISOString().slice(0, 7)
      const subject = `${routed.subscription}/${routed.dimension}/${month}`
      const amount = statements.addLateAcross.get(
        subject,
        routed.product,
        BigInt(overMonth),
        BigInt(overAgreement),
        BigInt(delta),
        BUCKET_MAX,
      ) as bigint
      const message = `${formatBaseUnits(amount, routed.scale)} ${routed.dimension} used in ${month} came late and is billed ${overAgreement ? 'under a later agreement' : 'in a later month'}`
      statements.raiseAlarm.run('late_across_edge', subject, message, now, now)
    }
  }

  function countHours(placed: readonly Placed[]): void {
    const counts = new Map<Hour, number>()
    for (const { hour, state } of placed)
      if (state !== OVERFLOW) counts.set(hour, (counts.get(hour) ?? 0) + 1)
    for (const [hour, events] of counts) statements.countHour.run(hour, events)
  }

  /** An event of this id: first in its own hour, then, for a retry that was stamped anew, in every other that may have it. */
  function find(hour: Hour, key: Uint8Array, days: readonly number[]): SeenEvent | undefined {
    const own = statements.findEvent.get(hour, key) as SeenEvent | undefined
    if (own !== undefined) return own
    for (const day of days) {
      const seen = statements.findInDay.get(key, day * 24, day * 24 + 23) as SeenEvent | undefined
      if (seen !== undefined) return seen
    }
    return undefined
  }

  /** Hours that had no event before this very batch are not among those that `find` looks into. */
  function findInBatch(key: Uint8Array, { hours }: Batch): SeenEvent | undefined {
    for (const hour of hours) {
      const seen = statements.findEvent.get(hour, key) as SeenEvent | undefined
      if (seen !== undefined) return seen
    }
    return undefined
  }

  function compare(seen: SeenEvent, routed: RoutedEvent, meter: number): RecordedEvent {
    const { event } = routed
    const same =
      seen.time === event.time &&
      BigInt(seen.quantity) === BigInt(event.quantity) &&
      sameBytes(seen.value, event.value) &&
      (seen.tags ?? 0) === (tagSetOf(routed) ?? 0) &&
      // After a renewal the same report is routed to the successor: it is still the same event.
      (seen.meter === meter || kinOf(meter).includes(seen.meter) || isSameBuyer(seen.meter, meter))
    if (!same) return seen.time === event.time ? CONFLICT : RESTAMPED
    return seen.state === UNBILLABLE ? UNBILLABLE_OUTCOME : DUPLICATE
  }

  /** A buyer who left and came back: what a retry is resolved to may have changed meanwhile, and it is the same event. */
  function isSameBuyer(seen: number, meter: number): boolean {
    return statements.sameBuyer.get(seen, meter) !== undefined
  }

  function kinOf(meter: number): readonly number[] {
    let found = kin.get(meter)
    if (found === undefined) {
      found = statements.kin.all({ 1: meter }) as number[]
      if (kin.size > 500_000) kin.clear()
      kin.set(meter, found)
    }
    return found
  }

  /** What an event adds to its hour, in base units, or why it adds nothing. */
  function countedBy(routed: RoutedEvent, meter: number): number | RecordedEvent {
    const { event, period } = routed
    // What nobody is billed for must not hide the same value or peak from a bill.
    const unbilled = `${period}!`
    const isBilled = routed.hours.length > 0
    switch (routed.aggregation) {
      case 'sum':
      case 'count':
        return event.quantity
      case 'max': {
        const peak = Math.max(peakOf(meter, period), isBilled ? 0 : peakOf(meter, unbilled))
        if (event.quantity <= peak) return 0
        statements.setPeak.run(meter, isBilled ? period : unbilled, event.quantity)
        return event.quantity - peak
      }
      case 'unique': {
        if (wasSeen(meter, period, event.value) || (!isBilled && wasSeen(meter, unbilled, event.value)))
          return 0
        statements.addValue.run(meter, isBilled ? period : unbilled, event.value)
        return 10 ** routed.scale
      }
      case 'total':
        return growth(routed, meter)
    }
  }

  function peakOf(meter: number, period: string): number {
    let peak = 0
    for (const relative of kinOf(meter)) {
      const value = statements.peak.get(relative, period) as number | undefined
      if (value !== undefined && value > peak) peak = value
    }
    return peak
  }

  function wasSeen(meter: number, period: string, value: Uint8Array | undefined): boolean {
    return kinOf(meter).some((relative) => statements.findValue.get(relative, period, value) !== undefined)
  }

  /** A running total is metered by its growth. One that came late and was overtaken adds nothing; one that falls is a conflict. */
  function growth(routed: RoutedEvent, meter: number): number | RecordedEvent {
    const { source, time, quantity } = routed.event
    let last: RunningTotal | undefined
    for (const relative of kinOf(meter)) {
      const found = statements.total.get(relative, source) as RunningTotal | undefined
      if (found !== undefined && (last === undefined || found.total > last.total)) last = found
    }
    if (last !== undefined && time < last.time) return quantity <= last.total ? 0 : fell(quantity, last.total)
    if (last !== undefined && quantity < last.total) return fell(last.total, quantity)
    statements.setTotal.run(meter, source, quantity, time)
    return quantity - (last?.total ?? 0)
  }

  function meterOf(routed: RoutedEvent): number {
    const name = `${routed.subscription}\n${routed.dimension}`
    let meter = meters.get(name)
    if (meter === undefined) {
      const found = statements.findMeter.get(routed.subscription, routed.dimension) as
        | { seq: number }
        | undefined
      meter = found?.seq ?? addMeter(routed)
      if (meters.size > 500_000) meters.clear()
      meters.set(name, meter)
    }
    return meter
  }

  function addMeter(routed: RoutedEvent): number {
    const { changes, lastInsertRowid } = statements.addMeter.run(
      routed.dimension,
      routed.product,
      routed.scale,
      routed.aggregation,
      routed.per ?? null,
      routed.subscription,
    )
    assert(changes === 1, `subscription ${routed.subscription} is unknown to the ledger`)
    kin.clear()
    return Number(lastInsertRowid)
  }

  function tagSetOf(routed: RoutedEvent): number | null {
    const key = routed.event.tags
    if (key === UNTAGGED) return null
    const hour = hourOf(routed.event.time)
    const known = tagSets.get(key)
    if (known !== undefined && known.lastHour >= hour) return known.seq
    // Once an hour: a tag set is forgotten after the last event that has it, and may be by another process.
    const found = statements.keepTagSet.get(key, hour) as { seq: number; last_hour: number }
    if (tagSets.size > 100_000) tagSets.clear()
    tagSets.set(key, { seq: found.seq, lastHour: found.last_hour })
    return found.seq
  }

  return {
    close: async () => {},
    forget: (horizon) => {
      for (const day of recentIds.days()) if ((day + 1) * 86_400_000 <= horizon) recentIds.drop(day)
    },
    record: (events, now, epoch) =>
      new Promise((resolve, reject) => {
        // One call alone is taken whatever its size.
        const isFull =
          waiting.length >= WAITING_CALLS_MAX || waitingEvents + events.length > WAITING_EVENTS_MAX
        if (waiting.length > 0 && isFull) {
          reject(new DomainError('ledger.busy', 'more usage waits than the ledger can take in; try again'))
          return
        }
        waiting.push({ events, now, epoch, resolve, reject })
        waitingEvents += events.length
        if (!scheduled) {
          scheduled = true
          // After the poll phase: every request that arrived in this turn joins the group.
          setImmediate(() => void flush())
        }
      }),
  }
}

function isBusy(error: unknown): boolean {
  return error instanceof DomainError && error.code === 'ledger.busy'
}

const STALE: RecordedEvent = { status: 'stale' }
const SUPERSEDED: RecordedEvent = { status: 'superseded' }
const TOO_OLD: RecordedEvent = { status: 'too_old' }
const ACCEPTED_OUTCOME: RecordedEvent = { status: 'accepted' }
const LATE_OUTCOME: RecordedEvent = {
  status: 'late',
  reason: 'its own hour is sealed or too old for AWS: billed in a later one',
}
const INHERITED_OUTCOME: RecordedEvent = {
  status: 'late',
  reason: 'its agreement was renewed: billed to the one that follows',
}
const UNBILLABLE_OUTCOME: RecordedEvent = { status: 'unbillable' }
const OVERFLOW_OUTCOME: RecordedEvent = { status: 'overflow' }
const DUPLICATE: RecordedEvent = { status: 'duplicate' }
const CONFLICT: RecordedEvent = {
  status: 'conflict',
  reason: 'this id was seen before with another buyer, quantity, value or tags',
}
const RESTAMPED: RecordedEvent = {
  status: 'conflict',
  reason: 'this id was seen before with another time: a retry must carry the first time',
}

/** What one transaction takes in. */
interface Batch {
  readonly placed: Placed[]
  /** Of their own times. */
  readonly hours: Set<Hour>
  /** Those of them that are not inserted yet. */
  readonly rows: Placed[]
  readonly repeats: Repeat[]
}

/** An event whose id is in the ledger already. */
interface Repeat {
  /** Where its outcome belongs. */
  readonly result: RecordedEvent[]
  readonly index: number
  readonly routed: RoutedEvent
  readonly meter: number
  readonly hour: Hour
  readonly days: readonly number[]
}

function outcomeOf(state: number, { isInherited }: RoutedEvent): RecordedEvent {
  if (state === ACCEPTED) return ACCEPTED_OUTCOME
  if (state === UNBILLABLE) return UNBILLABLE_OUTCOME
  if (state === OVERFLOW) return OVERFLOW_OUTCOME
  return isInherited ? INHERITED_OUTCOME : LATE_OUTCOME
}

interface Placed {
  /** Where its outcome belongs. */
  readonly result: RecordedEvent[]
  readonly index: number
  /** When it was received, ms. */
  readonly now: number
  readonly routed: RoutedEvent
  readonly meter: number
  /** Of its own time. */
  readonly hour: Hour
  readonly delta: number
  readonly tags: number | null
  /** Which of its hours to try next. */
  next: number
  counted: Hour
  state: number
}

interface TagSet {
  readonly seq: number
  /** The latest hour of an event that is known to have it. */
  readonly lastHour: Hour
}

interface RunningTotal {
  readonly total: number
  readonly time: number
}

interface SeenEvent {
  readonly meter: number
  readonly time: number
  readonly quantity: number
  readonly value: Uint8Array | null
  readonly tags: number | null
  readonly state: number
}

interface Fold {
  readonly meter: number
  readonly counted: Hour
  readonly state: number
  delta: bigint
  readonly events: Placed[]
  readonly tags: Map<number, bigint>
}

function foldByBucket(placed: readonly Placed[]): Iterable<Fold> {
  const folds = new Map<number, Fold>()
  for (const event of placed) {
    // Unbillable amounts are booked beside their bucket, never into it.
    const key = (event.meter * HOURS + event.counted) * 2 + (event.state === UNBILLABLE ? 1 : 0)
    let fold = folds.get(key)
    if (fold === undefined) {
      fold = {
        meter: event.meter,
        counted: event.counted,
        state: event.state,
        delta: 0n,
        events: [],
        tags: new Map(),
      }
      folds.set(key, fold)
    }
    const delta = BigInt(event.delta)
    fold.delta += delta
    fold.events.push(event)
    if (event.tags !== null) fold.tags.set(event.tags, (fold.tags.get(event.tags) ?? 0n) + delta)
  }
  return folds.values()
}

function fill(
  values: unknown[],
  at: number,
  { routed, meter, hour, delta, counted, state, tags, now }: Placed,
): void {
  const { event } = routed
  values[at] = hour
  values[at + 1] = routed.key
  values[at + 2] = meter
  values[at + 3] = event.time
  values[at + 4] = event.quantity
  values[at + 5] = delta
  values[at + 6] = counted
  values[at + 7] = state
  values[at + 8] = event.id
  values[at + 9] = event.source
  values[at + 10] = event.value ?? null
  values[at + 11] = tags
  values[at + 12] = now
}

function fell(from: number, to: number): RecordedEvent {
  return {
    status: 'conflict',
    reason: `the running total fell from ${from} to ${to} base units; totals only grow`,
  }
}

function sameBytes(a: Uint8Array | null, b: Uint8Array | undefined): boolean {
  return a === null ? b === undefined : b !== undefined && Buffer.compare(a, b) === 0
}

function dayOf(hour: Hour): number {
  return Math.floor(hour / 24)
}

function prepare(handle: Database.Database) {
  // Integers go in as doubles unless cast: STRICT columns take whole ones exactly up to 2^53, and larger ones come as bigint.
  const row = `(${new Array(EVENT_COLUMNS).fill('?').join(', ')})`
  const insert = `INSERT INTO usage_event (hour, key, meter, time, quantity, delta, counted, state, id, source, value, tags, received_at) VALUES `
  return {
    state: handle.prepare(`SELECT name, value FROM ledger WHERE name IN ('epoch', 'horizon', 'ingested')`),
    setIngested: handle.prepare(`UPDATE ledger SET value = ? WHERE name = 'ingested'`),
    hours: handle.prepare('SELECT hour FROM event_hour'),
    keysAfter: handle.prepare(
      'SELECT hour, key FROM usage_event WHERE (hour > ? OR (hour = ? AND key > ?)) AND hour <= ? ORDER BY hour, key LIMIT ?',
    ),
    inserts: ROWS.map((rows) => ({
      rows,
      values: new Array<unknown>(rows * EVENT_COLUMNS),
      statement: handle.prepare(insert + new Array(rows).fill(row).join(', ')),
    })),
    findEvent: handle.prepare(
      'SELECT meter, time, quantity, value, tags, state FROM usage_event WHERE hour = ? AND key = ?',
    ),
    findInDay: handle.prepare(
      `SELECT e.meter, e.time, e.quantity, e.value, e.tags, e.state FROM event_hour h CROSS JOIN usage_event e ON e.hour = h.hour AND e.key = ?
       WHERE h.hour BETWEEN ? AND ?`,
    ),
    moveEvent: handle.prepare('UPDATE usage_event SET counted = ?, state = ? WHERE hour = ? AND key = ?'),
    countHour: handle.prepare(
      'INSERT INTO event_hour (hour, events) VALUES (?, ?) ON CONFLICT (hour) DO UPDATE SET events = events + excluded.events',
    ),
    // Without its status: three indexes stand on that.
    addToBucket: handle.prepare(
      `INSERT INTO bucket (meter, hour, quantity, events) VALUES (?, ?, ?, ?)
       ON CONFLICT (meter, hour) DO UPDATE SET quantity = quantity + excluded.quantity, events = events + excluded.events
       WHERE status = 0 AND quantity <= ?`,
    ),
    openUntouched: handle.prepare(
      'UPDATE bucket SET quantity = quantity + ?, events = events + ?, status = 0 WHERE meter = ? AND hour = ? AND status = 3',
    ),
    addUnbillable: handle.prepare(
      'INSERT INTO bucket (meter, hour, unbillable, status) VALUES (?, ?, ?, 3) ON CONFLICT (meter, hour) DO UPDATE SET unbillable = unbillable + ? WHERE unbillable <= ?',
    ),
    removeEvent: handle.prepare('DELETE FROM usage_event WHERE hour = ? AND key = ?'),
    growTag: handle.prepare(
      'UPDATE bucket_tag SET quantity = quantity + ? WHERE meter = ? AND hour = ? AND tags = ?',
    ),
    countTags: handle.prepare('SELECT COUNT(*) FROM bucket_tag WHERE meter = ? AND hour = ?').pluck(),
    addTag: handle.prepare('INSERT INTO bucket_tag (meter, hour, tags, quantity) VALUES (?, ?, ?, ?)'),
    accessStart: handle
      .prepare(
        'SELECT s.access_start FROM meter m JOIN subscription s ON s.seq = m.subscription WHERE m.seq = ?',
      )
      .pluck(),
    addLateAcross: handle
      .prepare(
        `INSERT INTO late_across (subject, product, months, agreements, amount) VALUES (?, ?, ?, ?, ?) ON CONFLICT (subject) DO UPDATE
         SET months = months + excluded.months, agreements = agreements + excluded.agreements, amount = MIN(amount + excluded.amount, ?) RETURNING amount`,
      )
      .pluck()
      .safeIntegers(),
    raiseAlarm: handle.prepare(RAISE_ALARM),
    findMeter: handle.prepare(
      'SELECT m.seq, m.scale, m.aggregation FROM meter m JOIN subscription s ON s.seq = m.subscription WHERE s.id = ? AND m.dimension = ?',
    ),
    addMeter: handle.prepare(
      'INSERT INTO meter (subscription, dimension, product, scale, aggregation, per) SELECT seq, ?, ?, ?, ?, ? FROM subscription WHERE id = ?',
    ),
    kin: handle
      .prepare(
        `WITH RECURSIVE kin (id) AS (
         SELECT s.id FROM meter m JOIN subscription s ON s.seq = m.subscription WHERE m.seq = ?1
         UNION SELECT n.id FROM kin k JOIN subscription o ON o.id = k.id JOIN subscription n ON n.id = o.successor OR n.successor = o.id
       ) SELECT m.seq FROM kin k CROSS JOIN subscription s ON s.id = k.id CROSS JOIN meter m ON m.subscription = s.seq AND m.dimension = (SELECT dimension FROM meter WHERE seq = ?1)`,
      )
      .pluck(),
    sameBuyer: handle.prepare(
      `SELECT 1 FROM meter a JOIN subscription x ON x.seq = a.subscription, meter b JOIN subscription y ON y.seq = b.subscription
       WHERE a.seq = ? AND b.seq = ? AND (x.access_end IS NOT NULL OR y.access_end IS NOT NULL)
         AND (x.customer_identifier = y.customer_identifier OR x.customer_aws_account_id = y.customer_aws_account_id OR x.tenant_id = y.tenant_id)`,
    ),
    keepTagSet: handle.prepare(
      'INSERT INTO tag_set (key, last_hour) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET last_hour = MAX(last_hour, excluded.last_hour) RETURNING seq, last_hour',
    ),
    bucketStatus: handle.prepare('SELECT status FROM bucket WHERE meter = ? AND hour = ?').pluck(),
    peak: handle.prepare('SELECT value FROM peak WHERE meter = ? AND period = ?').pluck(),
    setPeak: handle.prepare(
      'INSERT INTO peak (meter, period, value) VALUES (?, ?, ?) ON CONFLICT (meter, period) DO UPDATE SET value = excluded.value',
    ),
    findValue: handle.prepare('SELECT 1 FROM seen_value WHERE meter = ? AND period = ? AND value = ?'),
    addValue: handle.prepare(
      'INSERT INTO seen_value (meter, period, value) VALUES (?, ?, ?) ON CONFLICT DO NOTHING',
    ),
    total: handle.prepare('SELECT total, time FROM running_total WHERE meter = ? AND source = ?'),
    setTotal: handle.prepare(
      'INSERT INTO running_total (meter, source, total, time) VALUES (?, ?, ?, ?) ON CONFLICT (meter, source) DO UPDATE SET total = excluded.total, time = excluded.time',
    ),
  }
}
