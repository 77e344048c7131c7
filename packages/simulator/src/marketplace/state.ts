import type { VirtualClock } from '../clock/virtual-clock.ts'
import type { Notification } from './agreement-happening.ts'
import type { CancellationRequest } from './agreement-request.ts'
import type { Identifiers } from './identifiers.ts'
import type { Ledger } from './ledger.ts'
import type { SimulatedProduct } from './product.ts'
import type { Settings } from './settings.ts'
import type { SubscriptionRecord } from './subscription.ts'
import type { SubscriptionBook } from './subscription-book.ts'
import type { UsageAllocation } from './usage-record.ts'

/** Everything the simulated AWS remembers. Changed only by {@link applyFact}, so that a journal can rebuild it. */
export interface MarketplaceState {
  settings: Settings
  readonly products: Map<string, SimulatedProduct>
  readonly subscriptions: SubscriptionBook
  readonly tokens: Map<string, RegistrationToken>
  /** The newest token of each subscription, by its id. */
  readonly newestToken: Map<string, string>
  readonly ledger: Ledger
  readonly cancellationRequests: Map<string, CancellationRequest>
  /** Notifications that were ordered; all others follow from the rest. */
  readonly announcements: Notification[]
  /** Cancellation requests that time will decide. */
  readonly openRequests: Set<string>
  /** Subscriptions whose term's end will make a new agreement. */
  readonly renewing: Set<string>
}

export interface RegistrationToken {
  readonly token: string
  readonly subscriptionId: string
  readonly issuedAt: number
  readonly usedAt?: number
}

/** What the operations of the marketplace are given. */
export interface MarketplaceContext {
  readonly state: MarketplaceState
  readonly clock: VirtualClock
  readonly identifiers: Identifiers
  /** Makes a fact durable, then applies it. If that fails nothing has changed. */
  commit(fact: Fact): void
}

/** One change of the marketplace: a line of the journal. Only added, never edited. */
export type Fact =
  | { readonly kind: 'settings'; readonly settings: Partial<Settings> }
  | { readonly kind: 'product'; readonly product: SimulatedProduct }
  | { readonly kind: 'subscription'; readonly subscription: SubscriptionRecord }
  /** Several at once, since one without the others would be wrong. */
  | { readonly kind: 'subscriptions'; readonly subscriptions: readonly SubscriptionRecord[] }
  | {
      readonly kind: 'cancellationRequest'
      readonly request: CancellationRequest
      /** Time has decided it. */
      readonly isSettled?: true
      /** Its agreement, and others, if they changed with it. */
      readonly subscriptions?: readonly SubscriptionRecord[]
    }
  | { readonly kind: 'announcement'; readonly notification: Notification }
  | { readonly kind: 'token'; readonly token: RegistrationToken }
  | {
      readonly kind: 'usage'
      readonly region: string
      readonly at: number
      readonly records: readonly AcceptedUsage[]
    }

/** The newly accepted records of one call. */
export interface AcceptedUsage {
  readonly subscriptionId: string
  readonly meter: string
  readonly dimension: string
  readonly timestamp: number
  readonly quantity: number
  readonly allocations?: readonly UsageAllocation[]
}

export function applyFact(state: MarketplaceState, fact: Fact): void {
  switch (fact.kind) {
    case 'settings':
      state.settings = { ...state.settings, ...fact.settings }
      return
    case 'product':
      state.products.set(fact.product.productCode, fact.product)
      return
    case 'subscription':
      putSubscription(state, fact.subscription)
      return
    case 'subscriptions':
      for (const subscription of fact.subscriptions) putSubscription(state, subscription)
      return
    case 'cancellationRequest': {
      const { request, isSettled, subscriptions = [] } = fact
      state.cancellationRequests.set(request.id, request)
      if (request.answer === undefined && isSettled !== true) state.openRequests.add(request.id)
      else state.openRequests.delete(request.id)
      for (const subscription of subscriptions) putSubscription(state, subscription)
      return
    }
    case 'announcement':
      state.announcements.push(fact.notification)
      return
    case 'token':
      state.tokens.set(fact.token.token, fact.token)
      state.newestToken.set(fact.token.subscriptionId, fact.token.token)
      return
    case 'usage':
      for (const { subscriptionId, ...usage } of fact.records) {
        state.ledger.append({
          ...usage,
          subscription: state.subscriptions.indexOf(subscriptionId),
          region: fact.region,
          receivedAt: fact.at,
        })
      }
  }
}

function putSubscription({ subscriptions, renewing }: MarketplaceState, record: SubscriptionRecord): void {
  subscriptions.put(record)
  const { id, term, end, succeededBy, isVoid } = record
  const isDue = end?.reason === 'RENEWED' && succeededBy === undefined && isVoid !== true
  if (term?.autoRenew === true && isDue) renewing.add(id)
  else renewing.delete(id)
}
