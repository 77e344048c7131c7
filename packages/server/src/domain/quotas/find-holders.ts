import type { CheckAccess } from '../entitlements/check-access.ts'
import { type AccessRefusal, type AccessSubject, planOf } from '../entitlements/decide-access.ts'
import { DomainError } from '../error.ts'
import type { ApiKeyRefusal, ApiKeyVerifier } from '../keys/verify-api-key.ts'
import type { SubscriptionReference } from '../subscriptions/subscription.ts'
import type { Holder } from './quota-answer.ts'

const DAY_MS = 86_400_000

/** Who asks, by exactly one of these. */
export interface WhoAsks {
  /** An end user's API key. */
  readonly key?: string | undefined
  readonly reference?: SubscriptionReference | undefined
  /** Our id; a key says its own. */
  readonly product?: string | undefined
  /** The key must have it. */
  readonly scope?: string | undefined
  /** The plan must have it. */
  readonly feature?: string | undefined
}

export interface FoundHolders {
  /** Those whose quota may count, the best plan first; empty where there is a refusal. */
  readonly holders: readonly Holder[]
  /** Of the one that came closest. */
  readonly refused:
    | { readonly reason: ApiKeyRefusal | AccessRefusal; readonly holder: Holder | undefined }
    | undefined
  readonly key: { readonly id: string; readonly user: string | undefined } | undefined
}

export type VerifyKey = ApiKeyVerifier['verify']

export type FindHolders = (who: WhoAsks) => Promise<FoundHolders>

export function createFindHolders(deps: {
  readonly checkAccess: CheckAccess
  readonly verifyKey: VerifyKey
}): FindHolders {
  return async ({ key: secret, reference, product, scope, feature }) => {
    if (secret === undefined) return byAccess(reference ?? {}, product, feature, undefined)
    const verdict = await deps.verifyKey(secret, { product, scope })
    const key = verdict.key && { id: verdict.key.id, user: verdict.key.user }
    if (verdict.refusal !== undefined)
      return { holders: [], refused: { reason: verdict.refusal, holder: undefined }, key }
    const { buyer, subscription } = verdict.key
    const bound = subscription === undefined ? { buyerId: buyer } : { subscriptionId: subscription }
    return byAccess(bound, verdict.key.product, feature, key)
  }

  async function byAccess(
    reference: SubscriptionReference,
    product: string | undefined,
    feature: string | undefined,
    key: FoundHolders['key'],
  ): Promise<FoundHolders> {
    const { access, all } = await deps.checkAccess({ reference, product, feature })
    const first = holderOf(access.subject)
    if (access.refusal !== undefined)
      return { holders: [], refused: { reason: access.refusal, holder: first }, key }
    // `access` is the best of them; what it has no room for, another of the buyer's may have.
    const others = all.filter((one) => one !== access && one.refusal === undefined)
    return { holders: [first, ...others.map(({ subject }) => holderOf(subject))], refused: undefined, key }
  }
}

const holders = new WeakMap<AccessSubject, Holder>()

/** The same object for as long as nothing changes. */
export function holderOf(subject: AccessSubject): Holder {
  let holder = holders.get(subject)
  if (holder === undefined) {
    const { subscription, product } = subject
    if (product === undefined)
      throw new DomainError('product.not_found', `product ${subscription.product} is not configured any more`)
    const plan = planOf(subject)
    const start = subscription.grantedAt ?? subscription.accessStart
    holder = {
      id: subscription.id,
      product,
      plan,
      anchor: subscription.accessStart,
      trialEndsAt: plan?.trial && start + plan.trial.days * DAY_MS,
      subscription,
    }
    holders.set(subject, holder)
  }
  return holder
}
