import { randomUUID } from 'node:crypto'
import { baseUnitsPerUnit, type Dimension, type Product, type ProductCatalog } from '../products/product.ts'
import type { QuotaStore } from '../quotas/quota-store.ts'
import { isLive, type Subscription } from '../subscriptions/subscription.ts'
import type { SubscriptionStore } from '../subscriptions/subscription-store.ts'
import { ALL_WORK, type WorkShare } from '../work-share.ts'
import { aggregatedPer } from './aggregation.ts'
import { AWS_RULES, MARGINS } from './aws-rules.ts'
import { identityOf, isMetered } from './close-bucket.ts'
import {
  awsDeadline,
  closesAt,
  earliestBillableHour,
  lastCountedAt,
  lastHour,
  recordTimestamp,
} from './deadlines.ts'
import { type Hour, hourOf } from './hour.ts'
import type { UsageStore } from './usage-store.ts'

const PAGE = 200

export interface SilenceDeps {
  readonly usage: UsageStore
  readonly subscriptions: SubscriptionStore
  readonly catalog: ProductCatalog
  /** Without them nothing is reserved. */
  readonly quotas?: Pick<QuotaStore, 'areHeld'>
  readonly share?: WorkShare
}

/**
 * Seals a zero for each completed hour without usage that AWS still takes, inside access, where the dimension asks for it: AWS
 * recommends an hourly record. Only where nothing else is sealed; never for held or carried hours, nor for what is not metered,
 * nor for an ended subscription's last hour while something is reserved that is billed there.
 *
 * @returns how many zeros were sealed
 */
export async function reportSilence(deps: SilenceDeps, now: number, signal?: AbortSignal): Promise<number> {
  let sealed = 0
  const { share = ALL_WORK } = deps
  for (const product of share.inOwnOrder(deps.catalog.list())) {
    const dimensions = product.dimensions.filter(({ reportZero }) => reportZero)
    if (dimensions.length === 0) continue
    const ofProduct = () => silenceOfProduct(deps, product, dimensions, now, signal)
    sealed += (await share.whileKept(`silence/${product.id}`, ofProduct)) ?? 0
  }
  return sealed
}

async function silenceOfProduct(
  deps: SilenceDeps,
  product: Product,
  dimensions: readonly Dimension[],
  now: number,
  signal: AbortSignal | undefined,
): Promise<number> {
  let sealed = 0
  let before: string | undefined
  while (!signal?.aborted) {
    const page = await deps.subscriptions.list({ product: product.id, limit: PAGE, before })
    for (const subscription of page) {
      for (const dimension of dimensions)
        sealed += await silenceOf(deps, product, dimension, subscription, now)
    }
    if (page.length < PAGE) break
    before = page.at(-1)!.id
  }
  return sealed
}

async function silenceOf(
  { usage, quotas }: SilenceDeps,
  product: Product,
  dimension: Dimension,
  subscription: Subscription,
  now: number,
): Promise<number> {
  const identity = identityOf(product, subscription)
  if (identity === undefined || !isMetered(product, subscription)) return 0
  // AWS has not let access start, and would refuse each hour for a day. Once it has, they are made up for.
  if (subscription.status === 'pending' || subscription.status === 'failed') return 0
  if (!isLive(subscription) && !isInFinalHour(subscription, now)) return 0
  let sealed = 0
  const meter = {
    product: product.id,
    scale: dimension.scale,
    aggregation: dimension.aggregation,
    per: aggregatedPer(dimension),
  }
  const last = Math.min(hourOf(now), lastHour(subscription))
  const first = Math.max(earliestBillableHour(now, subscription), meteredSince(subscription))
  for (let hour: Hour = first; hour <= last; hour++) {
    const deadline = awsDeadline(hour, subscription)
    if (closesAt(hour, product, subscription) > now || deadline - MARGINS.holdBeforeGoodbyeMs <= now) continue
    if (hour === lastHour(subscription) && (await isReserved(quotas, dimension, subscription, now))) continue
    const record = {
      id: `rec_${randomUUID()}`,
      product: product.id,
      region: product.region,
      identity,
      timestamp: recordTimestamp(hour, subscription),
      quantity: 0,
      unitBase: baseUnitsPerUnit(dimension),
      allocations: [],
      deadline,
    }
    if (
      await usage.sealSilence(
        { subscription: subscription.id, dimension: dimension.key, hour },
        meter,
        record,
        now,
      )
    )
      sealed++
  }
  return sealed
}

/** What is reserved when a subscription ends is billed in its last hour: a zero there would leave it no hour at all. */
async function isReserved(
  quotas: SilenceDeps['quotas'],
  { key, meteredBy }: Dimension,
  subscription: Subscription,
  now: number,
): Promise<boolean> {
  if (quotas === undefined || meteredBy !== 'gate' || now >= lastCountedAt(subscription)) return false
  const [isHeld = false] = await quotas.areHeld([{ holder: subscription.id, dimension: key }], now)
  return isHeld
}

/**
 * The first hour that is ours to speak of. A buyer who was imported or declared had access long before this ledger knew
 * of it: another system metered those hours, and a zero would take the place of what it has still to send.
 */
function meteredSince({ accessStart, createdAt }: Subscription): Hour {
  return createdAt - accessStart > AWS_RULES.lateWindowMs ? hourOf(createdAt) + 1 : Number.NEGATIVE_INFINITY
}

function isInFinalHour(subscription: Subscription, now: number): boolean {
  return subscription.finalWindowEnd !== undefined && now < subscription.finalWindowEnd
}
