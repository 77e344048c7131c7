import { hash, randomUUID } from 'node:crypto'
import type { Clock } from '../clock.ts'
import { DomainError } from '../error.ts'
import { choosablePlans } from '../plans/plan-version.ts'
import type { Product, ProductCatalog } from '../products/product.ts'
import type { Contact } from './buyer.ts'
import type { BuyerCase, BuyerCaseStore, CaseChanges } from './buyer-case.ts'
import { applyPatch, draftCase } from './case-draft.ts'
import { decideChange, decideEnd, decideGrant, decideSuccessor, decideSuspension } from './decide.ts'
import { onlyPlan } from './follow.ts'
import { isLive, newSubscription, type Subscription } from './subscription.ts'
import type { SubscriptionHistory } from './subscription-history.ts'
import type { SubscriptionStore } from './subscription-store.ts'

/** A subscription that the seller opens: not bought on AWS Marketplace. */
export interface Opening {
  readonly product: Product
  readonly channel: 'direct' | 'free'
  /** Undefined: the product's only plan, if it has one. */
  readonly plan?: string | undefined
  readonly tenantId?: string | undefined
  /** Of a buyer who is known already. */
  readonly buyer?: string | undefined
  readonly contact?: Omit<Contact, 'registeredAt'> | undefined
  /** The same on every retry; else the tenant id tells a retry. */
  readonly idempotencyKey?: string | undefined
}

/** What a seller changes; what is left out stays. */
export interface SubscriptionUpdate {
  readonly plan?: string | undefined
  readonly tenantId?: string | undefined
  /** Off AWS only. */
  readonly suspended?: boolean | undefined
  /** Lets access start that AWS has not confirmed. */
  readonly activate?: boolean | undefined
  /** The agreement, or the subscription that follows it, that took the place of this one. */
  readonly successor?: string | undefined
}

/** What a seller may do with subscriptions by hand. Every change is audited with its actor. */
export interface ManageSubscriptions {
  /**
   * Opens a direct or free subscription; access starts at once. The same request again is the same subscription.
   *
   * @throws {DomainError} `subscription.exists` where the tenant has another one or the key was used for another,
   *   `subscription.buyer_only` where the buyer pays through AWS Marketplace, `buyer.not_found`, `request.invalid`
   */
  open(opening: Opening, actor: string): Promise<{ subscription: Subscription; created: boolean }>
  /**
   * Applies all of an update, or nothing of it.
   *
   * @throws {DomainError} `subscription.not_found`, `subscription.ended`, `subscription.exists` for another buyer's tenant
   *   id, `subscription.buyer_only` for what AWS alone decides, `request.invalid`
   */
  update(id: string, update: SubscriptionUpdate, actor: string): Promise<Subscription>
  /**
   * Ends a direct or free subscription now: its goodbye begins. One that has ended stays as it is.
   *
   * @throws {DomainError} `subscription.not_found`, `subscription.buyer_only`
   */
  end(id: string, actor: string): Promise<Subscription>
}

export function createManageSubscriptions(deps: {
  readonly cases: Pick<BuyerCaseStore, 'settle' | 'settleOf'>
  readonly subscriptions: Pick<SubscriptionStore, 'get' | 'findMatching'>
  readonly history: Pick<SubscriptionHistory, 'findCreation'>
  readonly catalog: ProductCatalog
  readonly clock: Clock
}): ManageSubscriptions {
  const { cases, subscriptions, history, catalog, clock } = deps

  /** A tenant is one buyer's: usage that names it must not fall to two. */
  async function checkTenant(product: string, tenantId: string, buyer: string): Promise<void> {
    const matches = await subscriptions.findMatching(product, { tenantId })
    const other = matches.find((match) => isLive(match) && match.buyer !== buyer)
    if (other !== undefined) throw exists(`tenant id ${tenantId} is another buyer’s`, other)
  }

  async function settle(
    id: string,
    decide: (buyerCase: BuyerCase, now: number) => CaseChanges,
    actor: string,
  ): Promise<Subscription> {
    const now = clock.now()
    const after = await cases.settleOf(id, (buyerCase) => decide(buyerCase, now), actor, now)
    return after.subscriptions.find((subscription) => subscription.id === id)!
  }

  return {
    async open(opening, actor) {
      const { product, buyer, tenantId, idempotencyKey, contact } = opening
      checkPlan(product, opening.plan)
      if (tenantId === undefined && idempotencyKey === undefined)
        throw new DomainError(
          'request.invalid',
          'name the buyer’s tenantId, or send an Idempotency-Key: else a retry would open a second subscription',
        )
      const id = subscriptionId(product, idempotencyKey)
      if (tenantId !== undefined && buyer !== undefined) await checkTenant(product.id, tenantId, buyer)
      const now = clock.now()
      let opened: { id: string; created: boolean } | undefined
      const after = await cases.settle(
        { product: product.id, subscription: id, buyer, tenantId },
        (buyerCase) => {
          const { changes, ...decided } = decideOpening(buyerCase, opening, id, now)
          opened = decided
          return changes
        },
        actor,
        now,
        contact && { ...contact, registeredAt: now },
      )
      const subscription = after.subscriptions.find((candidate) => candidate.id === opened!.id)!
      if (!opened!.created && !isSame(opening, subscription)) {
        // It may have been changed since it was opened by this very request.
        const first = await history.findCreation(subscription.id)
        if (first === undefined || !isSame(opening, first)) {
          const what =
            subscription.id === id
              ? 'this Idempotency-Key was used for another request'
              : `tenant ${tenantId} has another subscription`
          throw exists(what, subscription)
        }
      }
      return { subscription, created: opened!.created }
    },
    async update(id, update, actor) {
      const before = await subscriptions.get(id)
      const { plan, tenantId } = update
      if (plan !== undefined && plan !== before.plan)
        checkPlanChange(catalog.find(before.product), before, plan)
      if (tenantId !== undefined && tenantId !== before.tenantId)
        await checkTenant(before.product, tenantId, before.buyer)
      return settle(id, (buyerCase, now) => decideUpdate(buyerCase, id, update, now), actor)
    },
    async end(id, actor) {
      const { channel, accessEnd } = await subscriptions.get(id)
      if (channel === 'aws' && accessEnd === undefined) {
        throw new DomainError(
          'subscription.buyer_only',
          'only the buyer ends an agreement on AWS Marketplace; a seller can ask for its cancellation',
        )
      }
      return settle(
        id,
        (buyerCase, now) => decideEnd(buyerCase, id, { endedAt: now, reason: 'SELLER' }, now),
        actor,
      )
    },
  }
}

/** The same key names the same subscription, whoever asks, and whenever. */
function subscriptionId({ id }: Product, key: string | undefined): string | undefined {
  if (key === undefined) return undefined
  const hex = hash('sha256', JSON.stringify([id, key]), 'hex')
  // A UUID of version 8: made of what its maker chose.
  return `sub_${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-a${hex.slice(17, 20)}-${hex.slice(20, 32)}`
}

/**
 * A subscription that is there already, or a new one that is active at once.
 *
 * @param id - of the new one; undefined: any
 * @throws {DomainError} `subscription.buyer_only`, `buyer.not_found`
 */
export function decideOpening(
  buyerCase: BuyerCase,
  { product, channel, plan, tenantId, buyer }: Opening,
  id: string | undefined,
  now: number,
): { changes: CaseChanges; id: string; created: boolean } {
  const draft = draftCase(buyerCase, now)
  const { subscriptions } = buyerCase
  const found = (known: Subscription) => ({ changes: draft.changes(), id: known.id, created: false })
  const same = subscriptions.find((subscription) => subscription.id === id)
  if (same !== undefined) return found(same)
  if (buyer !== undefined && (buyerCase.buyer?.id !== buyer || buyerCase.buyer.product !== product.id))
    throw new DomainError('buyer.not_found', 'no such buyer')
  const live = subscriptions.filter(isLive)
  const atAws = live.find((subscription) => subscription.channel === 'aws')
  // AWS's policy: whoever buys through AWS Marketplace is offered no other way to pay.
  if (atAws !== undefined && channel === 'direct') {
    throw new DomainError(
      'subscription.buyer_only',
      `this buyer has bought the product on AWS Marketplace (${atAws.id}) and pays there: other terms are a private offer on AWS Marketplace, which the buyer accepts`,
      { details: { subscription: atAws.id } },
    )
  }
  const theirs = tenantId === undefined ? undefined : live.find((other) => other.tenantId === tenantId)
  if (theirs !== undefined) return found(theirs)
  const created = draft.create(
    newSubscription({
      id: id ?? draft.newId(),
      product: product.id,
      buyer: buyerCase.buyer?.id ?? `buy_${randomUUID()}`,
      channel,
      plan: plan ?? onlyPlan(product),
      tenantId,
      status: 'active',
      grantedAt: now,
      accessStart: now,
      createdAt: now,
    }),
  )
  draft.tell('subscription.created', created)
  draft.tell('subscription.activated', created)
  return { changes: draft.changes(), id: created, created: true }
}

function isSame({ product, channel, plan, tenantId, buyer }: Opening, as: Subscription): boolean {
  return (
    as.product === product.id &&
    as.channel === channel &&
    (plan ?? onlyPlan(product)) === as.plan &&
    tenantId === as.tenantId &&
    (buyer === undefined || buyer === as.buyer)
  )
}

/** One decision after the other, each on what the ones before it made of the case. */
function decideUpdate(
  buyerCase: BuyerCase,
  id: string,
  { plan, tenantId, suspended, activate, successor }: SubscriptionUpdate,
  now: number,
): CaseChanges {
  const before = buyerCase.subscriptions.find((subscription) => subscription.id === id)
  if (before === undefined) throw new DomainError('subscription.not_found', `no subscription ${id}`)
  const isChange =
    (plan !== undefined && plan !== before.plan) || (tenantId !== undefined && tenantId !== before.tenantId)
  if (before.accessEnd !== undefined && (isChange || suspended === true || activate === true)) {
    throw new DomainError(
      'subscription.ended',
      `${id} ended on ${new Date(before.accessEnd).toISOString()}: it is not changed any more`,
    )
  }
  return inTurn(buyerCase, [
    (current) => decideChange(current, id, { plan, tenantId }, now),
    ...(activate === true ? [(current: BuyerCase) => decideGrant(current, id, { at: now }, now)] : []),
    ...(suspended !== undefined && suspended !== (before.status === 'suspended')
      ? [(current: BuyerCase) => decideHold(current, before, suspended, now)]
      : []),
    ...(successor !== undefined && successor !== before.successor
      ? [(current: BuyerCase) => decideSuccessor(current, id, successor, now)]
      : []),
  ])
}

function decideHold(
  buyerCase: BuyerCase,
  before: Subscription,
  suspended: boolean,
  now: number,
): CaseChanges {
  const changes = decideSuspension(buyerCase, before.id, suspended, now)
  if (changes.change.length > 0) return changes
  throw new DomainError('request.invalid', `${before.id} is ${before.status}: it cannot be suspended`)
}

function inTurn(
  buyerCase: BuyerCase,
  decisions: readonly ((buyerCase: BuyerCase) => CaseChanges)[],
): CaseChanges {
  let current = buyerCase
  let all = draftCase(buyerCase, 0).changes()
  for (const decide of decisions) {
    const changes = decide(current)
    current = apply(current, changes)
    all = {
      create: [...all.create, ...changes.create],
      change: [...all.change, ...changes.change],
      tell: [...all.tell, ...changes.tell],
      raise: [...all.raise, ...changes.raise],
      clear: [...all.clear, ...changes.clear],
    }
  }
  return all
}

function apply(buyerCase: BuyerCase, { create, change }: CaseChanges): BuyerCase {
  const patched = buyerCase.subscriptions.map((subscription) =>
    change
      .filter(({ id }) => id === subscription.id)
      .reduce((so_far, { patch }) => applyPatch(so_far, patch), subscription),
  )
  return { ...buyerCase, subscriptions: [...patched, ...create] }
}

function checkPlan(product: Product, plan: string | undefined): void {
  const choosable = choosablePlans(product)
  if (plan === undefined || choosable.some(({ id }) => id === plan)) return
  const plans = choosable.map(({ id }) => id).join(', ') || 'none'
  throw new DomainError('request.invalid', `plan must be one of product ${product.id}: ${plans}`)
}

function checkPlanChange(product: Product | undefined, { channel }: Subscription, plan: string): void {
  if (product === undefined) return
  if (
    channel === 'aws' &&
    product.pricing !== 'usage' &&
    product.plans.some(({ grantedBy }) => grantedBy !== undefined)
  ) {
    throw new DomainError(
      'subscription.buyer_only',
      'the plan follows from what AWS entitles this buyer to: the buyer changes the contract on AWS Marketplace, or accepts a private offer',
    )
  }
  checkPlan(product, plan)
}

function exists(what: string, { id, channel, status }: Subscription): DomainError {
  return new DomainError(
    'subscription.exists',
    `${what}: ${id} (${channel}, ${status}); change that one, or end it before another one is opened`,
    { details: { subscription: id } },
  )
}
