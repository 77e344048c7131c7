import { hash } from 'node:crypto'
import { DomainError } from '../../domain/error.ts'
import type { CopyRow, CopyValue, LedgerKind } from '../../domain/moving/ledger-kinds.ts'
import { COPIED_TABLES, type CopiedTable, type Reference } from './copied-tables.ts'
import type { Sql, SqlDatabase, SqlValue } from './database.ts'
import { snakeCase } from './ledger-copy-reader.ts'
import { int, text } from './rows.ts'

/** Values in one statement at most: SQLite takes 32,766, PostgreSQL 65,535. */
const VALUES_MAX = 20_000

/** By what names a row in the ledger: its number in the table. */
type Numbers = ReadonlyMap<CopyValue, bigint>

/** Adds rows that are not there yet, in their order. Those they refer to must be there. */
export async function writeRows(
  sql: Sql,
  engine: SqlDatabase['engine'],
  kind: LedgerKind,
  given: readonly CopyRow[],
): Promise<void> {
  const table = COPIED_TABLES[kind.name]
  if (kind.name === 'sink') return writeSinks(sql, given)
  const meters = table.ofMeter === true ? await meterNumbers(sql, given) : undefined
  const rows = kind.name === 'transfer' ? await unwrittenTransfers(sql, given, meters!) : given
  if (rows.length === 0) return
  const numbers = new Map<string, Numbers>()
  for (const reference of table.references ?? [])
    numbers.set(reference.field, await numbersOf(sql, reference, rows))
  const columns = columnsOf(kind, table)
  const valuesOf = (row: CopyRow): SqlValue[] =>
    columns.map(({ field }) =>
      field === 'meter' ? numberOf(meters!, meterName(row), kind, row) : columnValue(field, row),
    )
  const columnValue = (field: string, row: CopyRow): SqlValue => {
    const known = numbers.get(field)
    if (known === undefined || row[field] === null) return row[field]!
    return numberOf(known, row[field]!, kind, row)
  }
  const perStatement = Math.floor(VALUES_MAX / columns.length)
  for (let at = 0; at < rows.length; at += perStatement) {
    const slice = rows.slice(at, at + perStatement)
    const places = `(${columns.map(() => '?').join(', ')})`
    const { changes } = await sql.run(
      `INSERT INTO ${table.table} (${columns.map(({ column }) => column).join(', ')}) VALUES ${slice.map(() => places).join(', ')} ${onConflict(table, columns)}`,
      ...slice.flatMap(valuesOf),
    )
    if (kind.name === 'usageEvent' && engine === 'sqlite') await countHours(sql, slice, changes)
  }
}

function columnsOf(kind: LedgerKind, table: CopiedTable): readonly { field: string; column: string }[] {
  const columns: { field: string; column: string }[] = []
  for (const field of Object.keys(kind.fields)) {
    if (table.ofMeter === true && field === 'subscription') columns.push({ field: 'meter', column: 'meter' })
    // A record's is its own column as well: AWS's key is made of it.
    else if (table.ofMeter === true && field === 'dimension' && kind.name !== 'usageRecord') continue
    else if (kind.name === 'transfer' && field === 'number') continue
    else {
      const reference = table.references?.find((one) => one.field === field)
      columns.push({ field, column: reference?.column ?? snakeCase(field) })
    }
  }
  return columns
}

function onConflict({ replaces }: CopiedTable, columns: readonly { column: string }[]): string {
  if (replaces === undefined) return 'ON CONFLICT DO NOTHING'
  const others = columns.map(({ column }) => column).filter((column) => !replaces.includes(column))
  return `ON CONFLICT (${replaces.join(', ')}) DO UPDATE SET ${others.map((column) => `${column} = excluded.${column}`).join(', ')}`
}

function numberOf(numbers: Numbers, name: CopyValue, kind: LedgerKind, row: CopyRow): bigint {
  const number = numbers.get(name)
  if (number !== undefined) return number
  const key = kind.key.map((field) => String(row[field])).join(', ')
  throw new DomainError('ledger.copy_refused', `${kind.name} ${key} refers to ${name}, which is not there`)
}

async function numbersOf(sql: Sql, reference: Reference, rows: readonly CopyRow[]): Promise<Numbers> {
  const { field, table, by } = reference
  const names = distinct(rows.map((row) => row[field]!)).filter((name) => name !== null)
  if (names.length === 0) return new Map()
  if (table === 'request') return requestNumbers(sql, names as string[])
  if (table === 'tag_set') await addTagSets(sql, rows)
  const found = await sql.all(
    `SELECT seq, ${by} AS name FROM ${table} WHERE ${by} IN (${names.map(() => '?').join(', ')})`,
    ...names,
  )
  return new Map(found.map((row) => [row.name!, row.seq as bigint]))
}

/** The same request is kept once, and found by its hash. */
async function requestNumbers(sql: Sql, bodies: readonly string[]): Promise<Numbers> {
  const numbers = new Map<CopyValue, bigint>()
  for (const body of bodies) {
    const digest = hash('sha256', body, 'buffer')
    await sql.run(
      'INSERT INTO request (hash, body) VALUES (?, ?) ON CONFLICT (hash) DO NOTHING',
      digest,
      body,
    )
    const row = await sql.get('SELECT seq FROM request WHERE hash = ?', digest)
    numbers.set(body, row!.seq as bigint)
  }
  return numbers
}

/** A tag set is remembered for as long as events of its last hour are. */
async function addTagSets(sql: Sql, rows: readonly CopyRow[]): Promise<void> {
  const lastHours = new Map<string, bigint>()
  for (const { tags, hour, counted } of rows) {
    if (tags === null) continue
    const last = ((counted ?? hour ?? 0n) as bigint) > ((hour ?? 0n) as bigint) ? counted : hour
    const known = lastHours.get(tags as string) ?? 0n
    lastHours.set(tags as string, known > ((last ?? 0n) as bigint) ? known : ((last ?? 0n) as bigint))
  }
  await sql.run(
    `INSERT INTO tag_set (key, last_hour) VALUES ${[...lastHours].map(() => '(?, ?)').join(', ')}
     ON CONFLICT (key) DO UPDATE SET last_hour = excluded.last_hour WHERE tag_set.last_hour < excluded.last_hour`,
    ...[...lastHours].flat(),
  )
}

async function meterNumbers(sql: Sql, rows: readonly CopyRow[]): Promise<Numbers> {
  const subscriptions = distinct(rows.map((row) => row.subscription!))
  const found = await sql.all(
    `SELECT m.seq, m.dimension, s.id AS subscription FROM subscription s JOIN meter m ON m.subscription = s.seq WHERE s.id IN (${subscriptions.map(() => '?').join(', ')})`,
    ...subscriptions,
  )
  return new Map(
    found.map((row) => [meterName({ ...row, subscription: text(row.subscription) }), row.seq as bigint]),
  )
}

function meterName({ subscription, dimension }: CopyRow): string {
  return `${subscription}\n${dimension}`
}

/** Transfers of an hour come in their order: what is there already are the first. */
async function unwrittenTransfers(
  sql: Sql,
  rows: readonly CopyRow[],
  meters: Numbers,
): Promise<readonly CopyRow[]> {
  const written = new Map<string, bigint>()
  for (const row of rows) {
    const hour = `${meterName(row)}\n${row.hour}`
    if (written.has(hour)) continue
    const meter = meters.get(meterName(row)) ?? null
    const found = await sql.get(
      'SELECT COUNT(*) AS count FROM transfer WHERE meter = ? AND hour = ?',
      meter,
      row.hour!,
    )
    written.set(hour, found!.count as bigint)
  }
  return rows.filter((row) => (row.number as bigint) >= written.get(`${meterName(row)}\n${row.hour}`)!)
}

/** How many events each hour has, by their own time: so ids are looked for, and forgotten, hour by hour. */
async function countHours(sql: Sql, rows: readonly CopyRow[], written: number): Promise<void> {
  if (written === 0) return
  const counts = new Map<bigint, number>()
  for (const { hour } of rows) counts.set(hour as bigint, (counts.get(hour as bigint) ?? 0) + 1)
  for (const [hour, count] of counts) {
    // Some were there before, which happens only where a page is written in another cut: then all are counted.
    const events =
      written === rows.length
        ? count
        : int((await sql.get('SELECT COUNT(*) AS count FROM usage_event WHERE hour = ?', hour))!.count)
    await sql.run(
      `INSERT INTO event_hour (hour, events) VALUES (?1, ?2) ON CONFLICT (hour) DO UPDATE SET events = ${written === rows.length ? 'event_hour.events + excluded.events' : 'excluded.events'}`,
      hour,
      events,
    )
  }
}

/** Each goes on where it was: all events are there by now, in their order. */
async function writeSinks(sql: Sql, rows: readonly CopyRow[]): Promise<void> {
  for (const { name, behind, seenAt, failures, failingSince, pausedUntil } of rows) {
    const last = await sql.get('SELECT seq FROM domain_event ORDER BY seq DESC LIMIT 1 OFFSET ?', behind!)
    await sql.run(
      'INSERT INTO sink (name, cursor, seen_at, failures, failing_since, paused_until) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (name) DO NOTHING',
      name!,
      last?.seq ?? 0n,
      seenAt!,
      failures!,
      failingSince!,
      pausedUntil!,
    )
  }
}

function distinct(values: readonly CopyValue[]): CopyValue[] {
  return [...new Set(values)]
}
