import type { Plan } from '../plans/plan.ts'
import { type Plans, planAt } from '../plans/plan-version.ts'
import type { Aggregation, AggregationPeriod } from '../usage/aggregation.ts'
import type { Endpoint } from './endpoint.ts'

/** How AWS knows who used something. One product speaks one of the two (facts: legacy and license metering bill twice). */
export type MeteringIdentity = 'license' | 'legacy'

/**
 * AWS's pricing model. `usage`: all usage is metered, there are no entitlements. `contract`: entitlements, and AWS is never
 * metered to. `contract-with-consumption`: both, and only what exceeds the contract is metered.
 */
export type Pricing = 'usage' | 'contract' | 'contract-with-consumption'

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
  /** Who says what was used: the product reports it, or `POST /quota/validate` counts what it allows. Never both. */
  readonly meteredBy: 'product' | 'gate'
}

/** What is sold, with how it is metered. Declared in configuration. */
export interface Product extends Plans {
  /** Ours: stable, chosen by the seller. */
  readonly id: string
  readonly title: string
  /** AWS's product code, 25 characters that AWS chose. */
  readonly productCode: string
  /** AWS's entity id, `prod-…`, where configuration says it: the Agreement API knows products by it. */
  readonly productId: string | undefined
  readonly pricing: Pricing
  readonly landing: LandingPage
  readonly metering: MeteringIdentity
  /** The AWS region whose metering endpoint takes this product's records. AWS deduplicates per region. */
  readonly region: string
  readonly listing: string
  /** How long after an hour's end its events may still arrive, ms. */
  readonly graceMs: number
  /** How long the hour in progress stays open after an end, ms. */
  readonly goodbyeSettleMs: number
  readonly dimensions: readonly Dimension[]
  /** Where one moves up to another plan, by the channel that a buyer came through. */
  readonly upgradeUrl: { readonly aws: string | undefined; readonly direct: string | undefined }
  /** Where it serves, and where each place says how it is. */
  readonly endpoints: readonly Endpoint[]
}

/** What the landing page of a listing shows, as its seller wrote it. */
export interface LandingPage {
  readonly description: string | undefined
  /** `https:` address of an image. */
  readonly logoUrl: string | undefined
  /** `#rrggbb` */
  readonly accentColor: string | undefined
  readonly supportEmail: string | undefined
  readonly supportUrl: string | undefined
  /** Where those go who have an account already. */
  readonly loginUrl: string | undefined
  /** What the buyer may expect after registering. */
  readonly nextSteps: string | undefined
  /** Asked for besides the e-mail address; the listed ones are required. */
  readonly fields: readonly { readonly name: 'name' | 'company' | 'phone'; readonly required: boolean }[]
}

/** A listing whose seller wrote nothing about it. */
export const PLAIN_LANDING: LandingPage = {
  description: undefined,
  logoUrl: undefined,
  accentColor: undefined,
  supportEmail: undefined,
  supportUrl: undefined,
  loginUrl: undefined,
  nextSteps: undefined,
  fields: [
    { name: 'name', required: false },
    { name: 'company', required: false },
  ],
}

/** What a product that is metered by usage alone need not say. */
export const USAGE_PRODUCT = {
  productId: undefined,
  pricing: 'usage',
  landing: PLAIN_LANDING,
  planVersions: [],
  upgradeUrl: { aws: undefined, direct: undefined },
  endpoints: [],
} as const

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
  /** A product's plan as it was, is, or is going to be at a time, ms. */
  planAt(product: string, plan: string, time: number): Plan | undefined
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
    planAt(id, plan, time) {
      const product = byName.get(id)
      return product && planAt(product, plan, time)
    },
  }
}

/** A dimension by its key or by the name under which the platform reports it. */
export function findDimension(product: Product, name: string): Dimension | undefined {
  return product.dimensions.find((dimension) => dimension.key === name || dimension.metrics.includes(name))
}
