import {
  type DynamoStoreConfig,
  type PostgresStoreConfig,
  readStoreUrl,
  type StoreConfig,
} from '../config/store.ts'
import { DomainError } from '../domain/error.ts'
import { dynamoPlace } from './ledger.ts'

/**
 * Writes a copy of a SQLite ledger to a file, while others go on to use the ledger.
 *
 * @param file - must not be there yet
 * @throws {DomainError} `request.invalid` for a store that has its own way
 */
export async function backUpStore(store: StoreConfig, file: string): Promise<void> {
  if (store.kind !== 'sqlite')
    throw new DomainError(
      'request.invalid',
      `${store.name} is backed up with ${store.kind === 'postgres' ? '`pg_dump --format=custom`' : '`aws dynamodb create-backup`'}: see docs/backup.md`,
    )
  const { backUpSqlite } = await import('../storage/sql/sqlite-backup.ts')
  await backUpSqlite(store.file, file)
}

/** An empty store beside the one that a configuration names, for what must not touch it. */
export interface ScratchStore {
  readonly store: StoreConfig
  remove(): Promise<void>
}

/**
 * A database of its own on the same server, or a table of its own beside the one that is named.
 *
 * @throws {DomainError} `request.invalid` where nobody may make one there
 */
export async function createScratchStore(
  store: PostgresStoreConfig | DynamoStoreConfig,
): Promise<ScratchStore> {
  if (store.kind === 'postgres') {
    const { createScratchDatabase } = await import('../storage/sql/postgres-scratch.ts')
    const { url, remove } = await createScratchDatabase(store.url, store.connectTimeoutMs)
    return { store: { ...store, ...named(url) }, remove }
  }
  const { createScratchTable } = await import('../storage/dynamodb/dynamo-scratch.ts')
  // What must touch nothing is simulated.
  const { table, remove } = createScratchTable(await dynamoPlace(store, { mode: 'simulated' }))
  const url = new URL(store.url)
  url.pathname = `/${table}`
  const { name } = readStoreUrl(url.href, '/') as DynamoStoreConfig
  return { store: { ...store, table, url: url.href, name }, remove }
}

function named(url: string) {
  const { host, pathname } = new URL(url)
  return { url, name: `postgres://${host}${pathname}` }
}
