import { hash } from 'node:crypto'
import type { Clock } from '../clock.ts'
import { type Dimension, findDimension, type Product, type ProductCatalog } from '../products/product.ts'
import type { Counter, Gate } from '../quotas/quota.ts'
import { type Choice, chooseSubscription } from '../subscriptions/choose-subscription.ts'
import type { Subscription, SubscriptionReference } from '../subscriptions/subscription.ts'
import type { SubscriptionStore } from '../subscriptions/subscription-store.ts'
import { aggregatedPer, periodKey } from './aggregation.ts'
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
  /** Only of what the gate itself lets through: it counts where these limits have room for it. */
  readonly gate?: Gate | undefined
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
  /** Only the gate reports this dimension: else what is let through and what is billed would drift apart. */
  | 'metered_by_gate'
  | 'quota_exceeded'

export interface IngestOutcome extends EventOutcome {
  readonly code?: RefusalCode
  /** For `subscription_ambiguous`: what the reference fits. */
  readonly candidates?: readonly Subscription[]
  /** Of the limits of its gate, in order. */
  readonly counters?: readonly Counter[]
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
  const resolver = createResolver(deps)
  return async (reports, scope = {}) => {
    const outcomes = new Array<IngestOutcome>(reports.length)
    let pending = reports.map((_, index) => index)
    /** Reports whose own agreement takes no more: it was renewed. */
    const inherited = new Set<number>()
    for (let round = 0; pending.length > 0; round++) {
      if (round > STALE_RETRIES_MAX) throw new Error('subscriptions keep changing: usage could not be routed')
      const now = deps.clock.now()
      // What is known serves at first: the store turns back what was routed by older subscriptions than its own.
      const known = (round === 0 ? resolver.known() : undefined) ?? (await resolver.renew())
      const routed: RoutedEvent[] = []
      const indexes: number[] = []
      for (const index of pending) {
        const report = reports[index]!
        const asked = check(deps, report, scope.product, now)
        const result =
          'refused' in asked
            ? asked
            : route(
                deps,
                known.find(asked.product?.id, report.reference, scope.product) ??
                  (await known.learn(asked.product?.id, report.reference, scope.product)),
                asked.product,
                report,
                now,
                inherited.has(index),
              )
        if ('refused' in result) outcomes[index] = result.refused
        else {
          routed.push(result.routed)
          indexes.push(index)
        }
      }
      // A refusal never meets the store: it stands only if it was made by the subscriptions of now.
      if (indexes.length < pending.length && round === 0 && (await resolver.renew()) !== known) continue
      const recorded = routed.length === 0 ? [] : await deps.usage.record(routed, now, known.epoch)
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

/** The subscriptions that references fit, as they were at one epoch or later. */
interface Known {
  readonly epoch: number
  find(
    product: string | undefined,
    reference: SubscriptionReference,
    scope: string | undefined,
  ): Match | undefined
  learn(
    product: string | undefined,
    reference: SubscriptionReference,
    scope: string | undefined,
  ): Promise<Match>
}

interface Match {
  readonly matches: readonly Subscription[]
  /** Who took over from whom. */
  successorOf(subscription: Subscription): Subscription | undefined
}

/** References whose look-up is kept: a seller's buyers, whatever they are called by. */
const KNOWN_MAX = 50_000

/** One look-up for each buyer for as long as no subscription changes: every usage event needs one. */
function createResolver(deps: { usage: UsageStore; subscriptions: SubscriptionStore }) {
  let known: Known | undefined
  return {
    known: () => known,
    /** Looks whether subscriptions have changed. @returns the same as before where they have not */
    async renew(): Promise<Known> {
      const epoch = await deps.usage.epoch()
      if (known === undefined || known.epoch !== epoch) known = createKnown(deps.subscriptions, epoch)
      return known
    },
  }
}

/** What is read later than its epoch may be newer: then the store turns it back, and it is read again. */
function createKnown(subscriptions: SubscriptionStore, epoch: number): Known {
  const found = new Map<string, Match>()
  /** Many ask for the same buyer at once. */
  const learning = new Map<string, Promise<Match>>()
  return {
    epoch,
    find: (product, reference, scope) => found.get(nameOf(product, reference, scope)),
    learn(product, reference, scope) {
      const name = nameOf(product, reference, scope)
      let match = learning.get(name)
      if (match === undefined) {
        match = lookUp(product, reference, scope).finally(() => learning.delete(name))
        learning.set(name, match)
      }
      return match
    },
  }

  async function lookUp(
    product: string | undefined,
    reference: SubscriptionReference,
    scope: string | undefined,
  ): Promise<Match> {
    const all = await subscriptions.findMatching(product, reference)
    const matches = scope === undefined ? all : all.filter((subscription) => subscription.product === scope)
    const heirs = await loadHeirs(subscriptions, matches)
    if (found.size >= KNOWN_MAX) found.clear()
    const match: Match = {
      matches,
      successorOf: ({ successor }) => (successor === undefined ? undefined : heirs.get(successor)),
    }
    found.set(nameOf(product, reference, scope), match)
    return match
  }
}

/** Lengths keep apart what no text may join. */
function nameOf(
  product: string | undefined,
  reference: SubscriptionReference,
  scope: string | undefined,
): string {
  let name = `${scope?.length}:${scope}${product?.length}:${product}`
  for (const [field, value] of Object.entries(reference)) {
    if (value !== undefined) name += `${field}${value.length}:${value}`
  }
  return name
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

interface Refused {
  readonly refused: IngestOutcome
}

function refuse(
  { id = '' }: UsageReport,
  code: RefusalCode,
  reason: string,
  candidates?: readonly Subscription[],
): Refused {
  return { refused: { id, status: 'refused', code, reason, ...(candidates && { candidates }) } }
}

/** What can be said before the buyer is looked up. `product` is undefined where only the buyer can tell it. */
function check(
  deps: { catalog: ProductCatalog; limits: IngestLimits },
  report: UsageReport,
  scope: string | undefined,
  now: number,
): Refused | { readonly product: Product | undefined } {
  const product =
    report.product === undefined ? onlyProduct(deps.catalog, scope) : deps.catalog.find(report.product)
  if (
    report.product !== undefined &&
    (product === undefined || (scope !== undefined && product.id !== scope))
  ) {
    return refuse(report, 'product_unknown', `no product ${quote(report.product)} here`)
  }
  if (report.time > now + deps.limits.acceptAheadMs) {
    return refuse(
      report,
      'time_ahead',
      `time is ${Math.round((report.time - now) / 1000)} s ahead of our clock; at most ${deps.limits.acceptAheadMs / 1000} s are taken`,
    )
  }
  if (report.time < now - deps.limits.acceptBackMs) {
    return refuse(
      report,
      'time_too_old',
      `time is more than ${deps.limits.acceptBackMs / 86_400_000} days back`,
    )
  }
  return { product }
}

function route(
  deps: { catalog: ProductCatalog },
  match: Match,
  product: Product | undefined,
  report: UsageReport,
  now: number,
  isInherited: boolean,
): Refused | { readonly routed: RoutedEvent } {
  const choice: Choice = chooseSubscription(
    match.matches,
    report.time,
    // As if its final window were over.
    isInherited ? Number.POSITIVE_INFINITY : now,
    match.successorOf,
  )
  if (choice.kind === 'none')
    return refuse(
      report,
      'subscription_unknown',
      'no subscription fits; name it by subscription, tenant, license, AWS account or customer identifier',
    )
  if (choice.kind === 'ambiguous') {
    return refuse(
      report,
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
      report,
      'dimension_unknown',
      `product ${quote(subscription.product)} has no dimension ${quote(report.dimension)}${knownDimensions(sold)}`,
    )
  }
  if ((dimension.meteredBy === 'gate') !== (report.gate !== undefined))
    return refuse(
      report,
      'metered_by_gate',
      `${dimension.key} is metered by the gate: ask POST /quota/validate, which counts what it lets through`,
    )
  const read = readEvent(report, dimension, subscription.id)
  if ('reason' in read) return refuse(report, 'invalid', read.reason)
  const per = aggregatedPer(dimension)
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
      per,
      hours,
      unbillable,
      period: per === undefined ? '' : periodKey(per, report.time),
      hasHeir: !isInherited && match.successorOf(subscription) !== undefined,
      isInherited: choice.time !== report.time,
      ...(report.gate !== undefined && { gate: report.gate }),
    },
  }
}

/** Ten are enough to see the slip. */
function knownDimensions(product: Product | undefined): string {
  if (product === undefined || product.dimensions.length === 0) return ''
  const keys = product.dimensions.slice(0, 10).map(({ key }) => key)
  return `; it has ${keys.join(', ')}${product.dimensions.length > 10 ? ' and more' : ''}`
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
  const because = {
    ...(recorded.reason !== undefined && { reason: recorded.reason }),
    ...(recorded.counters !== undefined && { counters: recorded.counters }),
  }
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
        ...(recorded.counters !== undefined && { counters: recorded.counters }),
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
    case 'exceeded':
      return { id, status: 'refused', code: 'quota_exceeded', ...because }
    case 'stale':
    case 'superseded':
      throw new Error(`a ${recorded.status} event has no outcome`)
  }
}

function quote(name: string): string {
  return JSON.stringify(name.length > 60 ? `${name.slice(0, 60)}…` : name)
}
