import type { Clock } from '../../domain/clock.ts'
import { type Dimension, type Product, USAGE_PRODUCT } from '../../domain/products/product.ts'
import { newSubscription, type Subscription } from '../../domain/subscriptions/subscription.ts'
import { hourOf } from '../../domain/usage/hour.ts'
import { eventKey } from '../../domain/usage/ingest-usage.ts'
import type { RoutedEvent, UsageEvent } from '../../domain/usage/usage-event.ts'

export function utc(text: string): number {
  return Date.parse(`${text}Z`)
}

/** For what takes hundreds of steps: on an engine that answers each over the network, a minute is not enough. */
export const LONG_MS = 240_000

/** A clock that stands still until it is told; sleeping moves it. */
export function aClock(start: number): Clock & { set(now: number): void } {
  let now = start
  return {
    now: () => now,
    set: (to) => {
      now = to
    },
    sleep: async (ms) => {
      now += ms
    },
  }
}

export function aDimension(values: Partial<Dimension> = {}): Dimension {
  return {
    key: 'requests',
    name: 'Requests',
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
    ...values,
  }
}

export function aProduct(values: Partial<Product> = {}): Product {
  return {
    id: 'demo',
    title: 'Demo',
    ...USAGE_PRODUCT,
    productCode: 'demo0code0of0twenty0five0',
    metering: 'license',
    region: 'us-east-1',
    listing: 'demo',
    graceMs: 15 * 60_000,
    goodbyeSettleMs: 10 * 60_000,
    dimensions: [aDimension()],
    plans: [],
    ...values,
  }
}

/** An event on its way into a store, counted in the hour of its time. */
export function aRoutedEvent(
  subscription: string,
  event: Pick<UsageEvent, 'id' | 'time' | 'quantity'>,
  values: Partial<RoutedEvent> = {},
): RoutedEvent {
  return {
    key: eventKey('demo', 'requests', '', event.id),
    event: { source: '', value: undefined, tags: '', ...event },
    subscription,
    product: 'demo',
    dimension: 'requests',
    scale: 0,
    aggregation: 'sum',
    hours: [hourOf(event.time)],
    unbillable: 'subscription_ended',
    period: '',
    hasHeir: false,
    isInherited: false,
    ...values,
  }
}

/** As much as a number holds: what an event may say is a ninth of it, and as many more events would be needed. */
export const MOST_OF_ALL = Number.MAX_SAFE_INTEGER

let count = 0

export function aSubscription(values: Partial<Subscription> = {}): Subscription {
  const number = ++count
  const digits = String(number).padStart(12, '0')
  return newSubscription({
    id: `sub_${number}`,
    product: 'demo',
    buyer: `buy_${number}`,
    tenantId: `tenant-${number}`,
    status: 'active',
    licenseArn: `arn:aws:license-manager::294406891311:license:l-${digits.padStart(32, '0')}`,
    customerAwsAccountId: digits,
    accessStart: utc('2026-11-01T00:00'),
    createdAt: utc('2026-11-01T00:00'),
    ...values,
  })
}
