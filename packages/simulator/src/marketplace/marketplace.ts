import { isDeepStrictEqual } from 'node:util'
import type { VirtualClock } from '../clock/virtual-clock.ts'
import { SimulatorError } from '../errors.ts'
import { acceptNew, endAt, endOfTerm, succeed, undoRenewals } from './agreement-acceptance.ts'
import { type AnnouncementOrder, parseAnnouncement } from './agreement-announcement.ts'
import { announce } from './agreement-announcement-payload.ts'
import { answerRequest, viewRequest } from './agreement-cancellation.ts'
import { settleDue } from './agreement-due.ts'
import {
  type Order,
  parseBuyer,
  parseFlag,
  parsePaidTerms,
  parsePartner,
  parseQuantities,
  parseTermsOfOrder,
  type Terms,
} from './agreement-order.ts'
import type { CancellationRequestView } from './agreement-request.ts'
import { type Bill, makeBill } from './bill.ts'
import { createIdentifiers } from './identifiers.ts'
import { createLedger, HOUR_MS, hourOf, type LedgerRecord } from './ledger.ts'
import { listNotifications, type Notification } from './notifications.ts'
import { parseProduct, type SimulatedProduct } from './product.ts'
import { issueToken } from './registration.ts'
import { DEFAULT_SETTINGS, parseSettings, type Settings } from './settings.ts'
import { applyFact, type Fact, type MarketplaceContext, type MarketplaceState } from './state.ts'
import {
  isLive,
  type Quantities,
  type Subscription,
  type SubscriptionRecord,
  subscriptionState,
  type Term,
} from './subscription.ts'
import { createSubscriptionBook } from './subscription-book.ts'

/** Calls by operation and outcome: `ok`, an AWS error code, or the kind of the fault that hit them. */
export type CallCounts = Readonly<Record<string, Readonly<Record<string, number>>>>

/**
 * The simulated AWS Marketplace as its buyers and onlookers see it. A state machine on the virtual clock: nothing
 * in it waits, and nothing runs by itself.
 */
export interface Marketplace {
  /** @throws {SimulatorError} `invalid`, or `conflict` where AWS allows one agreement a buyer */
  subscribe(order: Order): Subscription
  /** "Set up your account". @returns a fresh registration token */
  setUpAccount(subscriptionId: string): string
  /** The newest token while it resolves, else a fresh one. */
  registrationToken(subscriptionId: string): string
  /** Ends the agreement now. Cancelling again changes nothing. */
  cancel(subscriptionId: string): Subscription
  /** Puts the buyer's account out of good standing (usage is refused), or back. */
  suspend(subscriptionId: string, suspended: boolean): Subscription
  /** A new agreement on the same offer, which starts now; the old one ends now. @returns the new subscription */
  renew(subscriptionId: string, terms?: Terms): Subscription
  /** A new agreement on another offer (a trial converted, an upgrade), which starts now. @returns the new one */
  replace(subscriptionId: string, terms?: Terms): Subscription
  /** Whether the term's end makes a new agreement. */
  setAutoRenew(subscriptionId: string, autoRenew: boolean): Subscription
  /** Changes quantities within the agreement; the license stays. */
  amend(subscriptionId: string, quantities: Quantities): Subscription
  /** What the seller asked to cancel, oldest first; all, or of one subscription. */
  listCancellationRequests(subscriptionId?: string): CancellationRequestView[]
  /**
   * The buyer's answer. Approval ends the agreement now.
   *
   * @throws {SimulatorError} `not_found`, or `conflict` if the request is not pending
   */
  answerCancellationRequest(
    requestId: string,
    answer: 'approve' | 'reject',
    reason?: string,
  ): CancellationRequestView
  /** Sends a notification of another kind than those of an agreement's way. @throws {SimulatorError} `invalid` */
  notify(subscriptionId: string, order: AnnouncementOrder): void
  /** Adds a product, or replaces the one with its code. */
  addProduct(product: SimulatedProduct): SimulatedProduct
  listProducts(): SimulatedProduct[]
  getSubscription(subscriptionId: string): Subscription
  /** Oldest first. */
  listSubscriptions(filter?: { productCode?: string; accountId?: string }): Subscription[]
  /** Every accepted record, and how many calls there were since the start. */
  ledger(): { records: LedgerRecord[]; calls: CallCounts }
  /** Accepted records with a sequence of at least `from`, at most `limit`. */
  listRecords(range: { from: number; limit: number }): LedgerRecord[]
  readonly recordCount: number
  /** AWS calls since the start. */
  callCounts(): CallCounts
  bill(): Bill
  notifications(): Notification[]
  readonly settings: Settings
  /** @throws {SimulatorError} `invalid` */
  updateSettings(patch: Partial<Settings>): Settings
}

export interface MarketplaceOptions {
  readonly clock: VirtualClock
  readonly seed: number
  readonly settings: Partial<Settings>
  /** Makes a fact durable before it is applied; throws if it cannot. */
  readonly persist?: (fact: Fact) => void
  /** Counts of calls, kept by the wire. */
  readonly calls: () => CallCounts
}

/** @returns the marketplace, and the context that AWS's operations work on */
export function createMarketplace(options: MarketplaceOptions): {
  marketplace: Marketplace
  context: MarketplaceContext
} {
  const { clock } = options
  const identifiers = createIdentifiers(options.seed)
  const state: MarketplaceState = {
    settings: { ...DEFAULT_SETTINGS, ...parseSettings(options.settings) },
    products: new Map(),
    subscriptions: createSubscriptionBook(),
    tokens: new Map(),
    newestToken: new Map(),
    ledger: createLedger(),
    cancellationRequests: new Map(),
    announcements: [],
    openRequests: new Set(),
    renewing: new Set(),
  }
  const context: MarketplaceContext = {
    state,
    clock,
    identifiers,
    commit(fact) {
      options.persist?.(fact)
      applyFact(state, fact)
    },
  }

  function getProduct(productCode: string): SimulatedProduct {
    const product = state.products.get(productCode)
    if (product === undefined) throw new SimulatorError('not_found', `no product ${productCode}`)
    return product
  }

  function getRecord(subscriptionId: string): SubscriptionRecord {
    settleDue(context)
    const record = state.subscriptions.find(subscriptionId)
    if (record === undefined) throw new SimulatorError('not_found', `no subscription ${subscriptionId}`)
    return record
  }

  function view(record: SubscriptionRecord): Subscription {
    const token = state.newestToken.get(record.id) ?? ''
    return { ...record, state: subscriptionState(record, clock.now()), token }
  }

  function amended(
    record: SubscriptionRecord,
    term: Term | undefined,
    isOfLicense: boolean,
  ): SubscriptionRecord {
    const at = clock.now()
    const amendment = { at, autoRenew: term?.autoRenew === true, isOfLicense }
    return {
      ...record,
      ...(term !== undefined && { term }),
      amendedAt: at,
      amendments: [...(record.amendments ?? []), amendment],
    }
  }

  function put(changed: SubscriptionRecord): Subscription {
    const [record, ...undone] = undoRenewals(context, changed, clock.now())
    if (undone.length === 0) context.commit({ kind: 'subscription', subscription: record })
    else context.commit({ kind: 'subscriptions', subscriptions: [record, ...undone] })
    return view(record)
  }

  /** A successor that the clock, put back, is yet to make. */
  const isYetToCome = ({ isAutomatic, acceptedAt }: SubscriptionRecord) =>
    isAutomatic === true && acceptedAt > clock.now()

  function takeThePlace(subscriptionId: string, intent: 'RENEW' | 'REPLACE', terms: Terms): Subscription {
    const previous = getRecord(subscriptionId)
    const at = clock.now()
    const product = getProduct(previous.productCode)
    const quantities = { ...previous.quantities, ...terms.quantities }
    const accepted = parsePaidTerms(product, { ...terms, quantities }, at)
    checkBinds(previous, at)
    const { accountId, buyerName } = previous
    const acceptance = { product, buyer: { accountId, buyerName }, terms: accepted, at }
    const [agreement, ...undone] = undoRenewals(context, previous, at)
    const both = succeed(context, agreement, { intent, isAutomatic: false }, acceptance)
    context.commit({ kind: 'subscriptions', subscriptions: [both.previous, ...undone, both.successor] })
    issueToken(context, both.successor.id)
    return view(both.successor)
  }

  function toLedgerRecord(sequence: number): LedgerRecord {
    const entry = state.ledger.at(sequence)
    const { id, productCode, accountId, licenseArn, customerIdentifier } = state.subscriptions.at(
      entry.subscription,
    )
    return {
      sequence,
      meteringRecordId: identifiers.meteringRecordId(sequence),
      region: entry.region,
      productCode,
      subscriptionId: id,
      accountId,
      identity: licenseArn === undefined ? 'legacy' : 'license',
      ...(licenseArn !== undefined && { licenseArn }),
      ...(customerIdentifier !== undefined && { customerIdentifier }),
      dimension: entry.dimension,
      timestamp: entry.timestamp,
      hourStart: hourOf(entry.timestamp) * HOUR_MS,
      quantity: entry.quantity,
      ...(entry.allocations !== undefined && { allocations: entry.allocations }),
      receivedAt: entry.receivedAt,
    }
  }

  const marketplace: Marketplace = {
    subscribe(order) {
      settleDue(context)
      const product = getProduct(order.productCode)
      const buyer = parseBuyer(order)
      const now = clock.now()
      const held = state.subscriptions.byAccount(product.productCode, buyer.accountId)
      const rival =
        product.metering === 'legacy'
          ? held.find((record) => isLive(record, now) && record.paymentFails !== true)
          : undefined
      if (rival !== undefined) {
        throw new SimulatorError(
          'conflict',
          `account ${buyer.accountId} already has agreement ${rival.agreementId} for it`,
        )
      }
      const partner = parsePartner(order)
      const record = acceptNew(context, {
        product,
        buyer,
        terms: parseTermsOfOrder(product, order, now),
        at: now,
        ...(partner !== undefined && { partner }),
        paymentFails: parseFlag(order.fail, 'fail'),
      })
      context.commit({ kind: 'subscription', subscription: record })
      issueToken(context, record.id)
      return view(record)
    },
    setUpAccount: (subscriptionId) => issueToken(context, getRecord(subscriptionId).id),
    registrationToken(subscriptionId) {
      const newest = state.tokens.get(state.newestToken.get(getRecord(subscriptionId).id) ?? '')
      const { tokenLifetimeMs } = state.settings
      const isFresh =
        newest !== undefined &&
        newest.usedAt === undefined &&
        clock.now() < newest.issuedAt + tokenLifetimeMs / 2
      return isFresh ? newest.token : issueToken(context, subscriptionId)
    },
    cancel(subscriptionId) {
      const record = getRecord(subscriptionId)
      const now = clock.now()
      return isLive(record, now) ? put({ ...record, end: endAt(context, now, 'CANCELLED') }) : view(record)
    },
    suspend(subscriptionId, suspended) {
      const record = getRecord(subscriptionId)
      if (record.suspended === suspended) return view(record)
      const now = clock.now()
      const earlier = record.advisories ?? []
      const advisories = suspended
        ? [...earlier, { issuedAt: now }]
        : earlier.map((advisory) => ({ resolvedAt: now, ...advisory }))
      return put({ ...record, suspended, advisories })
    },
    renew: (subscriptionId, terms = {}) => takeThePlace(subscriptionId, 'RENEW', terms),
    replace: (subscriptionId, terms = {}) => takeThePlace(subscriptionId, 'REPLACE', terms),
    setAutoRenew(subscriptionId, autoRenew) {
      const record = getRecord(subscriptionId)
      const { term, freeTrial } = record
      checkBinds(record, clock.now())
      if (term === undefined || freeTrial) {
        throw new SimulatorError('invalid', 'only a contract renews at the end of its term')
      }
      const changed = { ...term, autoRenew: parseFlag(autoRenew, 'autoRenew') }
      const end = record.end?.endedAt === term.endsAt ? endOfTerm(context, changed) : record.end
      return put({ ...amended(record, changed, false), ...(end !== undefined && { end }) })
    },
    amend(subscriptionId, quantities) {
      const record = getRecord(subscriptionId)
      checkBinds(record, clock.now())
      const merged = parseQuantities(getProduct(record.productCode), { ...record.quantities, ...quantities })
      return put({ ...amended(record, record.term, true), quantities: merged })
    },
    listCancellationRequests(subscriptionId) {
      settleDue(context)
      return [...state.cancellationRequests.values()]
        .filter((request) => subscriptionId === undefined || request.subscriptionId === subscriptionId)
        .map((request) => viewRequest(context, request))
    },
    answerCancellationRequest(requestId, answer, reason) {
      settleDue(context)
      return answerRequest(context, requestId, answer === 'approve' ? 'APPROVED' : 'REJECTED', reason)
    },
    notify(subscriptionId, order) {
      const subscription = getRecord(subscriptionId)
      const product = getProduct(subscription.productCode)
      const announced = announce(context, subscription, product, parseAnnouncement(order, product))
      context.commit({ kind: 'announcement', notification: announced })
    },
    addProduct(value) {
      const product = parseProduct(value)
      const known = state.products.get(product.productCode)
      if (known !== undefined && known.metering !== product.metering) {
        throw new SimulatorError(
          'conflict',
          `product ${product.productCode} is metered by ${known.metering} for good`,
        )
      }
      if (!isDeepStrictEqual(known, product)) context.commit({ kind: 'product', product })
      return product
    },
    listProducts: () => [...state.products.values()],
    getSubscription: (subscriptionId) => view(getRecord(subscriptionId)),
    listSubscriptions({ productCode, accountId } = {}) {
      settleDue(context)
      return state.subscriptions
        .list()
        .filter((record) => !isYetToCome(record))
        .filter((record) => productCode === undefined || record.productCode === productCode)
        .filter((record) => accountId === undefined || record.accountId === accountId)
        .map(view)
    },
    ledger: () => ({
      records: Array.from({ length: state.ledger.size }, (_, sequence) => toLedgerRecord(sequence)),
      calls: options.calls(),
    }),
    listRecords({ from, limit }) {
      const length = Math.max(0, Math.min(limit, state.ledger.size - from))
      return Array.from({ length }, (_, offset) => toLedgerRecord(from + offset))
    },
    get recordCount() {
      return state.ledger.size
    },
    callCounts: () => options.calls(),
    bill: () => makeBill(state),
    notifications: () => listNotifications(context),
    get settings() {
      return state.settings
    },
    updateSettings(patch) {
      context.commit({ kind: 'settings', settings: parseSettings(patch) })
      return state.settings
    },
  }
  return { marketplace, context }
}

/** @throws {SimulatorError} `conflict` for an agreement that nothing can be changed about any more */
function checkBinds(record: SubscriptionRecord, now: number): void {
  const { agreementId, paymentFails } = record
  if (!isLive(record, now)) {
    throw new SimulatorError('conflict', `agreement ${agreementId} has ended: subscribe anew`)
  }
  if (paymentFails === true) {
    throw new SimulatorError('conflict', `the payment of agreement ${agreementId} fails: subscribe anew`)
  }
}
