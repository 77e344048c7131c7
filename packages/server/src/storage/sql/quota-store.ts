import { EMPTY_COUNTER } from '../../domain/quotas/quota.ts'
import type { Admission, Exchange, QuotaStore } from '../../domain/quotas/quota-store.ts'
import { groupWrites } from '../ingest/group-calls.ts'
import { keyText } from '../ingest/key-text.ts'
import { type Asked, counterName } from '../quota/counters.ts'
import { createGateBook, type GateBook, judgeAdmissions } from '../quota/gate-book.ts'
import { askedBy, exchangeOn, quotaSteps } from '../quota/quota-steps.ts'
import type { Sql, SqlDatabase } from './database.ts'
import { refuseWhileWaiting } from './ledger-guard.ts'
import {
  addAdmissions,
  findReservations,
  loadGates,
  readAdmissions,
  readCounters,
  toReservation,
  writeGates,
} from './quota-rows.ts'

interface Call {
  readonly admission: Admission
  readonly now: number
}

interface ExchangeCall {
  readonly exchange: Exchange
  readonly asked: Asked
  readonly now: number
}

/** Quotas in SQL. */
export function createSqlQuotaStore(database: SqlDatabase): QuotaStore {
  /** Judges on what it has locked, and writes what that came to. */
  const step = <T>(
    asked: readonly Asked[],
    now: number,
    ids: readonly string[],
    judge: (book: GateBook, sql: Sql) => T | Promise<T>,
  ) =>
    database.transaction(
      async (sql) => {
        // What is counted in a ledger that goes on elsewhere would be lost.
        await refuseWhileWaiting(sql)
        const book = createGateBook(await loadGates(sql, database.engine, asked, now, ids))
        const answer = await judge(book, sql)
        await writeGates(sql, book.changes())
        return answer
      },
      { locksRows: true },
    )
  const admit = groupWrites({ what: 'use', weightOf: () => 1 }, (calls: readonly Call[]) => {
    const admissions = calls.map(({ admission }) => admission)
    const now = Math.max(...calls.map((call) => call.now))
    return step(admissions, now, [], async (book, sql) => {
      const before = await readAdmissions(
        sql,
        admissions.map(({ key }) => key),
      )
      const { outcomes, admitted } = judgeAdmissions(book, calls, (id) => before.get(id))
      await addAdmissions(sql, admitted, now)
      return outcomes
    })
  })
  // What was given back must not be given back twice.
  const exchange = groupWrites(
    { what: 'use', weightOf: () => 1, isRepeatable: false },
    (calls: readonly ExchangeCall[]) =>
      step(
        calls.map(({ asked }) => asked),
        Math.max(...calls.map((call) => call.now)),
        [],
        (book) => calls.map(({ asked, exchange: exchanged, now }) => exchangeOn(book, asked, exchanged, now)),
      ),
  )
  return {
    read: (keys) =>
      database.read(async (sql) => {
        const found = await readCounters(sql, keys)
        return keys.map((key) => found.get(counterName(key)) ?? EMPTY_COUNTER)
      }),
    isAdmitted: (keys) =>
      database.read(async (sql) => {
        const found = await readAdmissions(sql, keys)
        return keys.map((key) => found.has(keyText(key)))
      }),
    admit: (admission, now) => admit({ admission, now }),
    findReservation: (id) =>
      database.read(async (sql) => {
        const [row] = await findReservations(sql, [id])
        return row && toReservation(row)
      }),
    areHeld: (owners, now) =>
      database.read(async (sql) => {
        const found: boolean[] = []
        for (const { holder, dimension } of owners) {
          const rows = await sql.all(
            `SELECT id FROM quota_reservation WHERE state = 'held' AND holder = ? AND dimension = ? AND expires_at > ? LIMIT 1`,
            holder,
            dimension,
            now,
          )
          found.push(rows.length > 0)
        }
        return found
      }),
    ...quotaSteps(step),
    exchange: (exchanged, now) => exchange({ exchange: exchanged, asked: askedBy(exchanged), now }),
    async expire(now, limit) {
      const ids = await database.read((sql) =>
        sql.all(
          `SELECT id FROM quota_reservation WHERE state = 'held' AND expires_at <= ? ORDER BY expires_at LIMIT ?`,
          now,
          limit,
        ),
      )
      const due = ids.map(({ id }) => id as string)
      if (due.length > 0)
        await step([], now, due, (book) => {
          for (const id of due) book.expire(id, now)
        })
      return due.length
    },
    async purge(before, limit) {
      let purged = 0
      for (const { table, key, over } of FORGOTTEN) {
        const { changes } = await database.transaction((sql) =>
          sql.run(
            `DELETE FROM ${table} WHERE (${key}) IN (SELECT ${key} FROM ${table} WHERE ${over} < ? LIMIT ?)`,
            before,
            limit,
          ),
        )
        purged += changes
      }
      return purged
    },
  }
}

/** When what a row says is over. */
const FORGOTTEN = [
  { table: 'quota_admission', key: 'key', over: 'at' },
  { table: 'quota_reservation', key: 'id', over: `state <> 'held' AND expires_at` },
  { table: 'quota_counter', key: 'holder, dimension, per, start', over: 'ends_at' },
] as const
