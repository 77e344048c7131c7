import { NO_HISTORY_YET } from '../../domain/entitlements/contract-history.ts'
import type { Account } from '../../domain/usage/account.ts'
import { HOLD_HISTORY_MAX } from '../../domain/usage/close-bucket.ts'
import { type Hour, hourOf } from '../../domain/usage/hour.ts'
import { awsIdentityKey } from '../../domain/usage/usage-record.ts'
import type {
  BucketKey,
  Closing,
  ClosingNeeds,
  ClosingState,
  SealedRecord,
} from '../../domain/usage/usage-store.ts'
import { raiseAlarm } from './alarms.ts'
import { appendAudit } from './audit-trail.ts'
import { readContractHistory } from './contract-history.ts'
import type { Row, Sql } from './database.ts'
import {
  BUCKET_COLUMNS,
  BUCKET_FROM,
  int,
  SUBSCRIPTION_COLUMNS,
  text,
  toBucket,
  toSubscription,
} from './rows.ts'

/** A bucket that others are folded into stays below 2^63. */
const FOLDED_MAX = 8_000_000_000_000_000_000n

/** How far ahead an open hour is looked for: closed ones follow only after a clock went back. */
const OPEN_AHEAD_MAX = 48

const HISTORY =
  'SELECT quantity FROM bucket WHERE meter = ? AND hour < ? AND status = 2 AND quantity > 0 ORDER BY hour DESC LIMIT ?'

/**
 * What was used of a contract in a period: by the agreements that renew each other, of one calendar month, and by all
 * subscriptions of one agreement that was withdrawn and granted anew.
 */
const INCLUDED_OF_KIN = `WITH RECURSIVE kin (id) AS (
    SELECT id FROM subscription WHERE id = ?1 UNION SELECT n.id FROM kin k JOIN subscription o ON o.id = k.id JOIN subscription n ON n.id = o.successor OR n.successor = o.id
  ) SELECT u.period, SUM(u.used) AS used FROM kin k CROSS JOIN subscription s ON s.id = k.id CROSS JOIN meter m ON m.subscription = s.seq AND m.dimension = ?2
    CROSS JOIN included_used u ON u.meter = m.seq
  WHERE s.id = ?1 OR length(u.period) = 7 OR s.agreement_id = (SELECT agreement_id FROM subscription WHERE id = ?1) GROUP BY u.period`

/** Closes one bucket within the caller's transaction. */
export async function closeBucket(
  sql: Sql,
  key: BucketKey,
  now: number,
  decide: (state: ClosingState) => Closing | undefined,
  needs: ClosingNeeds,
): Promise<'closed' | 'held' | 'unchanged'> {
  const row = await sql.get(
    `SELECT ${BUCKET_COLUMNS}, m.carry, ${SUBSCRIPTION_COLUMNS} FROM ${BUCKET_FROM} WHERE s.id = ? AND m.dimension = ? AND b.hour = ? AND b.status < 2`,
    key.subscription,
    key.dimension,
    key.hour,
  )
  if (row === undefined) return 'unchanged'
  const state = await readState(sql, row, key.hour, needs)
  let known = state
  let closing = decide(known)
  if (closing?.record !== undefined && (await isTaken(sql, closing.record, key))) {
    known = { ...known, keyTaken: true }
    closing = decide(known)
  }
  if (closing?.seek !== undefined) {
    const freeHour = await findFreeHour(sql, row, key, closing.seek)
    if (freeHour !== undefined) closing = decide({ ...known, freeHour })
  }
  if (closing === undefined) return 'unchanged'
  await apply(sql, int(row.meter), key, closing, now)
  if (closing.actor !== undefined && state.bucket.status === 'held') {
    await appendAudit(sql, {
      at: now,
      actor: closing.actor,
      action: 'hold.decide',
      subject: `${key.subscription}/${key.dimension}/${key.hour}`,
      before: { held: state.bucket.quantity, reason: state.bucket.hold?.reason },
      after: { transfers: closing.transfers },
    })
  }
  return closing.status
}

async function readState(sql: Sql, row: Row, hour: Hour, needs: ClosingNeeds): Promise<ClosingState> {
  const meter = int(row.meter)
  const tags = await sql.all(
    'SELECT t.key, b.quantity FROM bucket_tag b JOIN tag_set t ON t.seq = b.tags WHERE b.meter = ? AND b.hour = ?',
    meter,
    hour,
  )
  const carried = await sql.all(
    'SELECT t.key, c.quantity FROM carry_tag c JOIN tag_set t ON t.seq = c.tags WHERE c.meter = ?',
    meter,
  )
  const subscription = toSubscription(row)
  const fixed = await fixedOf(sql, int(row.s_seq), hour)
  const later = await sql.get(
    'SELECT 1 AS one FROM bucket INDEXED BY bucket_unsealed WHERE meter = ? AND hour <> ? AND status < 2 LIMIT 1',
    meter,
    hour,
  )
  const earlier = await sql.get(
    'SELECT 1 AS one FROM bucket INDEXED BY bucket_unsealed WHERE meter = ? AND hour < ? AND status < 2 AND status = 0 LIMIT 1',
    meter,
    hour,
  )
  const history = needs.history ? await sql.all(HISTORY, meter, hour, HOLD_HISTORY_MAX) : []
  const included = needs.contract
    ? await sql.all(INCLUDED_OF_KIN, subscription.id, row.dimension!)
    : await sql.all('SELECT period, used FROM included_used WHERE meter = ?', meter)
  const used = new Map(included.map((r) => [text(r.period), r.used as bigint]))
  return {
    bucket: toBucket(row),
    subscription,
    tags: new Map(tags.map((r) => [text(r.key), r.quantity as bigint])),
    carry: row.carry as bigint,
    carryTags: new Map(carried.map((r) => [text(r.key), r.quantity as bigint])),
    fixed,
    history: history.map((r) => r.quantity as bigint),
    includedUsed: (period) => used.get(period) ?? 0n,
    contract: needs.contract ? await readContractHistory(sql, subscription.id) : NO_HISTORY_YET,
    earlierOpen: earlier !== undefined,
    keyTaken: false,
    laterOpen: later !== undefined,
    doubtful: await isDoubtful(sql, hour),
    freeHour: undefined,
  }
}

/** Whom and where a subscription's hour is metered as is decided by its first record, whatever its dimension. */
export async function fixedOf(sql: Sql, subscription: number, hour: Hour): Promise<ClosingState['fixed']> {
  const row = await sql.get(
    'SELECT r.identity, r.region FROM usage_record r JOIN meter m ON m.seq = r.meter WHERE m.subscription = ? AND r.hour = ? LIMIT 1',
    subscription,
    hour,
  )
  return row && { identity: JSON.parse(text(row.identity)), region: text(row.region) }
}

/** The first hour that this meter counted nothing in and that nobody has a record of. */
async function findFreeHour(
  sql: Sql,
  row: Row,
  key: BucketKey,
  { hours, region, identity }: NonNullable<Closing['seek']>,
): Promise<Hour | undefined> {
  for (const hour of hours) {
    const bucket = await sql.get('SELECT status FROM bucket WHERE meter = ? AND hour = ?', row.meter!, hour)
    if (bucket !== undefined && bucket.status !== 3n) continue
    const fixed = (await fixedOf(sql, int(row.s_seq), hour)) ?? { region, identity }
    if (!(await isTaken(sql, fixed, { ...key, hour }))) return hour
  }
  return undefined
}

export async function isTaken(
  sql: Sql,
  record: Pick<SealedRecord, 'region' | 'identity'>,
  key: BucketKey,
): Promise<boolean> {
  const taken = await sql.get(
    'SELECT 1 AS one FROM usage_record WHERE region = ? AND identity_key = ? AND dimension = ? AND hour = ?',
    record.region,
    awsIdentityKey(record.identity),
    key.dimension,
    key.hour,
  )
  return taken !== undefined
}

async function apply(sql: Sql, meter: number, key: BucketKey, closing: Closing, now: number): Promise<void> {
  await sql.run(
    'UPDATE bucket SET status = ?, hold_reason = ?, held_at = ? WHERE meter = ? AND hour = ?',
    closing.status === 'held' ? 1 : 2,
    closing.hold?.reason ?? null,
    closing.hold?.heldAt ?? null,
    meter,
    key.hour,
  )
  const record = closing.record && (await insertRecord(sql, meter, key, closing.record, now))
  // What they split is sealed; a held hour still has it to come.
  if (closing.status === 'closed')
    await sql.run('DELETE FROM bucket_tag WHERE meter = ? AND hour = ?', meter, key.hour)
  let carried = 0n
  for (const { from, to, amount } of closing.transfers) {
    await insertTransfer(
      sql,
      meter,
      key.hour,
      from,
      to,
      amount,
      now,
      to === 'ready' ? (record ?? null) : null,
    )
    if (to === 'carry') carried += amount
    if (from === 'carry') carried -= amount
  }
  if (carried !== 0n) await sql.run('UPDATE meter SET carry = carry + ? WHERE seq = ?', carried, meter)
  if (closing.included !== undefined) {
    await sql.run(
      'INSERT INTO included_used (meter, period, used) VALUES (?, ?, ?) ON CONFLICT (meter, period) DO UPDATE SET used = included_used.used + excluded.used',
      meter,
      closing.included.period,
      closing.included.amount,
    )
  }
  if (closing.carryTags !== undefined) await replaceCarryTags(sql, meter, closing.carryTags)
  if (closing.openFrom !== undefined) await openBucket(sql, meter, closing.openFrom)
  if (closing.openAt !== undefined)
    await sql.run(
      'INSERT INTO bucket (meter, hour) VALUES (?, ?) ON CONFLICT (meter, hour) DO UPDATE SET status = 0 WHERE bucket.status = 3',
      meter,
      closing.openAt,
    )
  if (closing.alarm !== undefined) await raiseAlarm(sql, closing.alarm)
}

async function replaceCarryTags(sql: Sql, meter: number, tags: ReadonlyMap<string, bigint>): Promise<void> {
  await sql.run('DELETE FROM carry_tag WHERE meter = ?', meter)
  for (const [key, quantity] of tags)
    await sql.run(
      'INSERT INTO carry_tag (meter, tags, quantity) SELECT ?, seq, ? FROM tag_set WHERE key = ?',
      meter,
      quantity,
      key,
    )
}

/** @returns the record's number */
export async function insertRecord(
  sql: Sql,
  meter: number,
  key: BucketKey,
  record: SealedRecord,
  now: number,
): Promise<number> {
  const unanswered = (await isDoubtful(sql, key.hour)) ? 1 : 0
  const row = await sql.get(
    `INSERT INTO usage_record (id, product, meter, dimension, hour, region, identity_key, identity, timestamp, quantity, unit_base, allocations,
       state, deadline, sealed_at, next_attempt_at, unanswered, note) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'ready', ?, ?, ?, ?, ?) RETURNING seq`,
    record.id,
    record.product,
    meter,
    key.dimension,
    key.hour,
    record.region,
    awsIdentityKey(record.identity),
    JSON.stringify(record.identity),
    record.timestamp,
    record.quantity,
    record.unitBase,
    JSON.stringify(record.allocations),
    record.deadline,
    now,
    now,
    unanswered,
    unanswered === 1 ? 'may have been sent by another copy of this ledger' : null,
  )
  return int(row!.seq)
}

/** After a restore: another copy of this ledger may have sent this hour's record. */
async function isDoubtful(sql: Sql, hour: Hour): Promise<boolean> {
  const row = await sql.get(`SELECT value FROM ledger WHERE name = 'doubt'`)
  if (row === undefined) return false
  const doubt = JSON.parse(text(row.value)) as { from: Hour; to: Hour }
  return hour >= doubt.from && hour <= doubt.to
}

export async function insertTransfer(
  sql: Sql,
  meter: number,
  hour: Hour,
  from: Account,
  to: Account,
  amount: bigint,
  now: number,
  record: number | null,
): Promise<void> {
  if (amount === 0n || from === to) return
  await sql.run(
    'INSERT INTO transfer (meter, hour, source, target, amount, at, record) VALUES (?, ?, ?, ?, ?, ?, ?)',
    meter,
    hour,
    from,
    to,
    amount,
    now,
    record,
  )
}

/**
 * Makes sure that a bucket is open at or after an hour: what is carried is billed in it.
 *
 * @returns its hour; undefined where all are closed
 */
export async function openBucket(sql: Sql, meter: number, from: Hour): Promise<Hour | undefined> {
  for (let hour = from; hour < from + OPEN_AHEAD_MAX; hour++) {
    await sql.run(
      'INSERT INTO bucket (meter, hour) VALUES (?, ?) ON CONFLICT (meter, hour) DO UPDATE SET status = 0 WHERE bucket.status = 3',
      meter,
      hour,
    )
    const row = await sql.get('SELECT status FROM bucket WHERE meter = ? AND hour = ?', meter, hour)
    if (row!.status === 0n) return hour
  }
  return undefined
}

/**
 * The last hour of a subscription that ended takes all that is still to bill: what later buckets hold (events may be
 * timed a little ahead), and what is carried. Where the news of the end came after that hour was sealed, the next does.
 */
export async function openFinalBuckets(sql: Sql, subscription: string, hour: Hour): Promise<void> {
  const meters = await sql.all(
    `SELECT m.seq FROM meter m JOIN subscription s ON s.seq = m.subscription WHERE s.id = ?
     AND (m.carry <> 0 OR EXISTS (SELECT 1 FROM bucket b INDEXED BY bucket_unsealed WHERE b.meter = m.seq AND b.status < 2 AND b.status = 0))`,
    subscription,
  )
  for (const { seq } of meters) {
    const meter = int(seq)
    const target = await openBucket(sql, meter, hour)
    if (target === undefined) continue
    const row = await sql.get('SELECT quantity FROM bucket WHERE meter = ? AND hour = ?', meter, target)
    let quantity = row!.quantity as bigint
    for (const later of await sql.all(
      'SELECT hour, quantity FROM bucket INDEXED BY bucket_unsealed WHERE meter = ? AND hour > ? AND status < 2 AND status = 0',
      meter,
      target,
    )) {
      quantity += later.quantity as bigint
      // What no 64 bits hold stays where it is.
      if (quantity > FOLDED_MAX) break
      await foldInto(sql, meter, int(later.hour), target)
    }
  }
}

/**
 * AWS takes nothing from before an agreement's start: what was counted before it was known is billed in its first hour.
 */
export async function moveOpenBuckets(sql: Sql, subscription: string, first: Hour): Promise<void> {
  const rows = await sql.all(
    `SELECT b.meter, b.hour, b.quantity FROM bucket b INDEXED BY bucket_unsealed JOIN meter m ON m.seq = b.meter JOIN subscription s ON s.seq = m.subscription
     WHERE s.id = ? AND b.hour < ? AND b.status < 2 AND b.status = 0 ORDER BY b.meter, b.hour`,
    subscription,
    first,
  )
  for (const row of rows) {
    const meter = int(row.meter)
    const target = await openBucket(sql, meter, first)
    if (target === undefined) continue
    const into = await sql.get('SELECT quantity FROM bucket WHERE meter = ? AND hour = ?', meter, target)
    if ((into!.quantity as bigint) + (row.quantity as bigint) > FOLDED_MAX) continue
    await foldInto(sql, meter, int(row.hour), target)
  }
}

/**
 * What was used after a subscription's end, and is not sealed yet, is its successor's: AWS's word of a renewal comes
 * later than the renewal.
 *
 * @param since - ms
 */
export async function handOver(sql: Sql, from: string, to: string, since: number): Promise<void> {
  const heir = await sql.get('SELECT seq, access_start FROM subscription WHERE id = ?', to)
  const first = Math.max(hourOf(since), 0)
  const rows = await sql.all(
    `SELECT m.seq AS meter, m.dimension, m.product, m.scale, m.aggregation, m.per, b.hour FROM subscription s JOIN meter m ON m.subscription = s.seq
     JOIN bucket b INDEXED BY bucket_unsealed ON b.meter = m.seq WHERE s.id = ? AND b.hour >= ? AND b.status < 2 AND b.status = 0 ORDER BY m.seq, b.hour`,
    from,
    first,
  )
  for (const row of rows) {
    const shares = await sql.all(
      `SELECT tags, COUNT(*) AS events, SUM(delta) AS quantity FROM usage_event WHERE ${COUNTED_SINCE} GROUP BY tags`,
      row.hour!,
      row.meter!,
      since,
    )
    if (shares.length === 0) continue
    const meter = await meterLike(sql, int(heir!.seq), row)
    const hour = await openBucket(sql, meter, Math.max(int(row.hour), hourOf(int(heir!.access_start))))
    if (hour !== undefined) await move(sql, row, { meter, hour }, shares, since)
  }
}

/** Events that count in an hour of a meter: hour, meter, since. */
const COUNTED_SINCE = 'counted = ?1 AND meter = ?2 AND time > ?3 AND state < 2 AND (hour = ?1 OR state = 1)'

async function meterLike(sql: Sql, subscription: number, like: Row): Promise<number> {
  const find = () =>
    sql.get('SELECT seq FROM meter WHERE subscription = ? AND dimension = ?', subscription, like.dimension!)
  const known = await find()
  if (known !== undefined) return int(known.seq)
  // Asked for only where it is missing: a number that is asked for is used up, also where nothing is inserted.
  await sql.run(
    'INSERT INTO meter (subscription, dimension, product, scale, aggregation, per) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (subscription, dimension) DO NOTHING',
    subscription,
    like.dimension!,
    like.product!,
    like.scale!,
    like.aggregation!,
    like.per!,
  )
  return int((await find())!.seq)
}

async function move(
  sql: Sql,
  from: Row,
  to: { readonly meter: number; readonly hour: Hour },
  shares: readonly Row[],
  since: number,
): Promise<void> {
  let quantity = 0n
  let events = 0n
  for (const share of shares) {
    quantity += share.quantity as bigint
    events += share.events as bigint
    if (share.tags === null) continue
    await sql.run(
      `INSERT INTO bucket_tag (meter, hour, tags, quantity) SELECT ?1, ?2, ?3, ?4 WHERE TRUE ON CONFLICT (meter, hour, tags) DO UPDATE SET quantity = bucket_tag.quantity + excluded.quantity`,
      to.meter,
      to.hour,
      share.tags!,
      share.quantity!,
    )
    await sql.run(
      'UPDATE bucket_tag SET quantity = quantity - ? WHERE meter = ? AND hour = ? AND tags = ?',
      share.quantity!,
      from.meter!,
      from.hour!,
      share.tags!,
    )
  }
  await sql.run(
    `UPDATE usage_event SET meter = ?4, counted = ?5, state = CASE WHEN hour = ?5 THEN state ELSE 1 END WHERE ${COUNTED_SINCE}`,
    from.hour!,
    from.meter!,
    since,
    to.meter,
    to.hour,
  )
  const change = 'UPDATE bucket SET quantity = quantity + ?, events = events + ? WHERE meter = ? AND hour = ?'
  await sql.run(change, quantity, events, to.meter, to.hour)
  await sql.run(change, -quantity, -events, from.meter!, from.hour!)
}

async function foldInto(sql: Sql, meter: number, from: Hour, into: Hour): Promise<void> {
  await sql.run(
    `UPDATE bucket SET quantity = bucket.quantity + l.quantity, events = bucket.events + l.events, purged = bucket.purged + l.purged
     FROM (SELECT quantity, events, purged FROM bucket WHERE meter = ?1 AND hour = ?2) l WHERE meter = ?1 AND hour = ?3`,
    meter,
    from,
    into,
  )
  await sql.run(
    'UPDATE bucket SET quantity = 0, events = 0, purged = 0, status = 2 WHERE meter = ? AND hour = ?',
    meter,
    from,
  )
  await sql.run(
    `INSERT INTO bucket_tag (meter, hour, tags, quantity) SELECT meter, ?3, tags, quantity FROM bucket_tag WHERE meter = ?1 AND hour = ?2
     ON CONFLICT (meter, hour, tags) DO UPDATE SET quantity = bucket_tag.quantity + excluded.quantity`,
    meter,
    from,
    into,
  )
  await sql.run('DELETE FROM bucket_tag WHERE meter = ? AND hour = ?', meter, from)
  // Their own hour is `from`, or an earlier one for late events.
  await sql.run(
    'UPDATE usage_event SET counted = ?3, state = 1 WHERE meter = ?1 AND counted = ?2 AND state < 2 AND hour = ?2',
    meter,
    from,
    into,
  )
  await sql.run(
    'UPDATE usage_event SET counted = ?3 WHERE meter = ?1 AND counted = ?2 AND state = 1',
    meter,
    from,
    into,
  )
}
