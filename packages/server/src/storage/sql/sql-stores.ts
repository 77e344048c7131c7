import type { Stores } from '../../domain/stores.ts'
import { createSqlApiKeyStore } from './api-key-store.ts'
import { createSqlAuditTrail } from './audit-trail.ts'
import { createSqlBuyerCaseStore } from './buyer-case-store.ts'
import { createSqlBuyerStore } from './buyer-store.ts'
import { createSqlCatalogStore } from './catalog-store.ts'
import type { SqlDatabase } from './database.ts'
import { createSqlEntitlementStore } from './entitlement-store.ts'
import { createSqlHealthStore } from './health-store.ts'
import { createSqlLedgerCopy } from './ledger-copy.ts'
import { checkDimensions, claimLedger } from './ledger-identity.ts'
import { ledgerSecret } from './ledger-secret.ts'
import { createSqlMailbox } from './mailbox.ts'
import { createSqlOutboxStore } from './outbox-store.ts'
import { createSqlQuotaStore } from './quota-store.ts'
import { createSqlServiceKeyStore } from './service-key-store.ts'
import { createSqlSubscriptionHistory } from './subscription-history.ts'
import { createSqlSubscriptionStore } from './subscription-store.ts'
import { createSqlUsageAccounts } from './usage-accounts.ts'
import { createSqlUsageStore, type EventWriter } from './usage-store.ts'
import { createSqlVisitorStore } from './visitor-store.ts'
import { createSqlWorkLeases } from './work-leases.ts'

export interface SqlStoresOptions
  extends Pick<Stores, 'checkLevel' | 'migrated' | 'warnings' | 'guardLedger'> {
  readonly writer: EventWriter
  /** See `WorkLeases`. */
  readonly slices: number
}

/** Every port on a database whose tables are of this version. */
export function createSqlStores(database: SqlDatabase, { writer, slices, ...own }: SqlStoresOptions): Stores {
  return {
    usage: createSqlUsageStore(database, writer),
    usageAccounts: createSqlUsageAccounts(database),
    subscriptions: createSqlSubscriptionStore(database),
    history: createSqlSubscriptionHistory(database),
    buyers: createSqlBuyerStore(database),
    cases: createSqlBuyerCaseStore(database),
    entitlements: createSqlEntitlementStore(database),
    outbox: createSqlOutboxStore(database),
    mailbox: createSqlMailbox(database),
    keys: createSqlServiceKeyStore(database),
    apiKeys: createSqlApiKeyStore(database),
    catalogStore: createSqlCatalogStore(database),
    audit: createSqlAuditTrail(database),
    quotas: createSqlQuotaStore(database),
    visitors: createSqlVisitorStore(database),
    health: createSqlHealthStore(database),
    leases: createSqlWorkLeases(database, slices),
    claimLedger: (wanted) => claimLedger(database, wanted),
    checkDimensions: (catalog) => checkDimensions(database, catalog),
    copy: createSqlLedgerCopy(database),
    secret: (name, bytes) => ledgerSecret(database, name, bytes),
    close: async () => {
      await writer.close()
      await database.close()
    },
    ...own,
  }
}
