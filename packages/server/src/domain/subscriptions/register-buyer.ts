import { randomUUID } from 'node:crypto'
import type { Clock } from '../clock.ts'
import { DomainError } from '../error.ts'
import type { Product, ProductCatalog } from '../products/product.ts'
import type { MeteringService, ResolvedCustomer } from '../usage/metering-service.ts'
import { latestSpell } from './agreement.ts'
import type { Contact } from './buyer.ts'
import type { BuyerCase, BuyerCaseStore, CaseChanges } from './buyer-case.ts'
import { draftCase } from './case-draft.ts'
import { followAll, onlyPlan, subscriptionOf } from './follow.ts'
import { licenseTail, newSubscription, type Subscription } from './subscription.ts'

/** Renewals followed from an ended agreement to the one that lives: one a year. */
const SUCCESSORS_MAX = 100

export interface Registration {
  /** As it is now: `pending` until AWS says that access starts, which it may have done before. */
  readonly subscription: Subscription
  /** False where the buyer was registered before: that is not an error. */
  readonly created: boolean
}

/**
 * Turns the token that a buyer's browser brings from AWS Marketplace into a subscription, at once: the token does not
 * hold for long, and its buyer may never come back. Who they are is asked afterwards.
 *
 * The token is passed on to AWS and kept nowhere: not in a row, an error or the audit trail.
 *
 * @param listing - whose fulfilment URL was called
 * @throws {DomainError} `product.not_found`, `registration.token_invalid`, `registration.token_expired`,
 *   `registration.wrong_product`, `subscription.ended`, `marketplace.unavailable`
 */
export type RegisterBuyer = (listing: string, token: string) => Promise<Registration>

/**
 * Somebody of the buyer gave their details; a second user, or the same one again, is not an error.
 *
 * @throws {DomainError} `subscription.not_found`
 */
export type CompleteRegistration = (subscription: string, contact: Contact) => Promise<Subscription>

export function createRegisterBuyer(deps: {
  readonly metering: Pick<MeteringService, 'resolveCustomer'>
  readonly cases: Pick<BuyerCaseStore, 'settle'>
  readonly catalog: ProductCatalog
  readonly clock: Clock
  /** Told after each registration, such as to read its entitlements. */
  readonly onRegistered?: (subscription: string) => void
}): RegisterBuyer {
  return async (listing, token) => {
    const product = deps.catalog.findByListing(listing)
    if (product === undefined) throw new DomainError('product.not_found', 'no listing of that name here')
    const customer = await deps.metering.resolveCustomer(product.region, token)
    // Else a buyer of a cheap product could register for a dear one of the same seller.
    if (customer.productCode !== product.productCode) {
      throw new DomainError(
        'registration.wrong_product',
        'the token is for another product than this listing',
      )
    }
    requireIdentity(product, customer)
    const now = deps.clock.now()
    const { customerAwsAccountId, customerIdentifier, licenseArn } = customer
    let decided: { id: string; created: boolean } | undefined
    const after = await deps.cases.settle(
      { product: product.id, customerAwsAccountId, customerIdentifier, licenseArn },
      (buyerCase) => {
        const { changes, ...registered } = decideRegistration(buyerCase, product, customer, now)
        decided = registered
        return changes
      },
      'aws',
      now,
    )
    const { id, created } = decided!
    deps.onRegistered?.(id)
    return { subscription: after.subscriptions.find((subscription) => subscription.id === id)!, created }
  }
}

export function createCompleteRegistration(deps: {
  readonly cases: Pick<BuyerCaseStore, 'settleOf'>
  readonly clock: Clock
}): CompleteRegistration {
  return async (id, contact) => {
    const now = deps.clock.now()
    const after = await deps.cases.settleOf(
      id,
      (buyerCase) => {
        const draft = draftCase(buyerCase, now)
        draft.tell('buyer.registered', id, { first: buyerCase.contacts === 0 })
        return draft.changes()
      },
      'buyer',
      now,
      contact,
    )
    return after.subscriptions.find((subscription) => subscription.id === id)!
  }
}

/** A buyer who cannot be metered is not let in: usage would be counted that AWS could never be told of. */
function requireIdentity({ metering }: Product, customer: ResolvedCustomer): void {
  const known =
    metering === 'license'
      ? customer.licenseArn !== undefined && customer.customerAwsAccountId !== undefined
      : customer.customerIdentifier !== undefined
  if (known) return
  const missing = metering === 'license' ? 'license and account' : 'customer identifier'
  throw new DomainError(
    'marketplace.unavailable',
    `AWS Marketplace has not named the ${missing} yet: press “Set up your account” again in a minute`,
  )
}

/**
 * What this customer has already, or a new subscription; and what AWS said before anybody registered is followed.
 *
 * @throws {DomainError} `subscription.ended`: a license that ended never comes alive again, AWS grants a new one
 */
export function decideRegistration(
  buyerCase: BuyerCase,
  product: Product,
  customer: ResolvedCustomer,
  now: number,
): { changes: CaseChanges; id: string; created: boolean } {
  const draft = draftCase(buyerCase, now, product)
  // Time may have brought about what nobody has looked at since.
  followAll(draft, buyerCase.agreements)
  const all = draft.subscriptions()
  const own = all.filter((subscription) => isOf(subscription, product, customer))
  const live =
    own.findLast(({ accessEnd }) => accessEnd === undefined) ??
    liveHeir(all, own.at(-1)) ??
    stillRefused(buyerCase, own.at(-1)) ??
    beforeItsLicense(all, product, customer)
  if (live === undefined && product.metering === 'license' && own.length > 0) {
    throw new DomainError(
      'subscription.ended',
      'this agreement has ended; subscribe again on AWS Marketplace',
      { details: { subscription: own.at(-1)!.id, license: licenseTail(customer.licenseArn!) } },
    )
  }
  const id = live?.id ?? draft.create(pendingSubscription(buyerCase, product, customer, own.at(-1), now))
  draft.patch(id, {
    ...(live?.customerAwsAccountId === undefined &&
      customer.customerAwsAccountId !== undefined && { customerAwsAccountId: customer.customerAwsAccountId }),
    ...(live?.licenseArn === undefined &&
      customer.licenseArn !== undefined && { licenseArn: customer.licenseArn }),
  })
  if (live === undefined) draft.tell('subscription.created', id)
  followAll(draft, buyerCase.agreements)
  return { changes: draft.changes(), id, created: live === undefined }
}

function isOf(subscription: Subscription, { metering }: Product, customer: ResolvedCustomer): boolean {
  if (subscription.channel !== 'aws') return false
  if (metering === 'legacy') return subscription.customerIdentifier === customer.customerIdentifier
  return (
    subscription.licenseArn !== undefined &&
    licenseTail(subscription.licenseArn) === licenseTail(customer.licenseArn!)
  )
}

/** Follows renewals to the one that lives. */
function liveHeir(all: readonly Subscription[], ended: Subscription | undefined): Subscription | undefined {
  let heir = ended
  for (let step = 0; heir !== undefined && step < SUCCESSORS_MAX; step++) {
    if (heir.accessEnd === undefined) return heir
    const next = heir.successor
    heir = all.find(({ id }) => id === next)
  }
  return undefined
}

/** Whose payment failed presses “Set up your account” again: that is no second purchase. */
function stillRefused(buyerCase: BuyerCase, last: Subscription | undefined): Subscription | undefined {
  if (last?.status !== 'failed') return undefined
  const { agreements, subscriptions } = buyerCase
  const agreement = agreements.find((candidate) => subscriptionOf(candidate, subscriptions)?.id === last.id)
  return agreement !== undefined && latestSpell(agreement)?.refused === true ? last : undefined
}

/** A product moved from legacy to license metering: this is the license of a customer who was here before. */
function beforeItsLicense(
  all: readonly Subscription[],
  { metering }: Product,
  { customerIdentifier }: ResolvedCustomer,
): Subscription | undefined {
  if (metering === 'legacy' || customerIdentifier === undefined) return undefined
  return all.findLast(
    (subscription) =>
      subscription.customerIdentifier === customerIdentifier &&
      subscription.licenseArn === undefined &&
      subscription.accessEnd === undefined,
  )
}

function pendingSubscription(
  buyerCase: BuyerCase,
  product: Product,
  customer: ResolvedCustomer,
  before: Subscription | undefined,
  now: number,
): Subscription {
  return newSubscription({
    id: `sub_${randomUUID()}`,
    product: product.id,
    buyer: buyerCase.buyer?.id ?? `buy_${randomUUID()}`,
    plan: onlyPlan(product),
    // A legacy customer who is back is the same tenant.
    tenantId: before?.tenantId,
    licenseArn: customer.licenseArn,
    customerAwsAccountId: customer.customerAwsAccountId,
    customerIdentifier: customer.customerIdentifier,
    accessStart: now,
    createdAt: now,
  })
}
