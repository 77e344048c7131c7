import type { Stores } from '../../domain/stores.ts'
import { createDynamoApiKeyStore } from './api-keys.ts'
import { createDynamoAuditTrail } from './audit-trail.ts'
import { createDynamoBuyerStore } from './buyers.ts'
import { createDynamoBuyerCaseStore } from './cases.ts'
import { createDynamoCatalogStore } from './catalog-store.ts'
import { type DynamoPlace, openDynamoClient } from './client.ts'
import { createDynamoTable } from './dynamo-table.ts'
import { createDynamoEntitlementStore } from './entitlements.ts'
import { createDynamoHealthStore } from './health-store.ts'
import { createDynamoSubscriptionHistory } from './history.ts'
import { createDynamoLedgerCopy } from './ledger-copy.ts'
import { createDynamoLedgerGuard } from './ledger-guard.ts'
import { checkDimensions, claimLedger, claimShards, ledgerSecret } from './ledger-identity.ts'
import { createDynamoMailbox } from './mailbox.ts'
import { createDynamoOutboxStore } from './outbox.ts'
import { createDynamoQuotaStore } from './quota-store.ts'
import { createDynamoServiceKeyStore } from './service-keys.ts'
import { createDynamoSubscriptionStore } from './subscriptions.ts'
import { ensureTable, tableWarnings } from './table-definition.ts'
import { createDynamoUsageAccounts } from './usage/accounts.ts'
import { createUnsentUsage } from './usage/unsent.ts'
import { createDynamoUsageStore, dynamoUsageOfSubscriptions } from './usage/usage-store.ts'
import { createDynamoVisitorStore } from './visitors.ts'
import { createDynamoWorkLeases } from './work-leases.ts'

export interface DynamoSettings {
  /** Items that one `TransactWriteItems` may hold. */
  readonly transactionItems: number
  /** Items that share the counters of a bucket; of a ledger that exists it changes nothing. */
  readonly shards: number
  /** Is the table at AWS, where it should be protected? */
  readonly isAtAws: boolean
}

/** Every port on a DynamoDB table, which is made where there is none. */
export async function openDynamoStores(place: DynamoPlace, settings: DynamoSettings): Promise<Stores> {
  const client = await openDynamoClient(place)
  try {
    const { id, wasCreated } = await ensureTable(client, place.table)
    const warnings = settings.isAtAws ? await tableWarnings(client, place.table) : []
    const open = (shards: number) =>
      createDynamoTable(client, { ...settings, table: place.table, shards }, client.close)
    const table = open(await claimShards(open(settings.shards), settings.shards))
    await table.recover()
    return {
      usage: createDynamoUsageStore(table),
      usageAccounts: createDynamoUsageAccounts(table),
      subscriptions: createDynamoSubscriptionStore(table, dynamoUsageOfSubscriptions),
      history: createDynamoSubscriptionHistory(table, dynamoUsageOfSubscriptions),
      buyers: createDynamoBuyerStore(table),
      cases: createDynamoBuyerCaseStore(table, dynamoUsageOfSubscriptions),
      entitlements: createDynamoEntitlementStore(table, dynamoUsageOfSubscriptions),
      outbox: createDynamoOutboxStore(table),
      mailbox: createDynamoMailbox(table),
      keys: createDynamoServiceKeyStore(table),
      apiKeys: createDynamoApiKeyStore(table),
      catalogStore: createDynamoCatalogStore(table),
      audit: createDynamoAuditTrail(table),
      quotas: createDynamoQuotaStore(table),
      visitors: createDynamoVisitorStore(table),
      health: createDynamoHealthStore(table),
      leases: createDynamoWorkLeases(table),
      // No version has taken anything away from a table yet.
      checkLevel: async () => {},
      migrated: wasCreated ? ['table'] : [],
      warnings,
      claimLedger: (wanted) => claimLedger(table, wanted),
      checkDimensions: (catalog) => checkDimensions(table, catalog),
      guardLedger: (now) => createDynamoLedgerGuard(table, id, createUnsentUsage(table), now),
      copy: createDynamoLedgerCopy(table, client),
      secret: (name, bytes) => ledgerSecret(table, name, bytes),
      close: async () => table.close(),
    }
  } catch (error) {
    client.close()
    throw error
  }
}
