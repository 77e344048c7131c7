import { addAmounts, priceOf } from '../money.ts'
import { baseUnitsPerUnit, type ProductCatalog } from '../products/product.ts'
import { MARGINS } from './aws-rules.ts'
import { awsDeadline } from './deadlines.ts'
import { type Hour, hourOf } from './hour.ts'
import type { StatusAt, UnsealedHours, UsageStatus } from './usage-store.ts'

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

/** Buckets without a record, of one hour or one each: what a status says of each product. */
export function unsealedByProduct(
  hours: Iterable<{
    readonly product: string
    readonly hour: Hour
    readonly buckets: number
    /** Of the subscription whose final window closes first, if any has one, ms. */
    readonly finalWindowEnd: number | undefined
  }>,
): UnsealedHours[] {
  const found = new Map<string, UnsealedHours>()
  for (const { product, hour, buckets, finalWindowEnd } of hours) {
    const deadline = unsealedDeadline(hour, finalWindowEnd)
    const known = found.get(product)
    found.set(product, {
      product,
      buckets: (known?.buckets ?? 0) + buckets,
      oldestHour: Math.min(known?.oldestHour ?? hour, hour),
      deadline: Math.min(known?.deadline ?? deadline, deadline),
    })
  }
  return [...found.values()].sort((a, b) => (a.product < b.product ? -1 : 1))
}

/** The last hour that nothing keeps open any more, whatever the product's grace. */
export function lastOverdueHour(now: number): Hour {
  let hour = hourOf(now)
  while (unsealedDeadline(hour, undefined) - MARGINS.sealBeforeDeadlineMs > now) hour--
  return hour
}
