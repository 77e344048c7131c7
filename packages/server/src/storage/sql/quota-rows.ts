import type { Counter, CounterKey } from '../../domain/quotas/quota.ts'
import type { Reservation, ReservationState } from '../../domain/quotas/quota-store.ts'
import type { Window } from '../../domain/quotas/window.ts'
import { keyText } from '../ingest/key-text.ts'
import {
  type Asked,
  type CounterWindow,
  counterName,
  countersToLoad,
  createLoadedCounters,
  type LoadedCounters,
} from '../quota/counters.ts'
import { askedBy, type GateChanges, type GateSource } from '../quota/gate-book.ts'
import type { Row, Sql, SqlDatabase, SqlValue } from './database.ts'
import { int, optionalInt, text } from './rows.ts'

type Engine = SqlDatabase['engine']

/** Rows in one statement: SQLite takes 32,766 values. */
const ROWS_MAX = 2_000

/** `(?, ?), (?, ?)` for each slice of rows, with its values. */
function* valuesOf(
  rows: readonly (readonly SqlValue[])[],
  row = `(${rows[0]?.map(() => '?').join(', ')})`,
): Generator<readonly [string, readonly SqlValue[]]> {
  for (let from = 0; from < rows.length; from += ROWS_MAX) {
    const slice = rows.slice(from, from + ROWS_MAX)
    yield [slice.map(() => row).join(', '), slice.flat()]
  }
}

function keyOf({ holder, dimension, window, start }: CounterKey): readonly SqlValue[] {
  return [holder, dimension, window, start]
}

/** Compared with, values have no type of their own on PostgreSQL. */
const KEY = '(CAST(? AS text), CAST(? AS text), CAST(? AS text), CAST(? AS bigint))'

/** By `counterName`. */
export async function readCounters(
  sql: Sql,
  keys: readonly CounterKey[],
  suffix = '',
): Promise<Map<string, Counter>> {
  const found = new Map<string, Counter>()
  for (const [list, values] of valuesOf(keys.map(keyOf), KEY)) {
    const rows = await sql.all(
      `SELECT holder, dimension, per, start, used, held FROM quota_counter WHERE (holder, dimension, per, start) IN (VALUES ${list})${suffix}`,
      ...values,
    )
    for (const row of rows) {
      const window = text(row.per) as Window
      const key = { holder: text(row.holder), dimension: text(row.dimension), window, start: int(row.start) }
      found.set(counterName(key), { used: int(row.used), held: int(row.held) })
    }
  }
  return found
}

/**
 * All that gates may ask for in this step; until it ends nobody else changes it. What is locked, is locked in one order.
 *
 * @param ids - of reservations that are to be ended
 */
export async function loadGates(
  sql: Sql,
  engine: Engine,
  asked: readonly Asked[],
  now: number,
  ids: readonly string[] = [],
): Promise<GateSource> {
  const reservations = new Map<string, Reservation>()
  const learn = (rows: readonly Row[]) => {
    for (const row of rows) reservations.set(text(row.id), toReservation(row))
    return rows.map(toReservation)
  }
  // One that is not there yet cannot be locked by its row.
  if (engine === 'postgres')
    for (const id of [...ids].sort())
      await sql.all('SELECT pg_advisory_xact_lock(hashtextextended(?, 0))', id)
  // Their windows say what to lock; nobody else holds them anew meanwhile.
  const ending = learn(await findReservations(sql, ids))
  const counters = createLoadedCounters()
  const lock = async (keys: readonly CounterWindow[]) =>
    counters.add(keys, await lockCounters(sql, engine, keys))
  await lock(countersToLoad([...asked, ...ending.map(askedBy)]))
  const holding = asked.filter((one) => isHolding(one, counters))
  const due = learn(await findDue(sql, holding, now)).map(({ id }) => id)
  // Windows that nobody asked for: what was held in them is let go of all the same.
  const others = countersToLoad(due.map((id) => askedBy(reservations.get(id)!)))
  await lock(others.filter((key) => !counters.has(key)))
  if (engine === 'postgres')
    learn(await findReservations(sql, [...reservations.keys()].sort(), ' ORDER BY id FOR UPDATE'))
  /** Held anew before it was locked, one may have windows that are not: it is not this step's to end. */
  const isLocked = (one: Reservation) => countersToLoad([askedBy(one)]).every(counters.has)
  return {
    counter: counters.get,
    reservation: (id) => reservations.get(id),
    due: (holder, dimension) =>
      due
        .map((id) => reservations.get(id)!)
        .filter((one) => one.holder === holder && one.dimension === dimension && isLocked(one)),
  }
}

function isHolding(asked: Asked, counters: LoadedCounters): boolean {
  return countersToLoad([asked]).some((key) => counters.get(key).held > 0)
}

async function lockCounters(
  sql: Sql,
  engine: Engine,
  keys: readonly CounterWindow[],
): Promise<Map<string, Counter>> {
  if (engine === 'sqlite') return readCounters(sql, keys)
  // A row that is not there cannot be locked.
  const rows = keys.map((key) => [...keyOf(key), key.end ?? null, 0, 0])
  for (const [list, values] of valuesOf(rows))
    await sql.run(
      `INSERT INTO quota_counter (holder, dimension, per, start, ends_at, used, held) VALUES ${list} ON CONFLICT DO NOTHING`,
      ...values,
    )
  return readCounters(sql, keys, ' ORDER BY holder, dimension, per, start FOR UPDATE')
}

async function findDue(sql: Sql, asked: readonly Asked[], now: number): Promise<Row[]> {
  const owners = new Map(
    asked.map(({ gate, dimension }) => [`${gate.holder}\n${dimension}`, [gate.holder, dimension]]),
  )
  const rows: Row[] = []
  for (const [holder, dimension] of owners.values())
    rows.push(
      ...(await sql.all(
        `SELECT * FROM quota_reservation WHERE state = 'held' AND holder = ? AND dimension = ? AND expires_at <= ?`,
        holder!,
        dimension!,
        now,
      )),
    )
  return rows
}

export async function findReservations(sql: Sql, ids: readonly string[], suffix = ''): Promise<Row[]> {
  if (ids.length === 0) return []
  const list = ids.map(() => '?').join(', ')
  return sql.all(`SELECT * FROM quota_reservation WHERE id IN (${list})${suffix}`, ...ids)
}

const RESERVATION = 'id, product, holder, dimension, quantity, windows, created_at, expires_at, state, used'

/** Over rows that this step has locked, and new ones. */
export async function writeGates(sql: Sql, { counters, reservations }: GateChanges): Promise<void> {
  const rows = counters.map(({ key, now }) => [...keyOf(key), key.end ?? null, now.used, now.held])
  for (const [list, values] of valuesOf(rows))
    await sql.run(
      `INSERT INTO quota_counter (holder, dimension, per, start, ends_at, used, held) VALUES ${list}
       ON CONFLICT (holder, dimension, per, start) DO UPDATE SET used = excluded.used, held = excluded.held`,
      ...values,
    )
  for (const [list, values] of valuesOf(reservations.map(({ now }) => reservationValues(now))))
    await sql.run(
      `INSERT INTO quota_reservation (${RESERVATION}) VALUES ${list} ON CONFLICT (id) DO UPDATE SET
       holder = excluded.holder, quantity = excluded.quantity, windows = excluded.windows, created_at = excluded.created_at,
       expires_at = excluded.expires_at, state = excluded.state, used = excluded.used`,
      ...values,
    )
}

/** By `keyText`: what was admitted before. */
export async function readAdmissions(sql: Sql, keys: readonly Uint8Array[]): Promise<Map<string, number>> {
  const found = new Map<string, number>()
  for (let from = 0; from < keys.length; from += ROWS_MAX) {
    const slice = keys.slice(from, from + ROWS_MAX)
    const list = slice.map(() => '?').join(', ')
    const rows = await sql.all(`SELECT key, quantity FROM quota_admission WHERE key IN (${list})`, ...slice)
    for (const row of rows) found.set(keyText(row.key as Uint8Array), int(row.quantity))
  }
  return found
}

export async function addAdmissions(
  sql: Sql,
  admitted: readonly { readonly key: Uint8Array; readonly quantity: number }[],
  at: number,
): Promise<void> {
  for (const [list, values] of valuesOf(admitted.map(({ key, quantity }) => [key, quantity, at])))
    await sql.run(`INSERT INTO quota_admission (key, quantity, at) VALUES ${list}`, ...values)
}

function reservationValues(one: Reservation): readonly SqlValue[] {
  return [
    one.id,
    one.product,
    one.holder,
    one.dimension,
    one.quantity,
    JSON.stringify(one.windows),
    one.createdAt,
    one.expiresAt,
    one.state,
    one.used ?? null,
  ]
}

export function toReservation(row: Row): Reservation {
  return {
    id: text(row.id),
    product: text(row.product),
    holder: text(row.holder),
    dimension: text(row.dimension),
    quantity: int(row.quantity),
    windows: JSON.parse(text(row.windows)),
    createdAt: int(row.created_at),
    expiresAt: int(row.expires_at),
    state: text(row.state) as ReservationState,
    used: optionalInt(row.used),
  }
}
