import { addAmounts, priceOf } from '../money.ts'
import { baseUnitsPerUnit, type ProductCatalog } from '../products/product.ts'
import { MARGINS } from './aws-rules.ts'
import { awsDeadline } from './deadlines.ts'
import { type Hour, hourOf } from './hour.ts'
import type { StatusAt, UsageStatus } from './usage-store.ts'

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

/** What a status is judged by: the time, and what is sold. */
export function statusAt(catalog: ProductCatalog, now: number): StatusAt {
  const units = catalog.list().flatMap((product) =>
    product.dimensions.map((dimension) => ({
      product: product.id,
      dimension: dimension.key,
      base: baseUnitsPerUnit(dimension),
    })),
  )
  return { now, units }
}

/** When AWS stops taking an hour that has no record yet. */
export function unsealedDeadline(hour: Hour, finalWindowEnd: number | undefined): number {
  return awsDeadline(hour, { accessStart: 0, accessEnd: undefined, finalWindowEnd })
}

/** The last hour that nothing keeps open any more, whatever the product's grace. */
export function lastOverdueHour(now: number): Hour {
  let hour = hourOf(now)
  while (unsealedDeadline(hour, undefined) - MARGINS.sealBeforeDeadlineMs > now) hour--
  return hour
}
