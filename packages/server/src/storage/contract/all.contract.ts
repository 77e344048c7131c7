import { apiKeysContract } from './api-keys.contract.ts'
import { catalogStoreContract } from './catalog-store.contract.ts'
import { consumptionContract } from './consumption.contract.ts'
import { MANY } from './contract-runs.ts'
import { entitlementStoreContract } from './entitlement-store.contract.ts'
import { hardAccessCases } from './hard-cases-access.contract.ts'
import { hardFollowingCases } from './hard-cases-following.contract.ts'
import { hardHealingCases } from './hard-cases-healing.contract.ts'
import { hardMeteringCases } from './hard-cases-metering.contract.ts'
import { hardOrderCases } from './hard-cases-order.contract.ts'
import { healthStoreContract } from './health-store.contract.ts'
import { ledgerContract } from './ledger.contract.ts'
import { lifecycleContract } from './lifecycle.contract.ts'
import { manyTellersContract } from './many-tellers.contract.ts'
import { meteringRulesContract } from './metering-rules.contract.ts'
import { type OpenStores, openTelling } from './open-stores.ts'
import { outboxStoreContract } from './outbox-store.contract.ts'
import { peopleAndHistoryContract } from './people-and-history.contract.ts'
import { quotaStoreContract } from './quota-store.contract.ts'
import { recordsContract } from './records.contract.ts'
import { reservedGoodbyesContract } from './reserved-goodbyes.contract.ts'
import { subscriberMeteringContract } from './subscriber-metering.contract.ts'
import { usageAccountsContract } from './usage-accounts.contract.ts'
import { usageStoreContract } from './usage-store.contract.ts'
import { goodbyeContract } from './usage-store-goodbye.contract.ts'
import { upkeepContract } from './usage-store-upkeep.contract.ts'
import { visitorsContract } from './visitors.contract.ts'
import { workLeasesContract } from './work-leases.contract.ts'

// Every store passes all of them; in three parts, so that they run side by side.

/** @param name - of the engine */
export function usageContracts(name: string, open: OpenStores, runs = MANY): void {
  usageStoreContract(name, open)
  meteringRulesContract(name, open, runs)
  goodbyeContract(name, open, runs)
  upkeepContract(name, open, runs)
  usageAccountsContract(name, open, runs.accounts)
  hardMeteringCases(name, open)
}

export function subscriptionContracts(name: string, open: OpenStores, runs = MANY): void {
  const openWithEvents = () => openTelling(open)
  lifecycleContract(name, open, runs.orders)
  peopleAndHistoryContract(name, open)
  subscriberMeteringContract(name, open)
  entitlementStoreContract(name, openWithEvents, runs)
  consumptionContract(name, openWithEvents)
  hardAccessCases(name, open)
  hardFollowingCases(name, open)
  hardHealingCases(name, open, runs)
  hardOrderCases(name, open)
}

export function ledgerContracts(name: string, open: OpenStores, runs = MANY): void {
  outboxStoreContract(name, () => openTelling(open), runs.outbox)
  manyTellersContract(name, open)
  recordsContract(name, open)
  ledgerContract(name, open)
  catalogStoreContract(name, open)
  apiKeysContract(name, () => openTelling(open))
  quotaStoreContract(name, open, runs.quotas)
  reservedGoodbyesContract(name, open)
  visitorsContract(name, open, runs.quotas)
  healthStoreContract(name, open)
  workLeasesContract(name, async () => (await open()).leases)
}
