import { HOUR_MS, type Hour, hourOf, hourStart, monthStart } from '../../domain/usage/hour.ts'
import type { Sql, SqlDatabase } from './database.ts'
import { FORGETTING } from './forgetting.ts'
import { int, optionalInt, text } from './rows.ts'

/** Meters, and tag sets, looked at in one transaction. */
const SLICE_METERS = 200
const SLICE_TAG_SETS = 2_000
/** Transactions in one run: other jobs wait for it. What is left is the next run's. */
const SLICES_MAX = 200
/** A clock that jumped further than this must go on for as long before it is believed. */
const TRUST_AFTER_MS = 24 * HOUR_MS
/** How often the clock is written down. */
const NOTE_CLOCK_MS = 10 * 60_000

/**
 * Forgets events timed before the horizon's hour, oldest first; what they counted stays in their buckets. Others
 * write and read between the slices.
 *
 * @param now - what the horizon was made of; see `trustsClock`
 */
export async function purgeEvents(
  database: SqlDatabase,
  horizon: number,
  now: number | undefined,
): Promise<number> {
  if (now !== undefined && !(await database.transaction((sql) => trustsClock(sql, now)))) return 0
  const before = hourOf(horizon)
  const { oldest, forgetSlice } = FORGETTING[database.engine]
  let purged = 0
  for (let slice = 0; slice < SLICES_MAX; slice++) {
    // What never was cannot be forgotten: an import may still reach back further than events do.
    const hour = optionalInt((await database.get(oldest))?.hour)
    if (hour === undefined || hour >= before) {
      if (purged > 0) await moveHorizon(database, before)
      break
    }
    // Before the first of its events is gone, or a repeat of what is forgotten would count again.
    await moveHorizon(database, hour + 1)
    purged += await database.transaction((sql) => forgetSlice(sql, hour))
    await breathe()
  }
  await purgePeriods(database)
  await purgeTagSets(database)
  return purged
}

/**
 * A purge cannot be taken back: what is older than its horizon is refused for good, whatever the clock says later. So a
 * clock that is a day or more ahead of when it was last asked, or behind, is believed only after it has gone on for
 * another day. After a real downtime, or on a virtual clock that was set ahead, that is a day's ids kept longer than needed
 * (events of that age are refused anyway); after a wrong clock that is put right, nothing happened.
 */
async function trustsClock(sql: Sql, now: number): Promise<boolean> {
  const row = await sql.get(`SELECT value FROM ledger WHERE name = 'clock'`)
  const known = row && (JSON.parse(text(row.value)) as { since: number; at: number })
  const goesOn = known !== undefined && Math.abs(now - known.at) <= TRUST_AFTER_MS
  const since = goesOn ? known.since : now
  if (!goesOn || Math.abs(now - known.at) >= NOTE_CLOCK_MS) {
    await sql.run(
      `INSERT INTO ledger (name, value) VALUES ('clock', ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value`,
      JSON.stringify({ since, at: now }),
    )
  }
  return now - since >= TRUST_AFTER_MS
}

/** From here on, what is timed before that hour is refused. */
async function moveHorizon(database: SqlDatabase, hour: Hour): Promise<void> {
  const known = await database.get(`SELECT value FROM ledger WHERE name = 'horizon'`)
  if (Number(text(known!.value)) >= hourStart(hour)) return
  await database.transaction(
    (sql) =>
      sql.run(
        `UPDATE ledger SET value = ?1 WHERE name = 'horizon' AND CAST(value AS BIGINT) < CAST(?1 AS BIGINT)`,
        String(hourStart(hour)),
      ),
    { excludesIngest: true },
  )
}

/** Peaks and values of months that no event can belong to any more: looked for once a month. */
async function purgePeriods(database: SqlDatabase): Promise<void> {
  const due = await database.read(async (sql) => {
    const horizon = Number(text((await sql.get(`SELECT value FROM ledger WHERE name = 'horizon'`))!.value))
    const month = new Date(monthStart(horizon)).toISOString().slice(0, 7)
    const done = await sql.get(`SELECT value FROM ledger WHERE name = 'periods_before'`)
    return done?.value === month ? undefined : month
  })
  if (due === undefined) return
  let after = 0
  for (;;) {
    const last = await database.transaction(async (sql) => {
      const meters = await sql.all(
        'SELECT seq FROM meter WHERE seq > ? ORDER BY seq LIMIT ?',
        after,
        SLICE_METERS,
      )
      for (const { seq } of meters) {
        await sql.run('DELETE FROM seen_value WHERE meter = ? AND period < ?', seq!, due)
        await sql.run('DELETE FROM peak WHERE meter = ? AND period < ?', seq!, due)
      }
      return meters.at(-1)
    })
    if (last === undefined) break
    after = int(last.seq)
    await breathe()
  }
  await database.transaction((sql) =>
    sql.run(
      `INSERT INTO ledger (name, value) VALUES ('periods_before', ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value`,
      due,
    ),
  )
}

/** Tag sets that neither an event nor what is still to be sealed has. */
async function purgeTagSets(database: SqlDatabase): Promise<void> {
  for (let slice = 0; slice < SLICES_MAX; slice++) {
    const purged = await database.transaction(async (sql) => {
      const horizon = Number(text((await sql.get(`SELECT value FROM ledger WHERE name = 'horizon'`))!.value))
      const unused = await sql.get(
        'SELECT 1 AS one FROM tag_set WHERE last_hour < ? LIMIT 1',
        hourOf(horizon),
      )
      if (unused === undefined) return 0
      const { changes } = await sql.run(
        `DELETE FROM tag_set WHERE seq IN (SELECT seq FROM tag_set WHERE last_hour < ?
           AND seq NOT IN (SELECT tags FROM bucket_tag UNION ALL SELECT tags FROM carry_tag) LIMIT ?)`,
        hourOf(horizon),
        SLICE_TAG_SETS,
      )
      return changes
    })
    if (purged < SLICE_TAG_SETS) return
    await breathe()
  }
}

/** Lets requests, and other writers, have their turn. */
function breathe(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
