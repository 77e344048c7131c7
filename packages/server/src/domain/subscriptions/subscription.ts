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

/** How it was bought. Only what came through AWS Marketplace is metered to AWS. */
export type Channel = 'aws' | 'direct' | 'free'

/** Our record that one buyer uses one product on one plan. Of AWS: one for each agreement. */
export interface Subscription {
  /** Ours: `sub_` and a UUID. */
  readonly id: string
  readonly product: string
  /** Whose it is: keys, users and access hang on the buyer and follow from whichever subscription is live. */
  readonly buyer: string
  readonly channel: Channel
  readonly plan: string | undefined
  /** The seller's own name for the buyer's workspace. */
  readonly tenantId: string | undefined
  readonly status: SubscriptionStatus
  readonly licenseArn: string | undefined
  readonly customerAwsAccountId: string | undefined
  readonly customerIdentifier: string | undefined
  readonly agreementId: string | undefined
  /** When AWS (or, off AWS, the seller) said that access starts, ms; undefined while `pending`. */
  readonly grantedAt: number | undefined
  /** Until when the agreement binds, ms; AWS renews many of them. Undefined: no end, or unknown. */
  readonly termEnd: number | undefined
  /** Undefined: AWS has not said. */
  readonly freeTrial: boolean | undefined
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

/** A subscription as it begins: what is not given is unknown yet. */
export function newSubscription(
  values: Pick<Subscription, 'id' | 'product' | 'buyer' | 'accessStart' | 'createdAt'> &
    Partial<Subscription>,
): Subscription {
  return {
    channel: 'aws',
    plan: undefined,
    tenantId: undefined,
    status: 'pending',
    licenseArn: undefined,
    customerAwsAccountId: undefined,
    customerIdentifier: undefined,
    agreementId: undefined,
    grantedAt: undefined,
    termEnd: undefined,
    freeTrial: undefined,
    accessEnd: undefined,
    finalWindowEnd: undefined,
    successor: undefined,
    ...values,
  }
}

/** How a caller may name a buyer: exactly one of these, or none where only one subscription is live. */
export interface SubscriptionReference {
  readonly subscriptionId?: string | undefined
  readonly buyerId?: string | undefined
  readonly tenantId?: string | undefined
  readonly licenseArn?: string | undefined
  readonly customerAwsAccountId?: string | undefined
  readonly customerIdentifier?: string | undefined
}

/** May usage be reported for it? `pending` too: AWS's event may come after the first request. */
export function isLive(subscription: Pick<Subscription, 'status'>): boolean {
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
