import {
  baseUnitsPerUnit,
  type Dimension,
  type Included,
  type Product,
  type ProductCatalog,
} from '../products/product.ts'
import type { Subscription } from '../subscriptions/subscription.ts'
import type { SubscriptionStore } from '../subscriptions/subscription-store.ts'
import { AWS_RULES, MARGINS } from './aws-rules.ts'
import { decideClosing, decideHeld } from './close-bucket.ts'
import { awsDeadline, closesAt, holdDeadline } from './deadlines.ts'
import { HOUR_MS, type Hour, hourOf, hourText } from './hour.ts'
import type { BucketKey, Closing, ClosingState, UsageStore } from './usage-store.ts'

/** Buckets closed in one transaction: few enough that ingest hardly waits. */
const SLICE = 200
/** Slices in one run; what is left is the next run's. */
const SLICES_MAX = 5_000

/** A decision on a held hour does not ask again whether to hold it. */
export const NO_HISTORY = { history: false }

export interface CloseReport {
  closed: number
  held: number
  /** Held buckets that nobody decided on in time. */
  expired: number
}

export interface CloseDeps {
  readonly usage: UsageStore
  readonly subscriptions: SubscriptionStore
  readonly catalog: ProductCatalog
}

/** Closes every bucket that is due at `now`. Safe to run twice at once and to stop half-way. */
export async function closeDueBuckets(
  deps: CloseDeps,
  now: number,
  signal?: AbortSignal,
): Promise<CloseReport> {
  const report: CloseReport = { closed: 0, held: 0, expired: 0 }
  for (const product of deps.catalog.list()) {
    await closeOpen(deps, product, now, report, signal)
    await closeEnded(deps, product, now, report, signal)
  }
  await decideExpiredHolds(deps, now, report, signal)
  return report
}

async function closeOpen(
  deps: CloseDeps,
  product: Product,
  now: number,
  report: CloseReport,
  signal?: AbortSignal,
): Promise<void> {
  const current = hourOf(now)
  const notDue = notYetDue(product, now)
  let cursor: string | undefined
  for (let slice = 0; slice < SLICES_MAX && !signal?.aborted; slice++) {
    const page = await deps.usage.listOpen(product.id, current, notDue, SLICE, cursor)
    await closeSlice(deps, product, page.items, now, report)
    cursor = page.next
    if (cursor === undefined) return
  }
}

/** Hours that began, but that late events of subscriptions that go on may still change. */
export function notYetDue(product: Product, now: number): Hour[] {
  const current = hourOf(now)
  const always = { accessStart: 0, accessEnd: undefined, finalWindowEnd: undefined }
  const hours = Array.from({ length: AWS_RULES.lateWindowMs / HOUR_MS + 2 }, (_, back) => current - back)
  return hours.filter((hour) => closesAt(hour, product, always) > now)
}

async function closeEnded(
  deps: CloseDeps,
  product: Product,
  now: number,
  report: CloseReport,
  signal?: AbortSignal,
): Promise<void> {
  // Buckets that stay open, since they still settle, must not hide those behind them.
  let staying = 0
  for (let slice = 0; slice < SLICES_MAX && !signal?.aborted; slice++) {
    const limit = staying + SLICE
    const open = await deps.usage.listOpenOfEnded(product.id, now, limit)
    const due = open.filter(({ hour, subscriptionRow }) => closesAt(hour, product, subscriptionRow) <= now)
    const before = report.closed + report.held
    await closeSlice(deps, product, due, now, report)
    if (open.length < limit) return
    staying = open.length - (report.closed + report.held - before)
  }
}

async function closeSlice(
  deps: CloseDeps,
  product: Product,
  keys: readonly BucketKey[],
  now: number,
  report: CloseReport,
): Promise<void> {
  if (keys.length === 0) return
  const refused = new Map<string, string>()
  const outcomes = await deps.usage.close(
    keys,
    now,
    (state) => {
      const rules = rulesFor(deps.catalog, state, now)
      if (rules === undefined) return undefined
      if (rules.included !== undefined && state.earlierOpen && now < sealBy(state)) return undefined
      const closing = decideClosing(state, rules)
      const overflow = closing?.transfers.find(({ to }) => to === 'refused')
      const { subscription, dimension, hour } = state.bucket
      const subject = `${subscription}/${dimension}/${hourText(hour)}`
      if (overflow === undefined) refused.delete(subject)
      else {
        const units = overflow.amount / baseUnitsPerUnit(rules.dimension)
        refused.set(
          subject,
          `${units} units cannot be billed: AWS takes no more for this hour, and no later one can`,
        )
      }
      return closing
    },
    { history: product.dimensions.some(({ holdAbove }) => holdAbove !== undefined && 'times' in holdAbove) },
  )
  for (const [subject, message] of refused)
    await deps.usage.raise({ kind: 'refused', subject, message, at: now })
  for (const outcome of outcomes) {
    if (outcome === 'closed') report.closed++
    if (outcome === 'held') report.held++
  }
}

function sealBy(state: ClosingState): number {
  return awsDeadline(state.bucket.hour, state.subscription) - MARGINS.sealBeforeDeadlineMs
}

/** A product or dimension that configuration no longer has leaves its buckets open: nothing is guessed, `doctor` shows it. */
function rulesFor(catalog: ProductCatalog, state: ClosingState, now: number) {
  const product = catalog.find(state.bucket.product)
  const dimension = product?.dimensions.find(({ key }) => key === state.bucket.dimension)
  if (product === undefined || dimension === undefined) return undefined
  return { product, dimension, included: includedOf(product, dimension, state.subscription), now }
}

function includedOf(
  product: Product,
  dimension: Dimension,
  subscription: Subscription,
): Included | undefined {
  const plan = product.plans.find(({ id }) => id === subscription.plan)
  return plan?.included.find((included) => included.dimension === dimension.key)
}

async function decideExpiredHolds(
  deps: CloseDeps,
  now: number,
  report: CloseReport,
  signal?: AbortSignal,
): Promise<void> {
  for (const { bucket, subscription } of await deps.usage.listHeld(undefined, 10_000)) {
    if (signal?.aborted) return
    if (holdDeadline(bucket.hour, subscription) > now) continue
    const dimension = deps.catalog
      .find(bucket.product)
      ?.dimensions.find(({ key }) => key === bucket.dimension)
    if (dimension === undefined) continue
    const keep = dimension.onDeadline === 'release' ? bucket.quantity : 0n
    const [outcome] = await deps.usage.close(
      [bucket],
      now,
      holdDecision(deps.catalog, keep, 'system', now),
      NO_HISTORY,
    )
    if (outcome !== 'closed') continue
    report.expired++
    await deps.usage.raise({
      kind: 'hold_expired',
      subject: `${bucket.subscription}/${bucket.dimension}/${hourText(bucket.hour)}`,
      message: `nobody decided on ${bucket.quantity / baseUnitsPerUnit(dimension)} held units in time; they were ${dimension.onDeadline === 'release' ? 'released and will be billed' : 'waived'}`,
      at: now,
    })
  }
}

/** The decision of a person, or of the deadline, on a held bucket. */
export function holdDecision(
  catalog: ProductCatalog,
  keep: bigint,
  actor: string,
  now: number,
): (state: ClosingState) => Closing | undefined {
  return (state) => {
    const rules = rulesFor(catalog, state, now)
    return rules === undefined
      ? undefined
      : decideHeld(state, rules, keep < state.bucket.quantity ? keep : state.bucket.quantity, actor)
  }
}
