import type { LedgerCopy } from '../../domain/moving/ledger-copy.ts'
import type { Stores } from '../../domain/stores.ts'
import type { UsageStore } from '../../domain/usage/usage-store.ts'
import { createSqliteEventWriter } from './event-writer.ts'
import { checkFileSystem, findFileSystem } from './file-system.ts'
import { migrate, SQLITE_SCHEMA } from './migrations.ts'
import { checkLevel } from './schema-level.ts'
import { createSqlStores } from './sql-stores.ts'
import { openSqlite, type SqliteDatabase } from './sqlite.ts'
import { createLedgerGuard, forgetBeats } from './sqlite-place.ts'
import { createSqlUsageStore } from './usage-store.ts'

/** SQLite has one writer at a time: nodes on one file would gain nothing by working side by side. */
const SLICES = 1

/**
 * Every port on a SQLite file, brought to this version's tables.
 *
 * @param file - a path, or `:memory:`
 * @throws {DomainError} `ledger.network_file_system`: before anything is made there
 */
export async function openSqliteStores(file: string): Promise<Stores> {
  const warning = file === ':memory:' ? undefined : checkFileSystem(file, findFileSystem(file))
  const database = openSqlite(file)
  try {
    const migrated = await migrate(database)
    const stores = createSqlStores(database, {
      writer: createSqliteEventWriter(database),
      slices: SLICES,
      migrated,
      checkLevel: () => checkLevel(database, SQLITE_SCHEMA),
      warnings: warning === undefined ? [] : [warning],
      guardLedger: (now) => createLedgerGuard(database, now),
    })
    return { ...stores, copy: copyOf(file, stores.copy) }
  } catch (error) {
    database.close()
    throw error
  }
}

function copyOf(file: string, copy: LedgerCopy): LedgerCopy {
  return {
    ...copy,
    async begin(filling) {
      const begun = await copy.begin(filling)
      forgetBeats(file)
      return begun
    },
  }
}

/** The usage ledger alone. */
export function createSqliteUsageStore(database: SqliteDatabase): UsageStore {
  return createSqlUsageStore(database, createSqliteEventWriter(database))
}
