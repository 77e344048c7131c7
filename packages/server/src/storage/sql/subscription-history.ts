import type { AuditEntry } from '../../domain/audit/audit-trail.ts'
import type { Agreement } from '../../domain/subscriptions/agreement.ts'
import { subscriptionOf } from '../../domain/subscriptions/follow.ts'
import type { KeptEvent } from '../../domain/subscriptions/marketplace-event.ts'
import { licenseTail, type Subscription } from '../../domain/subscriptions/subscription.ts'
import type { HistoryEntry, SubscriptionHistory } from '../../domain/subscriptions/subscription-history.ts'
import { toAlarm } from './alarms.ts'
import { toAuditEntry } from './audit-trail.ts'
import { toAgreement, toKeptEvent } from './buyer-case-store.ts'
import type { Row, Sql, SqlDatabase } from './database.ts'
import { int, optionalText } from './rows.ts'

export function createSqlSubscriptionHistory(database: SqlDatabase): SubscriptionHistory {
  return {
    list: (subscription, page) => database.read((sql) => list(sql, subscription, page)),
    findAgreement: (subscription) =>
      database.read(async (sql) => (await findAgreements(sql, subscription))[0]?.agreement),
    findCreation: (id) =>
      database.read(async (sql) => {
        const row = await sql.get(
          `SELECT after FROM audit_entry WHERE subject = ? AND action = 'subscription.create' ORDER BY seq LIMIT 1`,
          id,
        )
        const after = optionalText(row?.after)
        return after === undefined ? undefined : (JSON.parse(after) as Subscription)
      }),
    findEndReason: (id) =>
      database.read(async (sql) => {
        const row = await sql.get(
          `SELECT json_extract(data, '$.reason') AS reason FROM domain_event
           WHERE subscription = ? AND type IN ('subscription.cancelling', 'subscription.failed') ORDER BY seq DESC LIMIT 1`,
          id,
        )
        return optionalText(row?.reason)
      }),
    readUnsettled: (id) =>
      database.read(async (sql) => {
        const hours = await sql.all(
          `SELECT b.status, COUNT(*) AS n FROM ${METERS_OF} CROSS JOIN bucket b INDEXED BY bucket_unsealed ON b.meter = m.seq
           WHERE s.id = ? AND b.status < 2 GROUP BY b.status`,
          id,
        )
        const records = await sql.all(
          `SELECT r.state, COUNT(*) AS n FROM ${METERS_OF} CROSS JOIN usage_record r INDEXED BY usage_record_meter ON r.meter = m.seq
           WHERE s.id = ? AND r.state IN ('ready', 'sent', 'in_doubt') GROUP BY r.state`,
          id,
        )
        const count = (rows: readonly Row[], fits: (row: Row) => boolean) =>
          rows.filter(fits).reduce((sum, row) => sum + int(row.n), 0)
        return {
          openHours: count(hours, ({ status }) => status === 0n),
          heldHours: count(hours, ({ status }) => status === 1n),
          unsentRecords: count(records, ({ state }) => state !== 'in_doubt'),
          inDoubtRecords: count(records, ({ state }) => state === 'in_doubt'),
        }
      }),
    listAlarms: (id) =>
      database.read(async (sql) => {
        const rows = await sql.all('SELECT * FROM alarm WHERE subject = ? ORDER BY last_at DESC, kind', id)
        return rows.map(toAlarm)
      }),
  }
}

const METERS_OF = 'subscription s CROSS JOIN meter m ON m.subscription = s.seq'

/** Places in the two lists that a history is merged from: the last ones that were shown. */
interface Place {
  readonly entry: number
  readonly event: number
}

const START: Place = { entry: Number.MAX_SAFE_INTEGER, event: Number.MAX_SAFE_INTEGER }

async function list(
  sql: Sql,
  subscription: Subscription,
  { limit, cursor }: { limit: number; cursor?: string | undefined },
) {
  let place = cursor === undefined ? START : readPlace(cursor)
  const entries = await listEntries(sql, subscription.id, place, limit)
  const events = await listEvents(sql, subscription, place, limit)
  const items: HistoryEntry[] = []
  // Each list is in its own order of coming; the later head of the two is next.
  while (items.length < limit && entries.length + events.length > 0) {
    const [entry, event] = [entries[0], events[0]]
    if (event === undefined || (entry !== undefined && entry.entry.at >= event.kept.receivedAt)) {
      items.push({ kind: 'change', entry: entry!.entry })
      place = { ...place, entry: entry!.seq }
      entries.shift()
    } else {
      items.push({ kind: 'event', kept: event.kept })
      place = { ...place, event: event.seq }
      events.shift()
    }
  }
  return { items, next: items.length === limit ? `${place.entry}.${place.event}` : undefined }
}

function readPlace(cursor: string): Place {
  const [entry, event] = cursor.split('.').map(Number)
  return { entry: entry ?? 0, event: event ?? 0 }
}

async function listEntries(
  sql: Sql,
  subscription: string,
  { entry }: Place,
  limit: number,
): Promise<{ seq: number; entry: AuditEntry }[]> {
  const rows = await sql.all(
    'SELECT * FROM audit_entry WHERE subject = ? AND seq < ? ORDER BY seq DESC LIMIT ?',
    subscription,
    entry,
    limit,
  )
  return rows.map((row) => ({ seq: int(row.seq), entry: toAuditEntry(row) }))
}

/** Those of its agreement's facts, and notices that name the agreement. */
async function listEvents(
  sql: Sql,
  subscription: Subscription,
  { event }: Place,
  limit: number,
): Promise<{ seq: number; kept: KeptEvent }[]> {
  const agreements = await findAgreements(sql, subscription)
  const names = new Set(
    [subscription.agreementId, ...agreements.map(({ agreement }) => agreement.agreementId)].filter(
      (name) => name !== undefined,
    ),
  )
  const columns = 'e.seq, e.event, e.agreement, e.received_at, a.subscription'
  const rows: Row[] = []
  for (const { seq } of agreements) {
    rows.push(
      ...(await sql.all(
        `SELECT ${columns} FROM marketplace_event e JOIN agreement a ON a.seq = e.agreement WHERE e.agreement = ? AND e.seq < ? ORDER BY e.seq DESC LIMIT ?`,
        seq,
        event,
        limit,
      )),
    )
  }
  for (const name of names) {
    rows.push(
      ...(await sql.all(
        `SELECT e.seq, e.event, e.agreement, e.received_at, NULL AS subscription FROM marketplace_event e INDEXED BY marketplace_event_notice
         WHERE e.agreement IS NULL AND json_extract(e.event, '$.agreementId') = ? AND e.seq < ? ORDER BY e.seq DESC LIMIT ?`,
        name,
        event,
        limit,
      )),
    )
  }
  return rows
    .map((row) => ({ seq: int(row.seq), kept: toKeptEvent(row) }))
    .sort((a, b) => b.seq - a.seq)
    .slice(0, limit)
}

/** What AWS named that this subscription follows, or followed before another one took its place. */
async function findAgreements(
  sql: Sql,
  subscription: Subscription,
): Promise<{ seq: number; agreement: Agreement }[]> {
  const { product, agreementId, licenseArn, customerIdentifier } = subscription
  const found = new Map<number, Agreement>()
  const add = async (condition: string, ...values: readonly string[]) => {
    const rows = await sql.all(`SELECT seq, facts FROM agreement WHERE ${condition} ORDER BY seq`, ...values)
    for (const row of rows) {
      const agreement = toAgreement(row)
      if (subscriptionOf(agreement, [subscription]) !== undefined) found.set(int(row.seq), agreement)
    }
  }
  if (agreementId !== undefined) await add('key = ?', agreementId)
  if (licenseArn !== undefined)
    await add('license_tail = ? AND product = ?', licenseTail(licenseArn), product)
  else if (customerIdentifier !== undefined)
    await add('product = ? AND customer_identifier = ?', product, customerIdentifier)
  return [...found].map(([seq, agreement]) => ({ seq, agreement }))
}
