import { DomainError } from '../../domain/error.ts'
import type { Sql, SqlDatabase } from './database.ts'
import { text } from './rows.ts'

/**
 * The tables of one version. A database says the level that it was brought to, and its floor: the lowest level of a version
 * that can still work with it. So a version before and its successor run side by side while nodes are replaced one by one.
 */
export interface SchemaVersion {
  /** Migrations by name, in order: their number is the version's level. Each only adds to what the floor's version uses. */
  readonly migrations: Readonly<Record<string, string>>
  /** The lowest level that can work with these tables. It is raised, later than by one version, to take something away. */
  readonly floor: number
}

/** The floor of this version's tables, on every engine. */
export const SCHEMA_FLOOR = 1

export function levelOf({ migrations }: SchemaVersion): number {
  return Object.keys(migrations).length
}

/**
 * Before anything is written, and again and again while a process runs: a later version may have taken something away.
 *
 * @throws {DomainError} `ledger.too_new`
 */
export async function checkLevel(database: SqlDatabase, version: SchemaVersion): Promise<void> {
  if (!(await hasLedger(database))) return
  const { level, floor } = await database.read(readLevel)
  const own = levelOf(version)
  if (floor > own)
    throw new DomainError(
      'ledger.too_new',
      `the ledger at ${database.name} has been brought to level ${level} by a later version, and versions below level ${floor} cannot work with it: this one is of level ${own}; start the later version`,
    )
}

/** What the tables are now, where this version's migrations brought them further. */
export async function noteLevel(database: SqlDatabase, version: SchemaVersion): Promise<void> {
  const own = { level: levelOf(version), floor: version.floor }
  const known = await database.read(readLevel)
  if (known.level >= own.level && known.floor >= own.floor) return
  await database.transaction(async (sql) => {
    const before = await readLevel(sql)
    for (const name of ['level', 'floor'] as const)
      await sql.run(
        'INSERT INTO ledger (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value',
        `schema_${name}`,
        String(Math.max(before[name], own[name])),
      )
  })
}

async function readLevel(sql: Sql): Promise<{ level: number; floor: number }> {
  const rows = await sql.all(`SELECT name, value FROM ledger WHERE name IN ('schema_level', 'schema_floor')`)
  const values = new Map(rows.map((row) => [text(row.name), Number(row.value)]))
  return { level: values.get('schema_level') ?? 0, floor: values.get('schema_floor') ?? 0 }
}

async function hasLedger(database: SqlDatabase): Promise<boolean> {
  const row = await database.get(
    database.engine === 'sqlite'
      ? `SELECT 1 AS one FROM sqlite_master WHERE type = 'table' AND name = 'ledger'`
      : `SELECT 1 AS one WHERE to_regclass('ledger') IS NOT NULL`,
  )
  return row !== undefined
}
