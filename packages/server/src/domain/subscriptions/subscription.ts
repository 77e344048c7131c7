/** `superseded`: AWS renewed or replaced the agreement; a successor goes on. `suspended`: AWS or we hold it. */
export type SubscriptionStatus =
  | 'pending'
  | 'active'
  | 'suspended'
  | 'cancelling'
  | 'cancelled'
  | 'failed'
  | 'expired'
  | 'superseded'

/** Our record that one buyer uses one product on one plan. */
export interface Subscription {
  /** Ours: `sub_` and a UUID. */
  readonly id: string
  readonly product: string
  readonly plan: string | undefined
  /** The seller's own name for the buyer's workspace. */
  readonly tenantId: string | undefined
  readonly status: SubscriptionStatus
  readonly licenseArn: string | undefined
  readonly customerAwsAccountId: string | undefined
  readonly customerIdentifier: string | undefined
  readonly agreementId: string | undefined
  /** From when usage may be billed, ms: AWS refuses a whole batch for a time before the agreement. */
  readonly accessStart: number
  /** When the agreement ended, ms; usage timed later is not this subscription's. */
  readonly accessEnd: number | undefined
  /** Until when AWS takes final usage, ms; set with `accessEnd`. */
  readonly finalWindowEnd: number | undefined
  /** The subscription that takes over what comes late. */
  readonly successor: string | undefined
  readonly createdAt: number
}

/** How a caller may name a buyer: exactly one of these, or none where only one subscription is live. */
export interface SubscriptionReference {
  readonly subscriptionId?: string | undefined
  readonly tenantId?: string | undefined
  readonly licenseArn?: string | undefined
  readonly customerAwsAccountId?: string | undefined
  readonly customerIdentifier?: string | undefined
}

/** May usage be reported for it? `pending` too: AWS's event may come after the first request. */
export function isLive(subscription: Subscription): boolean {
  return (
    subscription.status === 'pending' ||
    subscription.status === 'active' ||
    subscription.status === 'suspended'
  )
}

/**
 * AWS writes one license in several ways (with and without `arn:`, region, account): only the last part
 * after the colon or slash, `l-…`, is the license. Compare nothing else.
 */
export function licenseTail(licenseArn: string): string {
  return licenseArn.slice(Math.max(licenseArn.lastIndexOf(':'), licenseArn.lastIndexOf('/')) + 1)
}
