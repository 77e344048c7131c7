/**
 * Where a subscription is on its way, as AWS's events show it:
 * `scheduled` (starts later) → `agreementActive` → `licensed` → `ending` (agreement ended, license still up) →
 * `finalWindow` (license deprovisioned, final usage taken) → `closed`. One whose payment failed goes from
 * `agreementActive` to `failed`, and is never licensed.
 */
export type SubscriptionState =
  | 'scheduled'
  | 'agreementActive'
  | 'licensed'
  | 'ending'
  | 'finalWindow'
  | 'closed'
  | 'failed'

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
  readonly intent: 'NEW' | 'RENEW' | 'REPLACE'
  readonly previousAgreementId?: string
  /** The first agreement of a chain of renewals and replacements; absent where that is this one. */
  readonly initialAgreementId?: string
  /** Made by the term's end, without anybody accepting an offer. */
  readonly isAutomatic?: true
  /** It had come about by itself, and then the clock was put back and its cause undone: it never was. */
  readonly isVoid?: true
  /** The subscription that renewed or replaced this one. */
  readonly succeededBy?: string
  /** How often the chain has renewed by itself up to this agreement. */
  readonly renewals?: number
  /** Sold by a channel partner: it is the proposer, and the seller only the manufacturer. */
  readonly channelPartner?: ChannelPartner
  readonly freeTrial: boolean
  /** What the buyer accepted for how long; absent for pay-as-you-go, which has no end. */
  readonly term?: Term
  readonly quantities: Quantities
  readonly acceptedAt: number
  readonly createdEventAt: number
  readonly startAt: number
  readonly licensedAt: number
  /** When the agreement ends or ended; absent while nothing ends it. Set from the start where there is a term. */
  readonly end?: SubscriptionEnd
  /** Its payment fails: it is never licensed. */
  readonly paymentFails?: true
  readonly suspended: boolean
  /** When the account went out of good standing, and back. */
  readonly advisories?: readonly Advisory[]
  /** When quantities last changed within the agreement. */
  readonly amendedAt?: number
  /** Each change of the agreement itself. */
  readonly amendments?: readonly Amendment[]
}

export interface Amendment {
  readonly at: number
  /** Whether the agreement renews by itself, from then on. */
  readonly autoRenew: boolean
  /** Whether quantities changed, and the license with them; else only what happens at the term's end. */
  readonly isOfLicense: boolean
}

export interface SubscriptionEnd {
  /** AWS's status of an agreement that has ended. */
  readonly reason: 'CANCELLED' | 'EXPIRED' | 'RENEWED' | 'REPLACED'
  readonly endedAt: number
  /** When the seller is told, if not at once. */
  readonly endedEventAt?: number
  readonly deprovisionedAt: number
  readonly closedAt: number
  /** Another agreement goes on under the same license or customer: nothing is deprovisioned. */
  readonly isHandover?: true
  /** The cancellation request whose approval ended it. */
  readonly requestId?: string
}

export interface Term {
  readonly endsAt: number
  readonly length: { readonly months: number } | { readonly days: number }
  /** Whether the term's end makes a new agreement. */
  readonly autoRenew: boolean
}

export interface ChannelPartner {
  readonly accountId: string
  readonly resaleAuthorizationId: string
}

export interface Advisory {
  readonly issuedAt: number
  readonly resolvedAt?: number
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
    if (wasNeverLicensed(record) || now >= end.closedAt) return 'closed'
    return now >= end.deprovisionedAt ? 'finalWindow' : 'ending'
  }
  if (now >= record.licensedAt) return record.paymentFails === true ? 'failed' : 'licensed'
  return now >= record.startAt ? 'agreementActive' : 'scheduled'
}

/** Whether it ends, or ended, without a license. */
export function wasNeverLicensed({ paymentFails, end, licensedAt }: SubscriptionRecord): boolean {
  return paymentFails === true || (end !== undefined && end.endedAt < licensedAt)
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

/** Whether the contract grants anything now; one that is handed over grants until its successor does. */
export function isGranting(record: SubscriptionRecord, now: number): boolean {
  if (record.suspended) return false
  const state = subscriptionState(record, now)
  return state === 'licensed' || (state === 'ending' && record.end?.isHandover === true)
}

/** The instant at which the accepted terms end; `undefined` for pay-as-you-go. */
export function termEnd({ term, end }: SubscriptionRecord): number | undefined {
  // State files of before terms were kept say it by the end alone.
  return term?.endsAt ?? (end?.reason === 'EXPIRED' ? end.endedAt : undefined)
}

/** AWS's status of the agreement now. `TERMINATED`: it ended early "because of an issue such as payment failure". */
export function agreementStatus(
  { end, paymentFails, licensedAt }: SubscriptionRecord,
  now: number,
): 'ACTIVE' | 'TERMINATED' | SubscriptionEnd['reason'] {
  if (end !== undefined && now >= end.endedAt) return end.reason
  return paymentFails === true && now >= licensedAt ? 'TERMINATED' : 'ACTIVE'
}
