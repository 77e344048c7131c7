import { randomUUID } from 'node:crypto'
import { baseUnitsPerUnit, type Dimension, type Product, type ProductCatalog } from '../products/product.ts'
import { isLive, type Subscription } from '../subscriptions/subscription.ts'
import type { SubscriptionStore } from '../subscriptions/subscription-store.ts'
import { ALL_WORK, type WorkShare } from '../work-share.ts'
import { aggregatedPer } from './aggregation.ts'
import { AWS_RULES, MARGINS } from './aws-rules.ts'
import { identityOf, isMetered } from './close-bucket.ts'
import { awsDeadline, closesAt, earliestBillableHour, lastHour, recordTimestamp } from './deadlines.ts'
import { type Hour, hourOf } from './hour.ts'
import type { UsageStore } from './usage-store.ts'

const PAGE = 200

/**
 * Seals a zero for each completed hour without usage that AWS still takes, inside access, where the dimension asks for it: AWS
 * recommends an hourly record. Only where nothing else is sealed; never for held or carried hours, nor for what is not metered.
 *
 * @returns how many zeros were sealed
 */
export async function reportSilence(
  deps: { usage: UsageStore; subscriptions: SubscriptionStore; catalog: ProductCatalog; share?: WorkShare },
  now: number,
  signal?: AbortSignal,
): Promise<number> {
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
  { usage, subscriptions }: { usage: UsageStore; subscriptions: SubscriptionStore },
  product: Product,
  dimensions: readonly Dimension[],
  now: number,
  signal: AbortSignal | undefined,
): Promise<number> {
  let sealed = 0
  let before: string | undefined
  while (!signal?.aborted) {
    const page = await subscriptions.list({ product: product.id, limit: PAGE, before })
    for (const subscription of page) {
      for (const dimension of dimensions)
        sealed += await silenceOf(usage, product, dimension, subscription, now)
    }
    if (page.length < PAGE) break
    before = page.at(-1)!.id
  }
  return sealed
}

async function silenceOf(
  usage: UsageStore,
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
