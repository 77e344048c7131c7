import type { Plan } from '../plans/plan.ts'
import { findDimension, type Product } from '../products/product.ts'
import type { Subscription } from '../subscriptions/subscription.ts'
import { type EntitlementReading, isEntitledTo } from './entitlement.ts'

/**
 * Why somebody may not use a product, or not that part of it.
 *
 * - `pending`: registered; AWS has not said that access starts
 * - `suspended`: the seller holds it
 * - `cancelling`: it has ended; what was used is still being reported to AWS
 * - `ended`: it is over, or never began
 * - `not_entitled`: the plan or the contract does not include the feature or dimension
 */
export type AccessRefusal = 'pending' | 'suspended' | 'cancelling' | 'ended' | 'not_entitled'

/** What a subscription is judged by. */
export interface AccessSubject {
  readonly subscription: Subscription
  /** Undefined where configuration no longer has it. */
  readonly product: Product | undefined
  /** AWS's last answer; undefined where there is none to ask for. */
  readonly reading: EntitlementReading | undefined
}

export interface AccessQuestion {
  /** A feature of the plan, or a dimension of the contract that is one. */
  readonly feature?: string | undefined
  /** A dimension's key, or the platform's name for it. */
  readonly dimension?: string | undefined
}

/** @returns undefined where it may be used */
export function refusalOf(subject: AccessSubject, question: AccessQuestion): AccessRefusal | undefined {
  switch (subject.subscription.status) {
    case 'pending':
    case 'suspended':
    case 'cancelling':
      return subject.subscription.status
    case 'cancelled':
    case 'expired':
    case 'failed':
      return 'ended'
    // A renewal whose successor is not known, or not granted yet: the buyer notices nothing.
    case 'superseded':
    case 'active':
      return isEntitled(subject, question) ? undefined : 'not_entitled'
  }
}

export function planOf({ product, subscription }: AccessSubject): Plan | undefined {
  return product?.plans.find(({ id }) => id === subscription.plan)
}

function isEntitled(subject: AccessSubject, { feature, dimension }: AccessQuestion): boolean {
  return (
    (feature === undefined || hasFeature(subject, feature)) &&
    (dimension === undefined || mayUse(subject, dimension))
  )
}

function hasFeature(subject: AccessSubject, feature: string): boolean {
  const features = planOf(subject)?.features ?? {}
  // Zero and an empty text are "no" as well.
  if (Object.hasOwn(features, feature)) return Boolean(features[feature])
  return isEntitledTo(subject.reading?.entitlements ?? [], feature)
}

/** A contract grants its own dimensions, and a plan those that it limits; what is paid by use may be used. */
function mayUse(subject: AccessSubject, name: string): boolean {
  const { product, subscription, reading } = subject
  if (product === undefined) return false
  const sold = findDimension(product, name)
  const key = sold?.key ?? name
  if (isEntitledTo(reading?.entitlements ?? [], key)) return true
  if (sold !== undefined && canBeBilled(product, subscription)) return true
  return (
    planOf(subject)?.limits.some(({ dimension, quantity }) => dimension === key && quantity !== 0) ?? false
  )
}

/**
 * Does somebody pay for what is used beyond a plan? AWS bills by use unless all that it sells is the contract; off AWS the seller
 * bills from the ledger; what is free stays so.
 */
export function canBeBilled(
  { pricing }: Pick<Product, 'pricing'>,
  { channel }: Pick<Subscription, 'channel'>,
): boolean {
  if (channel === 'free') return false
  return channel !== 'aws' || pricing !== 'contract'
}
