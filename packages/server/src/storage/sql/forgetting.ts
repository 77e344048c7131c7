import type { Hour } from '../../domain/usage/hour.ts'
import type { Sql, SqlDatabase, SqlValue } from './database.ts'
import { int } from './rows.ts'

/** Events forgotten in one transaction: requests wait for it. */
const SLICE_EVENTS = 5_000
/** After every key: keys are 16 bytes. */
const KEYS_END = new Uint8Array(17).fill(255)

interface Forgetting {
  /** Finds the oldest hour that has events. */
  readonly oldest: string
  /** Forgets some events of an hour. @returns how many */
  forgetSlice(sql: Sql, hour: Hour): Promise<number>
}

/** Each engine keeps events in another order. */
export const FORGETTING: Readonly<Record<SqlDatabase['engine'], Forgetting>> = {
  sqlite: {
    oldest: 'SELECT hour FROM event_hour ORDER BY hour LIMIT 1',
    async forgetSlice(sql, hour) {
      const next = await sql.get(
        'SELECT key FROM usage_event WHERE hour = ? ORDER BY key LIMIT 1 OFFSET ?',
        hour,
        SLICE_EVENTS,
      )
      const end = (next?.key as Uint8Array | undefined) ?? KEYS_END
      const gone = await sql.all(
        `SELECT meter, counted, state = 2 AS lost, SUM(delta) AS delta FROM usage_event WHERE hour = ? AND key < ? GROUP BY meter, counted, state = 2`,
        hour,
        end,
      )
      for (const { meter, counted, lost, delta } of gone)
        await notePurged(sql, lost === 1n, delta!, meter!, counted!)
      const { changes } = await sql.run('DELETE FROM usage_event WHERE hour = ? AND key < ?', hour, end)
      if (next === undefined) await sql.run('DELETE FROM event_hour WHERE hour = ?', hour)
      return changes
    },
  },
  postgres: {
    oldest: 'SELECT hour FROM usage_event ORDER BY hour LIMIT 1',
    async forgetSlice(sql, hour) {
      const gone = await sql.all(
        `WITH gone AS (DELETE FROM usage_event WHERE key IN (SELECT key FROM usage_event WHERE hour = ? LIMIT ?) RETURNING meter, counted, delta, state)
         SELECT meter, counted, state = 2 AS lost, COUNT(*) AS events, SUM(delta) AS delta FROM gone GROUP BY meter, counted, state = 2`,
        hour,
        SLICE_EVENTS,
      )
      let events = 0
      for (const row of gone) {
        events += int(row.events)
        await notePurged(sql, row.lost === 1n, row.delta!, row.meter!, row.counted!)
      }
      return events
    },
  },
}

/** What is forgotten stays counted. */
async function notePurged(
  sql: Sql,
  isUnbillable: boolean,
  delta: SqlValue,
  meter: SqlValue,
  hour: SqlValue,
): Promise<void> {
  const column = isUnbillable ? 'purged_unbillable' : 'purged'
  await sql.run(
    `UPDATE bucket SET ${column} = ${column} + ? WHERE meter = ? AND hour = ?`,
    delta,
    meter,
    hour,
  )
}
