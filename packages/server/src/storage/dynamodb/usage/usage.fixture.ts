import { createDynamoSubscriptionStore } from '../subscriptions.ts'
import type { Table } from '../table.ts'
import { createDynamoUsageStore, dynamoUsageOfSubscriptions } from './usage-store.ts'

/** The usage ledger on a table as one process has it open, with the subscriptions that it needs. */
export function openUsage(table: Table) {
  return {
    usage: createDynamoUsageStore(table),
    subscriptions: createDynamoSubscriptionStore(table, dynamoUsageOfSubscriptions),
  }
}
