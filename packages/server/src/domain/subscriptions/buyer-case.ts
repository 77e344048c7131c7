import type { DomainEvent } from '../telling/domain-event.ts'
import type { Alarm } from '../usage/usage-store.ts'
import type { Agreement } from './agreement.ts'
import type { Buyer, Contact } from './buyer.ts'
import type { EventState, KeptEvent, MarketplaceEvent, RejectedMessage } from './marketplace-event.ts'
import type { Subscription, SubscriptionStatus } from './subscription.ts'

/**
 * Everything about one buyer and one product: what decisions on subscriptions are made from. It is small (a few
 * agreements in years) and read whole, so that a renewal sees both sides and a decision is a pure function.
 */
export interface BuyerCase {
  /** Our product id. */
  readonly product: string
  /** Undefined until somebody registered. */
  readonly buyer: Buyer | undefined
  /** How many people have registered for the buyer. */
  readonly contacts: number
  /** Of this account or customer, in order of their keys. */
  readonly agreements: readonly Agreement[]
  /** Oldest first. */
  readonly subscriptions: readonly Subscription[]
}

/** Fields of a subscription that a decision changes; a field left out stays, `null` unsets. */
export interface CasePatch {
  readonly status?: SubscriptionStatus
  readonly licenseArn?: string
  readonly customerAwsAccountId?: string
  readonly agreementId?: string
  readonly grantedAt?: number
  readonly termEnd?: number | null
  readonly freeTrial?: boolean
  readonly accessStart?: number
  readonly accessEnd?: number
  readonly finalWindowEnd?: number
  readonly successor?: string
  readonly plan?: string | null
  readonly tenantId?: string
}

/** What a decision does; applied whole or not at all, in this order. */
export interface CaseChanges {
  readonly create: readonly Subscription[]
  readonly change: readonly { readonly id: string; readonly patch: CasePatch }[]
  readonly tell: readonly DomainEvent[]
  readonly raise: readonly Alarm[]
  readonly clear: readonly Pick<Alarm, 'kind' | 'subject'>[]
}

export const NO_CHANGES: CaseChanges = { create: [], change: [], tell: [], raise: [], clear: [] }

/** How a case is found: by the first of these that is known. */
export interface CaseKey {
  readonly product: string
  /** One of its subscriptions. */
  readonly subscription?: string | undefined
  readonly buyer?: string | undefined
  /** Whose latest subscription, live ones first, has this tenant id. */
  readonly tenantId?: string | undefined
  readonly customerAwsAccountId?: string | undefined
  readonly customerIdentifier?: string | undefined
  readonly licenseArn?: string | undefined
}

/** The case that a subscription, or an agreement of a known product, belongs to. */
export function caseKeyOf({
  product,
  customerAwsAccountId,
  customerIdentifier,
  licenseArn,
  buyer,
}: {
  readonly product: string
  readonly customerAwsAccountId: string | undefined
  readonly customerIdentifier: string | undefined
  readonly licenseArn: string | undefined
  readonly buyer?: string
}): CaseKey {
  return { product, customerAwsAccountId, customerIdentifier, licenseArn, buyer }
}

/** By what a case is found again. */
export function keyOfCase({ product, buyer, agreements }: BuyerCase): CaseKey {
  return {
    product,
    buyer: buyer?.id,
    customerAwsAccountId: buyer?.customerAwsAccountId ?? agreements[0]?.customerAwsAccountId,
    customerIdentifier: buyer?.customerIdentifier ?? agreements[0]?.customerIdentifier,
  }
}

/**
 * Subscriptions following AWS's word. Each method is one atomic step, durable when it resolves; `decide` is pure.
 * A change of `accessEnd` begins the goodbye in the same step, as `SubscriptionStore.change` does.
 */
export interface BuyerCaseStore {
  /**
   * Keeps a notification once, adds it to its agreement, and lets the case that it belongs to follow.
   *
   * @param product - our id of the product that the event names, where configuration knows it
   * @returns `known` where its id was kept before: then nothing happens
   */
  receive(
    event: MarketplaceEvent,
    product: string | undefined,
    decide: (buyerCase: BuyerCase) => CaseChanges,
    now: number,
  ): Promise<{ state: EventState; subscriptions: readonly string[] }>
  /**
   * Decides on a case, making its buyer known where it is new.
   *
   * @param contact - of the buyer of what the decision creates, stored in the same step
   * @returns the case afterwards
   */
  settle(
    key: CaseKey,
    decide: (buyerCase: BuyerCase) => CaseChanges,
    actor: string,
    now: number,
    contact?: Contact,
  ): Promise<BuyerCase>
  /**
   * Decides on the case of a subscription.
   *
   * @param contact - who registered, stored in the same step; `BuyerCase.contacts` does not count them yet
   * @throws {DomainError} `subscription.not_found`
   */
  settleOf(
    subscription: string,
    decide: (buyerCase: BuyerCase) => CaseChanges,
    actor: string,
    now: number,
    contact?: Contact,
  ): Promise<BuyerCase>
  /** A product that configuration knows by now: agreements that came before are its own. @returns how many */
  adopt(productCode: string, product: string): Promise<number>
  /** Subscriptions that wait for AWS's word since before a time, oldest first. */
  listPending(since: number, limit: number): Promise<readonly Subscription[]>
  /** Subscriptions that go on since before a time without a license: what took the place of the one before is not known. */
  listUnlicensed(since: number, limit: number): Promise<readonly Subscription[]>
  /** Subscriptions whose goodbye is over but whose status does not say so, oldest first. */
  listGoodbyesOver(now: number, limit: number): Promise<readonly Subscription[]>
  /** Kept notifications, newest first. */
  listEvents(filter: {
    product?: string | undefined
    state?: KeptEvent['state'] | undefined
    kind?: MarketplaceEvent['kind'] | undefined
    limit: number
    cursor?: string | undefined
  }): Promise<{ items: readonly KeptEvent[]; next: string | undefined }>
  /** Agreements that nobody's subscription follows, newest first: buyers who have not registered, renewals that wait. */
  listUnattached(limit: number): Promise<readonly Agreement[]>
  /** Keeps what could not be taken. */
  reject(message: RejectedMessage): Promise<void>
  listRejected(limit: number): Promise<readonly RejectedMessage[]>
}
