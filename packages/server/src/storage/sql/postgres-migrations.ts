import { PostgresDialect } from 'kysely'
import { runMigrations } from './migrator.ts'
import type { PostgresDatabase } from './postgres.ts'
import { POSTGRES_MIGRATIONS } from './postgres-tables.ts'

/**
 * Brings the tables to this version, all of it or nothing. Several processes that start at once take turns: Kysely holds a
 * lock of the database meanwhile.
 *
 * @returns the names of the migrations that ran
 */
export async function migratePostgres(database: PostgresDatabase): Promise<readonly string[]> {
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
    const migrations = Object.entries(POSTGRES_MIGRATIONS).map(([name, script]) => [name, [script]])
    return await runMigrations(new PostgresDialect({ pool: one as never }), Object.fromEntries(migrations))
  } finally {
    await client.end()
  }
}
