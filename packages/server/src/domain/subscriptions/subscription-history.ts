import type { AuditEntry } from '../audit/audit-trail.ts'
import type { OpenAlarm, Page } from '../usage/usage-store.ts'
import type { Agreement } from './agreement.ts'
import type { KeptEvent } from './marketplace-event.ts'
import type { Subscription } from './subscription.ts'

/** What happened to a subscription: a change that we made, or a notification of AWS. */
export type HistoryEntry =
  | { readonly kind: 'change'; readonly entry: AuditEntry }
  | { readonly kind: 'event'; readonly kept: KeptEvent }

/** Usage of a subscription that is not settled yet. */
export interface UnsettledUsage {
  /** Hours that still grow, and hours that wait for a person. */
  readonly openHours: number
  readonly heldHours: number
  /** Sealed, and not answered by AWS yet. */
  readonly unsentRecords: number
  /** Nobody knows whether AWS has them: a person or a reconciliation says. */
  readonly inDoubtRecords: number
}

/** All that is known of one subscription beside its own row: why it is as it is. Read-only. */
export interface SubscriptionHistory {
  /**
   * Changes and AWS's notifications of its agreement together, newest first by when they came here. Notifications that
   * change nothing (a renewal is near, a cancellation request was rejected) are among them.
   */
  list(
    subscription: Subscription,
    page: { readonly limit: number; readonly cursor?: string | undefined },
  ): Promise<Page<HistoryEntry>>
  /** What AWS said of the agreement that it follows; undefined where AWS has not named any. */
  findAgreement(subscription: Subscription): Promise<Agreement | undefined>
  /** The subscription as it was created; undefined where that is older than the audit trail. */
  findCreation(id: string): Promise<Subscription | undefined>
  /** Why it ended, as it was told to the seller's systems. */
  findEndReason(id: string): Promise<string | undefined>
  readUnsettled(id: string): Promise<UnsettledUsage>
  /** Open ones about the subscription itself. */
  listAlarms(id: string): Promise<readonly OpenAlarm[]>
}
