import assert from 'node:assert/strict'
import type Database from 'better-sqlite3'
import { AWS_RULES } from '../../domain/usage/aws-rules.ts'
import { type Hour, hourOf } from '../../domain/usage/hour.ts'
import { type TagSetKey, UNTAGGED } from '../../domain/usage/tags.ts'
import type { RecordedEvent, RoutedEvent } from '../../domain/usage/usage-event.ts'
import { type Counters, countEvent, type RunningTotal } from '../ingest/count-event.ts'
import { groupCalls, type WriteGroup } from '../ingest/group-calls.ts'
import {
  ACCEPTED,
  BUCKET_MAX,
  OPEN,
  OVERFLOW,
  OVERFLOW_OUTCOME,
  outcomeOf,
  STALE,
  SUPERSEDED,
  TOO_OLD,
  UNBILLABLE_OUTCOME,
  UNTOUCHED,
} from '../ingest/outcomes.ts'
import {
  type BucketAddition,
  foldByBucket,
  foldLateAcross,
  type Placed,
  placeNext,
} from '../ingest/place-event.ts'
import { compare, type IngestCall, type SeenEvent } from '../ingest/plan-ingest.ts'
import { createGateBook, type GateBook, isGated, passEvent, withCounters } from '../quota/gate-book.ts'
import { createRecentIds } from './recent-ids.ts'
import type { SqliteDatabase } from './sqlite.ts'
import { createSqliteGates } from './sqlite-gates.ts'
import type { EventWriter } from './usage-store.ts'

/** Rows in one insert, largest first: more than 32 gain nothing, and what is left over should not go one by one. */
const ROWS = [32, 8, 1] as const
const EVENT_COLUMNS = 13
/** Ids read at once while a day is learned. */
const LEARN_SLICE = 10_000
const TAG_SETS_MAX = 100_000

/** The hot path on SQLite: a group of requests is one transaction and one flush to the disk, and nobody else writes meanwhile. */
export function createSqliteEventWriter(database: SqliteDatabase): EventWriter {
  const statements = prepare(database.handle)
  const recentIds = createRecentIds()
  const gateRows = createSqliteGates(database.handle)
  const meters = new Map<string, number>()
  const tagSets = new Map<string, TagSet>()
  /** Meters of the same dimension whose subscriptions renew each other, by meter: they share peaks, values and totals. */
  const kin = new Map<number, readonly number[]>()
  let kinEpoch = -1
  /** What the ledger had taken in after our last write: more means that another process wrote. */
  let ingestedKnown = -1
  let horizonKnown = 0
  const unknown = new Set<number>()
  let learning = false

  const write: WriteGroup = async (calls) => {
    try {
      return await database.transactionSync(() => writeGroup(calls))
    } catch (error) {
      forget()
      throw error
    }
  }

  /** A transaction that was rolled back may have made these. */
  function forget() {
    meters.clear()
    tagSets.clear()
    kin.clear()
    ingestedKnown = -1
  }

  function writeGroup(group: readonly IngestCall[]): RecordedEvent[][] {
    // Not while one of them is still to be booked.
    if (tagSets.size > TAG_SETS_MAX) tagSets.clear()
    const state = readState()
    if (state.epoch !== kinEpoch) kin.clear()
    kinEpoch = state.epoch
    if (state.ingested !== ingestedKnown) distrust()
    // Another process may be the one that forgets.
    if (state.horizon !== horizonKnown) forgetBefore(state.horizon)
    const outcomes: RecordedEvent[][] = []
    const gates = createGateBook(gateRows)
    const batch: Batch = { placed: [], hours: new Set(), rows: [], repeats: [], gates }
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
    gateRows.write(gates.changes())
    for (const [position, { events }] of group.entries())
      for (const [index, routed] of events.entries())
        if (isGated(routed))
          outcomes[position]![index] = withCounters(gates, outcomes[position]![index]!, routed)
    const written = batch.placed.length
    if (written > 0) statements.setIngested.run(String(state.ingested + written))
    ingestedKnown = state.ingested + written
    return outcomes
  }

  function forgetBefore(horizon: number) {
    horizonKnown = horizon
    for (const day of recentIds.days()) if ((day + 1) * 86_400_000 <= horizon) recentIds.drop(day)
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
  function placeCall(call: IngestCall, result: RecordedEvent[], horizon: number, batch: Batch): void {
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
          result[index] = compare(seen, routed, meter, isSameBuyer)
          if (batch.placed.length > 0) batch.repeats.push({ result, index, routed, meter, hour, days })
          continue
        }
      }
      if (routed.hasHeir && isSealed(routed, meter)) {
        result[index] = SUPERSEDED
        continue
      }
      const delta = countEvent(routed, meter, counters)
      if (typeof delta !== 'number') {
        result[index] = delta
        continue
      }
      if (isGated(routed)) {
        // What nobody can be billed for is not let through; what was let through before is kept and shown.
        const isLost = routed.hours.length === 0 && routed.gate.reservation === undefined
        const refused = isLost ? UNBILLABLE_OUTCOME : passEvent(batch.gates, routed, now)
        if (refused !== undefined) {
          result[index] = refused
          continue
        }
      }
      const placed: BatchEvent = {
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
      placeNext(placed)
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
      result[index] = seen === undefined ? OVERFLOW_OUTCOME : compare(seen, routed, meter, isSameBuyer)
    }
  }

  /** Is none of its hours open any more? */
  function isSealed({ hours }: RoutedEvent, meter: number): boolean {
    return hours.every((hour) => {
      const status = statements.bucketStatus.get(meter, hour)
      return status !== undefined && status !== OPEN && status !== UNTOUCHED
    })
  }

  /** Writes the rows, and empties the list. */
  function insertEvents(rows: BatchEvent[]): void {
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
  function book(placed: readonly BatchEvent[]): boolean {
    let left: readonly Placed<number>[] = placed
    let hasMoved = false
    while (left.length > 0) {
      const moved: Placed<number>[] = []
      for (const fold of foldByBucket(left)) {
        if (fold.isUnbillable) {
          if (bookUnbillable(fold)) hasMoved = true
          continue
        }
        const added = statements.addToBucket.run(
          fold.meter,
          fold.hour,
          fold.quantity,
          fold.events.length,
          BUCKET_MAX - fold.quantity,
        )
        if (added.changes === 1 || openUntouched(fold)) addTags(fold)
        else moved.push(...fold.events)
      }
      for (const event of moved) {
        hasMoved = true
        placeNext(event)
        statements.moveEvent.run(event.counted, event.state, event.hour, event.routed.key)
      }
      left = moved
    }
    return hasMoved
  }

  /** A bucket of what nobody is billed for opens with the first that is billed. */
  function openUntouched({ meter, hour, quantity, events }: Addition): boolean {
    return statements.openUntouched.run(quantity, events.length, meter, hour).changes === 1
  }

  /**
   * Books what nobody is billed for. Where the sum has no room for all, it takes each that fits, and the others are taken
   * back.
   *
   * @returns whether any was
   */
  function bookUnbillable({ meter, hour, quantity, events }: Addition): boolean {
    const add = (amount: bigint) =>
      statements.addUnbillable.run(meter, hour, amount, amount, BUCKET_MAX - amount).changes === 1
    if (add(quantity)) return false
    for (const event of events) {
      if (add(BigInt(event.delta))) continue
      event.state = OVERFLOW
      statements.removeEvent.run(event.hour, event.routed.key)
    }
    return true
  }

  /** Adds each tag set's share; past AWS's bound, what has another tag set counts as untagged: it is part of the bucket alone. */
  function addTags({ meter, hour, tags }: Addition): void {
    let room: number | undefined
    for (const [key, quantity] of tags) {
      const set = tagSets.get(key)!.seq
      if (statements.growTag.run(quantity, meter, hour, set).changes === 1) continue
      room ??= AWS_RULES.allocationsMax - (statements.countTags.get(meter, hour) as number)
      if (room <= 0) continue
      statements.addTag.run(meter, hour, set, quantity)
      room--
    }
  }

  /** Late usage that is billed in another month than its own, or under a later agreement, is for a person to see. */
  function alarmOfEdges(placed: readonly BatchEvent[]): void {
    const accessStart = (meter: number) => statements.accessStart.get(meter) as number
    for (const across of foldLateAcross(placed, accessStart)) {
      const { subject, product, months, agreements, amount, raised, firstAt, lastAt, message } = across
      const total = statements.addLateAcross.get(
        subject,
        product,
        BigInt(months),
        BigInt(agreements),
        amount,
        BUCKET_MAX,
      ) as bigint
      statements.raiseLateAcross.run(subject, message(total), raised, firstAt, lastAt)
    }
  }

  function countHours(placed: readonly BatchEvent[]): void {
    const counts = new Map<Hour, number>()
    for (const { hour, state } of placed)
      if (state !== OVERFLOW) counts.set(hour, (counts.get(hour) ?? 0) + 1)
    for (const [hour, events] of counts) statements.countHour.run(hour, events)
  }

  /** An event of this id: first in its own hour, then, for a retry that was stamped anew, in every other that may have it. */
  function find(hour: Hour, key: Uint8Array, days: readonly number[]): StoredEvent | undefined {
    const own = toSeen(statements.findEvent.get(hour, key))
    if (own !== undefined) return own
    for (const day of days) {
      const seen = toSeen(statements.findInDay.get(key, day * 24, day * 24 + 23))
      if (seen !== undefined) return seen
    }
    return undefined
  }

  /** Hours that had no event before this very batch are not among those that `find` looks into. */
  function findInBatch(key: Uint8Array, { hours }: Batch): StoredEvent | undefined {
    for (const hour of hours) {
      const seen = toSeen(statements.findEvent.get(hour, key))
      if (seen !== undefined) return seen
    }
    return undefined
  }

  /** After a renewal the same report is routed to the successor; and a buyer who left and came back is the same one. */
  function isSameBuyer(seen: number, meter: number): boolean {
    return kinOf(meter).includes(seen) || statements.sameBuyer.get(seen, meter) !== undefined
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

  const counters: Counters<number> = {
    kinOf,
    peak: (meter, period) => statements.peak.get(meter, period) as number | undefined,
    setPeak: (meter, period, peak) => void statements.setPeak.run(meter, period, peak),
    hasValue: (meter, period, value) => statements.findValue.get(meter, period, value) !== undefined,
    addValue: (meter, period, value) => void statements.addValue.run(meter, period, value),
    total: (meter, source) => statements.total.get(meter, source) as RunningTotal | undefined,
    setTotal: (meter, source, { total, time }) => void statements.setTotal.run(meter, source, total, time),
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
    tagSets.set(key, { seq: found.seq, lastHour: found.last_hour })
    return found.seq
  }

  return {
    close: async () => {},
    forget: forgetBefore,
    record: groupCalls(write),
  }
}

/** What one transaction takes in. */
interface Batch {
  readonly placed: BatchEvent[]
  /** Of their own times. */
  readonly hours: Set<Hour>
  /** Those of them that are not inserted yet. */
  readonly rows: BatchEvent[]
  readonly repeats: Repeat[]
  readonly gates: GateBook
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

type Addition = BucketAddition<number>
type StoredEvent = Omit<SeenEvent<number>, 'receivedAt'>

interface BatchEvent extends Placed<number> {
  /** Where its outcome belongs. */
  readonly result: RecordedEvent[]
  readonly index: number
  readonly tags: number | null
}

interface TagSet {
  readonly seq: number
  /** The latest hour of an event that is known to have it. */
  readonly lastHour: Hour
}

function toSeen(row: unknown): StoredEvent | undefined {
  if (row === undefined) return undefined
  const { value, tags, ...event } = row as Omit<StoredEvent, 'value' | 'tags'> & {
    value: Uint8Array | null
    tags: TagSetKey | null
  }
  return { ...event, value: value ?? undefined, tags: tags ?? UNTAGGED }
}

function fill(
  values: unknown[],
  at: number,
  { routed, meter, hour, delta, counted, state, tags, now }: BatchEvent,
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

function dayOf(hour: Hour): number {
  return Math.floor(hour / 24)
}

const TAGS_OF = '(SELECT t.key FROM tag_set t WHERE t.seq = e.tags) AS tags'

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
      `SELECT meter, time, quantity, value, ${TAGS_OF}, state FROM usage_event e WHERE hour = ? AND key = ?`,
    ),
    findInDay: handle.prepare(
      `SELECT e.meter, e.time, e.quantity, e.value, ${TAGS_OF}, e.state FROM event_hour h CROSS JOIN usage_event e ON e.hour = h.hour AND e.key = ?
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
    raiseLateAcross: handle.prepare(
      `INSERT INTO alarm (kind, subject, message, raised, first_at, last_at) VALUES ('late_across_edge', ?, ?, ?, ?, ?)
       ON CONFLICT (kind, subject) DO UPDATE SET message = excluded.message, raised = raised + excluded.raised, last_at = MAX(last_at, excluded.last_at)`,
    ),
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
