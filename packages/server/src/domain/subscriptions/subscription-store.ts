import type { Channel, Subscription, SubscriptionReference, SubscriptionStatus } from './subscription.ts'

/** All that are given must fit. License ARNs are compared by their tail. */
export interface SubscriptionFilter extends Omit<SubscriptionReference, 'subscriptionId'> {
  /** Our product id. */
  readonly product?: string | undefined
  readonly status?: SubscriptionStatus | undefined
  readonly channel?: Channel | undefined
}

/** A change of a subscription's life, with who did it: every one is in the audit trail. */
export interface SubscriptionChange {
  readonly status?: SubscriptionStatus | undefined
  readonly accessEnd?: number | undefined
  readonly finalWindowEnd?: number | undefined
  readonly successor?: string | undefined
  readonly plan?: string | undefined
  readonly tenantId?: string | undefined
}

/** What the domain asks of storage about subscriptions. */
export interface SubscriptionStore {
  /** @throws {DomainError} `subscription.not_found` */
  get(id: string): Promise<Subscription>
  /**
   * All that fit, live and ended, newest first, at most 100. License ARNs are compared by their tail.
   * An empty reference fits every subscription of the product.
   *
   * @param product - our product id; undefined for any
   */
  findMatching(
    product: string | undefined,
    reference: SubscriptionReference,
  ): Promise<readonly Subscription[]>
  /** Newest first. */
  list(
    options: SubscriptionFilter & { readonly limit: number; readonly before?: string | undefined },
  ): Promise<readonly Subscription[]>
  /**
   * Adds it, unless one of the same product and license (or, without a license, customer) is live: then that one is returned
   * as it is. Registering twice is not an error.
   */
  create(subscription: Subscription, actor: string): Promise<{ subscription: Subscription; created: boolean }>
  /**
   * Decides on what the subscription is now and applies the change, all in one step. `undefined` changes nothing.
   *
   * With a new `accessEnd`, in the same step: for every meter its last hour (or the first open one after it) opens and takes
   * what later ones hold, and records that wait are due before `finalWindowEnd`.
   *
   * @param decide - pure
   * @returns the subscription as it is afterwards
   * @throws {DomainError} `subscription.not_found`: also for a `successor` that is none of the same product
   */
  change(
    id: string,
    decide: (before: Subscription) => SubscriptionChange | undefined,
    actor: string,
    now: number,
  ): Promise<Subscription>
}
