import { DomainError } from '../../domain/error.ts'
import { ACCOUNTS, type Account } from '../../domain/usage/account.ts'
import { hourOf, hourStart, monthStart } from '../../domain/usage/hour.ts'
import { UNTAGGED } from '../../domain/usage/tags.ts'
import { meteringRecordId } from '../../domain/usage/usage-event.ts'
import type { RecordState, UsageRecord } from '../../domain/usage/usage-record.ts'
import type {
  Attempt,
  BucketKey,
  MeterAudit,
  Page,
  UsageBucket,
  UsageEventRow,
  UsageStatus,
  UsageStore,
} from '../../domain/usage/usage-store.ts'
import type { Row, Sql, SqlValue } from './database.ts'
import {
  BUCKET_COLUMNS,
  BUCKET_FROM,
  BUCKET_STATUS,
  EVENT_STATE,
  int,
  optionalInt,
  optionalText,
  RECORD_COLUMNS,
  RECORD_FROM,
  text,
  toBucket,
  toRecord,
} from './rows.ts'

/** Sums of 64-bit integers outgrow 64 bits: added up in two halves, they do not. */
const HALF = 1_000_000_000n
function exactSum(expression: string, name: string): string {
  return `SUM((${expression}) / ${HALF}) AS ${name}_high, SUM((${expression}) % ${HALF}) AS ${name}_low`
}
function exact(row: Row | undefined, name: string): bigint {
  const half = (suffix: string) => (row?.[`${name}_${suffix}`] as bigint | null | undefined) ?? 0n
  return half('high') * HALF + half('low')
}

function conditions(parts: readonly (readonly [string, SqlValue | undefined])[]): {
  where: string
  values: SqlValue[]
} {
  const used = parts.filter((part): part is [string, SqlValue] => part[1] !== undefined)
  return {
    where: used.length === 0 ? '' : `WHERE ${used.map(([condition]) => condition).join(' AND ')}`,
    values: used.map(([, value]) => value),
  }
}

export async function listBuckets(
  sql: Sql,
  filter: Parameters<UsageStore['listBuckets']>[0],
): Promise<Page<UsageBucket>> {
  const [hour, meter] = (filter.cursor ?? '').split('.').map(Number)
  const { where, values } = conditions([
    ['m.product = ?', filter.product],
    ['s.id = ?', filter.subscription],
    ['m.dimension = ?', filter.dimension],
    ['b.status = ?', filter.status === undefined ? undefined : BUCKET_STATUS.indexOf(filter.status)],
    ['b.hour >= ?', filter.from],
    ['b.hour <= ?', filter.to],
    ...(filter.cursor === undefined
      ? []
      : ([
          ['(b.hour, b.meter) < (?', hour],
          ['?)', meter],
        ] as const)),
  ])
  const rows = await sql.all(
    `SELECT ${BUCKET_COLUMNS} FROM ${BUCKET_FROM} ${where.replace(' AND ?)', ', ?)')} ORDER BY b.hour DESC, b.meter DESC LIMIT ?`,
    ...values,
    filter.limit,
  )
  const last = rows.at(-1)
  return {
    items: rows.map(toBucket),
    next: rows.length === filter.limit && last !== undefined ? `${last.hour}.${last.meter}` : undefined,
  }
}

export async function listRecords(
  sql: Sql,
  filter: Parameters<UsageStore['listRecords']>[0],
): Promise<Page<UsageRecord>> {
  const { where, values } = conditions([
    ['r.product = ?', filter.product],
    ['s.id = ?', filter.subscription],
    ['r.dimension = ?', filter.dimension],
    ['r.state = ?', filter.state],
    ['r.seq < ?', filter.cursor === undefined ? undefined : Number(filter.cursor)],
  ])
  const rows = await sql.all(
    `SELECT ${RECORD_COLUMNS} FROM ${RECORD_FROM} ${where} ORDER BY r.seq DESC LIMIT ?`,
    ...values,
    filter.limit,
  )
  const last = rows.at(-1)
  return {
    items: rows.map(toRecord),
    next: rows.length === filter.limit && last !== undefined ? String(last.seq) : undefined,
  }
}

export async function getRecord(sql: Sql, id: string): Promise<UsageRecord> {
  const row = await sql.get(`SELECT ${RECORD_COLUMNS} FROM ${RECORD_FROM} WHERE r.id = ?`, id)
  if (row === undefined) throw new DomainError('record.not_found', `no usage record ${id}`)
  return toRecord(row)
}

export async function listAttempts(sql: Sql, record: string): Promise<Attempt[]> {
  const rows = await sql.all(
    `SELECT a.*, (SELECT json_group_array(o.id) FROM attempt_record x JOIN usage_record o ON o.seq = x.record WHERE x.attempt = a.seq) AS records
     FROM usage_record r JOIN attempt_record ar ON ar.record = r.seq JOIN attempt a ON a.seq = ar.attempt WHERE r.id = ? ORDER BY a.seq`,
    record,
  )
  return rows.map((row) => ({
    id: text(row.id),
    product: text(row.product),
    region: text(row.region),
    startedAt: int(row.started_at),
    finishedAt: optionalInt(row.finished_at),
    outcome: text(row.outcome) as Attempt['outcome'],
    records: JSON.parse(text(row.records)),
    request: text(row.request),
    response: optionalText(row.response),
  }))
}

const EVENT_COLUMNS =
  'e.id, e.source, e.key, e.time, e.counted, e.delta, e.quantity, e.state, e.received_at, t.key AS tag_key'

/** Events of a bucket: those of its own hour, and late ones of earlier hours. */
export async function listEvents(sql: Sql, key: BucketKey, limit: number): Promise<UsageEventRow[]> {
  const rows = await sql.all(
    `WITH target AS (SELECT m.seq FROM meter m JOIN subscription s ON s.seq = m.subscription WHERE s.id = ?1 AND m.dimension = ?2)
     SELECT * FROM (
       SELECT ${EVENT_COLUMNS} FROM usage_event e LEFT JOIN tag_set t ON t.seq = e.tags WHERE e.hour = ?3 AND e.meter = (SELECT seq FROM target) AND e.counted = ?3
       UNION ALL
       SELECT ${EVENT_COLUMNS} FROM usage_event e LEFT JOIN tag_set t ON t.seq = e.tags WHERE e.meter = (SELECT seq FROM target) AND e.counted = ?3 AND e.state <> 0 AND e.hour <> ?3
     ) ORDER BY time, id LIMIT ?4`,
    key.subscription,
    key.dimension,
    key.hour,
    limit,
  )
  return rows.map((row) => ({
    id: text(row.id),
    source: text(row.source),
    meteringRecordId: meteringRecordId(row.key as Uint8Array),
    time: int(row.time),
    hour: int(row.counted),
    counted: row.delta as bigint,
    quantity: row.quantity as bigint,
    tags: optionalText(row.tag_key) ?? UNTAGGED,
    status: EVENT_STATE[int(row.state)]!,
    crossedMonth: monthStart(int(row.time)) !== monthStart(hourStart(int(row.counted))),
    receivedAt: int(row.received_at),
  }))
}

export async function listTransfers(sql: Sql, key: BucketKey) {
  const rows = await sql.all(
    `SELECT t.source, t.target, t.amount, t.at, r.id AS record FROM transfer t JOIN meter m ON m.seq = t.meter JOIN subscription s ON s.seq = m.subscription
     LEFT JOIN usage_record r ON r.seq = t.record WHERE s.id = ? AND m.dimension = ? AND t.hour = ? ORDER BY t.seq`,
    key.subscription,
    key.dimension,
    key.hour,
  )
  return rows.map((row) => ({
    from: text(row.source) as Account,
    to: text(row.target) as Account,
    amount: row.amount as bigint,
    at: int(row.at),
    record: optionalText(row.record),
  }))
}

const RECORD_STATES: readonly RecordState[] = [
  'ready',
  'sent',
  'accepted',
  'assumed',
  'in_doubt',
  'conflict',
  'refused',
  'carried',
]

export async function readStatus(sql: Sql, product: string | undefined): Promise<UsageStatus> {
  const mine = product ?? null
  const counts = await sql.all(
    'SELECT state, SUM(records) AS n FROM record_count WHERE (?1 IS NULL OR product = ?1) GROUP BY state',
    mine,
  )
  const found = new Map(counts.map((row) => [text(row.state), int(row.n)]))
  const oldest = await sql.get(
    `SELECT hour, deadline, product FROM usage_record WHERE state IN ('ready', 'sent') AND (?1 IS NULL OR product = ?1) ORDER BY deadline, seq LIMIT 1`,
    mine,
  )
  const buckets = await sql.all(
    'SELECT b.status, COUNT(*) AS n FROM bucket b JOIN meter m ON m.seq = b.meter WHERE b.status < 2 AND (?1 IS NULL OR m.product = ?1) GROUP BY b.status',
    mine,
  )
  const byStatus = new Map(buckets.map((row) => [int(row.status), int(row.n)]))
  const pending = await sql.all(
    `SELECT product, dimension, SUM(quantity) AS units FROM usage_record WHERE state IN ('ready', 'sent') AND (?1 IS NULL OR product = ?1) GROUP BY product, dimension`,
    mine,
  )
  const unbillable = await sql.all(
    `SELECT m.product, m.dimension, ${exactSum('b.unbillable', 'base')} FROM bucket b JOIN meter m ON m.seq = b.meter WHERE b.unbillable > 0 AND (?1 IS NULL OR m.product = ?1) GROUP BY m.product, m.dimension`,
    mine,
  )
  const late = await sql.get(
    `SELECT COUNT(*) FILTER (WHERE strftime('%Y-%m', e.time / 1000, 'unixepoch') <> strftime('%Y-%m', e.counted * 3600, 'unixepoch')) AS months,
       COUNT(*) FILTER (WHERE e.time < s.access_start) AS agreements
     FROM usage_event e JOIN meter m ON m.seq = e.meter JOIN subscription s ON s.seq = m.subscription WHERE e.state = 1 AND (?1 IS NULL OR m.product = ?1)`,
    mine,
  )
  return {
    records: Object.fromEntries(RECORD_STATES.map((state) => [state, found.get(state) ?? 0])) as Record<
      RecordState,
      number
    >,
    oldest: oldest && {
      hour: int(oldest.hour),
      deadline: int(oldest.deadline),
      product: text(oldest.product),
    },
    openBuckets: byStatus.get(0) ?? 0,
    heldBuckets: byStatus.get(1) ?? 0,
    pending: pending.map((row) => ({
      product: text(row.product),
      dimension: text(row.dimension),
      units: row.units as bigint,
    })),
    lateAcrossMonths: int(late!.months),
    lateAcrossAgreements: int(late!.agreements),
    unbillable: unbillable.map((row) => ({
      product: text(row.product),
      dimension: text(row.dimension),
      base: exact(row, 'base'),
    })),
  }
}

/**
 * Reads every meter three times over: its journal, its rows, its events. To be called on a snapshot: what is
 * compared must be of one moment.
 */
export async function auditMeters(
  sql: Sql,
  visit: (meters: readonly MeterAudit[]) => void | Promise<void>,
  pageSize: number,
): Promise<void> {
  const measured = await sumEvents(sql)
  let after = 0
  for (;;) {
    const meters = await sql.all(
      `SELECT m.seq, m.dimension, m.product, m.scale, m.carry, s.id AS subscription FROM meter m JOIN subscription s ON s.seq = m.subscription
       WHERE m.seq > ? ORDER BY m.seq LIMIT ?`,
      after,
      pageSize,
    )
    if (meters.length === 0) return
    const page: MeterAudit[] = []
    for (const meter of meters)
      page.push(await auditMeter(sql, meter, measured.get(int(meter.seq)) ?? new Map()))
    await visit(page)
    after = int(meters.at(-1)!.seq)
  }
}

interface EventSums {
  billable: bigint
  unbillable: bigint
}

/** One pass over all events: what they say that each bucket counts. */
async function sumEvents(sql: Sql): Promise<Map<number, Map<number, EventSums>>> {
  const sums = new Map<number, Map<number, EventSums>>()
  const rows = await sql.all(
    `SELECT meter, counted, state = 2 AS lost, ${exactSum('delta', 'delta')} FROM usage_event GROUP BY meter, counted, state = 2`,
  )
  for (const row of rows) {
    const meter = int(row.meter)
    const hours = sums.get(meter) ?? new Map<number, EventSums>()
    sums.set(meter, hours)
    const sum = hours.get(int(row.counted)) ?? { billable: 0n, unbillable: 0n }
    hours.set(int(row.counted), sum)
    if (row.lost === 1n) sum.unbillable += exact(row, 'delta')
    else sum.billable += exact(row, 'delta')
  }
  return sums
}

async function auditMeter(sql: Sql, meter: Row, events: Map<number, EventSums>): Promise<MeterAudit> {
  const seq = int(meter.seq)
  const balances = emptyAccounts()
  const rows = emptyAccounts()
  let measured = 0n
  const wrongBuckets: number[] = []
  const hours = new Set<number>()
  for (const bucket of await sql.all(
    'SELECT hour, quantity, unbillable, purged, purged_unbillable, status FROM bucket WHERE meter = ?',
    seq,
  )) {
    const hour = int(bucket.hour)
    hours.add(hour)
    const [quantity, unbillable] = [bucket.quantity as bigint, bucket.unbillable as bigint]
    const said = events.get(hour) ?? { billable: 0n, unbillable: 0n }
    const fromEvents = said.billable + (bucket.purged as bigint)
    const unbillableFromEvents = said.unbillable + (bucket.purged_unbillable as bigint)
    measured += fromEvents + unbillableFromEvents
    if (fromEvents !== quantity || unbillableFromEvents !== unbillable) wrongBuckets.push(hour)
    balances.measured -= quantity + unbillable
    balances.open += quantity
    balances.unbillable += unbillable
    if (bucket.status === 0n) rows.open += quantity
    if (bucket.status === 1n) rows.held += quantity
  }
  for (const [hour, said] of events) {
    if (hours.has(hour)) continue
    measured += said.billable + said.unbillable
    wrongBuckets.push(hour)
  }
  for (const row of await sql.all(
    `SELECT source, target, record IS NULL AS unrecorded, ${exactSum('amount', 'amount')} FROM transfer WHERE meter = ? GROUP BY source, target, record IS NULL`,
    seq,
  )) {
    const amount = exact(row, 'amount')
    // More than AWS takes at an end has no record.
    if (row.target === 'refused' && row.unrecorded === 1n) rows.refused += amount
    balances[text(row.source) as Account] -= amount
    balances[text(row.target) as Account] += amount
  }
  for (const row of await sql.all(
    'SELECT state, unit_base, SUM(quantity) AS units FROM usage_record WHERE meter = ? GROUP BY state, unit_base',
    seq,
  )) {
    // What was carried on is in `carry`, and in later records.
    if (row.state !== 'carried')
      rows[text(row.state) as Account] += (row.units as bigint) * (row.unit_base as bigint)
  }
  const included = await sql.get(`SELECT ${exactSum('used', 'used')} FROM included_used WHERE meter = ?`, seq)
  rows.measured = balances.measured
  rows.carry = meter.carry as bigint
  rows.included = exact(included, 'used')
  rows.unbillable = balances.unbillable
  // Booked nowhere but in the journal.
  rows.waived = balances.waived
  rows.forgiven = balances.forgiven
  return {
    subscription: text(meter.subscription),
    dimension: text(meter.dimension),
    product: text(meter.product),
    scale: int(meter.scale),
    balances,
    rows,
    measured,
    wrongBuckets: wrongBuckets.sort((a, b) => a - b),
  }
}

function emptyAccounts(): Record<Account, bigint> {
  return Object.fromEntries(ACCOUNTS.map((account) => [account, 0n])) as Record<Account, bigint>
}

/** Forgets events timed before the horizon's hour; what they counted stays in their buckets. */
export async function purgeEvents(sql: Sql, horizon: number): Promise<number> {
  const hour = hourOf(horizon)
  const known = Number(text((await sql.get(`SELECT value FROM ledger WHERE name = 'horizon'`))!.value))
  if (hourStart(hour) <= known) return 0
  // What never was cannot be forgotten: an import may still reach back further than events do.
  if ((await sql.get('SELECT 1 AS one FROM event_hour WHERE hour < ? LIMIT 1', hour)) === undefined) return 0
  for (const [column, condition] of [
    ['purged', 'state < 2'],
    ['purged_unbillable', 'state = 2'],
  ] as const) {
    await sql.run(
      `UPDATE bucket SET ${column} = ${column} + e.delta FROM (SELECT meter, counted, SUM(delta) AS delta FROM usage_event WHERE hour < ?1 AND ${condition} GROUP BY meter, counted) e
       WHERE bucket.meter = e.meter AND bucket.hour = e.counted`,
      hour,
    )
  }
  const { changes } = await sql.run('DELETE FROM usage_event WHERE hour < ?', hour)
  await sql.run('DELETE FROM event_hour WHERE hour < ?', hour)
  await sql.run(
    'DELETE FROM seen_value WHERE period < ?',
    new Date(monthStart(hourStart(hour))).toISOString().slice(0, 7),
  )
  await sql.run(
    'DELETE FROM peak WHERE period < ?',
    new Date(monthStart(hourStart(hour))).toISOString().slice(0, 7),
  )
  await sql.run(`UPDATE ledger SET value = ? WHERE name = 'horizon'`, String(hourStart(hour)))
  return changes
}
