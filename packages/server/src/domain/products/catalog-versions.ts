import { type PlanVersion, type Version, versionsThatHold } from '../plans/plan-version.ts'
import type { Product } from './product.ts'

/** What a product is apart from its plans. */
export type ProductBody = Omit<Product, 'plans' | 'planVersions'>

/** A product as it is from `at` on: what it meters by, and where, is not dated ahead. */
export interface ProductVersion extends Version {
  readonly body: ProductBody
  /** Configuration declares it no longer. */
  readonly isRetired: boolean
}

/** Every version of everything, each product's and each plan's in order. */
export interface CatalogVersions {
  readonly products: readonly ProductVersion[]
  readonly plans: readonly PlanVersion[]
}

export const NO_VERSIONS: CatalogVersions = { products: [], plans: [] }

export function productVersions({ products }: CatalogVersions, product: string): readonly ProductVersion[] {
  return products.filter((version) => version.product === product)
}

export function planVersions(
  { plans }: CatalogVersions,
  product: string,
  plan: string,
): readonly PlanVersion[] {
  return plans.filter((version) => version.product === product && version.body.id === plan)
}

/**
 * Plans of a product as they are at a time, by id; without those that are not there yet, with retired ones.
 *
 * @param time - ms; endless: when all that is dated ahead has come
 */
export function plansAt(
  { plans }: Pick<CatalogVersions, 'plans'>,
  product: string,
  time: number,
): ReadonlyMap<string, PlanVersion> {
  const ofProduct = plans.filter((version) => version.product === product)
  const held = versionsThatHold(ofProduct).filter(({ from }) => from <= time)
  return new Map(held.map((version) => [version.body.id, version]))
}
