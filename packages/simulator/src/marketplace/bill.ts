import { add, type Decimal, formatDecimal, multiply, parseDecimal } from './decimal.ts'
import type { MarketplaceState } from './state.ts'

/** What AWS would invoice for accepted usage. All amounts are exact decimal strings of US dollars. */
export interface Bill {
  readonly currency: 'USD'
  readonly total: string
  readonly accounts: readonly { readonly accountId: string; readonly amount: string }[]
  /** One line per subscription, dimension and month, in the order in which usage first came in. */
  readonly lines: readonly BillLine[]
}

export interface BillLine {
  readonly accountId: string
  readonly subscriptionId: string
  readonly productCode: string
  readonly dimension: string
  /** The UTC month of the usage itself, e.g. `2026-11`. */
  readonly month: string
  readonly records: number
  /** Sum over all hours and regions, as a decimal string: it may exceed 2^53. */
  readonly units: string
  readonly unitPrice: string
  readonly amount: string
}

const NOTHING: Decimal = { units: 0n, scale: 0 }

/** Adds up the ledger; usage of a free trial costs nothing. Contract fees that fall due without usage are not part of it. */
export function makeBill({ ledger, subscriptions, products }: MarketplaceState): Bill {
  const sums = new Map<
    string,
    { subscription: number; dimension: string; month: string; records: number; units: bigint }
  >()
  for (let index = 0; index < ledger.size; index++) {
    const { subscription, dimension, timestamp, quantity } = ledger.at(index)
    const month = monthOf(timestamp)
    const key = `${subscription} ${month} ${dimension}`
    let sum = sums.get(key)
    if (sum === undefined) {
      sum = { subscription, dimension, month, records: 0, units: 0n }
      sums.set(key, sum)
    }
    sum.records++
    sum.units += BigInt(quantity)
  }

  const accounts = new Map<string, Decimal>()
  let total = NOTHING
  const lines = [...sums.values()].map(({ subscription, dimension, month, records, units }) => {
    const { id, accountId, productCode, freeTrial } = subscriptions.at(subscription)
    const priced = products.get(productCode)?.dimensions.find(({ key }) => key === dimension)
    const price = (freeTrial ? undefined : parseDecimal(priced?.price ?? '0')) ?? NOTHING
    const amount = multiply(price, units)
    total = add(total, amount)
    accounts.set(accountId, add(accounts.get(accountId) ?? NOTHING, amount))
    return {
      accountId,
      subscriptionId: id,
      productCode,
      dimension,
      month,
      records,
      units: units.toString(),
      unitPrice: formatDecimal(price),
      amount: formatDecimal(amount),
    }
  })
  return {
    currency: 'USD',
    total: formatDecimal(total),
    accounts: [...accounts].map(([accountId, amount]) => ({ accountId, amount: formatDecimal(amount) })),
    lines,
  }
}

function monthOf(timestamp: number): string {
  const date = new Date(timestamp)
  return `${date.getUTCFullYear()}-${String(date.getUTCMonth() + 1).padStart(2, '0')}`
}
