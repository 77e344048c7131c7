import { PLAIN_PLAN, type Plan } from '../plans/plan.ts'
import type { ProductBody } from './catalog-versions.ts'
import { PLAIN_LANDING, type Product } from './product.ts'

// How stores keep them. What a later version adds is read with its default from what an earlier one wrote.

export function planToJson({ included, ...plan }: Plan): string {
  return JSON.stringify({
    ...plan,
    included: included.map(({ units, ...rest }) => ({ ...rest, units: String(units) })),
  })
}

export function planFromJson(json: string): Plan {
  const { included, ...plan } = JSON.parse(json) as Omit<Plan, 'included'> & {
    included: readonly (Omit<Plan['included'][number], 'units'> & { units: string })[]
  }
  return {
    ...PLAIN_PLAN,
    ...plan,
    included: included.map((entry) => ({ ...entry, per: entry.per, units: BigInt(entry.units) })),
  }
}

export function productToJson(product: ProductBody): string {
  return JSON.stringify(product, (_, value: unknown) => (typeof value === 'bigint' ? String(value) : value))
}

/** Numbers that are written as text. */
interface WrittenDimension extends Omit<Product['dimensions'][number], 'unitSize' | 'holdAbove'> {
  readonly unitSize: string
  readonly holdAbove?: { readonly units: string } | { readonly times: number }
}

export function productFromJson(json: string): ProductBody {
  const {
    dimensions,
    upgradeUrl,
    landing,
    productId,
    endpoints = [],
    ...product
  } = JSON.parse(json) as Omit<ProductBody, 'dimensions' | 'endpoints'> & {
    readonly dimensions: readonly WrittenDimension[]
    readonly endpoints?: ProductBody['endpoints']
  }
  return {
    ...product,
    productId,
    landing: { ...PLAIN_LANDING, ...landing },
    upgradeUrl: { aws: upgradeUrl.aws, direct: upgradeUrl.direct },
    endpoints: endpoints.map(({ healthUrl, ...endpoint }) => ({ ...endpoint, healthUrl })),
    dimensions: dimensions.map(({ unitSize, holdAbove, price, ...dimension }) => ({
      ...dimension,
      unitSize: BigInt(unitSize),
      holdAbove: holdAbove && ('units' in holdAbove ? { units: BigInt(holdAbove.units) } : holdAbove),
      price,
    })),
  }
}
