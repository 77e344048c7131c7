import { join } from 'node:path'
import { readStoreUrl, sqliteStore } from '../../packages/server/src/config/store.ts'
import { type Config, demoConfig } from '../../packages/server/src/config.ts'
import { type Product, USAGE_PRODUCT } from '../../packages/server/src/domain/products/product.ts'
import {
  newSubscription,
  type Subscription,
} from '../../packages/server/src/domain/subscriptions/subscription.ts'

/** What the benchmarks' events are of. */
export const DIMENSION = 'units'
/** What access is asked for. */
export const FEATURE = 'export'
export const PRODUCT_CODE = 'bench0tollkeeper000000000'

export function subscriptionId(index: number): string {
  return `sub_00000000-0000-4000-8000-${String(index).padStart(12, '0')}`
}

export function accountId(index: number): string {
  return String(100_000_000_000 + index)
}

export function aProduct(dimensions: readonly string[], number = 0): Product {
  return {
    id: number === 0 ? 'bench' : `bench-${number}`,
    title: 'Benchmark',
    ...USAGE_PRODUCT,
    productCode: number === 0 ? PRODUCT_CODE : `bench${number}tollkeeper00000000`,
    metering: 'license',
    region: 'us-east-1',
    listing: `bench-${number}`,
    graceMs: 15 * 60_000,
    goodbyeSettleMs: 10 * 60_000,
    plans: [],
    dimensions: dimensions.map((key) => ({
      key,
      name: key,
      aggregation: 'sum',
      per: 'month',
      scale: 0,
      unitSize: 1n,
      holdAbove: undefined,
      onDeadline: 'release',
      remainder: 'forgive',
      reportZero: false,
      price: undefined,
      metrics: [],
      meteredBy: 'product',
    })),
  }
}

export function aSubscription(
  index: number,
  accessStart: number,
  values: Partial<Subscription> = {},
): Subscription {
  return newSubscription({
    id: subscriptionId(index),
    product: 'bench',
    buyer: `buy_${accountId(index)}`,
    tenantId: `tenant-${index}`,
    status: 'active',
    licenseArn: `arn:aws:license-manager::294406891311:license:l-${String(index).padStart(32, '0')}`,
    customerAwsAccountId: accountId(index),
    accessStart,
    createdAt: accessStart,
    ...values,
  })
}

/** The product's own settings, but for where its ledger and the simulator are. */
export function aConfig(options: {
  directory: string
  /** Where the ledger is, if not in a SQLite file in the directory. */
  store?: string | undefined
  products: readonly Product[]
  endpoint?: string
}): Config {
  const base = demoConfig()
  const { directory, store: url } = options
  const store = url === undefined ? sqliteStore(join(directory, 'ledger.db')) : readStoreUrl(url, directory)
  if (typeof store === 'string') throw new Error(`${url}: ${store}`)
  return {
    ...base,
    log: { level: 'silent' },
    // They count, and refuse nothing: one client is all the world here.
    server: { ...base.server, rateLimits: { ...base.server.rateLimits, usageAndGate: 1_000_000 } },
    store,
    products: options.products,
    ...(options.endpoint !== undefined && { aws: { ...base.aws, endpoint: options.endpoint } }),
  }
}
