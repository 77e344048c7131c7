import type { PlanVersion, Version } from '../plans/plan-version.ts'
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
