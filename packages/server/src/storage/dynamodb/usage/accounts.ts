import type { Account } from '../../../domain/usage/account.ts'
import type { Hour } from '../../../domain/usage/hour.ts'
import {
  emptyBalances,
  type PeriodAccounts,
  type UsageAccounts,
} from '../../../domain/usage/usage-accounts.ts'
import { int, textSet } from '../fields.ts'
import { meterKey, recordKey, subscriptionKey } from '../keys.ts'
import type { Reader, Table } from '../table.ts'
import { type Bucket, readBuckets } from './buckets.ts'
import { type Meter, meterAt } from './meters.ts'
import { type BookedTransfer, toTransfers } from './record-items.ts'

type Range = Parameters<UsageAccounts['read']>[1]

/** Longer than any ledger: all hours are of one period. */
const ALL_HOURS = 1_000_000_000

/** All of it strongly consistent, and by keys alone: buckets and records of a meter are in order of their hours. */
export function createDynamoUsageAccounts(table: Table): UsageAccounts {
  return {
    async read(subscription, range) {
      const dimensions = [...textSet((await table.get(subscriptionKey(subscription)))?.dimensions)].sort()
      const metas = await table.getMany(dimensions.map((dimension) => meterKey(subscription, dimension)))
      const found = await Promise.all(
        dimensions.map(async (dimension, index) => ({
          dimension,
          scale: int(metas[index]?.scale ?? 0),
          periods: await readPeriods(table, meterAt({ subscription, dimension }), range),
        })),
      )
      return found.filter(({ periods }) => periods.length > 0)
    },
  }
}

async function readPeriods(reader: Reader, meter: Meter, range: Range): Promise<PeriodAccounts[]> {
  const length = range.hoursPerPeriod ?? ALL_HOURS
  const periods = new Map<number, { events: number; balances: Record<Account, bigint> }>()
  const periodOf = (hour: Hour) => {
    const number = Math.floor(hour / length)
    const period = periods.get(number) ?? { events: 0, balances: emptyBalances() }
    periods.set(number, period)
    return period
  }
  for (const bucket of await readBuckets(reader, meter, { from: range.from, to: range.to - 1 })) {
    const period = periodOf(bucket.hour)
    period.events += bucket.events
    bookBucket(period.balances, bucket)
  }
  for (const item of await reader.query({
    pk: meter.pk,
    from: recordKey(meter.subscription, meter.dimension, range.from).sk,
    to: recordKey(meter.subscription, meter.dimension, range.to - 1).sk,
  }))
    bookTransfers(periodOf(int(item.hour)).balances, toTransfers(item.transfers))
  return [...periods]
    .sort(([a], [b]) => a - b)
    .filter(([, { events, balances }]) => events > 0 || Object.values(balances).some((base) => base !== 0n))
    .map(([number, { events, balances }]) => ({
      from: Math.max(number * length, range.from),
      events,
      balances,
    }))
}

/** What a bucket measured, and what moved from there that no record tells of. */
export function bookBucket(balances: Record<Account, bigint>, bucket: Bucket): void {
  const { quantity, unbillable } = bucket
  balances.measured -= quantity + unbillable
  balances.open += quantity
  balances.unbillable += unbillable
  bookTransfers(balances, toTransfers(bucket.shards[0]?.transfers))
}

export function bookTransfers(balances: Record<Account, bigint>, transfers: readonly BookedTransfer[]): void {
  for (const { from, to, amount } of transfers) {
    balances[from] -= amount
    balances[to] += amount
  }
}
