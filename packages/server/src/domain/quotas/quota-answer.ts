import type { AccessRefusal } from '../entitlements/decide-access.ts'
import type { ApiKeyRefusal } from '../keys/verify-api-key.ts'
import type { Plan } from '../plans/plan.ts'
import type { Product } from '../products/product.ts'
import type { Subscription } from '../subscriptions/subscription.ts'
import type { AskedChallenge } from '../visitors/find-visitor.ts'
import type { Window } from './window.ts'

/**
 * Why a use is not let through.
 *
 * - `key_…`: the key is no good; see `ApiKeyRefusal`
 * - `pending`, `suspended`, `cancelling`, `ended`, `not_entitled`: see `AccessRefusal`
 * - `quota_exceeded`: a limit that blocks has no room for it
 * - `trial_ended`: the plan's trial is over
 * - `challenge_required`: a visitor has to solve a challenge first
 * - `rate_limited`: an unknown key where many were tried
 */
export type QuotaRefusal =
  | ApiKeyRefusal
  | AccessRefusal
  | 'quota_exceeded'
  | 'trial_ended'
  | 'challenge_required'
  | 'rate_limited'

/** Whose quota counts: one of a buyer's subscriptions, or a visitor. */
export interface Holder {
  /** A subscription's id or a visitor's. */
  readonly id: string
  readonly product: Product
  readonly plan: Plan | undefined
  /** What months are counted from, ms. */
  readonly anchor: number
  /** When the plan's trial is over, ms; undefined: it has none. */
  readonly trialEndsAt: number | undefined
  /** Undefined: a visitor. */
  readonly subscription: Subscription | undefined
  /** May what is used beyond a plan be charged to somebody? Else each limit blocks, and only what is granted may be used. */
  readonly canBeBilled: boolean
  /** Dimensions that the contract grants, whatever the plan says. */
  readonly granted: ReadonlySet<string>
  /** They are shown no other way to pay: the buyer's, also of a visitor who became one. */
  readonly paysThroughAws: boolean
}

/** How a limit stands. Quantities are base units of the answer's dimension. */
export interface LimitState {
  readonly window: Window
  /** Undefined: unlimited. */
  readonly max: number | undefined
  readonly onExceed: 'block' | 'bill'
  /** Consumed, and reserved. */
  readonly used: number
  /** Part of what is used: reserved, and may be let go of. */
  readonly held: number
  /** Undefined: nothing blocks. */
  readonly remaining: number | undefined
  /** Of the window, ms. */
  readonly startsAt: number
  /** ms; undefined: never. */
  readonly resetAt: number | undefined
}

export interface QuotaAnswer {
  readonly allowed: boolean
  readonly reason: QuotaRefusal | undefined
  /** Undefined where it is not known who asks. */
  readonly holder: Holder | undefined
  readonly key: { readonly id: string; readonly user: string | undefined } | undefined
  readonly dimension: string
  /** Decimal digits of the base unit. */
  readonly scale: number
  /** Base units that were asked for. */
  readonly quantity: number
  readonly limits: readonly LimitState[]
  /** Its id was let through before: this is the same answer, and nothing was counted now. */
  readonly isRepeat: boolean
  /** Of `rate_limited`: when to ask again, ms. */
  readonly retryAt?: number | undefined
  /** Of the usage event that it became; only of what the gate meters. */
  readonly recordId: string | undefined
  /** Of `challenge_required`. */
  readonly challenge?: AskedChallenge | undefined
}
