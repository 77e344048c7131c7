import { hash, randomUUID } from 'node:crypto'
import { DomainError } from '../../domain/error.ts'
import type { Subscription } from '../../domain/subscriptions/subscription.ts'
import type { Account } from '../../domain/usage/account.ts'
import { CARRY_MAX } from '../../domain/usage/close-bucket.ts'
import { PACKING } from '../../domain/usage/submit-due-records.ts'
import { tagSetKey } from '../../domain/usage/tags.ts'
import {
  awsIdentityKey,
  CLOSED_STATES,
  type RecordState,
  type UsageRecord,
} from '../../domain/usage/usage-record.ts'
import type {
  AttemptEnd,
  ClaimedBatch,
  ClaimOptions,
  Judgement,
  RecordAnswer,
} from '../../domain/usage/usage-store.ts'
import { appendAudit } from './audit-trail.ts'
import type { Row, Sql, SqlValue } from './database.ts'
import {
  int,
  optionalInt,
  placeholders,
  RECORD_COLUMNS,
  RECORD_FROM,
  SUBSCRIPTION_COLUMNS,
  text,
  toRecord,
  toSubscription,
} from './rows.ts'
import { insertTransfer, openBucket } from './usage-closer.ts'

/** Records looked at to fill one call: quarantined or differently addressed ones are passed over. */
const CANDIDATES_MAX = 200

/** May be sent at `?2`: due, not in flight, or in flight for longer than its lease. */
const SENDABLE = `r.product = ?1 AND r.state IN ('ready', 'sent') AND r.deadline > ?2 AND r.next_attempt_at <= ?2 AND (r.attempt IS NULL OR r.lease_until <= ?2)`

/** Neither its dimension nor its customer was refused before. */
const NOT_SUSPECT = `AND NOT EXISTS (SELECT 1 FROM isolation i WHERE i.product = r.product
  AND ((i.kind = 'dimension' AND i.value = r.dimension) OR (i.kind = 'identity' AND i.value = r.identity_key)))`

export async function listSendable(sql: Sql, now: number): Promise<{ product: string; deadline: number }[]> {
  const rows = await sql.all(
    `SELECT r.product, MIN(r.deadline) AS deadline FROM usage_record r LEFT JOIN halt h ON h.product = r.product
     WHERE r.state IN ('ready', 'sent') AND r.deadline > ?1 AND r.next_attempt_at <= ?1 AND (r.attempt IS NULL OR r.lease_until <= ?1)
       AND (h.product IS NULL OR h.probe_at <= ?1)
     GROUP BY r.product ORDER BY deadline`,
    now,
  )
  return rows.map((row) => ({ product: text(row.product), deadline: int(row.deadline) }))
}

/** Takes the most urgent records and writes the attempt, all before the first byte leaves. */
export async function claim(sql: Sql, options: ClaimOptions): Promise<ClaimedBatch | undefined> {
  const { product, now } = options
  // Whatever this process knows of it: another may have made it wait.
  if ((await sql.get(`SELECT 1 AS one FROM ledger WHERE name = 'waiting'`)) !== undefined) return undefined
  const halt = await sql.get('SELECT probe_at FROM halt WHERE product = ?', product)
  if (halt !== undefined && !((optionalInt(halt.probe_at) ?? Number.POSITIVE_INFINITY) <= now))
    return undefined
  const candidates = await listCandidates(sql, options)
  if (candidates.length === 0) return undefined
  const { rows, alone } = await pack(sql, candidates, options)
  const records = rows.map(toRecord)
  const region = records[0]!.region
  const attempt = `att_${randomUUID()}`
  const { seq } = (await sql.get(
    `INSERT INTO attempt (id, product, region, started_at, outcome, request) VALUES (?, ?, ?, ?, 'in_flight', ?) RETURNING seq`,
    attempt,
    product,
    region,
    now,
    await keepRequest(sql, options.requestOf(records)),
  ))!
  const sendAt = await takeSlot(sql, region, now, options.spacingMs)
  for (const row of rows) await takeRecord(sql, row, int(seq), sendAt + options.leaseMs, now)
  if (halt !== undefined)
    await sql.run('UPDATE halt SET probe_at = ? WHERE product = ?', now + options.leaseMs, product)
  return { attempt, product, region, records, alone, probe: halt !== undefined, sendAt }
}

/** A request that is sent again is the same bytes: they are kept once. @returns their number */
async function keepRequest(sql: Sql, body: string): Promise<number> {
  const digest = hash('sha256', body, 'buffer')
  await sql.run('INSERT INTO request (hash, body) VALUES (?, ?) ON CONFLICT (hash) DO NOTHING', digest, body)
  return int((await sql.get('SELECT seq FROM request WHERE hash = ?', digest))!.seq)
}

async function listCandidates(
  sql: Sql,
  { product, now, only, withoutSuspects }: ClaimOptions,
): Promise<Row[]> {
  if (only === undefined) {
    const due = (condition: string, order: string) =>
      sql.all(
        `SELECT ${RECORD_COLUMNS} FROM ${RECORD_FROM} WHERE ${SENDABLE} ${condition} ORDER BY ${order} LIMIT ?3`,
        product,
        now,
        CANDIDATES_MAX,
      )
    const isolated = await sql.get('SELECT 1 AS one FROM isolation WHERE product = ? LIMIT 1', product)
    const urgent = 'r.deadline, r.seq'
    if (isolated === undefined) return due('', urgent)
    // Suspects wait until nothing else is due: each takes a call of its own, and the rate is everybody's.
    const others = await due(NOT_SUSPECT, urgent)
    if (others.length > 0 || withoutSuspects === true) return others
    // In turn, since not all of them fit into a run: the one that waits longest is next.
    return due('', 'r.next_attempt_at, r.deadline, r.seq')
  }
  // The halves of a split request go at once: their back-off is not theirs but the whole request's.
  return sql.all(
    `SELECT ${RECORD_COLUMNS} FROM ${RECORD_FROM} WHERE r.product = ?1 AND r.state IN ('ready', 'sent') AND r.deadline > ?2
       AND (r.attempt IS NULL OR r.lease_until <= ?2) AND r.id IN (${placeholders(only.length, 3)}) ORDER BY r.deadline, r.seq`,
    product,
    now,
    ...only,
  )
}

/** One region, one kind of identity, 25 records and less than a megabyte; a suspect record goes alone. */
async function pack(
  sql: Sql,
  candidates: readonly Row[],
  { product, sizeOf }: ClaimOptions,
): Promise<{ rows: Row[]; alone: boolean }> {
  const isolated = new Set(
    (await sql.all('SELECT kind, value FROM isolation WHERE product = ?', product)).map(
      (row) => `${row.kind}:${row.value}`,
    ),
  )
  const isSuspect = (record: UsageRecord) =>
    isolated.has(`dimension:${record.dimension}`) ||
    isolated.has(`identity:${awsIdentityKey(record.identity)}`)
  const first = toRecord(candidates[0]!)
  if (isolated.size > 0 && isSuspect(first)) return { rows: [candidates[0]!], alone: true }
  const rows: Row[] = []
  let bytes = 0
  for (const row of candidates) {
    const record = toRecord(row)
    if (record.region !== first.region || record.identity.kind !== first.identity.kind || isSuspect(record))
      continue
    if (
      record.identity.kind === 'legacy' &&
      first.identity.kind === 'legacy' &&
      record.identity.productCode !== first.identity.productCode
    )
      continue
    const size = sizeOf(record) + 1
    if (rows.length > 0 && bytes + size > PACKING.bytesMax) continue
    rows.push(row)
    bytes += size
    if (rows.length === PACKING.recordsMax) break
  }
  return { rows, alone: false }
}

/** AWS counts calls by account and region: all processes take their turn from one row. */
async function takeSlot(sql: Sql, region: string, now: number, spacingMs: number): Promise<number> {
  const row = await sql.get('SELECT next_at FROM rate WHERE region = ?', region)
  const next = row === undefined ? now : int(row.next_at)
  // After the clock went back, the old turn is no longer anybody's.
  const sendAt = next > now && next - now < 60_000 ? next : now
  await sql.run(
    'INSERT INTO rate (region, next_at) VALUES (?, ?) ON CONFLICT (region) DO UPDATE SET next_at = excluded.next_at',
    region,
    sendAt + spacingMs,
  )
  return sendAt
}

async function takeRecord(
  sql: Sql,
  row: Row,
  attempt: number,
  leaseUntil: number,
  now: number,
): Promise<void> {
  const lost = optionalInt(row.attempt)
  if (lost !== undefined) {
    await sql.run(
      `UPDATE attempt SET outcome = 'unanswered', finished_at = ?, response = 'the process that sent it is gone' WHERE seq = ? AND outcome = 'in_flight'`,
      now,
      lost,
    )
  }
  await sql.run(
    `UPDATE usage_record SET state = 'sent', attempts = attempts + 1, unanswered = unanswered + ?, attempt = ?, lease_until = ? WHERE seq = ?`,
    lost === undefined ? 0 : 1,
    attempt,
    leaseUntil,
    int(row.seq),
  )
  await sql.run('INSERT INTO attempt_record (record, attempt) VALUES (?, ?)', int(row.seq), attempt)
  await moveAmount(sql, row, text(row.state) as RecordState, 'sent', now)
}

export type Judge = (record: UsageRecord, subscription: Subscription, answer: RecordAnswer) => Judgement

/** Ends an attempt. Where another process has taken the record over meanwhile, only a `Success` still says something. */
export async function settle(
  sql: Sql,
  attempt: string,
  end: AttemptEnd,
  answers: ReadonlyMap<string, RecordAnswer>,
  judge: Judge,
): Promise<UsageRecord[]> {
  const row = await sql.get('SELECT seq FROM attempt WHERE id = ?', attempt)
  const seq = int(row!.seq)
  await sql.run(
    'UPDATE attempt SET outcome = ?, response = ?, finished_at = ? WHERE seq = ?',
    end.outcome,
    end.response,
    end.finishedAt,
    seq,
  )
  const rows = await sql.all(
    `SELECT ${RECORD_COLUMNS}, ${SUBSCRIPTION_COLUMNS} FROM attempt_record ar CROSS JOIN usage_record r ON r.seq = ar.record JOIN meter m ON m.seq = r.meter JOIN subscription s ON s.seq = m.subscription
     WHERE ar.attempt = ? ORDER BY r.seq`,
    seq,
  )
  const settled: UsageRecord[] = []
  for (const recordRow of rows) {
    const record = toRecord(recordRow)
    const answer = answers.get(record.id)
    if (answer === undefined) continue
    const mine = optionalInt(recordRow.attempt) === seq
    const success = answer.kind === 'result' && answer.status === 'Success'
    if (!mine && !(success && record.state !== 'accepted')) continue
    const judgement = judge(record, toSubscription(recordRow), answer)
    settled.push(await applyJudgement(sql, recordRow, judgement, end.finishedAt))
  }
  return settled
}

export async function expire(
  sql: Sql,
  now: number,
  limit: number,
  judge: (record: UsageRecord, subscription: Subscription) => Judgement,
): Promise<UsageRecord[]> {
  const rows = await sql.all(
    `SELECT ${RECORD_COLUMNS}, ${SUBSCRIPTION_COLUMNS} FROM usage_record r INDEXED BY usage_record_due CROSS JOIN meter m ON m.seq = r.meter CROSS JOIN subscription s ON s.seq = m.subscription
     WHERE r.product IN (SELECT product FROM record_count) AND r.state IN ('ready', 'sent') AND r.deadline <= ?1 AND (r.attempt IS NULL OR r.lease_until <= ?1) LIMIT ?2`,
    now,
    limit,
  )
  const expired: UsageRecord[] = []
  for (const row of rows) {
    // A call that its process never ended went unanswered, too.
    const lost = row.attempt === null ? 0n : 1n
    const counted = { ...row, unanswered: (row.unanswered as bigint) + lost }
    expired.push(await applyJudgement(sql, counted, judge(toRecord(counted), toSubscription(row)), now))
  }
  return expired
}

async function applyJudgement(sql: Sql, row: Row, judged: Judgement, now: number): Promise<UsageRecord> {
  const judgement = await withinBounds(sql, row, judged)
  const before = text(row.state) as RecordState
  const closed = CLOSED_STATES.includes(judgement.state)
  const values: SqlValue[] = [
    judgement.state,
    judgement.unanswered,
    judgement.nextAttemptAt ?? int(row.next_attempt_at),
    judgement.meteringRecordId ?? (row.metering_record_id as string | null),
    judgement.note ?? (closed ? null : (row.note as string | null)),
    int(row.seq),
  ]
  await sql.run(
    'UPDATE usage_record SET state = ?, unanswered = ?, next_attempt_at = ?, metering_record_id = ?, note = ?, attempt = NULL, lease_until = NULL WHERE seq = ?',
    ...values,
  )
  await moveAmount(sql, row, before, judgement.state, now)
  if (judgement.openFrom !== undefined) await openBucket(sql, int(row.meter), judgement.openFrom)
  const after = await sql.get(`SELECT ${RECORD_COLUMNS} FROM ${RECORD_FROM} WHERE r.seq = ?`, int(row.seq))
  return toRecord(after!)
}

/** A carry that no 64 bits hold would stop the whole run: that amount is refused, with an alarm. */
async function withinBounds(sql: Sql, row: Row, judgement: Judgement): Promise<Judgement> {
  if (judgement.state !== 'carried') return judgement
  const meter = await sql.get('SELECT carry FROM meter WHERE seq = ?', int(row.meter))
  const carry = (meter!.carry as bigint) + (row.quantity as bigint) * (row.unit_base as bigint)
  if (carry <= CARRY_MAX) return judgement
  return {
    state: 'refused',
    unanswered: judgement.unanswered,
    note: 'AWS no longer takes this hour, and more is carried already than AWS takes in centuries',
  }
}

/** Books a record's whole amount from the account of one state to that of another. */
async function moveAmount(
  sql: Sql,
  row: Row,
  from: RecordState,
  to: RecordState,
  now: number,
): Promise<void> {
  const amount = (row.quantity as bigint) * (row.unit_base as bigint)
  const source = accountOf(from)
  const target = accountOf(to)
  if (source === target || amount === 0n) return
  await insertTransfer(sql, int(row.meter), int(row.hour), source, target, amount, now, int(row.seq))
  if (target === 'carry') await addToCarry(sql, row, 1n)
  if (source === 'carry') await addToCarry(sql, row, -1n)
}

/** What is carried keeps its tags. */
async function addToCarry(sql: Sql, row: Row, sign: bigint): Promise<void> {
  const { quantity, unitBase, allocations } = toRecord(row)
  const meter = int(row.meter)
  await sql.run('UPDATE meter SET carry = carry + ? WHERE seq = ?', sign * BigInt(quantity) * unitBase, meter)
  for (const { quantity: share, tags } of allocations) {
    if (tags.length === 0) continue
    // It may have been forgotten since.
    await sql.run(
      'INSERT INTO tag_set (key, last_hour) VALUES (?, 0) ON CONFLICT (key) DO NOTHING',
      tagSetKey(tags),
    )
    await sql.run(
      `INSERT INTO carry_tag (meter, tags, quantity) SELECT ?, seq, ? FROM tag_set WHERE key = ?
       ON CONFLICT (meter, tags) DO UPDATE SET quantity = carry_tag.quantity + excluded.quantity`,
      meter,
      sign * BigInt(share) * unitBase,
      tagSetKey(tags),
    )
  }
}

function accountOf(state: RecordState): Account {
  return state === 'carried' ? 'carry' : state
}

export async function resolveRecord(
  sql: Sql,
  id: string,
  verdict: 'accepted' | 'refused',
  actor: string,
  now: number,
): Promise<UsageRecord> {
  const row = await sql.get(`SELECT ${RECORD_COLUMNS} FROM ${RECORD_FROM} WHERE r.id = ?`, id)
  if (row === undefined) throw new DomainError('record.not_found', `no usage record ${id}`)
  const before = toRecord(row)
  if (before.state !== 'in_doubt' && before.state !== 'assumed' && before.state !== 'conflict') {
    throw new DomainError(
      'record.not_in_doubt',
      `${id} is ${before.state}; only a record in doubt, assumed or in conflict can be resolved`,
    )
  }
  const note = `resolved as ${verdict} by ${actor}`
  const after = await applyJudgement(sql, row, { state: verdict, unanswered: before.unanswered, note }, now)
  await appendAudit(sql, {
    at: now,
    actor,
    action: 'record.resolve',
    subject: id,
    before: { state: before.state },
    after: { state: after.state },
  })
  return after
}
