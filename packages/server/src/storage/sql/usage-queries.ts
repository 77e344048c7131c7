import { DomainError } from '../../domain/error.ts'
import { ACCOUNTS, type Account } from '../../domain/usage/account.ts'
import { AWS_RULES, MARGINS } from '../../domain/usage/aws-rules.ts'
import { hourStart, monthStart } from '../../domain/usage/hour.ts'
import { UNTAGGED } from '../../domain/usage/tags.ts'
import { lastOverdueHour, unsealedByProduct } from '../../domain/usage/usage-at-risk.ts'
import { meteringRecordId } from '../../domain/usage/usage-event.ts'
import type { RecordState, UsageRecord } from '../../domain/usage/usage-record.ts'
import type {
  Attempt,
  BaseAmount,
  BucketKey,
  MeterAudit,
  Page,
  StatusAt,
  UnsealedHours,
  UsageBucket,
  UsageEventRow,
  UsageStatus,
  UsageStore,
} from '../../domain/usage/usage-store.ts'
import type { Row, Sql, SqlDatabase, SqlValue } from './database.ts'
import {
  BUCKET_COLUMNS,
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
export function exactSum(expression: string, name: string): string {
  return `SUM((${expression}) / ${HALF}) AS ${name}_high, SUM((${expression}) % ${HALF}) AS ${name}_low`
}
export function exact(row: Row | undefined, name: string): bigint {
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

type BucketFilter = Parameters<UsageStore['listBuckets']>[0]

/** Meters whose hours are read one after the other; of more, hours are read as they come. */
const METERS_MERGED_MAX = 50

export async function listBuckets(sql: Sql, filter: BucketFilter): Promise<Page<UsageBucket>> {
  const meters = await findMeters(sql, filter)
  const rows = meters === undefined ? await listByHour(sql, filter) : await listByMeter(sql, filter, meters)
  const last = rows.at(-1)
  return {
    items: rows.map(toBucket),
    next: rows.length === filter.limit && last !== undefined ? `${last.hour}.${last.meter}` : undefined,
  }
}

/** The meters that a filter fits, where they are few. */
async function findMeters(sql: Sql, filter: BucketFilter): Promise<number[] | undefined> {
  if (filter.product === undefined && filter.subscription === undefined && filter.dimension === undefined)
    return undefined
  const { where, values } = conditions([
    ['m.product = ?', filter.product],
    ['s.id = ?', filter.subscription],
    ['m.dimension = ?', filter.dimension],
  ])
  const rows = await sql.all(
    `SELECT m.seq FROM meter m JOIN subscription s ON s.seq = m.subscription ${where} LIMIT ?`,
    ...values,
    METERS_MERGED_MAX + 1,
  )
  return rows.length > METERS_MERGED_MAX ? undefined : rows.map(({ seq }) => int(seq))
}

/** The newest of each meter, and of these the newest. */
async function listByMeter(sql: Sql, filter: BucketFilter, meters: readonly number[]): Promise<Row[]> {
  const { where, values } = bucketConditions(filter)
  const rows: Row[] = []
  for (const meter of meters) {
    const found = await sql.all(
      `SELECT ${BUCKET_COLUMNS} FROM bucket b ${isUnsealed(filter) ? 'INDEXED BY bucket_unsealed' : ''} CROSS JOIN meter m ON m.seq = b.meter CROSS JOIN subscription s ON s.seq = m.subscription
       WHERE b.meter = ? AND ${where} ORDER BY b.hour DESC LIMIT ?`,
      meter,
      ...values,
      filter.limit,
    )
    rows.push(...found)
  }
  return rows.sort((a, b) => int(b.hour) - int(a.hour) || int(b.meter) - int(a.meter)).slice(0, filter.limit)
}

async function listByHour(sql: Sql, filter: BucketFilter): Promise<Row[]> {
  const { where, values } = bucketConditions(filter)
  const index = { open: 'bucket_open', held: 'bucket_held', closed: 'bucket_hour' }[filter.status ?? 'closed']
  return sql.all(
    `SELECT ${BUCKET_COLUMNS} FROM bucket b INDEXED BY ${index} CROSS JOIN meter m ON m.seq = b.meter CROSS JOIN subscription s ON s.seq = m.subscription
     WHERE ${where} AND m.product = COALESCE(?, m.product) AND m.dimension = COALESCE(?, m.dimension) ORDER BY b.hour DESC, b.meter DESC LIMIT ?`,
    ...values,
    filter.product ?? null,
    filter.dimension ?? null,
    filter.limit,
  )
}

function isUnsealed({ status }: BucketFilter): boolean {
  return status === 'open' || status === 'held'
}

/** Written out, not bound: only so does SQLite see that a partial index will do. */
const STATUS_CONDITION = {
  open: 'b.status < 2 AND b.status = 0',
  held: 'b.status < 2 AND b.status = 1',
  closed: 'b.status >= 2',
  any: 'TRUE',
} as const

function bucketConditions({ status, from, to, cursor }: BucketFilter): { where: string; values: SqlValue[] } {
  const [hour, meter] = (cursor ?? `${Number.MAX_SAFE_INTEGER}.0`).split('.').map(Number)
  return {
    where: `${STATUS_CONDITION[status ?? 'any']} AND b.hour BETWEEN ? AND ? AND (b.hour, b.meter) < (?, ?)`,
    values: [from ?? 0, Math.min(to ?? Number.MAX_SAFE_INTEGER, hour!), hour!, meter!],
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

export async function listAttempts(
  sql: Sql,
  { record, limit, cursor }: Parameters<UsageStore['listAttempts']>[0],
): Promise<Page<Attempt>> {
  const rows = await sql.all(
    `SELECT a.*, q.body, (SELECT string_agg(o.id, ' ') FROM attempt_record x JOIN usage_record o ON o.seq = x.record WHERE x.attempt = a.seq) AS records
     FROM usage_record r CROSS JOIN attempt_record ar ON ar.record = r.seq CROSS JOIN attempt a ON a.seq = ar.attempt CROSS JOIN request q ON q.seq = a.request
     WHERE r.id = ? AND ar.attempt > COALESCE((SELECT seq FROM attempt WHERE id = ?), 0) ORDER BY ar.attempt LIMIT ?`,
    record,
    cursor ?? null,
    limit,
  )
  const items = rows.map((row) => ({
    id: text(row.id),
    product: text(row.product),
    region: text(row.region),
    startedAt: int(row.started_at),
    finishedAt: optionalInt(row.finished_at),
    outcome: text(row.outcome) as Attempt['outcome'],
    records: text(row.records).split(' '),
    request: text(row.body),
    response: optionalText(row.response),
  }))
  return { items, next: items.length === limit ? items.at(-1)?.id : undefined }
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
     ) found ORDER BY time, id LIMIT ?4`,
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

/** Reads what is kept as counts, or by an index of the few rows that matter: never the history. */
export async function readStatus(
  sql: Sql,
  product: string | undefined,
  at: StatusAt | undefined,
): Promise<UsageStatus> {
  const mine = product ?? null
  const counts = await sql.all(
    'SELECT product, dimension, state, SUM(records) AS records, SUM(units) AS units FROM record_count WHERE (?1 IS NULL OR product = ?1) GROUP BY product, dimension, state ORDER BY product, dimension',
    mine,
  )
  const records = Object.fromEntries(RECORD_STATES.map((state) => [state, 0])) as Record<RecordState, number>
  const pending = new Map<string, { product: string; dimension: string; units: bigint }>()
  for (const row of counts) {
    const state = text(row.state) as RecordState
    records[state] += int(row.records)
    if ((state !== 'ready' && state !== 'sent') || row.records === 0n) continue
    const key = `${row.product}\n${row.dimension}`
    const units = (pending.get(key)?.units ?? 0n) + (row.units as bigint)
    pending.set(key, { product: text(row.product), dimension: text(row.dimension), units })
  }
  const held = await readHeld(sql, mine)
  const overdue = at === undefined ? [] : await readOverdue(sql, mine, at.now)
  const unsealed = [...held, ...overdue].map((hours) => ({ ...hours, hour: hours.oldestHour }))
  const unsettled = await readUnsettled(sql, [...new Set(counts.map((row) => text(row.product)))])
  const [oldest] = [...unsealed, ...unsettled].sort((a, b) => a.deadline - b.deadline || a.hour - b.hour)
  const late = await sql.get(
    'SELECT COALESCE(SUM(months), 0) AS months, COALESCE(SUM(agreements), 0) AS agreements FROM late_across WHERE (?1 IS NULL OR product = ?1)',
    mine,
  )
  return {
    records,
    oldest: oldest && { hour: oldest.hour, deadline: oldest.deadline, product: oldest.product },
    openBuckets: await countBuckets(sql, 'b INDEXED BY bucket_open', 'b.status = 0', product),
    heldBuckets: held.reduce((sum, { buckets }) => sum + buckets, 0),
    overdue,
    held,
    pending: [...pending.values()],
    carried: at === undefined ? [] : await readCarried(sql, product, at),
    refusedUnrecorded: await readLost(sql, mine, `t.target = 'refused' AND t.record IS NULL`, 't.amount'),
    forgiven: await readLost(
      sql,
      mine,
      `(t.source = 'forgiven' OR t.target = 'forgiven')`,
      `CASE WHEN t.target = 'forgiven' THEN t.amount ELSE -t.amount END`,
    ),
    lateAcrossMonths: int(late!.months),
    lateAcrossAgreements: int(late!.agreements),
    unbillable: toAmounts(
      await sql.all(
        `SELECT m.product, m.dimension, ${exactSum('b.unbillable', 'base')} FROM bucket b INDEXED BY bucket_unbillable CROSS JOIN meter m ON m.seq = b.meter
         WHERE b.unbillable > 0 AND (?1 IS NULL OR m.product = ?1) GROUP BY m.product, m.dimension`,
        mine,
      ),
    ),
  }
}

function toAmounts(rows: readonly Row[]): BaseAmount[] {
  return rows.map((row) => ({
    product: text(row.product),
    dimension: text(row.dimension),
    base: exact(row, 'base'),
  }))
}

async function countBuckets(
  sql: Sql,
  indexed: string,
  condition: string,
  product: string | undefined,
): Promise<number> {
  const row =
    product === undefined
      ? await sql.get(`SELECT COUNT(*) AS n FROM bucket ${indexed} WHERE ${condition}`)
      : await sql.get(
          `SELECT COUNT(*) AS n FROM bucket ${indexed} CROSS JOIN meter m ON m.seq = b.meter WHERE ${condition} AND m.product = ?`,
          product,
        )
  return int(row!.n)
}

/** Of each product, the sealed hour that AWS stops taking first. */
async function readUnsettled(sql: Sql, products: readonly string[]) {
  const found: { product: string; hour: number; deadline: number }[] = []
  for (const product of products) {
    const row = await sql.get(
      `SELECT hour, deadline FROM usage_record INDEXED BY usage_record_due WHERE product = ? AND state IN ('ready', 'sent') ORDER BY deadline, seq LIMIT 1`,
      product,
    )
    if (row !== undefined) found.push({ product, hour: int(row.hour), deadline: int(row.deadline) })
  }
  return found
}

const UNSEALED = 'SELECT m.product, b.hour, COUNT(*) AS n, MIN(s.final_window_end) AS final FROM'
const OF_METER = 'CROSS JOIN meter m ON m.seq = b.meter CROSS JOIN subscription s ON s.seq = m.subscription'

async function readHeld(sql: Sql, product: string | null): Promise<UnsealedHours[]> {
  const rows = await sql.all(
    `${UNSEALED} bucket b INDEXED BY bucket_held ${OF_METER} WHERE b.status = 1 AND (?1 IS NULL OR m.product = ?1) GROUP BY m.product, b.hour`,
    product,
  )
  return byProduct(rows)
}

/** Open hours that AWS soon takes no more, and those of subscriptions whose final window is about to close. */
async function readOverdue(sql: Sql, product: string | null, now: number): Promise<UnsealedHours[]> {
  const last = lastOverdueHour(now)
  const old = await sql.all(
    `${UNSEALED} bucket b INDEXED BY bucket_open ${OF_METER} WHERE b.status = 0 AND b.hour <= ?2 AND (?1 IS NULL OR m.product = ?1) GROUP BY m.product, b.hour`,
    product,
    last,
  )
  const ended = await sql.all(
    `${UNSEALED} subscription s INDEXED BY subscription_ended CROSS JOIN meter m ON m.subscription = s.seq CROSS JOIN bucket b INDEXED BY bucket_unsealed ON b.meter = m.seq
     WHERE s.access_end > ?2 AND s.final_window_end <= ?3 AND b.status < 2 AND b.status = 0 AND b.hour > ?4 AND (?1 IS NULL OR m.product = ?1) GROUP BY m.product, b.hour`,
    product,
    hourStart(last) - AWS_RULES.lateWindowMs,
    now + MARGINS.lastSealBeforeGoodbyeMs,
    last,
  )
  return byProduct([...old, ...ended])
}

function byProduct(rows: readonly Row[]): UnsealedHours[] {
  return unsealedByProduct(
    rows.map((row) => ({
      product: text(row.product),
      hour: int(row.hour),
      buckets: int(row.n),
      finalWindowEnd: optionalInt(row.final),
    })),
  )
}

async function readCarried(
  sql: Sql,
  product: string | undefined,
  { units }: StatusAt,
): Promise<BaseAmount[]> {
  const found: BaseAmount[] = []
  for (const unit of units) {
    if (product !== undefined && unit.product !== product) continue
    const row = await sql.get(
      `SELECT ${exactSum('carry', 'base')} FROM meter INDEXED BY meter_carry WHERE product = ? AND dimension = ? AND carry >= ?`,
      unit.product,
      unit.dimension,
      unit.base,
    )
    const base = exact(row, 'base')
    if (base > 0n) found.push({ ...unit, base })
  }
  return found
}

/** What the journal says is lost: few rows, with an index of their own. */
async function readLost(
  sql: Sql,
  product: string | null,
  condition: string,
  amount: string,
): Promise<BaseAmount[]> {
  const rows = await sql.all(
    `SELECT m.product, m.dimension, ${exactSum(amount, 'base')} FROM transfer t INDEXED BY transfer_lost CROSS JOIN meter m ON m.seq = t.meter
     WHERE (t.source = 'forgiven' OR t.target = 'forgiven' OR (t.target = 'refused' AND t.record IS NULL)) AND ${condition} AND (?1 IS NULL OR m.product = ?1)
     GROUP BY m.product, m.dimension`,
    product,
  )
  return toAmounts(rows)
}

/**
 * Reads every meter three times over: its journal, its rows, its events. To be called on a snapshot: what is
 * compared must be of one moment.
 */
export async function auditMeters(
  sql: Sql,
  engine: SqlDatabase['engine'],
  visit: (meters: readonly MeterAudit[]) => void | Promise<void>,
  pageSize: number,
): Promise<void> {
  // Where events lie in the order of time, one pass over all of them; else those of each page's meters.
  const all = engine === 'sqlite' ? await sumEvents(sql, ALL_METERS) : undefined
  let after = 0
  for (;;) {
    const meters = await sql.all(
      `SELECT m.seq, m.dimension, m.product, m.scale, m.carry, s.id AS subscription FROM meter m JOIN subscription s ON s.seq = m.subscription
       WHERE m.seq > ? ORDER BY m.seq LIMIT ?`,
      after,
      pageSize,
    )
    if (meters.length === 0) return
    const last = int(meters.at(-1)!.seq)
    const measured = all ?? (await sumEvents(sql, { after, last }))
    const page: MeterAudit[] = []
    for (const meter of meters)
      page.push(await auditMeter(sql, meter, measured.get(int(meter.seq)) ?? new Map()))
    await visit(page)
    after = last
  }
}

interface EventSums {
  billable: bigint
  unbillable: bigint
}

const ALL_METERS = { after: 0, last: Number.MAX_SAFE_INTEGER }

/** What events say that each bucket counts. */
async function sumEvents(
  sql: Sql,
  { after, last }: typeof ALL_METERS,
): Promise<Map<number, Map<number, EventSums>>> {
  const sums = new Map<number, Map<number, EventSums>>()
  const rows = await sql.all(
    `SELECT meter, counted, state = 2 AS lost, ${exactSum('delta', 'delta')} FROM usage_event WHERE meter > ? AND meter <= ? GROUP BY meter, counted, state = 2`,
    after,
    last,
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
