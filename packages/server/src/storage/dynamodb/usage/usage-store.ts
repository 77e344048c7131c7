import type { UsageStore } from '../../../domain/usage/usage-store.ts'
import type { Table } from '../table.ts'
import type { UsageOfSubscriptions } from '../usage-of-subscriptions.ts'
import { auditMeters } from './audit.ts'
import { createBucketStore } from './bucket-store.ts'
import { openBucket } from './buckets.ts'
import { extendDeadlines, shortenDeadlines } from './deadlines.ts'
import { meterAt } from './meters.ts'
import { createRecordStore } from './record-store.ts'
import { readStatus } from './status.ts'
import { usageOfSubscriptions } from './subscription-usage.ts'
import { readUnsettled } from './unsettled.ts'

/** The usage ledger on DynamoDB. */
export function createDynamoUsageStore(table: Table): UsageStore {
  return {
    ...createBucketStore(table),
    ...createRecordStore(table, (tx, meter, from) => openBucket(tx, meterAt(meter), from)),
    status: (product, at) => readStatus(table, product, at),
    audit: (visit) => auditMeters(table, visit),
  }
}

/** What changes of subscriptions bring about for buckets and for records. */
export const dynamoUsageOfSubscriptions: UsageOfSubscriptions = {
  ...usageOfSubscriptions,
  shortenDeadlines,
  extendDeadlines,
  readUnsettled,
}
