import type { Agreement } from '../subscriptions/agreement.ts'
import type { CasePatch } from '../subscriptions/buyer-case.ts'
import type { Subscription } from '../subscriptions/subscription.ts'
import type { DomainEvent } from '../telling/domain-event.ts'
import type { ContractHistory } from './contract-history.ts'
import type { EntitlementPeriod, EntitlementReading } from './entitlement.ts'

/** What a decision on AWS's answer is made from. */
export interface EntitlementState {
  readonly subscription: Subscription
  /** Undefined for what was not bought through AWS Marketplace. */
  readonly reading: EntitlementReading | undefined
}

/** What an answer of AWS changes; applied whole or not at all. */
export interface ReadingChanges {
  readonly reading: EntitlementReading
  /** When to ask again, ms. */
  readonly nextAt: number
  /** Only of dimensions whose units changed. */
  readonly periods: readonly EntitlementPeriod[]
  /** When a new term followed the old one, ms. */
  readonly term?: number | undefined
  readonly patch?: Pick<CasePatch, 'plan' | 'termEnd'> | undefined
  /** Since when a changed plan holds, ms. */
  readonly planFrom: number
  readonly tell: readonly DomainEvent[]
}

/** A subscription to which AWS granted nothing when it was asked last. */
export interface Suspect {
  readonly subscription: Subscription
  readonly reading: EntitlementReading
  /** What AWS has said about its agreement, if anything. */
  readonly agreements: readonly Agreement[]
}

export interface Suspects {
  /** Active or suspended ones, those that are empty longest first. */
  readonly suspects: readonly Suspect[]
  /** Subscriptions of the product that live. */
  readonly live: number
  /** How many lost their access for this lately. */
  readonly revoked: number
  /** Is the alarm `revocation_stopped` of the product open? */
  readonly isStopped: boolean
}

/** What the domain asks of storage about entitlements. Every store passes `entitlementStoreContract`. */
export interface EntitlementStore {
  /** @throws {DomainError} `subscription.not_found` */
  find(subscription: string): Promise<EntitlementState & { readonly history: ContractHistory }>
  /**
   * The reading that a subscription is served by: its own, or, until AWS answered for it, that of the one whose place
   * it took.
   */
  findServing(subscription: string): Promise<EntitlementReading | undefined>
  /**
   * Decides on an answer and applies it, with what is told of it, in one step. `undefined` changes nothing.
   *
   * @param decide - pure
   * @returns the subscription afterwards
   * @throws {DomainError} `subscription.not_found`
   */
  settle(
    subscription: string,
    decide: (state: EntitlementState) => ReadingChanges | undefined,
    actor: string,
    now: number,
  ): Promise<Subscription>
  /**
   * Takes live subscriptions of a product whose entitlements are to be read, those that waited longest first.
   *
   * @param leaseMs - how long until they are due again where nobody settles them
   */
  claimDue(product: string, now: number, leaseMs: number, limit: number): Promise<readonly string[]>
  /** @param revokedSince - how far back revocations count, ms */
  listSuspects(product: string, revokedSince: number, limit: number): Promise<Suspects>
  /** Counts as a revocation from now on. */
  noteRevocation(subscription: string, now: number): Promise<void>
  /** `subscriptions` grows with every change of any subscription, `readings` with every answer of AWS. */
  epochs(): Promise<{ readonly subscriptions: number; readonly readings: number }>
}
