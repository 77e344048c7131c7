import { hash } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Account } from '../../../domain/usage/account.ts'
import { checkMeter } from '../../../domain/usage/audit-usage.ts'
import { type Hour, hourOf } from '../../../domain/usage/hour.ts'
import { emptyBalances } from '../../../domain/usage/usage-accounts.ts'
import type { RecordState } from '../../../domain/usage/usage-record.ts'
import type { MeterAudit, UsageStore } from '../../../domain/usage/usage-store.ts'
import { big, int, text } from '../fields.ts'
import { inParallel } from '../in-parallel.ts'
import { includedPrefix, ledgerKey, metersOfProduct, recordPrefix } from '../keys.ts'
import type { Item, Table } from '../table.ts'
import { bookBucket, bookTransfers } from './accounts.ts'
import { type Bucket, readBuckets } from './buckets.ts'
import { type Meter, meterOf } from './meters.ts'
import { measureBucket } from './moves.ts'
import { readProducts } from './products.ts'
import { toTransfers } from './record-items.ts'

/** Meters that are read at once: each waits mostly for the network. */
const METERS_AT_ONCE = 8
/** Readings of a meter before what differs in it is told. */
const READINGS_MAX = 6
const PAUSE_MS = 50

/**
 * Reads every meter three times over: its journal, its rows, its events.
 *
 * There is no moment of all of them, and none is needed: no amount ever moves from one meter to another but between open
 * buckets, with their events. Of one meter, all is read, its events are added up, and all is read again: what is the same
 * both times was so in between. A bucket that only grew meanwhile must have been as large as its events at some time.
 * What does not fit is read anew before it is told: an index may be behind, and of a transaction DynamoDB may show one
 * item before the other.
 */
export async function auditMeters(table: Table, visit: Parameters<UsageStore['audit']>[0]): Promise<void> {
  for (const product of await readProducts(table)) {
    for await (const page of table.pages({ pk: metersOfProduct(product) }, 'ListIndex')) {
      const audited = await inParallel(page, METERS_AT_ONCE, (item) => auditMeter(table, meterOf(item)))
      if (audited.length > 0) await visit(audited)
    }
  }
}

interface View {
  readonly horizon: number
  readonly meter: Item
  readonly buckets: readonly Bucket[]
  readonly records: readonly Item[]
  readonly included: readonly Item[]
}

/** Base units of a bucket. */
interface Sums {
  readonly billable: bigint
  readonly unbillable: bigint
}

interface Measured extends Sums {
  /** Of the bucket and the horizon that it was measured by. */
  readonly print: string
}

async function auditMeter(table: Table, meter: Meter): Promise<MeterAudit> {
  const measured = new Map<Hour, Measured>()
  let before = await readView(table, meter)
  for (let reading = 1; ; reading++) {
    for (const bucket of before.buckets) {
      const print = printOf([before.horizon, bucket.shards])
      const known = measured.get(bucket.hour)
      if (known?.print === print && isExact(known, bucket)) continue
      measured.set(bucket.hour, { print, ...(await measure(table, bucket, before.horizon)) })
    }
    const after = await readView(table, meter)
    const audit = toAudit(after, compare(before, measured))
    if (reading === READINGS_MAX || (isSame(before, after) && checkMeter(audit).length === 0)) return audit
    before = after
    await sleep(PAUSE_MS * 2 ** reading)
  }
}

async function readView(table: Table, { pk, subscription, dimension }: Meter): Promise<View> {
  const [horizon, meter] = await table.getMany([ledgerKey('horizon'), { pk, sk: 'META' }])
  if (meter === undefined) throw new Error(`meter ${subscription}/${dimension} is missing`)
  const [buckets, records, included] = await Promise.all([
    readBuckets(table, { pk, subscription, dimension }),
    table.query({ pk, prefix: recordPrefix }),
    table.query({ pk, prefix: includedPrefix }),
  ])
  return { horizon: int(horizon?.value ?? 0), meter, buckets, records, included }
}

/** What is wholly forgotten has no events any more: its own sums speak for them. */
async function measure(table: Table, bucket: Bucket, horizon: number): Promise<Sums> {
  const first = hourOf(horizon)
  const isForgotten = bucket.hour < first && [...bucket.strays.keys()].every((hour) => hour < first)
  return isForgotten
    ? { billable: bucket.quantity, unbillable: bucket.unbillable }
    : measureBucket(table, bucket, horizon)
}

function isExact(measured: Sums, bucket: Bucket): boolean {
  return measured.billable === bucket.quantity && measured.unbillable === bucket.unbillable
}

/**
 * What the events say of a bucket. One that grew while they were added up agrees with them if it was as large as they say
 * at some time: then they are what it is now.
 */
function compare(before: View, measured: ReadonlyMap<Hour, Measured>): (bucket: Bucket) => Sums {
  const earlier = new Map(before.buckets.map((bucket) => [bucket.hour, bucket]))
  return (bucket) => {
    const was = earlier.get(bucket.hour)
    const events = measured.get(bucket.hour)
    // Opened meanwhile: there is another reading, or it is believed.
    if (was === undefined || events === undefined)
      return { billable: bucket.quantity, unbillable: bucket.unbillable }
    const agrees =
      isBetween(was.quantity, events.billable, bucket.quantity) &&
      isBetween(was.unbillable, events.unbillable, bucket.unbillable)
    return agrees ? { billable: bucket.quantity, unbillable: bucket.unbillable } : events
  }
}

/** Did all stay as it was, but for buckets that took in more? */
function isSame(before: View, after: View): boolean {
  return printOf(lasting(before)) === printOf(lasting(after))
}

function lasting({ horizon, meter, records, included, buckets }: View) {
  const journal = buckets.map(({ hour, status, shards }) => [hour, status, shards[0]?.transfers])
  return [horizon, meter.carry, records, included, journal]
}

function isBetween(least: bigint, amount: bigint, most: bigint): boolean {
  return least <= amount && amount <= most
}

function printOf(value: unknown): string {
  const json = JSON.stringify(value, (_, part) => (typeof part === 'bigint' ? `${part}n` : part))
  return hash('sha256', json)
}

function toAudit(
  { meter, buckets, records, included }: View,
  eventsOf: (bucket: Bucket) => Sums,
): MeterAudit {
  const balances = emptyBalances()
  const rows = emptyBalances()
  const wrongBuckets: Hour[] = []
  let total = 0n
  for (const bucket of buckets) {
    bookBucket(balances, bucket)
    if (bucket.status === 'open') rows.open += bucket.quantity
    if (bucket.status === 'held') rows.held += bucket.quantity
    // More than AWS takes at an end has no record.
    for (const { to, amount } of toTransfers(bucket.shards[0]?.transfers))
      if (to === 'refused') rows.refused += amount
    const events = eventsOf(bucket)
    total += events.billable + events.unbillable
    if (!isExact(events, bucket)) wrongBuckets.push(bucket.hour)
  }
  for (const record of records) {
    bookTransfers(balances, toTransfers(record.transfers))
    const state = text(record.state) as RecordState
    // What was carried on is in `carry`, and in later records.
    if (state !== 'carried') rows[state as Account] += big(record.quantity) * big(record.unitBase)
  }
  rows.measured = balances.measured
  rows.carry = big(meter.carry ?? 0n)
  rows.included = included.reduce((sum, { used }) => sum + big(used ?? 0n), 0n)
  rows.unbillable = balances.unbillable
  // Booked nowhere but in the journal.
  rows.waived = balances.waived
  rows.forgiven = balances.forgiven
  return {
    subscription: text(meter.subscription),
    dimension: text(meter.dimension),
    product: text(meter.product),
    scale: int(meter.scale),
    balances,
    rows,
    measured: total,
    wrongBuckets,
  }
}
