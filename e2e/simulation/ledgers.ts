import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { SqlDatabase } from '../../packages/server/src/storage/sql/database.ts'
import { createSqlEntitlementStore } from '../../packages/server/src/storage/sql/entitlement-store.ts'
import { migrate } from '../../packages/server/src/storage/sql/migrations.ts'
import { openPostgres } from '../../packages/server/src/storage/sql/postgres.ts'
import { createPostgresEventWriter } from '../../packages/server/src/storage/sql/postgres-event-writer.ts'
import { migratePostgres } from '../../packages/server/src/storage/sql/postgres-migrations.ts'
import { createScratchDatabase } from '../../packages/server/src/storage/sql/postgres-scratch.ts'
import { openSqlite, type SqliteDatabase } from '../../packages/server/src/storage/sql/sqlite.ts'
import { createSqliteUsageStore } from '../../packages/server/src/storage/sql/sqlite-stores.ts'
import { createSqlSubscriptionStore } from '../../packages/server/src/storage/sql/subscription-store.ts'
import { createSqlUsageStore } from '../../packages/server/src/storage/sql/usage-store.ts'
import { onDynamo } from './dynamo-ledger.ts'
import { type Life, mortalDatabase, mortalSqlite, mortalWriter } from './life.ts'
import type { SharedLedger } from './shared-ledger.ts'

const CONNECT_MS = 10_000

/**
 * @param store - a PostgreSQL server's URL, where the run has a database of its own, or a `dynamodb:` URL with an
 *   endpoint, where it has a table of its own; else it is on SQLite
 */
export function createSharedLedger(onFile: boolean, store: string | undefined): Promise<SharedLedger> {
  if (store?.startsWith('dynamodb:')) return onDynamo(store)
  if (store !== undefined) return onPostgres(store)
  return onFile ? onSqliteFile() : inMemory()
}

/** Both processes share the one connection that there can be. */
async function inMemory(): Promise<SharedLedger> {
  const database = openSqlite(':memory:')
  await migrate(database)
  return {
    open: async (life) => ({ ...sqliteStores(database, life), close: async () => {} }),
    remove: async () => database.close(),
  }
}

async function onSqliteFile(): Promise<SharedLedger> {
  const folder = mkdtempSync(join(tmpdir(), 'tollkeeper-simulation-'))
  const file = join(folder, 'ledger.db')
  const first = openSqlite(file)
  await migrate(first)
  return {
    async open(life) {
      const database = openSqlite(file)
      return { ...sqliteStores(database, life), close: async () => database.close() }
    },
    async remove() {
      first.close()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

function sqliteStores(database: SqliteDatabase, life: Life) {
  const mortal = mortalSqlite(database, life)
  return { usage: createSqliteUsageStore(mortal), ...storesOn(mortal) }
}

function storesOn(database: SqlDatabase) {
  return {
    subscriptions: createSqlSubscriptionStore(database),
    entitlements: createSqlEntitlementStore(database),
  }
}

async function onPostgres(store: string): Promise<SharedLedger> {
  const { url, remove } = await createScratchDatabase(store, CONNECT_MS)
  const first = openPostgres(url)
  await migratePostgres(first)
  await first.close()
  return {
    async open(life) {
      const database = openPostgres(url, { poolMax: 4 })
      const writer = mortalWriter(createPostgresEventWriter(database), life)
      const mortal = mortalDatabase(database, life)
      return {
        usage: createSqlUsageStore(mortal, writer),
        ...storesOn(mortal),
        close: async () => {
          await writer.close()
          await database.close()
        },
      }
    },
    remove,
  }
}
