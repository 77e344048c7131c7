import type { Clock } from '../clock.ts'
import type { AccessAnswer, CheckAccess, FoundSubject } from '../entitlements/check-access.ts'
import { type AccessRefusal, canBeBilled, planOf } from '../entitlements/decide-access.ts'
import { isGranted } from '../entitlements/entitlement.ts'
import { DomainError } from '../error.ts'
import { keepOn } from '../kept-on.ts'
import type { ApiKey } from '../keys/api-key.ts'
import type { ApiKeyRefusal, ApiKeyVerifier } from '../keys/verify-api-key.ts'
import type { Plan } from '../plans/plan.ts'
import type { Product, ProductCatalog } from '../products/product.ts'
import { type Prompt, whenKnown } from '../prompt.ts'
import type { SubscriptionReference } from '../subscriptions/subscription.ts'
import type { AskedChallenge, FindVisitor } from '../visitors/find-visitor.ts'
import type { VisitorClaim } from '../visitors/identify-visitor.ts'
import type { Visitor } from '../visitors/visitor.ts'
import { productOfVisitor, visitorHolder } from '../visitors/visitor-holder.ts'
import { countedDimension, planLimits, quantityOf } from './plan-limits.ts'
import { EMPTY_COUNTER, hasRoom } from './quota.ts'
import type { Holder } from './quota-answer.ts'

const DAY_MS = 86_400_000

/** Who asks, by exactly one of these. */
export interface WhoAsks {
  /** An end user's API key. */
  readonly key?: string | undefined
  readonly reference?: SubscriptionReference | undefined
  /** One who shows no key. */
  readonly visitor?: VisitorClaim | undefined
  /** Our id; a key says its own. */
  readonly product?: string | undefined
  /** The key must have it. */
  readonly scope?: string | undefined
  /** The plan must have it. */
  readonly feature?: string | undefined
}

/** What for, where it is one thing. */
export interface AskedUse {
  /** A dimension's key, the platform's name for it, or a name that only plans know. */
  readonly dimension?: string | undefined
  /** Default: 1. */
  readonly quantity?: number | string | undefined
}

export interface FoundHolders {
  /** Those whose quota may count, the best plan first; empty where there is a refusal. */
  readonly holders: readonly Holder[]
  /** Of the one that came closest. */
  readonly refused:
    | {
        readonly reason: ApiKeyRefusal | AccessRefusal | 'challenge_required'
        readonly holder: Holder | undefined
        /** Of `challenge_required`. */
        readonly challenge?: AskedChallenge
      }
    | undefined
  readonly key: { readonly id: string; readonly user: string | undefined } | undefined
}

export type VerifyKey = ApiKeyVerifier['verify']

/** @param mode - default: nothing is counted, and no visitor is made */
export type FindHolders = (who: WhoAsks & AskedUse, mode?: 'consume' | 'look') => Prompt<FoundHolders>

export function createFindHolders(deps: {
  readonly checkAccess: CheckAccess
  readonly verifyKey: VerifyKey
  readonly findVisitor: FindVisitor
  readonly catalog: ProductCatalog
  readonly clock: Pick<Clock, 'now'>
}): FindHolders {
  return (who, mode = 'look') => {
    const { key: secret, reference, visitor, product, scope, feature } = who
    if (visitor !== undefined) return byVisit(visitor, product, who, mode)
    if (secret === undefined) return byAccess(reference ?? {}, product, feature, undefined)
    return whenKnown(deps.verifyKey(secret, { product, scope }), ({ key, refusal }) =>
      refusal === undefined
        ? byAccess(boundTo(key), key.product, feature, key)
        : { holders: [], refused: { reason: refusal, holder: undefined }, key },
    )
  }

  async function byVisit(
    claim: VisitorClaim,
    asked: string | undefined,
    use: AskedUse & Pick<WhoAsks, 'feature'>,
    mode: 'consume' | 'look',
  ): Promise<FoundHolders> {
    const product = productOfVisitor(deps.catalog, asked)
    const stranger = visitorHolder(product, undefined, deps.clock.now())
    const refuse = (refused: NonNullable<FoundHolders['refused']>) => ({
      holders: [],
      refused,
      key: undefined,
    })
    const chance = chanceOf(stranger, use)
    // For what the plan never has room for, nobody's trial begins, and no puzzle has to be solved.
    const found = await deps.findVisitor(product.id, claim, chance === 'some' ? mode : 'recall')
    if (found.status === 'challenged') {
      const { challenge, problem } = found
      return refuse({ reason: 'challenge_required', holder: stranger, challenge: { challenge, problem } })
    }
    const holder = found.status === 'unseen' ? stranger : await holderOfVisitor(product, found.visitor)
    if (chance === 'none') return refuse({ reason: 'not_entitled', holder })
    return { holders: [holder], refused: undefined, key: undefined }
  }

  async function holderOfVisitor(product: Product, visitor: Visitor): Promise<Holder> {
    let holder = visitors.get(visitor)
    if (holder?.product !== product) {
      holder = visitorHolder(product, visitor, deps.clock.now(), await becameOneOfAws(visitor))
      visitors.set(visitor, holder)
    }
    return holder
  }

  async function becameOneOfAws({ product, conversion }: Visitor): Promise<boolean> {
    if (conversion === undefined) return false
    try {
      const { all } = await deps.checkAccess({ reference: { buyerId: conversion.buyer }, product })
      return all.some(({ subject }) => subject.paysThroughAws)
    } catch (error) {
      // Whoever it was, nobody can say any more that they did not come from there.
      if (error instanceof DomainError && error.code === 'buyer.not_found') return true
      throw error
    }
  }

  function byAccess(
    reference: SubscriptionReference,
    product: string | undefined,
    feature: string | undefined,
    key: FoundHolders['key'],
  ): Prompt<FoundHolders> {
    return whenKnown(deps.checkAccess({ reference, product, feature }), (answer) => holdersOf(answer, key))
  }

  function holdersOf({ access, all }: AccessAnswer, key: FoundHolders['key']): FoundHolders {
    const first = holderOf(access.subject)
    if (access.refusal !== undefined)
      return { holders: [], refused: { reason: access.refusal, holder: first }, key }
    if (all.length === 1) return { holders: [first], refused: undefined, key }
    // `access` is the best of them; what it has no room for, another of the buyer's may have.
    const others = all.filter((one) => one !== access && one.refusal === undefined)
    return { holders: [first, ...others.map(({ subject }) => holderOf(subject))], refused: undefined, key }
  }
}

/** The same object for as long as the visitor is known without a look at the store. */
const visitors = new WeakMap<Visitor, Holder>()

/**
 * May a visitor be let in who has used nothing? `none`: the plan does not have it; `too_much`: that much never.
 *
 * @throws {DomainError} `request.invalid` where the quantity is none
 */
function chanceOf(
  stranger: Holder,
  { feature, dimension: name, quantity }: AskedUse & Pick<WhoAsks, 'feature'>,
): 'some' | 'too_much' | 'none' {
  const { plan, product } = stranger
  if (plan === undefined || (feature !== undefined && !hasFeature(plan, feature))) return 'none'
  if (name === undefined) return 'some'
  const dimension = countedDimension(product, name)
  const wanted = quantityOf({ quantity }, dimension)
  const limits = planLimits(stranger, dimension)
  if (limits === undefined) return 'none'
  const unused = limits.map(() => EMPTY_COUNTER)
  return hasRoom(limits, unused, wanted) ? 'some' : 'too_much'
}

const BOUND = Symbol('bound to')

/** What a key opens. The same object for as long as the key is: it is looked up by it. */
function boundTo(key: ApiKey & { readonly [BOUND]?: SubscriptionReference }): SubscriptionReference {
  const { buyer, subscription } = key
  return (
    key[BOUND] ??
    keepOn(key, BOUND, subscription === undefined ? { buyerId: buyer } : { subscriptionId: subscription })
  )
}

/** Zero and an empty text are "no" as well. */
function hasFeature({ features }: Plan, feature: string): boolean {
  return Object.hasOwn(features, feature) && Boolean(features[feature])
}

const HOLDER = Symbol('holder')

/** The same object for as long as nothing changes. */
export function holderOf(subject: FoundSubject & { readonly [HOLDER]?: Holder }): Holder {
  return subject[HOLDER] ?? keepOn(subject, HOLDER, toHolder(subject))
}

function toHolder(subject: FoundSubject): Holder {
  const { subscription, product, reading, paysThroughAws } = subject
  if (product === undefined)
    throw new DomainError('product.not_found', `product ${subscription.product} is not configured any more`)
  const plan = planOf(subject)
  const start = subscription.grantedAt ?? subscription.accessStart
  return {
    id: subscription.id,
    product,
    plan,
    // Not the start of access: AWS may date that back when it tells it late, and a month that is counted must not move.
    anchor: start,
    trialEndsAt: plan?.trial && start + plan.trial.days * DAY_MS,
    subscription,
    canBeBilled: canBeBilled(product, subscription),
    granted: new Set(
      reading?.entitlements.filter(({ value }) => isGranted(value)).map(({ dimension }) => dimension),
    ),
    paysThroughAws,
  }
}
