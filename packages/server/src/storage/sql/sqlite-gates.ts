import type Database from 'better-sqlite3'
import type { Counter, CounterKey } from '../../domain/quotas/quota.ts'
import type { GateChanges, GateSource } from '../quota/gate-book.ts'
import type { Row } from './database.ts'
import { toReservation } from './quota-rows.ts'

export interface SqliteGates extends GateSource {
  write(changes: GateChanges): void
}

/** Counters and reservations for the hot path: statements that are made once, and answer at once. */
export function createSqliteGates(handle: Database.Database): SqliteGates {
  const counter = handle.prepare(
    'SELECT used, held FROM quota_counter WHERE holder = ? AND dimension = ? AND per = ? AND start = ?',
  )
  const setCounter = handle.prepare(
    `INSERT INTO quota_counter (holder, dimension, per, start, ends_at, used, held) VALUES (?, ?, ?, ?, ?, ?, ?)
     ON CONFLICT (holder, dimension, per, start) DO UPDATE SET used = excluded.used, held = excluded.held`,
  )
  const reservation = handle.prepare('SELECT * FROM quota_reservation WHERE id = ?')
  const due = handle.prepare(
    `SELECT * FROM quota_reservation WHERE state = 'held' AND holder = ? AND dimension = ? AND expires_at <= ?`,
  )
  const setReservation = handle.prepare('UPDATE quota_reservation SET state = ?, used = ? WHERE id = ?')
  return {
    counter: ({ holder, dimension, window, start }: CounterKey) =>
      counter.get(holder, dimension, window, start) as Counter | undefined,
    reservation(id) {
      const row = reservation.get(id) as Row | undefined
      return row && toReservation(row)
    },
    due: (holder, dimension, now) => (due.all(holder, dimension, now) as Row[]).map(toReservation),
    write({ counters, reservations }) {
      for (const { key, now } of counters)
        setCounter.run(key.holder, key.dimension, key.window, key.start, key.end ?? null, now.used, now.held)
      // By an event a reservation is only ended.
      for (const { now } of reservations) setReservation.run(now.state, now.used ?? null, now.id)
    },
  }
}
