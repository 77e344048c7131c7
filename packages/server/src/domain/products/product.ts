import type { Aggregation, AggregationPeriod } from '../usage/aggregation.ts'

/** How AWS knows who used something. One product speaks one of the two (facts: legacy and license metering bill twice). */
export type MeteringIdentity = 'license' | 'legacy'

/** When a quantity is too large to be billed without a person's look. */
export type HoldAbove = { readonly units: bigint } | { readonly times: number }

/** A unit of a product that is counted. */
export interface Dimension {
  /** AWS's dimension key, case-sensitive. */
  readonly key: string
  readonly name: string
  readonly aggregation: Aggregation
  /** Only for `max` and `unique`: the time over which the aggregate is taken. */
  readonly per: AggregationPeriod
  /** Decimal digits that a reported quantity may have, 0 to 6. The base unit is 10^-scale. */
  readonly scale: number
  /** Reported units in one billed unit: 1000 when AWS sells thousands of requests. */
  readonly unitSize: bigint
  readonly holdAbove: HoldAbove | undefined
  /** What happens to a held hour that nobody decided on before AWS stops taking it. */
  readonly onDeadline: 'release' | 'waive'
  /** What happens to less than one billed unit when a subscription ends. */
  readonly remainder: 'forgive' | 'roundUp'
  /** Send a zero for each completed hour without usage. */
  readonly reportZero: boolean
  /** US dollars for one billed unit as a decimal string, where the seller said so: for "usage at risk" in money. */
  readonly price: string | undefined
  /** Names under which the seller's platform reports this dimension (`totalScans`). */
  readonly metrics: readonly string[]
}

/** What is sold, with how it is metered. Declared in configuration. */
export interface Product {
  /** Ours: stable, chosen by the seller. */
  readonly id: string
  readonly title: string
  /** AWS's product code, 25 characters that AWS chose. */
  readonly productCode: string
  readonly metering: MeteringIdentity
  /** The AWS region whose metering endpoint takes this product's records. AWS deduplicates per region. */
  readonly region: string
  readonly listing: string
  /** How long after an hour's end its events may still arrive, ms. */
  readonly graceMs: number
  /** How long the hour in progress stays open after an end, ms. */
  readonly goodbyeSettleMs: number
  readonly dimensions: readonly Dimension[]
  readonly plans: readonly Plan[]
}

/** When included units start anew. */
export type IncludedReset = 'calendarMonth' | 'anniversary' | 'term'

/** Units of a metered dimension that a contract already paid for (contract with consumption). */
export interface Included {
  readonly dimension: string
  /** Billed units per period. */
  readonly units: bigint
  readonly reset: IncludedReset
}

export interface Plan {
  readonly id: string
  readonly title: string
  readonly included: readonly Included[]
}

/** Base units in one billed unit: the divisor of everything that AWS is sent. */
export function baseUnitsPerUnit(dimension: Pick<Dimension, 'scale' | 'unitSize'>): bigint {
  return dimension.unitSize * 10n ** BigInt(dimension.scale)
}

/** The products of this deployment, by the names that callers use. */
export interface ProductCatalog {
  list(): readonly Product[]
  /** By our id or AWS's product code. */
  find(idOrCode: string): Product | undefined
  findByListing(listing: string): Product | undefined
}

export function createProductCatalog(products: readonly Product[]): ProductCatalog {
  const byName = new Map<string, Product>()
  for (const product of products) byName.set(product.productCode, product)
  for (const product of products) byName.set(product.id, product)
  const byListing = new Map(products.map((product) => [product.listing, product]))
  return {
    list: () => products,
    find: (idOrCode) => byName.get(idOrCode),
    findByListing: (listing) => byListing.get(listing),
  }
}

/** A dimension by its key or by the name under which the platform reports it. */
export function findDimension(product: Product, name: string): Dimension | undefined {
  return product.dimensions.find((dimension) => dimension.key === name || dimension.metrics.includes(name))
}
