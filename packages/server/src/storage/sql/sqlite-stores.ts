import type { Stores } from '../../domain/stores.ts'
import { createSqlAuditTrail } from './audit-trail.ts'
import { createSqlBuyerCaseStore } from './buyer-case-store.ts'
import { createSqlBuyerStore } from './buyer-store.ts'
import { openSqlite } from './database.ts'
import { createSqlEntitlementStore } from './entitlement-store.ts'
import { checkFileSystem, findFileSystem } from './file-system.ts'
import { createLedgerGuard } from './ledger-guard.ts'
import { checkDimensions, claimLedger } from './ledger-identity.ts'
import { ledgerSecret } from './ledger-secret.ts'
import { createSqlMailbox } from './mailbox.ts'
import { migrate } from './migrations.ts'
import { createSqlOutboxStore } from './outbox-store.ts'
import { createSqlServiceKeyStore } from './service-key-store.ts'
import { createSqlSubscriptionHistory } from './subscription-history.ts'
import { createSqlSubscriptionStore } from './subscription-store.ts'
import { createSqlUsageAccounts } from './usage-accounts.ts'
import { createSqlUsageStore } from './usage-store.ts'
import { createSqlWorkLeases } from './work-leases.ts'

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
    return {
      usage: createSqlUsageStore(database),
      usageAccounts: createSqlUsageAccounts(database),
      subscriptions: createSqlSubscriptionStore(database),
      history: createSqlSubscriptionHistory(database),
      buyers: createSqlBuyerStore(database),
      cases: createSqlBuyerCaseStore(database),
      entitlements: createSqlEntitlementStore(database),
      outbox: createSqlOutboxStore(database),
      mailbox: createSqlMailbox(database),
      keys: createSqlServiceKeyStore(database),
      audit: createSqlAuditTrail(database),
      leases: createSqlWorkLeases(database, SLICES),
      migrated,
      warnings: warning === undefined ? [] : [warning],
      claimLedger: (wanted) => claimLedger(database, wanted),
      checkDimensions: (catalog) => checkDimensions(database, catalog),
      guardLedger: (now) => createLedgerGuard(database, now),
      secret: (name, bytes) => ledgerSecret(database, name, bytes),
      close: async () => database.close(),
    }
  } catch (error) {
    database.close()
    throw error
  }
}
