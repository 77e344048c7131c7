/**
 * Where a subscription is on its way, as AWS's events show it:
 * `scheduled` (starts later) → `agreementActive` → `licensed` → `ending` (agreement ended, license still up) →
 * `finalWindow` (license deprovisioned, final usage taken) → `closed`.
 */
export type SubscriptionState =
  | 'scheduled'
  | 'agreementActive'
  | 'licensed'
  | 'ending'
  | 'finalWindow'
  | 'closed'

/** Quantity of each entitled dimension, whole units. */
export type Quantities = Readonly<Record<string, number>>

/**
 * What is stored of a subscription. It holds instants rather than a state, so that the state follows the clock
 * wherever it goes, and nothing has to run at those instants. All times are epoch milliseconds.
 */
export interface SubscriptionRecord {
  readonly id: string
  readonly productCode: string
  readonly accountId: string
  readonly buyerName: string
  readonly agreementId: string
  readonly offerId: string
  /** Absent for legacy products. */
  readonly licenseArn?: string
  /** Present for legacy products only. */
  readonly customerIdentifier?: string
  readonly intent: 'NEW' | 'RENEW'
  readonly previousAgreementId?: string
  readonly freeTrial: boolean
  readonly quantities: Quantities
  readonly acceptedAt: number
  readonly createdEventAt: number
  readonly startAt: number
  readonly licensedAt: number
  /** When the agreement ends or ended; absent while nothing ends it. Set from the start where a contract has a term. */
  readonly end?: SubscriptionEnd
  readonly suspended: boolean
  /** When quantities last changed within the agreement. */
  readonly amendedAt?: number
}

export interface SubscriptionEnd {
  readonly reason: 'CANCELLED' | 'EXPIRED' | 'RENEWED'
  readonly endedAt: number
  readonly deprovisionedAt: number
  readonly closedAt: number
}

/** A subscription as callers see it: the record, its state now, and its newest registration token. */
export interface Subscription extends SubscriptionRecord {
  readonly state: SubscriptionState
  /** The newest registration token, for the form of "Set up your account". */
  readonly token: string
}

/** An agreement that ends before it was licensed never had a license to wind down: it closes at once. */
export function subscriptionState(record: SubscriptionRecord, now: number): SubscriptionState {
  const { end } = record
  if (end !== undefined && now >= end.endedAt) {
    if (end.endedAt < record.licensedAt || now >= end.closedAt) return 'closed'
    return now >= end.deprovisionedAt ? 'finalWindow' : 'ending'
  }
  if (now >= record.licensedAt) return 'licensed'
  return now >= record.startAt ? 'agreementActive' : 'scheduled'
}

/** Whether `BatchMeterUsage` takes usage of the subscription now. */
export function takesUsage(record: SubscriptionRecord, now: number): boolean {
  if (record.suspended) return false
  const state = subscriptionState(record, now)
  return state === 'licensed' || state === 'ending' || state === 'finalWindow'
}

/** Whether the agreement still binds: it has neither ended nor been replaced. */
export function isLive(record: SubscriptionRecord, now: number): boolean {
  return record.end === undefined || now < record.end.endedAt
}
