import { createDynamoBuyerStore } from './buyers.ts'
import { createDynamoBuyerCaseStore } from './cases.ts'
import { createDynamoEntitlementStore } from './entitlements.ts'
import { createDynamoSubscriptionHistory } from './history.ts'
import { createDynamoMailbox } from './mailbox.ts'
import { createDynamoOutboxStore } from './outbox.ts'
import { createDynamoSubscriptionStore } from './subscriptions.ts'
import type { Table } from './table.ts'
import { createDynamoUsageStore, dynamoUsageOfSubscriptions } from './usage/usage-store.ts'

/** The stores of subscribers, as one process has them open on a table. */
export function subscriberStores(table: Table) {
  return {
    cases: createDynamoBuyerCaseStore(table, dynamoUsageOfSubscriptions),
    subscriptions: createDynamoSubscriptionStore(table, dynamoUsageOfSubscriptions),
    entitlements: createDynamoEntitlementStore(table, dynamoUsageOfSubscriptions),
    buyers: createDynamoBuyerStore(table),
    history: createDynamoSubscriptionHistory(table, dynamoUsageOfSubscriptions),
    outbox: createDynamoOutboxStore(table),
    mailbox: createDynamoMailbox(table),
    usage: createDynamoUsageStore(table),
  }
}
