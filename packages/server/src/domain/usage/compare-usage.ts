import { licenseTail } from '../subscriptions/subscription.ts'
import { type Hour, hourOf, hourText } from './hour.ts'
import type { UsageRecord } from './usage-record.ts'

/** What another metering sent to AWS for one buyer, dimension and hour: a line of its log, or of CloudTrail's. */
export interface MeteredUsage {
  /** A license ARN in any of AWS's spellings, or a legacy customer identifier. */
  readonly identity: string
  readonly dimension: string
  /** ms; AWS deduplicates by its UTC hour. */
  readonly timestamp: number
  /** Whole units. */
  readonly quantity: bigint
}

export interface UsageDifference {
  readonly identity: string
  readonly dimension: string
  /** ISO 8601 */
  readonly hour: string
  /** What this ledger would bill; undefined where it has no record. */
  readonly ours: bigint | undefined
  readonly theirs: bigint | undefined
}

export interface UsageComparison {
  /** Hours in which both have the same quantity. */
  readonly equal: number
  readonly differences: readonly UsageDifference[]
  readonly oursTotal: bigint
  readonly theirsTotal: bigint
}

/**
 * Compares this ledger's records with what another metering sent, hour by hour: what a shadow ledger is for, before it
 * takes over. AWS bills the first record of an hour, so of several lines for one the first counts.
 */
export function compareUsage(
  records: Iterable<UsageRecord>,
  metered: Iterable<MeteredUsage>,
): UsageComparison {
  const theirs = new Map<string, { usage: MeteredUsage; hour: Hour }>()
  for (const usage of metered) {
    const hour = hourOf(usage.timestamp)
    const key = keyOf(usage.identity, usage.dimension, hour)
    if (!theirs.has(key)) theirs.set(key, { usage, hour })
  }
  const differences: UsageDifference[] = []
  let equal = 0
  let oursTotal = 0n
  let theirsTotal = 0n
  for (const record of records) {
    // Its amount is in a later hour's record.
    if (record.state === 'carried') continue
    const identity =
      record.identity.kind === 'license' ? record.identity.licenseArn : record.identity.customerIdentifier
    const key = keyOf(identity, record.dimension, record.hour)
    const found = theirs.get(key)
    theirs.delete(key)
    const ours = BigInt(record.quantity)
    oursTotal += ours
    theirsTotal += found?.usage.quantity ?? 0n
    if (found?.usage.quantity === ours || (found === undefined && ours === 0n)) equal++
    else
      differences.push({
        identity,
        dimension: record.dimension,
        hour: hourText(record.hour),
        ours,
        theirs: found?.usage.quantity,
      })
  }
  for (const { usage, hour } of theirs.values()) {
    theirsTotal += usage.quantity
    if (usage.quantity === 0n) continue
    differences.push({
      identity: usage.identity,
      dimension: usage.dimension,
      hour: hourText(hour),
      ours: undefined,
      theirs: usage.quantity,
    })
  }
  return { equal, differences, oursTotal, theirsTotal }
}

function keyOf(identity: string, dimension: string, hour: Hour): string {
  return JSON.stringify([licenseTail(identity), dimension, hour])
}
