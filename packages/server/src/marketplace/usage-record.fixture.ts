import { HOUR_MS } from '../domain/usage/hour.ts'
import type { UsageRecord } from '../domain/usage/usage-record.ts'

/** 2026-11-20T22:00:00Z, the hour of AWS's own samples. */
export const HOUR = 1_795_212_000_000 / HOUR_MS
export const LICENSE = 'arn:aws:license-manager::294406891311:license:l-9d01d15f86334a8894365cd7350556ff'
export const ACCOUNT = '782858285006'

/** A sealed, license-metered record that has not been sent. */
export function aUsageRecord(change: Partial<UsageRecord> = {}): UsageRecord {
  const hour = change.hour ?? HOUR
  return {
    id: 'rec_1',
    product: 'demo',
    subscription: 'sub_1',
    dimension: 'api',
    hour,
    region: 'us-east-1',
    identity: { kind: 'license', licenseArn: LICENSE, customerAwsAccountId: ACCOUNT },
    timestamp: hour * HOUR_MS,
    quantity: 3,
    unitBase: 1n,
    allocations: [],
    state: 'ready',
    deadline: (hour + 24) * HOUR_MS,
    sealedAt: (hour + 1) * HOUR_MS,
    attempts: 0,
    unanswered: 0,
    nextAttemptAt: 0,
    meteringRecordId: undefined,
    note: undefined,
    ...change,
  }
}
