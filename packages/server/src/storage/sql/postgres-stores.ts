import type { Stores } from '../../domain/stores.ts'
import { createSqlLedgerGuard } from './ledger-guard.ts'
import { openPostgres, type PostgresOptions } from './postgres.ts'
import { createPostgresEventWriter } from './postgres-event-writer.ts'
import { migratePostgres } from './postgres-migrations.ts'
import { createPostgresPlace } from './postgres-place.ts'
import { createSqlStores } from './sql-stores.ts'

/** Nodes close and send side by side: more parts than there are nodes, so that each has its share. */
const SLICES = 16

/**
 * Every port on a PostgreSQL database, brought to this version's tables.
 *
 * @param url - see `parsePostgresUrl`
 */
export async function openPostgresStores(
  url: string,
  options: Partial<PostgresOptions> = {},
): Promise<Stores> {
  const database = openPostgres(url, options)
  try {
    const migrated = await migratePostgres(database)
    return createSqlStores(database, {
      writer: createPostgresEventWriter(database),
      slices: SLICES,
      migrated,
      warnings: [],
      guardLedger: (now) => createSqlLedgerGuard(database, createPostgresPlace(database), now),
    })
  } catch (error) {
    await database.close()
    throw error
  }
}
