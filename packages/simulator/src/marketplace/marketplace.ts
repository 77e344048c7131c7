import { isDeepStrictEqual } from 'node:util'
import type { VirtualClock } from '../clock/virtual-clock.ts'
import { SimulatorError } from '../errors.ts'
import { type Bill, makeBill } from './bill.ts'
import { createIdentifiers } from './identifiers.ts'
import { createLedger, HOUR_MS, hourOf, type LedgerRecord } from './ledger.ts'
import { listNotifications, type Notification } from './notifications.ts'
import { hasContract, isEntitled, parseProduct, type SimulatedProduct } from './product.ts'
import { issueToken } from './registration.ts'
import { DEFAULT_SETTINGS, parseSettings, type Settings } from './settings.ts'
import { applyFact, type Fact, type MarketplaceContext, type MarketplaceState } from './state.ts'
import {
  isLive,
  type Quantities,
  type Subscription,
  type SubscriptionRecord,
  subscriptionState,
} from './subscription.ts'
import { createSubscriptionBook } from './subscription-book.ts'

/** What a buyer accepts. */
export interface Order {
  readonly productCode: string
  /** 12 digits. Defaults to an example account. */
  readonly accountId?: string
  readonly buyerName?: string
  /** Of entitled dimensions, whole units; each defaults to 1. Only for products with a contract. */
  readonly quantities?: Quantities
  /** When the agreement starts, if not now. A later start is a future-dated agreement; AWS has no earlier one. */
  readonly startAt?: Date | number
  /** Length of a contract, in months. Defaults to 12. */
  readonly termMonths?: number
  readonly freeTrial?: boolean
}

/** What a renewal or amendment changes. */
export interface Terms {
  readonly quantities?: Quantities
  readonly termMonths?: number
}

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
  /** Replaces the agreement by a new one, which starts now; the old one ends now. @returns the new subscription */
  renew(subscriptionId: string, terms?: Terms): Subscription
  /** Changes quantities within the agreement; the license stays. */
  amend(subscriptionId: string, quantities: Quantities): Subscription
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

export const DEFAULT_ACCOUNT_ID = '782858285006'
const DEFAULT_BUYER_NAME = 'Example Corp'
const BUYER_NAME_LENGTH_MAX = 120
const TERM_MONTHS_DEFAULT = 12
const TERM_MONTHS_MAX = 60
const QUANTITY_MAX = 2_147_483_647

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
    const record = state.subscriptions.find(subscriptionId)
    if (record === undefined) throw new SimulatorError('not_found', `no subscription ${subscriptionId}`)
    return record
  }

  function view(record: SubscriptionRecord): Subscription {
    const token = state.newestToken.get(record.id) ?? ''
    return { ...record, state: subscriptionState(record, clock.now()), token }
  }

  function put(record: SubscriptionRecord): Subscription {
    context.commit({ kind: 'subscription', subscription: record })
    return view(record)
  }

  function endAt(endedAt: number, reason: 'CANCELLED' | 'EXPIRED' | 'RENEWED') {
    const deprovisionedAt = endedAt + state.settings.deprovisionDelayMs
    return { reason, endedAt, deprovisionedAt, closedAt: deprovisionedAt + state.settings.finalWindowMs }
  }

  function accept(
    product: SimulatedProduct,
    buyer: { accountId: string; buyerName: string; freeTrial: boolean },
    terms: { quantities: Quantities; startAt: number; termMonths: number },
    previous?: SubscriptionRecord,
  ): Subscription {
    const now = clock.now()
    const number = state.subscriptions.size + 1
    const { settings } = state
    const name = `${product.productCode} ${number}`
    const kept = settings.licenseOnRenewal === 'kept' ? previous?.licenseArn : undefined
    const isLicense = product.metering === 'license'
    const { startAt } = terms
    const record: SubscriptionRecord = {
      id: `sub-${number}`,
      productCode: product.productCode,
      ...buyer,
      agreementId: identifiers.agreementId(name),
      offerId: identifiers.offerId(product.productCode),
      ...(isLicense
        ? { licenseArn: kept ?? identifiers.licenseArn(name) }
        : { customerIdentifier: identifiers.customerIdentifier(buyer.accountId, product.productCode) }),
      intent: previous === undefined ? 'NEW' : 'RENEW',
      ...(previous !== undefined && { previousAgreementId: previous.agreementId }),
      quantities: terms.quantities,
      acceptedAt: now,
      createdEventAt: now + settings.createdDelayMs,
      startAt,
      licensedAt: startAt + settings.licenseDelayMs,
      ...(hasContract(product) && { end: endAt(addMonths(startAt, terms.termMonths), 'EXPIRED') }),
      suspended: false,
    }
    context.commit({ kind: 'subscription', subscription: record })
    issueToken(context, record.id)
    return view(record)
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
      const product = getProduct(order.productCode)
      const buyer = parseBuyer(order)
      const now = clock.now()
      const held = state.subscriptions.byAccount(product.productCode, buyer.accountId)
      const rival = product.metering === 'legacy' ? held.find((record) => isLive(record, now)) : undefined
      if (rival !== undefined) {
        throw new SimulatorError(
          'conflict',
          `account ${buyer.accountId} already has agreement ${rival.agreementId} for it`,
        )
      }
      const terms = {
        quantities: parseQuantities(product, order.quantities ?? {}),
        startAt: parseStart(order.startAt, now),
        termMonths: parseTerm(order.termMonths),
      }
      return accept(product, buyer, terms)
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
      return isLive(record, now) ? put({ ...record, end: endAt(now, 'CANCELLED') }) : view(record)
    },
    suspend(subscriptionId, suspended) {
      const record = getRecord(subscriptionId)
      return record.suspended === suspended ? view(record) : put({ ...record, suspended })
    },
    renew(subscriptionId, terms = {}) {
      const previous = getRecord(subscriptionId)
      const now = clock.now()
      const product = getProduct(previous.productCode)
      const quantities = parseQuantities(product, { ...previous.quantities, ...terms.quantities })
      const termMonths = parseTerm(terms.termMonths)
      if (!isLive(previous, now)) {
        throw new SimulatorError('conflict', `agreement ${previous.agreementId} has ended: subscribe anew`)
      }
      put({ ...previous, end: endAt(now, 'RENEWED') })
      const { accountId, buyerName } = previous
      return accept(
        product,
        { accountId, buyerName, freeTrial: false },
        { quantities, startAt: now, termMonths },
        previous,
      )
    },
    amend(subscriptionId, quantities) {
      const record = getRecord(subscriptionId)
      const now = clock.now()
      if (!isLive(record, now))
        throw new SimulatorError('conflict', `agreement ${record.agreementId} has ended`)
      const merged = parseQuantities(getProduct(record.productCode), { ...record.quantities, ...quantities })
      return put({ ...record, quantities: merged, amendedAt: now })
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
    listSubscriptions: ({ productCode, accountId } = {}) =>
      state.subscriptions
        .list()
        .filter((record) => productCode === undefined || record.productCode === productCode)
        .filter((record) => accountId === undefined || record.accountId === accountId)
        .map(view),
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

function parseBuyer(order: Order): { accountId: string; buyerName: string; freeTrial: boolean } {
  const accountId: unknown = order.accountId ?? DEFAULT_ACCOUNT_ID
  const buyerName: unknown = order.buyerName ?? DEFAULT_BUYER_NAME
  const freeTrial: unknown = order.freeTrial ?? false
  if (typeof accountId !== 'string' || !/^\d{12}$/.test(accountId)) {
    throw new SimulatorError('invalid', 'accountId must be the 12 digits of an AWS account')
  }
  if (typeof buyerName !== 'string' || buyerName.length > BUYER_NAME_LENGTH_MAX) {
    throw new SimulatorError(
      'invalid',
      `buyerName must be text of at most ${BUYER_NAME_LENGTH_MAX} characters`,
    )
  }
  if (typeof freeTrial !== 'boolean') throw new SimulatorError('invalid', 'freeTrial must be true or false')
  return { accountId, buyerName, freeTrial }
}

function parseQuantities(product: SimulatedProduct, given: Quantities): Quantities {
  const entitled = product.dimensions
    .filter((dimension) => isEntitled(product, dimension))
    .map(({ key }) => key)
  if (typeof given !== 'object' || given === null)
    throw new SimulatorError('invalid', 'quantities must be an object')
  for (const [key, quantity] of Object.entries(given)) {
    if (!entitled.includes(key)) {
      throw new SimulatorError(
        'invalid',
        `${key} is not an entitled dimension of product ${product.productCode}`,
      )
    }
    if (!Number.isInteger(quantity) || quantity < 0 || quantity > QUANTITY_MAX) {
      throw new SimulatorError(
        'invalid',
        `the quantity of ${key} must be a whole number from 0 to ${QUANTITY_MAX}`,
      )
    }
  }
  return Object.fromEntries(entitled.map((key) => [key, given[key] ?? 1]))
}

function parseStart(startAt: Date | number | undefined, now: number): number {
  const start = startAt === undefined ? now : Number(startAt)
  if (!Number.isInteger(start) || Math.abs(start) > 8.64e15)
    throw new SimulatorError('invalid', 'startAt must be a time')
  return start
}

function parseTerm(termMonths: number | undefined): number {
  const months = termMonths ?? TERM_MONTHS_DEFAULT
  if (!Number.isInteger(months) || months < 1 || months > TERM_MONTHS_MAX) {
    throw new SimulatorError('invalid', `termMonths must be a whole number from 1 to ${TERM_MONTHS_MAX}`)
  }
  return months
}

/** The same day and time so many months on, or the last day of that month. */
function addMonths(epochMs: number, months: number): number {
  const date = new Date(epochMs)
  const day = date.getUTCDate()
  date.setUTCDate(1)
  date.setUTCMonth(date.getUTCMonth() + months)
  const lastDay = new Date(Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + 1, 0)).getUTCDate()
  date.setUTCDate(Math.min(day, lastDay))
  return date.getTime()
}
