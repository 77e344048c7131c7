import { randomUUID } from 'node:crypto'
import type { Clock } from '../clock.ts'
import { DomainError } from '../error.ts'
import { isLive, type Subscription, type SubscriptionReference } from '../subscriptions/subscription.ts'
import type { SubscriptionStore } from '../subscriptions/subscription-store.ts'
import type { IdentifyVisitor, VisitorClaim } from './identify-visitor.ts'
import type { ConversionOutcome, ConversionTrace, Visitor, VisitorHash, VisitorStore } from './visitor.ts'

export interface ConversionRequest {
  readonly visitor: VisitorClaim
  /** Who they are now. */
  readonly reference: SubscriptionReference
  /** Our id; undefined for any. */
  readonly product: string | undefined
}

export interface Converted extends ConversionOutcome {
  readonly subscription: Subscription
}

/**
 * Notes that a visitor became a buyer: once for a visitor, in the history of the subscription, and told to the seller's
 * systems. Somebody else behind the same address and browser may have been first: then nothing changes.
 *
 * @throws {DomainError} `buyer.not_found`; `subscription.ambiguous`; `request.invalid` where the address is none
 */
export type ConvertVisitor = (request: ConversionRequest, actor: string) => Promise<Converted>

export function createConvertVisitor(deps: {
  readonly visitors: Pick<VisitorStore, 'convert'>
  readonly identify: IdentifyVisitor
  /** What this node knows of them is old. */
  readonly forget: (hashes: readonly VisitorHash[]) => void
  readonly subscriptions: Pick<SubscriptionStore, 'findMatching'>
  readonly clock: Pick<Clock, 'now'>
}): ConvertVisitor {
  return async ({ visitor: claim, reference, product }, actor) => {
    const subscription = subscriptionOf(await deps.subscriptions.findMatching(product, reference))
    const { hashes } = await deps.identify(subscription.product, claim)
    const conversion = { buyer: subscription.buyer, subscription: subscription.id, at: deps.clock.now() }
    const outcome = await deps.visitors.convert(hashes, conversion, (visitor) =>
      traceOf(visitor, subscription, actor),
    )
    deps.forget(hashes)
    return { ...outcome, subscription }
  }
}

/** The buyer's live one; of several the newest. */
function subscriptionOf(matches: readonly Subscription[]): Subscription {
  const [first] = matches
  if (first === undefined) throw new DomainError('buyer.not_found', 'no such buyer here')
  if (matches.some(({ buyer }) => buyer !== first.buyer))
    throw new DomainError(
      'subscription.ambiguous',
      'fits several buyers; name one by its buyer id or by a subscription, or say which product',
    )
  return matches.find(isLive) ?? first
}

function traceOf(visitor: Visitor, subscription: Subscription, actor: string): ConversionTrace {
  const { at } = visitor.conversion!
  const view = {
    id: visitor.id,
    firstSeenAt: new Date(visitor.firstSeenAt).toISOString(),
    convertedAt: new Date(at).toISOString(),
  }
  return {
    audit: {
      at,
      actor,
      action: 'visitor.convert',
      subject: subscription.id,
      before: undefined,
      after: { visitor: view },
    },
    event: {
      id: `evt_${randomUUID()}`,
      type: 'visitor.converted',
      at,
      product: subscription.product,
      buyer: subscription.buyer,
      subscription: subscription.id,
      data: { visitor: view },
    },
  }
}
