import { includedAt, mayInclude } from '../entitlements/included-units.ts'
import { DomainError } from '../error.ts'
import { baseUnitsPerUnit, type Dimension, type Product, type ProductCatalog } from '../products/product.ts'
import type { QuotaStore } from '../quotas/quota-store.ts'
import type { Subscription } from '../subscriptions/subscription.ts'
import type { SubscriptionStore } from '../subscriptions/subscription-store.ts'
import { ALL_WORK, type Slice, type WorkShare } from '../work-share.ts'
import type { Account, Transfer } from './account.ts'
import { AWS_RULES, MARGINS } from './aws-rules.ts'
import { type ClosingRules, decideClosing, decideHeld, identityOf, isMetered } from './close-bucket.ts'
import { awsDeadline, closesAt, holdDeadline, lastCountedAt, lastHour } from './deadlines.ts'
import { HOUR_MS, type Hour, hourOf, hourText } from './hour.ts'
import type { BucketKey, Closing, ClosingState, Page, UsageBucket, UsageStore } from './usage-store.ts'

/** Buckets closed in one transaction: few enough that ingest hardly waits. */
const PAGE = 100
/** Pages in one run; what is left is the next run's. */
const PAGES_MAX = 5_000

/** A decision on a held hour does not ask again whether to hold it. */
export const NO_HISTORY = { history: false, contract: true }

/** What an end cost for good, in base units. */
export interface Loss {
  readonly product: string
  readonly dimension: string
  /** Whole units that no hour could take. */
  readonly refused: bigint
  /** Remainders below a unit; below zero where they were rounded up. */
  readonly forgiven: bigint
}

export interface CloseReport {
  closed: number
  held: number
  /** Held buckets that nobody decided on in time. */
  expired: number
  /** Buckets that could not be closed, each with an alarm. */
  failed: number
  readonly losses: readonly Loss[]
}

export interface CloseDeps {
  readonly usage: UsageStore
  readonly subscriptions: SubscriptionStore
  readonly catalog: ProductCatalog
  /** Without them nothing is reserved. */
  readonly quotas?: Pick<QuotaStore, 'areHeld'>
  /** What of it is this node's; all by default. */
  readonly share?: WorkShare
}

/** One run over all products. */
interface Run {
  readonly deps: CloseDeps
  readonly now: number
  readonly signal: AbortSignal | undefined
  readonly report: CloseReport
  readonly losses: Map<string, Loss>
  /** What configuration lacks, each said once, by subject. */
  readonly unconfigured: Map<string, string>
}

/** A product that configuration lost has no grace any more: its hours are missed this long after they began. */
const UNKNOWN_PRODUCT_HOURS = 2

/**
 * Closes every bucket that is due at `now`, less what other nodes are closing. Safe to run twice at once and to stop
 * half-way.
 *
 * A product, a page or a bucket that fails does not stop the others: it raises an alarm and is tried again.
 */
export async function closeDueBuckets(
  deps: CloseDeps,
  now: number,
  signal?: AbortSignal,
): Promise<CloseReport> {
  const run: Run = {
    deps,
    now,
    signal,
    report: { closed: 0, held: 0, expired: 0, failed: 0, losses: [] },
    losses: new Map(),
    unconfigured: new Map(),
  }
  for (const product of shareOf(run).inOwnOrder(deps.catalog.list())) {
    // Those that end first: AWS stops listening to them first.
    await attempt(run, product.id, () => closeEnded(run, product))
    await attempt(run, product.id, () => closeOpen(run, product))
  }
  await decideExpiredHolds(run)
  await findUnknownProducts(run)
  for (const [subject, message] of run.unconfigured)
    await deps.usage.raise({ kind: 'unconfigured', subject, message, at: now })
  return { ...run.report, losses: [...run.losses.values()] }
}

/** An alarm in the place of what failed. Where not even that can be written, the run fails. */
async function attempt<T>(run: Run, subject: string, work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await work()
  } catch (error) {
    if (isBusy(error)) throw error
    await noteFailure(run, subject, error)
    return undefined
  }
}

async function noteFailure(run: Run, subject: string, error: unknown): Promise<void> {
  run.report.failed++
  const message = `could not be closed, and is tried again: ${error instanceof Error ? error.message : String(error)}`
  await run.deps.usage.raise({ kind: 'close_failed', subject, message, at: run.now })
}

/** The whole ledger is locked: no single bucket is at fault. What a store says of one bucket is never thrown. */
function isBusy(error: unknown): boolean {
  return error instanceof DomainError && error.code === 'ledger.busy'
}

async function closeOpen(run: Run, product: Product): Promise<void> {
  const { deps, now } = run
  const current = hourOf(now)
  const notDue = notYetDue(product, now)
  await closeAll(run, product, (cursor, slice) =>
    deps.usage.listOpen(product.id, current, notDue, PAGE, cursor, slice),
  )
}

/** Hours that began, but that late events of subscriptions that go on may still change. */
export function notYetDue(product: Product, now: number): Hour[] {
  const current = hourOf(now)
  const always = { accessStart: 0, accessEnd: undefined, finalWindowEnd: undefined }
  const hours = Array.from({ length: AWS_RULES.lateWindowMs / HOUR_MS + 2 }, (_, back) => current - back)
  return hours.filter((hour) => closesAt(hour, product, always) > now)
}

async function closeEnded(run: Run, product: Product): Promise<void> {
  const { deps, now } = run
  await closeAll(run, product, async (cursor, slice) => {
    const page = await deps.usage.listOpenOfEnded(product.id, now, PAGE, cursor, slice)
    const due = page.items.filter(
      ({ hour, subscriptionRow }) => closesAt(hour, product, subscriptionRow) <= now,
    )
    return { ...page, items: await withoutReserved(run, product, due) }
  })
}

/**
 * What is reserved of what the gate meters, and settled after the end, is billed in the last hour: it stays open until nothing is held
 * any more, for as long as it takes usage. An ended subscription reserves nothing new.
 */
async function withoutReserved<T extends BucketKey & { readonly subscriptionRow: Subscription }>(
  { deps: { quotas }, now }: Run,
  product: Product,
  due: readonly T[],
): Promise<readonly T[]> {
  const gated = product.dimensions.filter(({ meteredBy }) => meteredBy === 'gate').map(({ key }) => key)
  const last = due.filter(
    ({ dimension, hour, subscriptionRow }) =>
      gated.includes(dimension) && hour === lastHour(subscriptionRow) && now < lastCountedAt(subscriptionRow),
  )
  if (quotas === undefined || last.length === 0) return due
  const owners = last.map(({ subscription, dimension }) => ({ holder: subscription, dimension }))
  const held = await quotas.areHeld(owners, now)
  const waiting = new Set(last.filter((_, index) => held[index]))
  return due.filter((bucket) => !waiting.has(bucket))
}

type ListDue = (cursor: string | undefined, slice: Slice | undefined) => Promise<Page<BucketKey>>

function shareOf({ deps }: Run): WorkShare {
  return deps.share ?? ALL_WORK
}

/** What fits into a page is one node's; of more, each node takes one slice after the other that no other has. */
async function closeAll(run: Run, product: Product, list: ListDue): Promise<void> {
  const first = await list(undefined, undefined)
  if (first.items.length === 0 && first.next === undefined) return
  const share = shareOf(run)
  const slices = first.next === undefined ? [undefined] : share.slices
  for (const slice of slices) {
    if (run.signal?.aborted) return
    const name = `close/${product.id}${slice === undefined ? '' : `/${slice.index}`}`
    await share.during(name, async (goesOn) => {
      let page = slice === undefined ? first : await list(undefined, slice)
      for (let pages = 1; ; pages++) {
        await closePage(run, product, page.items)
        if (page.next === undefined || pages === PAGES_MAX || run.signal?.aborted || !(await goesOn())) return
        page = await list(page.next, slice)
      }
    })
  }
}

/** All in one transaction; where it fails, each in its own, so that one bad bucket holds up no other. */
async function closePage(run: Run, product: Product, keys: readonly BucketKey[]): Promise<void> {
  if (keys.length === 0) return
  try {
    await closeKeys(run, product, keys)
  } catch (error) {
    if (isBusy(error)) throw error
    for (const key of keys) {
      if (run.signal?.aborted) return
      await attempt(run, subjectOf(key), () => closeKeys(run, product, [key]))
    }
  }
}

async function closeKeys(run: Run, product: Product, keys: readonly BucketKey[]): Promise<void> {
  const { deps, now } = run
  const closings = new Map<string, Closing>()
  const outcomes = await deps.usage.close(
    keys,
    now,
    (state) => {
      const rules = rulesFor(deps.catalog, state, now)
      if (rules === undefined) {
        const { dimension } = state.bucket
        run.unconfigured.set(
          `${product.id}/${dimension}`,
          `hours of ${dimension} wait to be closed, and configuration has no such dimension: they are not billed`,
        )
        return undefined
      }
      if (isMetered(product, state.subscription)) {
        if (waitsForContract(run, state, rules)) return undefined
        noteUnknownBuyer(run, state, rules)
      }
      const closing = decideClosing(state, rules)
      if (closing !== undefined) closings.set(nameOf(state.bucket), closing)
      return closing
    },
    {
      history: product.dimensions.some(({ holdAbove }) => holdAbove !== undefined && 'times' in holdAbove),
      contract: mayInclude(product, ({ included }) => included.length > 0),
    },
  )
  for (const [index, outcome] of outcomes.entries()) {
    const key = keys[index]!
    if (typeof outcome === 'object') await noteFailure(run, subjectOf(key), outcome.error)
    if (outcome === 'held') run.report.held++
    if (outcome !== 'closed') continue
    run.report.closed++
    noteLoss(run, product.id, key.dimension, closings.get(nameOf(key)))
  }
}

function subjectOf({ subscription, dimension, hour }: BucketKey): string {
  return `${subscription}/${dimension}/${hourText(hour)}`
}

function nameOf({ subscription, dimension, hour }: BucketKey): string {
  return `${subscription}/${dimension}/${hour}`
}

/**
 * Included units are used up in hour order, and by what AWS grants: an hour waits for both for as long as AWS takes it.
 * What is sealed cannot be taken back, and billing what a contract has paid for is worse than billing late.
 */
function waitsForContract(run: Run, state: ClosingState, { included, dimension }: ClosingRules): boolean {
  if (included === undefined) return false
  if (included.isUnread) {
    run.unconfigured.set(
      state.bucket.subscription,
      `AWS has not said yet what this contract grants: hours of ${dimension.key} wait for it until AWS's deadline, and are billed in full then`,
    )
  }
  return (included.isUnread || state.earlierOpen) && run.now < sealBy(state)
}

/** AWS cannot be told of a buyer without a license, or for a legacy product without a customer identifier. */
function noteUnknownBuyer(run: Run, state: ClosingState, { product, dimension }: ClosingRules): void {
  const { bucket, subscription, carry } = state
  const waiting = bucket.quantity + carry
  if (waiting === 0n || (state.fixed?.identity ?? identityOf(product, subscription)) !== undefined) return
  const missing = product.metering === 'legacy' ? 'customer identifier' : 'license or AWS account'
  run.unconfigured.set(
    subscription.id,
    `${waiting / baseUnitsPerUnit(dimension)} ${dimension.key} and whatever follows wait: the subscription has no ${missing}, and AWS cannot be told who used them`,
  )
}

function noteLoss(run: Run, product: string, dimension: string, closing: Closing | undefined): void {
  const to = (account: Account) => sum(closing, (transfer) => transfer.to === account)
  const refused = to('refused')
  const forgiven = to('forgiven') - sum(closing, ({ from }) => from === 'forgiven')
  if (refused === 0n && forgiven === 0n) return
  const subject = `${product}/${dimension}`
  const before = run.losses.get(subject) ?? { product, dimension, refused: 0n, forgiven: 0n }
  run.losses.set(subject, {
    ...before,
    refused: before.refused + refused,
    forgiven: before.forgiven + forgiven,
  })
}

function sum(closing: Closing | undefined, counts: (transfer: Transfer) => boolean): bigint {
  return (closing?.transfers ?? []).filter(counts).reduce((total, { amount }) => total + amount, 0n)
}

/** Usage of a product that configuration no longer has. */
async function findUnknownProducts({ deps, now, unconfigured }: Run): Promise<void> {
  for (const product of await deps.usage.listProducts()) {
    if (deps.catalog.find(product) !== undefined) continue
    const open = await deps.usage.listOpen(product, hourOf(now) - UNKNOWN_PRODUCT_HOURS, [], 1)
    const ended = await deps.usage.listOpenOfEnded(product, now, 1)
    if (open.items.length + ended.items.length === 0) continue
    unconfigured.set(
      product,
      `hours of ${product} wait to be closed, and configuration has no such product: they are not billed`,
    )
  }
}

function sealBy(state: ClosingState): number {
  return awsDeadline(state.bucket.hour, state.subscription) - MARGINS.sealBeforeDeadlineMs
}

/** A product or dimension that configuration no longer has leaves its buckets open, with an alarm: nothing is guessed. */
function rulesFor(catalog: ProductCatalog, state: ClosingState, now: number): ClosingRules | undefined {
  const product = catalog.find(state.bucket.product)
  const dimension = product?.dimensions.find(({ key }) => key === state.bucket.dimension)
  if (product === undefined || dimension === undefined) return undefined
  const { bucket, subscription, contract } = state
  const included = includedAt(product, dimension.key, subscription, contract, bucket.hour)
  return { product, dimension, included, now }
}

async function decideExpiredHolds(run: Run): Promise<void> {
  const { deps, now, signal } = run
  for (const { bucket, subscription } of await deps.usage.listHeld(undefined, 10_000)) {
    if (signal?.aborted) return
    if (holdDeadline(bucket.hour, subscription) > now) continue
    const dimension = deps.catalog
      .find(bucket.product)
      ?.dimensions.find(({ key }) => key === bucket.dimension)
    if (dimension === undefined) {
      run.unconfigured.set(
        `${bucket.product}/${bucket.dimension}`,
        `held hours of ${bucket.dimension} are past their deadline, and configuration has no such dimension`,
      )
      continue
    }
    await attempt(run, subjectOf(bucket), () => decideExpiredHold(run, bucket, dimension))
  }
}

async function decideExpiredHold(run: Run, bucket: UsageBucket, dimension: Dimension): Promise<void> {
  const { deps, now, report } = run
  const keep = dimension.onDeadline === 'release' ? bucket.quantity : 0n
  const decide = holdDecision(deps.catalog, keep, 'system', now)
  let closing: Closing | undefined
  const [outcome] = await deps.usage.close(
    [bucket],
    now,
    (state) => {
      closing = decide(state)
      return closing
    },
    NO_HISTORY,
  )
  if (typeof outcome === 'object') await noteFailure(run, subjectOf(bucket), outcome.error)
  if (outcome !== 'closed') return
  report.expired++
  noteLoss(run, bucket.product, bucket.dimension, closing)
  await deps.usage.raise({
    kind: 'hold_expired',
    subject: subjectOf(bucket),
    message: `nobody decided on ${bucket.quantity / baseUnitsPerUnit(dimension)} held units in time; they were ${dimension.onDeadline === 'release' ? 'released and will be billed' : 'waived'}`,
    at: now,
  })
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
