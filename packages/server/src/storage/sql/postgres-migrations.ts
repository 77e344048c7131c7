import { PostgresDialect } from 'kysely'
import { runMigrations } from './migrator.ts'
import type { PostgresDatabase } from './postgres.ts'
import { POSTGRES_MIGRATIONS } from './postgres-tables.ts'
import { checkLevel, noteLevel, SCHEMA_FLOOR, type SchemaVersion } from './schema-level.ts'

export const POSTGRES_SCHEMA: SchemaVersion = { migrations: POSTGRES_MIGRATIONS, floor: SCHEMA_FLOOR }

/**
 * Brings the tables to a version, all of it or nothing; those of a later one are left as they are. Several processes that start at once take turns: Kysely holds a
 * lock of the database meanwhile.
 *
 * @returns the names of the migrations that ran
 * @throws {DomainError} `ledger.too_new`, having written nothing
 */
export async function migratePostgres(
  database: PostgresDatabase,
  version: SchemaVersion = POSTGRES_SCHEMA,
): Promise<readonly string[]> {
  await checkLevel(database, version)
  const ran = await migrateAlone(database, version)
  await noteLevel(database, version)
  // A later version may have been quicker.
  await checkLevel(database, version)
  return ran
}

async function migrateAlone(database: PostgresDatabase, version: SchemaVersion): Promise<readonly string[]> {
  // A connection of its own, since statements of a large ledger's migration may take longer than a step's may.
  const client = await database.connect()
  try {
    await client.query(
      'SET statement_timeout = 0; SET lock_timeout = 0; SET idle_in_transaction_session_timeout = 0',
    )
    const one = {
      connect: async () => ({ query: client.query.bind(client), release: () => {} }),
      end: async () => {},
    }
    const migrations = Object.entries(version.migrations).map(([name, script]) => [name, [script]])
    return await runMigrations(new PostgresDialect({ pool: one as never }), Object.fromEntries(migrations))
  } finally {
    await client.end()
  }
}
