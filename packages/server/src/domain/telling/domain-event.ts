import type { Subscription } from '../subscriptions/subscription.ts'

/**
 * What happened to a buyer, or to what is sold, told to the seller's systems. A name never changes its meaning; new ones may come.
 *
 * - `buyer.registered`: somebody gave their details on the landing page (again, or first)
 * - `subscription.created`: registered; AWS has not said yet that access starts. Opened by the seller: it starts at once
 * - `subscription.activated`: access starts: provision now
 * - `subscription.failed`: payment failed or the agreement ended before access began
 * - `subscription.changed`: plan, tenant or term
 * - `subscription.suspended`, `subscription.resumed`
 * - `subscription.cancelling`: it ended; report what is left of its usage now, access is revoked
 * - `subscription.ended`: AWS takes no more usage of it: deprovision
 * - `subscription.renewed`: another agreement took its place; the buyer goes on
 * - `subscription.successor_unclear`: AWS renewed it and several could be the successor: a person chooses
 * - `entitlements.changed`: capacities that AWS grants
 * - `quota.threshold_reached`: 80 % or all of a limit of a day or longer is used
 * - `endpoint.down`, `endpoint.up`: an endpoint of a product stopped saying that it is well, or does so again
 * - `key.created`, `key.rotated`, `key.revoked`: an API key of an end user
 * - `visitor.converted`: somebody who used the product without a key became this buyer
 */
export type DomainEventType =
  | 'buyer.registered'
  | 'subscription.created'
  | 'subscription.activated'
  | 'subscription.failed'
  | 'subscription.changed'
  | 'subscription.suspended'
  | 'subscription.resumed'
  | 'subscription.cancelling'
  | 'subscription.ended'
  | 'subscription.renewed'
  | 'subscription.successor_unclear'
  | 'entitlements.changed'
  | 'quota.threshold_reached'
  | 'endpoint.down'
  | 'endpoint.up'
  | 'key.created'
  | 'key.rotated'
  | 'key.revoked'
  | 'visitor.converted'

export const DOMAIN_EVENT_TYPES: readonly DomainEventType[] = [
  'buyer.registered',
  'subscription.created',
  'subscription.activated',
  'subscription.failed',
  'subscription.changed',
  'subscription.suspended',
  'subscription.resumed',
  'subscription.cancelling',
  'subscription.ended',
  'subscription.renewed',
  'subscription.successor_unclear',
  'entitlements.changed',
  'quota.threshold_reached',
  'endpoint.down',
  'endpoint.up',
  'key.created',
  'key.rotated',
  'key.revoked',
  'visitor.converted',
]

/** One thing to tell, written in the same transaction as the change that it tells of. */
export interface DomainEvent {
  /** `evt_` and a UUID: the same on every delivery. */
  readonly id: string
  readonly type: DomainEventType
  readonly at: number
  readonly product: string
  /** Empty where it is about the seller's own. */
  readonly buyer: string
  /** Its events are delivered in order. The buyer's id where it is about all that the buyer has. */
  readonly subscription: string
  /** JSON-safe, without personal data: the subscription as it was then, and what the type adds. */
  readonly data: Readonly<Record<string, unknown>>
}

/** The subscription as the outside sees it in an event. */
export function eventView(subscription: Subscription): Record<string, unknown> {
  const iso = (ms: number | undefined) => (ms === undefined ? undefined : new Date(ms).toISOString())
  const {
    customerAwsAccountId,
    accessStart,
    accessEnd,
    finalWindowEnd,
    grantedAt,
    termEnd,
    createdAt,
    ...rest
  } = subscription
  return {
    ...rest,
    customerAWSAccountId: customerAwsAccountId,
    accessStart: iso(accessStart),
    accessEnd: iso(accessEnd),
    finalWindowEnd: iso(finalWindowEnd),
    grantedAt: iso(grantedAt),
    termEnd: iso(termEnd),
    createdAt: iso(createdAt),
  }
}
