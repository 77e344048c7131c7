import { ACCOUNTS, type Account, type Balances } from './account.ts'
import type { Hour } from './hour.ts'

/** What a subscription's usage of some hours came to, by dimension and period: sums of the ledger's own accounts. */
export interface UsageAccounts {
  /**
   * Reads by index what was booked of the hours from `from` up to, not including, `to`.
   *
   * @param hoursPerPeriod - 1, or 24 for UTC days; undefined: all as one period
   * @returns dimensions in order of their keys; periods without any usage are left out
   */
  read(
    subscription: string,
    range: { readonly from: Hour; readonly to: Hour; readonly hoursPerPeriod: number | undefined },
  ): Promise<readonly DimensionAccounts[]>
}

export interface DimensionAccounts {
  readonly dimension: string
  /** Decimal digits of a base unit. */
  readonly scale: number
  /** In order of time. */
  readonly periods: readonly PeriodAccounts[]
}

export interface PeriodAccounts {
  /** Its first hour, or the first one asked for where the period began before. */
  readonly from: Hour
  readonly events: number
  /** Base units. `measured` is negative, so that all sum to zero; `carry` is what the period added to it, or took. */
  readonly balances: Balances
}

export function emptyBalances(): Record<Account, bigint> {
  return Object.fromEntries(ACCOUNTS.map((account) => [account, 0n])) as Record<Account, bigint>
}

export function addBalances(periods: readonly Pick<PeriodAccounts, 'balances'>[]): Balances {
  const sum = emptyBalances()
  for (const { balances } of periods) for (const account of ACCOUNTS) sum[account] += balances[account]
  return sum
}
