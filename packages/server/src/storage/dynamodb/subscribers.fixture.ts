import type { Alarm } from '../../domain/usage/usage-store.ts'
import { clearAlarm, listAlarms, raiseAlarm } from './alarms.ts'
import { createDynamoBuyerStore } from './buyers.ts'
import { createDynamoBuyerCaseStore } from './cases.ts'
import { createDynamoEntitlementStore } from './entitlements.ts'
import { createDynamoSubscriptionHistory } from './history.ts'
import { createDynamoMailbox } from './mailbox.ts'
import { createDynamoOutboxStore } from './outbox.ts'
import { createDynamoSubscriptionStore } from './subscriptions.ts'
import type { Table } from './table.ts'
import type { UsageOfSubscriptions } from './usage-of-subscriptions.ts'

/** Of subscriptions that nothing is metered of. */
const none: UsageOfSubscriptions = {
  touchGates: async () => {},
  openFinalBuckets: async () => {},
  moveOpenBuckets: async () => {},
  handOver: async () => {},
  shortenDeadlines: async () => {},
  extendDeadlines: async () => {},
  readUnsettled: async () => ({ openHours: 0, heldHours: 0, unsentRecords: 0, inDoubtRecords: 0 }),
}

/** The stores of subscribers, as one process has them open on a table. */
export function subscriberStores(table: Table) {
  return {
    cases: createDynamoBuyerCaseStore(table, none),
    subscriptions: createDynamoSubscriptionStore(table, none),
    entitlements: createDynamoEntitlementStore(table, none),
    buyers: createDynamoBuyerStore(table),
    history: createDynamoSubscriptionHistory(table, none),
    outbox: createDynamoOutboxStore(table),
    mailbox: createDynamoMailbox(table),
    usage: {
      listAlarms: (limit: number) => listAlarms(table, limit),
      raise: (alarm: Alarm) => table.transaction((tx) => raiseAlarm(tx, alarm)),
      clearAlarm: (kind: Alarm['kind'], subject: string) =>
        table.transaction((tx) => clearAlarm(tx, kind, subject)),
    },
  }
}
