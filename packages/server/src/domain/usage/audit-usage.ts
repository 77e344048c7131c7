import { ACCOUNTS } from './account.ts'
import type { MeterAudit, UsageStore } from './usage-store.ts'

export interface Discrepancy {
  readonly subscription: string
  readonly dimension: string
  /** What differs, in words with both figures. */
  readonly what: string
}

export interface AuditReport {
  readonly balanced: boolean
  readonly meters: number
  readonly discrepancies: readonly Discrepancy[]
}

const DISCREPANCIES_MAX = 1_000

/**
 * Checks double entry on live data. Three views of each meter must agree: the journal of transfers, the rows of
 * buckets and records, and the events themselves; and the accounts must sum to zero.
 */
export async function auditUsage(
  usage: UsageStore,
  onPage?: (metersDone: number) => void,
): Promise<AuditReport> {
  const discrepancies: Discrepancy[] = []
  let meters = 0
  await usage.audit((page) => {
    for (const meter of page) {
      meters++
      for (const what of checkMeter(meter)) {
        if (discrepancies.length < DISCREPANCIES_MAX)
          discrepancies.push({ subscription: meter.subscription, dimension: meter.dimension, what })
      }
    }
    onPage?.(meters)
  })
  return { balanced: discrepancies.length === 0, meters, discrepancies }
}

/** What is wrong with one meter, in words; nothing when it is right. */
export function checkMeter(meter: MeterAudit): string[] {
  const wrong: string[] = []
  const sum = ACCOUNTS.reduce((total, account) => total + meter.balances[account], 0n)
  if (sum !== 0n) wrong.push(`accounts sum to ${sum}, not to zero`)
  for (const account of ACCOUNTS) {
    if (meter.balances[account] !== meter.rows[account]) {
      wrong.push(
        `${account}: the journal says ${meter.balances[account]}, the rows say ${meter.rows[account]}`,
      )
    }
    if (account !== 'measured' && account !== 'forgiven' && meter.balances[account] < 0n) {
      wrong.push(`${account} is below zero: ${meter.balances[account]}`)
    }
  }
  if (meter.measured !== -meter.balances.measured) {
    wrong.push(`measured: the events say ${meter.measured}, the journal says ${-meter.balances.measured}`)
  }
  for (const hour of meter.wrongBuckets)
    wrong.push(`hour ${new Date(hour * 3_600_000).toISOString()} differs from its events`)
  return wrong
}
