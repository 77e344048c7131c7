import { hash } from 'node:crypto'
import type { Clock } from '../clock.ts'
import { type Dimension, findDimension, type Product, type ProductCatalog } from '../products/product.ts'
import { type Choice, chooseSubscription } from '../subscriptions/choose-subscription.ts'
import type { Subscription, SubscriptionReference } from '../subscriptions/subscription.ts'
import type { SubscriptionStore } from '../subscriptions/subscription-store.ts'
import { periodKey } from './aggregation.ts'
import { parseQuantity } from './quantity.ts'
import { routeEvent } from './route-event.ts'
import { parseTags, tagSetKey } from './tags.ts'
import { type EventOutcome, meteringRecordId, type RecordedEvent, type RoutedEvent } from './usage-event.ts'
import type { UsageStore } from './usage-store.ts'

/** One use as a product reports it: the shape is checked, the meaning is not yet. */
export interface UsageReport {
  /** Our product id or AWS's product code; may be left out where the buyer's reference tells. */
  readonly product?: string | undefined
  readonly reference: SubscriptionReference
  /** Dimension key, or the platform's name for it. */
  readonly dimension: string
  /** The same on every retry. May be left out for running totals only: those repeat harmlessly. */
  readonly id?: string | undefined
  readonly source?: string | undefined
  /** ms. */
  readonly time: number
  readonly quantity?: number | string | undefined
  readonly value?: string | undefined
  readonly tags?: Readonly<Record<string, string>> | undefined
}

export interface IngestLimits {
  /** How far back an event's time may lie, ms. */
  readonly acceptBackMs: number
  /** How far ahead of our clock, ms. */
  readonly acceptAheadMs: number
}

/** Why a report was refused, for a door to tell apart. */
export type RefusalCode =
  | 'product_unknown'
  | 'dimension_unknown'
  | 'subscription_unknown'
  | 'subscription_ambiguous'
  | 'subscription_ended'
  | 'before_access'
  | 'time_too_old'
  | 'time_ahead'
  | 'invalid'
  | 'quantity_overflow'

export interface IngestOutcome extends EventOutcome {
  readonly code?: RefusalCode
  /** For `subscription_ambiguous`: what the reference fits. */
  readonly candidates?: readonly Subscription[]
}

/** Reports usage. Resolves when every accepted event is on disk; the outcomes are in the reports' order. */
export type IngestUsage = (
  reports: readonly UsageReport[],
  scope?: { product?: string | undefined },
) => Promise<readonly IngestOutcome[]>

/** A subscription that changes while its events are on their way is resolved anew at most this often. */
const STALE_RETRIES_MAX = 5

export function createIngestUsage(deps: {
  usage: UsageStore
  subscriptions: SubscriptionStore
  catalog: ProductCatalog
  clock: Clock
  limits: IngestLimits
}): IngestUsage {
  return async (reports, scope = {}) => {
    const outcomes = new Array<IngestOutcome>(reports.length)
    let pending = reports.map((_, index) => index)
    /** Reports whose own agreement takes no more: it was renewed. */
    const inherited = new Set<number>()
    for (let round = 0; pending.length > 0; round++) {
      if (round > STALE_RETRIES_MAX) throw new Error('subscriptions keep changing: usage could not be routed')
      const now = deps.clock.now()
      const resolve = createResolver(deps, scope.product, now)
      const routed: RoutedEvent[] = []
      const indexes: number[] = []
      const epoch = await deps.usage.epoch()
      for (const index of pending) {
        const result = await route(deps, resolve, reports[index]!, scope.product, now, inherited.has(index))
        if ('refused' in result) outcomes[index] = result.refused
        else {
          routed.push(result.routed)
          indexes.push(index)
        }
      }
      const recorded = routed.length === 0 ? [] : await deps.usage.record(routed, now, epoch)
      pending = []
      for (const [position, index] of indexes.entries()) {
        const result = recorded[position]!
        if (result.status === 'superseded') inherited.add(index)
        if (result.status === 'stale' || result.status === 'superseded') pending.push(index)
        else outcomes[index] = toOutcome(routed[position]!, result)
      }
    }
    return outcomes
  }
}

type Resolve = (
  product: string | undefined,
  reference: SubscriptionReference,
  time: number,
  isInherited: boolean,
) => Promise<Choice & { readonly heir?: Subscription | undefined }>

/** One look-up for each buyer named in a batch, however often it is named. */
function createResolver(
  deps: { subscriptions: SubscriptionStore },
  scope: string | undefined,
  now: number,
): Resolve {
  const cache = new Map<string, { matches: readonly Subscription[]; heirs: Map<string, Subscription> }>()
  return async (product, reference, time, isInherited) => {
    const cacheKey = JSON.stringify([product, reference])
    let found = cache.get(cacheKey)
    if (found === undefined) {
      const all = await deps.subscriptions.findMatching(product, reference)
      const matches = scope === undefined ? all : all.filter((subscription) => subscription.product === scope)
      found = { matches, heirs: await loadHeirs(deps.subscriptions, matches) }
      cache.set(cacheKey, found)
    }
    const { matches, heirs } = found
    const successorOf = (subscription: Subscription) =>
      subscription.successor === undefined ? undefined : heirs.get(subscription.successor)
    // As if its final window were over.
    const choice = chooseSubscription(
      matches,
      time,
      isInherited ? Number.POSITIVE_INFINITY : now,
      successorOf,
    )
    return choice.kind === 'chosen' ? { ...choice, heir: successorOf(choice.subscription) } : choice
  }
}

async function loadHeirs(
  store: SubscriptionStore,
  matches: readonly Subscription[],
): Promise<Map<string, Subscription>> {
  const heirs = new Map(matches.map((subscription) => [subscription.id, subscription]))
  const wanted = matches.flatMap((subscription) => subscription.successor ?? [])
  for (let next = wanted.pop(); next !== undefined && heirs.size < 1000; next = wanted.pop()) {
    if (heirs.has(next)) continue
    const heir = await store.get(next)
    heirs.set(next, heir)
    if (heir.successor !== undefined) wanted.push(heir.successor)
  }
  return heirs
}

type Routing = { readonly routed: RoutedEvent } | { readonly refused: IngestOutcome }

async function route(
  deps: { catalog: ProductCatalog; limits: IngestLimits },
  resolve: Resolve,
  report: UsageReport,
  scope: string | undefined,
  now: number,
  isInherited: boolean,
): Promise<Routing> {
  const id = report.id ?? ''
  const refuse = (code: RefusalCode, reason: string, candidates?: readonly Subscription[]): Routing => ({
    refused: { id, status: 'refused', code, reason, ...(candidates && { candidates }) },
  })
  const product =
    report.product === undefined ? onlyProduct(deps.catalog, scope) : deps.catalog.find(report.product)
  if (
    report.product !== undefined &&
    (product === undefined || (scope !== undefined && product.id !== scope))
  ) {
    return refuse('product_unknown', `no product ${quote(report.product)} here`)
  }
  if (report.time > now + deps.limits.acceptAheadMs) {
    return refuse(
      'time_ahead',
      `time is ${Math.round((report.time - now) / 1000)} s ahead of our clock; at most ${deps.limits.acceptAheadMs / 1000} s are taken`,
    )
  }
  if (report.time < now - deps.limits.acceptBackMs) {
    return refuse('time_too_old', `time is more than ${deps.limits.acceptBackMs / 86_400_000} days back`)
  }
  const choice = await resolve(product?.id, report.reference, report.time, isInherited)
  if (choice.kind === 'none')
    return refuse(
      'subscription_unknown',
      'no subscription fits; name it by subscription, tenant, license, AWS account or customer identifier',
    )
  if (choice.kind === 'ambiguous') {
    return refuse(
      'subscription_ambiguous',
      `fits ${choice.subscriptions.length} live subscriptions; name one by its subscription id or license`,
      choice.subscriptions,
    )
  }
  const { subscription } = choice
  const sold = product ?? deps.catalog.find(subscription.product)
  const dimension = sold === undefined ? undefined : findDimension(sold, report.dimension)
  if (sold === undefined || dimension === undefined) {
    return refuse(
      'dimension_unknown',
      `product ${quote(subscription.product)} has no dimension ${quote(report.dimension)}`,
    )
  }
  const read = readEvent(report, dimension, subscription.id)
  if ('reason' in read) return refuse('invalid', read.reason)
  const { hours, unbillable } = routeEvent(choice.time, now, subscription)
  return {
    routed: {
      key: eventKey(sold.id, dimension.key, read.event.source, read.event.id),
      event: read.event,
      subscription: subscription.id,
      product: sold.id,
      dimension: dimension.key,
      scale: dimension.scale,
      aggregation: dimension.aggregation,
      hours,
      unbillable,
      period: periodKey(dimension.per, report.time),
      hasHeir: choice.heir !== undefined && !isInherited,
    },
  }
}

function onlyProduct(catalog: ProductCatalog, scope: string | undefined): Product | undefined {
  if (scope !== undefined) return catalog.find(scope)
  const products = catalog.list()
  return products.length === 1 ? products[0] : undefined
}

/** Checks a report against what its dimension counts. */
function readEvent(
  report: UsageReport,
  dimension: Dimension,
  subscription: string,
): { event: RoutedEvent['event'] } | { reason: string } {
  const tags = parseTags(report.tags)
  if ('reason' in tags) return tags
  const { aggregation } = dimension
  if (tags.length > 0 && aggregation !== 'sum' && aggregation !== 'count') {
    return { reason: `tags split sums and counts only; ${dimension.key} is ${aggregation}` }
  }
  const source = report.source ?? ''
  const base = { source, time: report.time, tags: tagSetKey(tags) }
  if (aggregation === 'unique') {
    if (report.id === undefined) return missingId()
    if (report.value === undefined)
      return { reason: `${dimension.key} counts different values: value is required` }
    if (report.quantity !== undefined)
      return { reason: `${dimension.key} counts different values: it takes no quantity` }
    return { event: { ...base, id: report.id, quantity: 0, value: digest(report.value) } }
  }
  if (report.value !== undefined) return { reason: `${dimension.key} is ${aggregation}: it takes no value` }
  if (aggregation === 'count') {
    if (report.id === undefined) return missingId()
    if (report.quantity !== undefined && Number(report.quantity) !== 1)
      return {
        reason: `${dimension.key} counts events: leave quantity out, or report it on a dimension that sums`,
      }
    return { event: { ...base, id: report.id, quantity: 10 ** dimension.scale, value: undefined } }
  }
  if (report.quantity === undefined)
    return { reason: `${dimension.key} is ${aggregation}: quantity is required` }
  const quantity = parseQuantity(report.quantity, dimension.scale)
  if (typeof quantity !== 'number') return quantity
  // A running total repeats harmlessly, so its own value and time may stand for an id.
  const id =
    report.id ?? (aggregation === 'total' ? `total:${subscription}:${report.time}:${quantity}` : undefined)
  if (id === undefined) return missingId()
  return { event: { ...base, id, quantity, value: undefined } }
}

function missingId() {
  return { reason: 'id (correlationId) is required: the same on every retry' }
}

/** Identifies an event: within a product, a dimension and a source an id is one event. */
export function eventKey(product: string, dimension: string, source: string, id: string): Uint8Array {
  return digest(JSON.stringify([product, dimension, source, id]))
}

function digest(text: string): Uint8Array {
  return hash('sha256', text, 'buffer').subarray(0, 16)
}

function toOutcome(routed: RoutedEvent, recorded: RecordedEvent): IngestOutcome {
  const id = routed.event.id
  const because = recorded.reason === undefined ? {} : { reason: recorded.reason }
  switch (recorded.status) {
    case 'accepted':
    case 'late':
    case 'duplicate':
      return { id, status: recorded.status, meteringRecordId: meteringRecordId(routed.key), ...because }
    case 'conflict':
      return {
        id,
        status: 'conflict',
        reason: recorded.reason ?? 'this id was seen before with other content',
      }
    case 'unbillable':
      return {
        id,
        status: 'refused',
        code: routed.unbillable,
        reason:
          routed.unbillable === 'before_access'
            ? 'timed before the subscription began; kept and shown as unbillable'
            : 'the subscription has ended and AWS takes no more usage for it; kept and shown as unbillable',
      }
    case 'too_old':
      return {
        id,
        status: 'refused',
        code: 'time_too_old',
        reason: 'ids of that time are no longer kept: a repeat could not be told from a new event',
      }
    case 'overflow':
      return {
        id,
        status: 'refused',
        code: 'quantity_overflow',
        reason: 'the hour would exceed what the ledger can count exactly',
      }
    case 'stale':
    case 'superseded':
      throw new Error(`a ${recorded.status} event has no outcome`)
  }
}

function quote(name: string): string {
  return JSON.stringify(name.length > 60 ? `${name.slice(0, 60)}…` : name)
}
