import type { Stores } from '../../domain/stores.ts'
import { createSqlLedgerGuard } from './ledger-guard.ts'
import { openPostgres, type PostgresDatabase, type PostgresOptions } from './postgres.ts'
import { createPostgresEventWriter } from './postgres-event-writer.ts'
import { migratePostgres, POSTGRES_SCHEMA } from './postgres-migrations.ts'
import { createPostgresPlace } from './postgres-place.ts'
import { checkLevel } from './schema-level.ts'
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
      checkLevel: () => checkLevel(database, POSTGRES_SCHEMA),
      warnings: await findRisks(database),
      guardLedger: (now) => createSqlLedgerGuard(database, createPostgresPlace(database), now),
    })
  } catch (error) {
    await database.close()
    throw error
  }
}

/** What an administrator may have turned off for speed. */
const DURABILITY = ['fsync', 'full_page_writes', 'synchronous_commit'] as const

/** Why what is accepted may be gone one day. */
async function findRisks(database: PostgresDatabase): Promise<readonly string[]> {
  const row = await database.get(
    `SELECT ${DURABILITY.map((name) => `current_setting('${name}') AS ${name}`).join(', ')}`,
  )
  return DURABILITY.filter((name) => row![name] === 'off').map(
    (name) =>
      `${name} is off in ${database.name}: usage that was accepted is lost when its server goes down; turn it on`,
  )
}
