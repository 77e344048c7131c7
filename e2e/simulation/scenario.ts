import { PLAIN_PLAN, type Plan } from '../../packages/server/src/domain/plans/plan.ts'
import {
  type Dimension,
  type Product,
  USAGE_PRODUCT,
} from '../../packages/server/src/domain/products/product.ts'
import type { Settings, SimulatedProduct } from '../../packages/simulator/src/index.ts'
import type { Random } from './random.ts'

const HOUR_MS = 3_600_000
/** What contracts grant. */
export const SEATS = 'seats-granted'
export const ENTERPRISE = 'enterprise-granted'

/** What one run plays with: the seller's configuration, AWS's listings, and AWS's unverified habits. */
export interface Scenario {
  products: Product[]
  readonly listings: SimulatedProduct[]
  readonly settings: Partial<Settings>
  readonly start: number
  readonly onFile: boolean
  readonly steps: number
}

export function createScenario(random: Random): Scenario {
  const products = Array.from({ length: random.int(1, 3) }, (_, index) => createProduct(random, index))
  return {
    products,
    listings: products.map((product) => ({
      productCode: product.productCode,
      title: product.title,
      metering: product.metering,
      pricing: 'usage',
      fulfillmentUrl: 'http://127.0.0.1:4000/',
      // One that AWS does not know yet poisons every call that carries it.
      dimensions: [
        { key: 'seats' },
        ...product.dimensions.filter(({ name }) => name !== 'undefined at AWS').map(({ key }) => ({ key })),
      ],
    })),
    settings: {
      licenseDelayMs: random.pick([0, 72_000, 3 * HOUR_MS]),
      deprovisionDelayMs: random.pick([0, 31_000]),
      identicalResend: random.pick(['success', 'duplicateRecord']),
      unknownCustomer: random.pick(['status', 'exception']),
      futureTimestamps: random.pick(['refuse', 'accept']),
      usageBeforeAgreement: random.pick(['refuse', 'accept']),
      usageAfterEnd: random.pick(['accept', 'refuse']),
      tooManyRecordsError: random.pick(['ValidationException', 'SerializationException']),
      requestBytesMax: random.pick([1_000_000, 1_048_576]),
      productCodeWithLicense: random.pick(['reject', 'accept']),
      meteringRecordIdWhenNotSubscribed: random.chance(0.5),
      licenseOnRenewal: random.pick(['new', 'kept']),
      regionalDedup: random.chance(0.8),
      throttling: random.chance(0.8),
      batchMeterUsagePerSecond: random.pick([10, 10, 3]),
    },
    // Often near a month's end: the hardest time.
    start: random.chance(0.4)
      ? Date.UTC(2027, random.pick([0, 1, 3]), 30, random.int(0, 23), random.int(0, 59))
      : Date.UTC(2026, 10, random.int(1, 28), random.int(0, 23), random.int(0, 59), random.int(0, 59), 7),
    onFile: random.chance(0.03),
    steps: random.int(30, 60),
  }
}

function createProduct(random: Random, index: number): Product {
  const dimensions = Array.from({ length: random.int(1, 3) }, (_, number) => createDimension(random, number))
  const pricing = random.weighted({ usage: 6, 'contract-with-consumption': 4, contract: 1 })
  const isContract = pricing === 'contract-with-consumption'
  const plans: Plan[] = []
  if (random.chance(isContract ? 0.9 : 0.4)) {
    const dimension = random.pick(dimensions).key
    const aPlan = (id: string, grantedBy?: string): Plan => ({
      id,
      title: id,
      ...PLAIN_PLAN,
      grantedBy,
      included: [
        {
          dimension,
          units: BigInt(random.int(1, 20)),
          per: isContract && random.chance(0.7) ? SEATS : undefined,
          reset: random.pick(['calendarMonth', 'anniversary', 'term']),
        },
      ],
    })
    plans.push(aPlan('pro'))
    if (isContract && random.chance(0.5)) plans.push(aPlan('enterprise', ENTERPRISE))
  }
  return {
    id: `product-${index}`,
    title: `Product ${index}`,
    ...USAGE_PRODUCT,
    pricing,
    productCode: `code${index}`,
    metering: random.chance(0.65) ? 'license' : 'legacy',
    region: random.pick(['us-east-1', 'eu-west-1']),
    listing: `listing-${index}`,
    graceMs: random.pick([0, 15 * 60_000, 15 * 60_000, 3 * HOUR_MS, 18 * HOUR_MS]),
    goodbyeSettleMs: random.pick([0, 10 * 60_000, 10 * 60_000, 40 * 60_000]),
    dimensions,
    plans,
  }
}

function createDimension(random: Random, number: number): Dimension {
  const aggregation = random.weighted({ sum: 5, count: 2, max: 2, unique: 2, total: 2 })
  return {
    key: `d${number}-${aggregation}`,
    name: random.chance(0.08) ? 'undefined at AWS' : aggregation,
    aggregation,
    per: random.pick(['hour', 'day', 'month']),
    scale: random.pick([0, 0, 2, 6]),
    unitSize: random.pick([1n, 1n, 5n, 1000n]),
    holdAbove: random.pick([undefined, undefined, undefined, { units: 5n }, { times: 2 }]),
    onDeadline: random.pick(['release', 'release', 'waive']),
    remainder: random.pick(['forgive', 'roundUp']),
    reportZero: random.chance(0.25),
    price: undefined,
    metrics: [],
    meteredBy: 'product',
  }
}
