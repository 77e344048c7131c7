import { createDynamoSubscriptionStore } from '../subscriptions.ts'
import type { Table } from '../table.ts'
import type { UsageOfSubscriptions } from '../usage-of-subscriptions.ts'
import { createBucketStore } from './bucket-store.ts'
import { openBucket } from './buckets.ts'
import { extendDeadlines, shortenDeadlines } from './deadlines.ts'
import { meterAt } from './meters.ts'
import { createRecordStore } from './record-store.ts'
import { usageOfSubscriptions } from './subscription-usage.ts'

/** The usage ledger on a table, with the subscriptions that it needs. */
export function openUsage(table: Table) {
  const changes: UsageOfSubscriptions = {
    ...usageOfSubscriptions,
    shortenDeadlines,
    extendDeadlines,
    readUnsettled: () => Promise.reject(new Error('not asked for here')),
  }
  return {
    usage: {
      ...createBucketStore(table),
      ...createRecordStore(table, (tx, meter, from) => openBucket(tx, meterAt(meter), from)),
    },
    subscriptions: createDynamoSubscriptionStore(table, changes),
  }
}
