import type { Product } from '../../../domain/products/product.ts'
import type { World } from './world.ts'

/** One thing that AWS's Seller Operations would look at. Plays with buyers of its own, so that none needs another. */
export interface Item {
  readonly title: string
  /** Why a product is not asked for it; undefined: it is. */
  readonly unless?: (product: Product) => string | undefined
  /**
   * @returns what there was to see, in a few words
   * @throws {Finding} where it does not hold
   */
  readonly play: (world: World) => Promise<string | undefined>
}

/** Items of one point of AWS's integration checklist, in its words. */
export interface ItemGroup {
  readonly title: string
  readonly items: readonly Item[]
}

export const unlessLicense = ({ metering }: Product): string | undefined =>
  metering === 'license' ? undefined : 'a legacy product has one agreement for each customer'

export const unlessLegacy = ({ metering }: Product): string | undefined =>
  metering === 'legacy' ? undefined : 'the product is metered by license'

/** For items that need a dimension that is billed from the first unit on. */
export function unlessMetered({ pricing, dimensions, plans }: Product): string | undefined {
  if (pricing === 'contract') return 'a pure contract is never metered'
  if (dimensions.length === 0) return 'the product has no dimensions'
  const included = pricing === 'contract-with-consumption' ? (plans[0]?.included ?? []) : []
  return dimensions.every(({ key }) => included.some(({ dimension }) => dimension === key))
    ? 'the contract includes some of every dimension'
    : undefined
}

export const unlessContract = ({ pricing }: Product): string | undefined =>
  pricing === 'usage' ? 'a product without contract has no entitlements' : undefined

/** The first reason of several. */
export function unlessAll(...reasons: readonly NonNullable<Item['unless']>[]): NonNullable<Item['unless']> {
  return (product) => reasons.map((reason) => reason(product)).find((reason) => reason !== undefined)
}
