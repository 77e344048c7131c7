import type { Entitlement } from '../../entitlements/entitlement.ts'

/** Who it is, as far as a source says. */
export interface SubscriberIdentity {
  readonly licenseArn: string | undefined
  readonly customerAwsAccountId: string | undefined
  readonly customerIdentifier: string | undefined
  readonly agreementId: string | undefined
}

/**
 * - `active`, `pending`, `failed`: as a subscription's
 * - `ended`: AWS takes no more usage; `leaving`: AWS takes its last usage until an hour after `endedAt`
 */
export type SubscriberState = 'active' | 'pending' | 'failed' | 'leaving' | 'ended'

export interface SubscriberContact {
  readonly email: string
  readonly name: string | undefined
  readonly company: string | undefined
  readonly phone: string | undefined
}

/** One subscriber as a source has it: what it does not say is undefined. */
export interface Subscriber {
  /** Where a person finds it, several where rows were merged. */
  readonly where: string
  /** Our id or AWS's code of the product, as the source names it. */
  readonly product: string | undefined
  readonly identity: SubscriberIdentity
  readonly state: SubscriberState
  /** What became of an ended one. */
  readonly ending: 'cancelled' | 'expired' | 'superseded'
  /** When the buyer registered, ms. */
  readonly registeredAt: number | undefined
  /** When access started by AWS's own word, ms. */
  readonly startedAt: number | undefined
  /** When it ended by AWS's own word, ms. */
  readonly endedAt: number | undefined
  /** When the source last changed it, ms. */
  readonly updatedAt: number | undefined
  readonly termEnd: number | undefined
  readonly freeTrial: boolean | undefined
  readonly tenantId: string | undefined
  /** A plan, or an entitled dimension that grants one, as the source names it. */
  readonly plan: string | undefined
  readonly contacts: readonly SubscriberContact[]
  /** As they were when the source was written: to be shown, AWS is asked anew. */
  readonly entitlements: readonly Entitlement[]
  /** The agreement that took its place, where that is sure. */
  readonly successorAgreementId: string | undefined
  /** What of it a person should know: guesses that were made, things that are odd. */
  readonly notes: readonly string[]
}
