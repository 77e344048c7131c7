import assert from 'node:assert/strict'
import type pg from 'pg'
import { AWS_RULES } from '../../domain/usage/aws-rules.ts'
import type { Hour } from '../../domain/usage/hour.ts'
import { UNTAGGED } from '../../domain/usage/tags.ts'
import type { RecordedEvent } from '../../domain/usage/usage-event.ts'
import { groupCalls, type WriteGroup } from '../ingest/group-calls.ts'
import { keyText } from '../ingest/key-text.ts'
import { BUCKET_MAX, LATE, OVERFLOW } from '../ingest/outcomes.ts'
import { type BucketAddition, foldByBucket, foldLateAcross, type Placed } from '../ingest/place-event.ts'
import {
  eventsToLoad,
  type IngestCall,
  type IngestPlan,
  planIngest,
  type SeenEvent,
} from '../ingest/plan-ingest.ts'
import { type GateSource, isGated } from '../quota/gate-book.ts'
import type { Row } from './database.ts'
import { type PostgresDatabase, sqlOn } from './postgres.ts'
import { createBackOff, isConflict, isUnreachable, toLedgerError } from './postgres-errors.ts'
import { createIngestLoader, type Found } from './postgres-ingest-loader.ts'
import * as statements from './postgres-ingest-statements.ts'
import { isRefused } from './postgres-refusal.ts'
import { createSession } from './postgres-session.ts'
import { loadGates, writeGates } from './quota-rows.ts'
import { int, text } from './rows.ts'
import type { EventWriter } from './usage-store.ts'

/** While one group waits for the disk, the next is planned and written. */
const LANES = 2
/** Longer than any statement of it may take on the server: one that is not answered by then never will be. */
const QUERY_TIMEOUT_MS = 45_000

type Outcomes = readonly (readonly RecordedEvent[])[]

/** What a try found in its way, for the next one to plan with. */
interface Obstacles {
  /** Buckets that are open, but have no room for what this group adds to them. */
  readonly full: Set<string>
  /** What is booked as unbillable in buckets that have no room for all that this group adds. */
  readonly unbillable: Map<string, bigint>
}

/**
 * The hot path on PostgreSQL: the events of all requests of this process that wait are one transaction on a connection of its
 * own. Other processes do the same at the same time; what keeps them apart is the database:
 *
 * - an event's key is unique: where another process has it already, or just now, the group is planned again and finds it
 * - buckets are added to in one statement, in order, and only while they are open
 * - peaks, values and totals are counted under a lock
 * - whom usage is resolved to does not change meanwhile (`ingest_gate`)
 *
 * Nothing is written twice: it may be tried as often as needed, also where nobody knows whether a commit arrived.
 */
export function createPostgresEventWriter(database: PostgresDatabase): EventWriter {
  const lanes = Array.from({ length: LANES }, () => createLane(database))
  return {
    record: groupCalls(...lanes.map(({ write }) => write)),
    forget: () => {},
    close: async () => {
      await Promise.all(lanes.map(({ close }) => close()))
    },
  }
}

/** One connection, and what is known of the ledger on it: what one transaction has made, another cannot use before its commit. */
function createLane(database: PostgresDatabase): { readonly write: WriteGroup; close(): Promise<void> } {
  const session = createSession(async () => {
    const client = await database.connect({ pipeline: true, query_timeout: QUERY_TIMEOUT_MS })
    await client.query(statements.PLAN_BY_KEYS)
    return client
  })
  const loader = createIngestLoader()

  const write: WriteGroup = async (calls) => {
    const backOff = createBackOff()
    const obstacles: Obstacles = { full: new Set(), unbillable: new Map() }
    let tried = calls
    for (let tries = 1; ; tries++) {
      try {
        const outcomes = await session.run((client) => writeOnce(client, tried, obstacles))
        if (outcomes !== undefined) return outcomes
        // The first time, somebody else was quicker, and is done.
        if (tries > 1) await backOff(undefined)
      } catch (thrown) {
        loader.forget()
        const error = thrown instanceof CommitInDoubt ? thrown.cause : thrown
        if (thrown instanceof CommitInDoubt) tried = calls.map((call) => ({ ...call, isRetried: true }))
        if (!isConflict(error) && !isUnreachable(error)) throw toLedgerError(error, database.name)
        await backOff(error)
      }
    }
  }

  /** @returns `undefined` where it was undone, to be planned again with what is known now */
  async function writeOnce(
    client: pg.Client,
    calls: readonly IngestCall[],
    obstacles: Obstacles,
  ): Promise<Outcomes | undefined> {
    const { gates, ...found } = await begin(client, calls)
    const ledger = await loader.load(client, found, eventsToLoad(calls, found))
    const isFull = (meter: number, hour: Hour) => obstacles.full.has(`${meter} ${hour}`)
    const plan = planIngest(calls, { ...ledger, gates, isFull })
    markOverflow(plan.placed, obstacles)
    if (plan.placed.length > 0) {
      await loader.keepTagSets(client, lastHours(plan.placed))
      const additions = foldByBucket(plan.placed)
      if (!(await book(client, plan, additions))) {
        await client.query('ROLLBACK')
        loader.forget()
        await learn(client, additions, obstacles)
        return undefined
      }
      await raiseLateAcross(client, plan.placed)
    }
    if (gates !== undefined) await writeGates(sqlOn(client), plan.gates)
    await commit(client)
    return plan.outcomes()
  }

  /** @returns whether all of it was written */
  async function book(
    client: pg.Client,
    { placed, peaks, values, totals }: IngestPlan<number>,
    additions: readonly BucketAddition<number>[],
  ): Promise<boolean> {
    const billed = additions.filter(({ isUnbillable }) => !isUnbillable)
    const unbillable = additions.filter(({ isUnbillable }) => isUnbillable)
    const rows = placed.filter(({ state }) => state !== OVERFLOW)
    const shares = billed.flatMap(({ meter, hour, tags }) =>
      [...tags].map(([key, quantity]) => ({ meter, hour, tags: loader.tagSet(key)!, quantity })),
    )
    const tagsOf = ({ routed: { event } }: Placed<number>) =>
      event.tags === UNTAGGED ? null : loader.tagSet(event.tags)!
    const run = async (isNeeded: boolean, statement: () => pg.QueryConfig) =>
      isNeeded ? ((await client.query(statement())).rowCount ?? 0) : 0
    // Sent without waiting for an answer in between. Buckets as late as can be: whoever comes for the same ones waits there.
    const [inserted, added, beside] = await Promise.all([
      run(rows.length > 0, () => statements.addEvents(rows, tagsOf)),
      run(billed.length > 0, () => statements.addToBuckets(billed)),
      run(unbillable.length > 0, () => statements.addUnbillable(unbillable)),
      run(shares.length > 0, () => statements.addTags(shares, AWS_RULES.allocationsMax)),
      run(peaks.length > 0, () => statements.setPeaks(peaks)),
      run(values.length > 0, () => statements.addValues(values)),
      run(totals.length > 0, () => statements.setTotals(totals)),
    ])
    return added === billed.length && beside === unbillable.length && inserted === rows.length
  }

  /** Which buckets took nothing, after a group was undone: closed ones are known from here on. */
  async function learn(
    client: pg.Client,
    additions: readonly BucketAddition<number>[],
    obstacles: Obstacles,
  ): Promise<void> {
    const rows = await loader.learnBuckets(client, additions)
    const booked = new Map(rows.map((row) => [`${row.meter} ${row.hour}`, row]))
    for (const { meter, hour, isUnbillable, quantity } of additions) {
      const name = `${meter} ${hour}`
      const row = booked.get(name)
      if (row === undefined) continue
      const unbillable = row.unbillable as bigint
      if (!isUnbillable && (row.quantity as bigint) + quantity > BUCKET_MAX) obstacles.full.add(name)
      if (isUnbillable && unbillable + quantity > BUCKET_MAX) obstacles.unbillable.set(name, unbillable)
    }
  }

  return { write, close: session.end }
}

/** Where a sum that nobody is billed for has no room for all, it takes each that fits; the others are not written. */
function markOverflow(placed: readonly Placed<number>[], { unbillable }: Obstacles): void {
  if (unbillable.size === 0) return
  for (const { meter, hour, isUnbillable, events } of foldByBucket(placed)) {
    let booked = unbillable.get(`${meter} ${hour}`)
    if (!isUnbillable || booked === undefined) continue
    for (const event of events) {
      const more: bigint = booked + BigInt(event.delta)
      if (more > BUCKET_MAX) event.state = OVERFLOW
      else booked = more
    }
  }
}

function lastHours(placed: readonly Placed<number>[]): ReadonlyMap<string, Hour> {
  const hours = new Map<string, Hour>()
  for (const { routed, hour } of placed) {
    const { tags } = routed.event
    if (tags !== UNTAGGED) hours.set(tags, Math.max(hour, hours.get(tags) ?? hour))
  }
  return hours
}

async function begin(
  client: pg.Client,
  calls: readonly IngestCall[],
): Promise<Found & { readonly gates: GateSource | undefined }> {
  const keys = new Map<string, Uint8Array>()
  for (const { events } of calls) for (const { key } of events) keys.set(keyText(key), key)
  const find = () => client.query<Row>(statements.findEvents([...keys.values()]))
  const beginning = client.query(statements.BEGIN_INGEST) as unknown as Promise<
    readonly pg.QueryResult<Row>[]
  >
  // Ids are looked up once the counters are locked: whoever had an id counted before has told so by then, and its repeat is
  // not refused for its own use.
  const isGuarded = calls.some(({ events }) => events.some(isGated))
  const gates = isGuarded ? beginning.then(() => loadEventGates(client, calls)) : undefined
  const [began, loaded, { rows }] = await Promise.all([
    beginning,
    gates,
    gates === undefined ? find() : gates.then(find),
  ])
  const state = new Map(began[2]!.rows.map(({ name, value }) => [text(name), Number(value)]))
  const seen = new Map<string, SeenEvent<number>>()
  for (const row of rows) {
    seen.set(keyText(row.key as Uint8Array), {
      meter: int(row.meter),
      time: int(row.time),
      quantity: int(row.quantity),
      value: (row.value as Uint8Array | null) ?? undefined,
      tags: (row.tags as string | null) ?? UNTAGGED,
      state: int(row.state),
      receivedAt: int(row.received_at),
    })
  }
  return { epoch: state.get('epoch')!, horizon: state.get('horizon')!, seen, gates: loaded }
}

/** Late usage that is billed in another month than its own, or under a later agreement, is for a person to see. */
async function raiseLateAcross(client: pg.Client, placed: readonly Placed<number>[]): Promise<void> {
  const late = placed.filter(({ state }) => state === LATE)
  if (late.length === 0) return
  const found = await client.query<Row>(
    statements.findAccessStarts([...new Set(late.map(({ meter }) => meter))]),
  )
  const starts = new Map(found.rows.map((row) => [int(row.meter), int(row.access_start)]))
  const across = foldLateAcross(late, (meter) => starts.get(meter)!)
  if (across.length === 0) return
  const { rows } = await client.query<Row>(statements.addLateAcross(across))
  const totals = new Map(rows.map(({ subject, amount }) => [text(subject), amount as bigint]))
  await client.query(
    statements.raiseLateAcross(
      across.map((one) => ({ ...one, message: one.message(totals.get(one.subject)!) })),
    ),
  )
}

/** What gated events are judged by, which no other process changes meanwhile; undefined where none of them is. */
async function loadEventGates(
  client: pg.Client,
  calls: readonly IngestCall[],
): Promise<GateSource | undefined> {
  const gated = calls.flatMap(({ events }) => events.filter(isGated))
  if (gated.length === 0) return undefined
  const ids = new Set(gated.flatMap(({ gate }) => gate.reservation ?? []))
  const now = Math.max(...calls.map((call) => call.now))
  return loadGates(sqlOn(client), 'postgres', gated, now, [...ids])
}

async function commit(client: pg.Client): Promise<void> {
  let result: pg.QueryResult
  try {
    result = await client.query('COMMIT')
  } catch (error) {
    // What the server itself refuses was not written; of a lost answer nobody knows.
    if (isRefused(error)) throw error
    throw new CommitInDoubt(error)
  }
  assert(result.command === 'COMMIT', 'a transaction that failed was not to be committed')
}

class CommitInDoubt extends Error {
  constructor(cause: unknown) {
    super('the connection was lost while usage was being committed', { cause })
  }
}
