import { addAmounts, priceOf } from '../money.ts'
import type { ProductCatalog } from '../products/product.ts'
import type { UsageStatus } from './usage-store.ts'

export interface PendingWorth {
  readonly product: string
  readonly dimension: string
  readonly units: bigint
  /** US dollars as a decimal string; undefined where no price is configured. */
  readonly amount: string | undefined
}

/** What is sealed but not accepted yet is worth, by the configured prices: what a seller loses if AWS never takes it. */
export function worthAtRisk(
  status: Pick<UsageStatus, 'pending'>,
  catalog: ProductCatalog,
): { readonly pending: readonly PendingWorth[]; readonly total: string } {
  const pending = status.pending.map(({ product, dimension, units }): PendingWorth => {
    const price = catalog.find(product)?.dimensions.find(({ key }) => key === dimension)?.price
    return { product, dimension, units, amount: price === undefined ? undefined : priceOf(units, price) }
  })
  return { pending, total: addAmounts(pending.flatMap(({ amount }) => amount ?? [])) }
}
