import type { UsageAllocation } from './usage-record.ts'

/** A usage record that was answered `Success` for the first time: what AWS bills. Times are epoch milliseconds. */
export interface LedgerRecord {
  /** Position in the ledger, from 0. */
  readonly sequence: number
  readonly meteringRecordId: string
  readonly region: string
  readonly productCode: string
  readonly subscriptionId: string
  readonly accountId: string
  /** `license`: billed under `licenseArn`. `legacy`: under product code and customer. */
  readonly identity: 'license' | 'legacy'
  readonly licenseArn?: string
  readonly customerIdentifier?: string
  readonly dimension: string
  readonly timestamp: number
  readonly hourStart: number
  /** Whole units, 0 to 2,147,483,647. */
  readonly quantity: number
  readonly allocations?: readonly UsageAllocation[]
  /** When it arrived, on the virtual clock. */
  readonly receivedAt: number
}

/** What the ledger keeps of a record; the rest of {@link LedgerRecord} follows from it. */
export interface LedgerEntry {
  /** AWS's deduplication scope without the hour: region, identity and dimension as one string. */
  readonly meter: string
  readonly subscription: number
  readonly region: string
  readonly dimension: string
  readonly timestamp: number
  readonly quantity: number
  readonly allocations?: readonly UsageAllocation[]
  readonly receivedAt: number
}

/**
 * Accepted records, in order of arrival. Stored by column, since a rehearsal of a year makes millions: 28 bytes a
 * record, besides its place in the index of hours.
 */
export interface Ledger {
  readonly size: number
  append(entry: LedgerEntry): number
  at(index: number): LedgerEntry
  /** The record that already holds this meter's hour. */
  findHour(meter: string, hour: number): number | undefined
}

export const HOUR_MS = 3_600_000

/** The UTC hour of an instant, counted from the epoch: the unit in which AWS deduplicates. */
export const hourOf = (timestamp: number) => Math.floor(timestamp / HOUR_MS)

interface Meter {
  readonly key: string
  readonly region: string
  readonly dimension: string
  readonly hours: Map<number, number>
}

const CAPACITY_AT_START = 1024

export function createLedger(): Ledger {
  const meters: Meter[] = []
  const meterIndexes = new Map<string, number>()
  const allocations = new Map<number, readonly UsageAllocation[]>()
  let size = 0
  let timestamps = new Float64Array(CAPACITY_AT_START)
  let arrivals = new Float64Array(CAPACITY_AT_START)
  let quantities = new Int32Array(CAPACITY_AT_START)
  let meterOf = new Int32Array(CAPACITY_AT_START)
  let subscriptionOf = new Int32Array(CAPACITY_AT_START)

  function meterIndex(entry: LedgerEntry): number {
    const known = meterIndexes.get(entry.meter)
    if (known !== undefined) return known
    const { meter: key, region, dimension } = entry
    meters.push({ key, region, dimension, hours: new Map() })
    meterIndexes.set(key, meters.length - 1)
    return meters.length - 1
  }

  function grow(): void {
    const capacity = timestamps.length * 2
    timestamps = grown(timestamps, new Float64Array(capacity))
    arrivals = grown(arrivals, new Float64Array(capacity))
    quantities = grown(quantities, new Int32Array(capacity))
    meterOf = grown(meterOf, new Int32Array(capacity))
    subscriptionOf = grown(subscriptionOf, new Int32Array(capacity))
  }

  return {
    get size() {
      return size
    },
    append(entry) {
      if (size === timestamps.length) grow()
      const index = size++
      const meter = meterIndex(entry)
      timestamps[index] = entry.timestamp
      arrivals[index] = entry.receivedAt
      quantities[index] = entry.quantity
      meterOf[index] = meter
      subscriptionOf[index] = entry.subscription
      if (entry.allocations !== undefined) allocations.set(index, entry.allocations)
      meters[meter]?.hours.set(hourOf(entry.timestamp), index)
      return index
    },
    at(index) {
      const meter = meters[meterOf[index] ?? -1]
      if (index < 0 || index >= size || meter === undefined) throw new RangeError(`no record ${index}`)
      const split = allocations.get(index)
      return {
        meter: meter.key,
        region: meter.region,
        dimension: meter.dimension,
        subscription: subscriptionOf[index] ?? 0,
        timestamp: timestamps[index] ?? 0,
        quantity: quantities[index] ?? 0,
        receivedAt: arrivals[index] ?? 0,
        ...(split !== undefined && { allocations: split }),
      }
    },
    findHour(meter, hour) {
      const index = meterIndexes.get(meter)
      return index === undefined ? undefined : meters[index]?.hours.get(hour)
    },
  }
}

function grown<Column extends Float64Array | Int32Array>(from: Column, to: Column): Column {
  to.set(from)
  return to
}
