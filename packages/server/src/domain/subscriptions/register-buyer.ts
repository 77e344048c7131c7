import { randomUUID } from 'node:crypto'
import type { Clock } from '../clock.ts'
import { DomainError } from '../error.ts'
import type { Product, ProductCatalog } from '../products/product.ts'
import type { MeteringService, ResolvedCustomer } from '../usage/metering-service.ts'
import { isLive, licenseTail, newSubscription, type Subscription } from './subscription.ts'
import type { SubscriptionStore } from './subscription-store.ts'

/** Renewals followed from an ended agreement to the one that lives: one a year. */
const SUCCESSORS_MAX = 100

export interface Registration {
  readonly subscription: Subscription
  /** False where the buyer was registered before: that is not an error. */
  readonly created: boolean
}

/**
 * Turns the token that a buyer's browser brings from AWS Marketplace into a subscription.
 *
 * The token is passed on to AWS and kept nowhere: not in a row, an error or the audit trail.
 *
 * @param listing - whose fulfilment URL was called
 * @throws {DomainError} `product.not_found`, `registration.token_invalid`, `registration.token_expired`,
 *   `registration.wrong_product`, `subscription.ended`, `marketplace.unavailable`
 */
export type RegisterBuyer = (listing: string, token: string) => Promise<Registration>

export function createRegisterBuyer(deps: {
  readonly metering: Pick<MeteringService, 'resolveCustomer'>
  readonly subscriptions: SubscriptionStore
  readonly catalog: ProductCatalog
  readonly clock: Clock
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
    const registered = await findRegistered(deps.subscriptions, product, customer)
    if (registered !== undefined) return { subscription: registered, created: false }
    return deps.subscriptions.create(firstSubscription(product, customer, deps.clock.now()), 'aws')
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

/** What this customer has already. A license that ended never comes alive again; AWS grants a new one. */
async function findRegistered(
  store: SubscriptionStore,
  product: Product,
  customer: ResolvedCustomer,
): Promise<Subscription | undefined> {
  if (customer.licenseArn === undefined) return undefined // `create` knows a live one by its customer
  const matches = await store.findMatching(product.id, { licenseArn: customer.licenseArn })
  const live = matches.find(isLive)
  if (live !== undefined || matches[0] === undefined) return live
  let heir = matches[0]
  for (let step = 0; heir.successor !== undefined && step < SUCCESSORS_MAX; step++) {
    heir = await store.get(heir.successor)
    if (isLive(heir)) return heir
  }
  throw new DomainError(
    'subscription.ended',
    'this agreement has ended; subscribe again on AWS Marketplace',
    {
      details: { subscription: heir.id, license: licenseTail(customer.licenseArn) },
    },
  )
}

function firstSubscription(product: Product, customer: ResolvedCustomer, now: number): Subscription {
  return newSubscription({
    id: `sub_${randomUUID()}`,
    product: product.id,
    buyer: `buy_${randomUUID()}`,
    // Which of several plans was bought, only AWS's entitlements say: they are read from issue 3 on.
    plan: product.plans.length === 1 ? product.plans[0]!.id : undefined,
    // Issue 3: `pending` until AWS says that access starts (subscribe-success, License Updated or a live
    // entitlement), and `accessStart` from that event. Until then a token that AWS resolves is our proof.
    status: 'active',
    licenseArn: customer.licenseArn,
    customerAwsAccountId: customer.customerAwsAccountId,
    customerIdentifier: customer.customerIdentifier,
    agreementId: undefined,
    accessStart: now,
    createdAt: now,
  })
}
