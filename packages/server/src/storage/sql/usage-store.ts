import type { Subscription } from '../../domain/subscriptions/subscription.ts'
import { type LedgerWait, waitsForRelease } from '../../domain/usage/ledger-guard.ts'
import type { BucketKey, UsageStore } from '../../domain/usage/usage-store.ts'
import type { Slice } from '../../domain/work-share.ts'
import { clearAlarm, clearPoison, listAlarms, raiseAlarm } from './alarms.ts'
import { appendAudit } from './audit-trail.ts'
import type { SqlDatabase } from './database.ts'
import { purgeEvents } from './event-purge.ts'
import { claim, expire, listSendable, resolveRecord, settle } from './record-sender.ts'
import {
  BUCKET_COLUMNS,
  BUCKET_FROM,
  int,
  optionalInt,
  placeholders,
  SUBSCRIPTION_COLUMNS,
  text,
  toBucket,
  toSubscription,
} from './rows.ts'
import { sealSilence } from './silence.ts'
import { closeBucket } from './usage-closer.ts'
import {
  auditMeters,
  getRecord,
  listAttempts,
  listBuckets,
  listEvents,
  listRecords,
  listTransfers,
  readStatus,
} from './usage-queries.ts'

const AUDIT_PAGE = 500

/** On SQLite a key is found within its hour only. */
const FIND_EVENT = {
  sqlite: 'SELECT 1 AS one FROM event_hour h CROSS JOIN usage_event e WHERE e.hour = h.hour AND e.key = ?',
  postgres: 'SELECT 1 AS one FROM usage_event WHERE key = ?',
} as const

/** Takes usage events in: the one part of the ledger that each engine does in its own way. */
export interface EventWriter {
  record: UsageStore['record']
  /** Events timed before this are forgotten, ms: what is remembered of them may be, too. */
  forget(horizon: number): void
  /** What is under way has ended by then, or fails. */
  close(): Promise<void>
}

/** The usage ledger in SQL. */
export function createSqlUsageStore(database: SqlDatabase, writer: EventWriter): UsageStore {
  const ledgerValue = async (name: string) =>
    Number((await database.get('SELECT value FROM ledger WHERE name = ?', name))!.value)
  return {
    record: (events, now, epoch) => writer.record(events, now, epoch),
    isRecorded: (keys) =>
      database.read(async (sql) => {
        const found: boolean[] = []
        for (const key of keys) {
          const row = await sql.get(FIND_EVENT[database.engine], key)
          found.push(row !== undefined)
        }
        return found
      }),
    async epoch() {
      const row = await database.get(
        `SELECT e.value AS epoch, w.value AS wait FROM ledger e LEFT JOIN ledger w ON w.name = 'waiting' WHERE e.name = 'epoch'`,
      )
      if (row!.wait !== null) throw waitsForRelease(JSON.parse(text(row!.wait)) as LedgerWait)
      return int(row!.epoch)
    },
    horizon: () => ledgerValue('horizon'),

    listOpen: (product, hourMax, except, limit, cursor, slice) =>
      database.read(async (sql) => {
        const [hour, meter] = (cursor ?? '-1.-1').split('.').map(Number)
        const rows = await sql.all(
          `SELECT b.hour, b.meter, m.dimension, s.id AS subscription FROM bucket b INDEXED BY bucket_open CROSS JOIN meter m ON m.seq = b.meter CROSS JOIN subscription s ON s.seq = m.subscription
           WHERE b.status = 0 AND b.hour <= ?1 ${except.length === 0 ? '' : `AND b.hour NOT IN (${placeholders(except.length, 6)})`} AND (b.hour, b.meter) > (?2, ?3)
             AND m.product = ?4 AND (s.access_end IS NULL OR s.access_end > (?1 + 1) * 3600000)${inSlice(slice)} ORDER BY b.hour, b.meter LIMIT ?5`,
          hourMax,
          hour!,
          meter!,
          product,
          limit,
          ...except,
        )
        const items = rows.map(
          (row): BucketKey => ({
            subscription: text(row.subscription),
            dimension: text(row.dimension),
            hour: int(row.hour),
          }),
        )
        const last = rows.at(-1)
        return {
          items,
          next: rows.length === limit && last !== undefined ? `${last.hour}.${last.meter}` : undefined,
        }
      }),
    listOpenOfEnded: (product, now, limit, cursor, slice) =>
      database.read(async (sql) => {
        const [hour, meter] = (cursor ?? '-1.-1').split('.').map(Number)
        // The set of ended meters first: nearly all open buckets are of others, and need no look at their rows.
        const rows = await sql.all(
          `WITH ended AS MATERIALIZED (SELECT e.seq FROM subscription x JOIN meter e ON e.subscription = x.seq WHERE x.access_end <= ?4 AND e.product = ?3)
           SELECT b.hour, b.meter, m.dimension, s.id AS subscription, ${SUBSCRIPTION_COLUMNS} FROM bucket b INDEXED BY bucket_open CROSS JOIN meter m ON m.seq = b.meter CROSS JOIN subscription s ON s.seq = m.subscription
           WHERE b.status = 0 AND (b.hour, b.meter) > (?1, ?2)
             AND +b.meter IN (SELECT seq FROM ended)${inSlice(slice)}
           ORDER BY b.hour, b.meter LIMIT ?5`,
          hour!,
          meter!,
          product,
          now,
          limit,
        )
        const items = rows.map((row) => ({
          subscription: text(row.subscription),
          dimension: text(row.dimension),
          hour: int(row.hour),
          subscriptionRow: toSubscription(row),
        }))
        const last = rows.at(-1)
        return {
          items,
          next: rows.length === limit && last !== undefined ? `${last.hour}.${last.meter}` : undefined,
        }
      }),
    listProducts: () =>
      database.read(async (sql) => {
        // From one product's first subscription to the next one's: there may be a million in between.
        const rows = await sql.all(
          `WITH RECURSIVE found (product) AS (SELECT MIN(product) FROM subscription
             UNION ALL SELECT (SELECT MIN(s.product) FROM subscription s WHERE s.product > f.product) FROM found f WHERE f.product IS NOT NULL)
           SELECT product FROM found WHERE product IS NOT NULL`,
        )
        return rows.map((row) => text(row.product))
      }),
    listHeld: (product, limit) =>
      database.read(async (sql) => {
        const rows = await sql.all(
          `SELECT ${BUCKET_COLUMNS}, ${SUBSCRIPTION_COLUMNS} FROM ${BUCKET_FROM} WHERE b.status = 1 AND (?1 IS NULL OR m.product = ?1) ORDER BY b.hour, b.meter LIMIT ?2`,
          product ?? null,
          limit,
        )
        return rows.map((row) => ({
          bucket: toBucket(row),
          subscription: toSubscription(row) as Subscription,
        }))
      }),
    close: (keys, now, decide, needs) =>
      database.transaction(async (sql) => {
        const outcomes: ('closed' | 'held' | 'unchanged')[] = []
        for (const key of keys) outcomes.push(await closeBucket(sql, key, now, decide, needs))
        return outcomes
      }),
    sealSilence: (key, kind, record, now) =>
      database.transaction((sql) => sealSilence(sql, key, kind, record, now)),

    listSendable: (now) => database.read((sql) => listSendable(sql, now)),
    claim: (options) => database.transaction((sql) => claim(sql, options), { turn: 'sending' }),
    settle: (attempt, end, answers, judge) =>
      database.transaction((sql) => settle(sql, attempt, end, answers, judge)),
    expire: (now, limit, judge) =>
      database.transaction((sql) => expire(sql, now, limit, judge), { turn: 'sending' }),
    resolve: (record, verdict, actor, now) =>
      database.transaction(async (sql) => {
        const resolved = await resolveRecord(sql, record, verdict, actor, now)
        for (const kind of ['in_doubt', 'conflict'] as const) await clearAlarm(sql, kind, record)
        return resolved
      }),
    isolate: (product, kind, value, on) =>
      database.transaction(async (sql) => {
        if (on)
          await sql.run(
            'INSERT INTO isolation (product, kind, value) VALUES (?, ?, ?) ON CONFLICT DO NOTHING',
            product,
            kind,
            value,
          )
        else {
          const { changes } = await sql.run(
            'DELETE FROM isolation WHERE product = ? AND kind = ? AND value = ?',
            product,
            kind,
            value,
          )
          if (changes === 1) await clearPoison(sql, product, kind === 'dimension' ? value : undefined)
        }
      }),

    halt: (halt) =>
      database.transaction(async (sql) => {
        // A person's stop is not loosened by an error's.
        await sql.run(
          `INSERT INTO halt (product, reason, since, probe_at) VALUES (?, ?, ?, ?) ON CONFLICT (product) DO UPDATE SET reason = excluded.reason, probe_at = excluded.probe_at WHERE halt.probe_at IS NOT NULL OR excluded.probe_at IS NULL`,
          halt.product,
          halt.reason,
          halt.since,
          halt.probeAt ?? null,
        )
      }),
    resume: (product, actor, now) =>
      database.transaction(async (sql) => {
        const row = await sql.get('SELECT reason FROM halt WHERE product = ?', product)
        if (row === undefined) return false
        await sql.run('DELETE FROM halt WHERE product = ?', product)
        await clearAlarm(sql, 'halted', product)
        await appendAudit(sql, {
          at: now,
          actor,
          action: 'usage.resume',
          subject: product,
          before: { halted: text(row.reason) },
          after: undefined,
        })
        return true
      }),
    listHalts: () =>
      database.read(async (sql) =>
        (await sql.all('SELECT * FROM halt ORDER BY product')).map((row) => ({
          product: text(row.product),
          reason: text(row.reason),
          since: int(row.since),
          probeAt: optionalInt(row.probe_at),
        })),
      ),
    raise: (alarm) => database.transaction((sql) => raiseAlarm(sql, alarm)),
    clearAlarm: (kind, subject) => database.transaction((sql) => clearAlarm(sql, kind, subject)),
    listAlarms: (limit) => database.read((sql) => listAlarms(sql, limit)),

    listBuckets: (filter) => database.read((sql) => listBuckets(sql, filter)),
    listRecords: (filter) => database.read((sql) => listRecords(sql, filter)),
    getRecord: (id) => database.read((sql) => getRecord(sql, id)),
    listAttempts: (filter) => database.read((sql) => listAttempts(sql, filter)),
    listEvents: (key, limit) => database.read((sql) => listEvents(sql, key, limit)),
    listTransfers: (key) => database.read((sql) => listTransfers(sql, key)),
    status: (product, at) => database.read((sql) => readStatus(sql, product, at)),
    audit: (visit) => database.snapshot((sql) => auditMeters(sql, database.engine, visit, AUDIT_PAGE)),
    async purge(horizon, now) {
      const purged = await purgeEvents(database, horizon, now)
      writer.forget(await ledgerValue('horizon'))
      return purged
    },
  }
}

/** Subscriptions are numbered in the order of their coming: parts of them are of the same size. */
function inSlice(slice: Slice | undefined): string {
  return slice === undefined ? '' : ` AND m.subscription % ${slice.of} = ${slice.index}`
}
