/**
 * What an AWS notification means, whichever way it came: the few things that can happen to an agreement.
 *
 * - `agreement_created`, `agreement_amended`: its terms; access does not start yet
 * - `access_granted`: License Updated, subscribe-success
 * - `access_refused`: subscribe-fail
 * - `access_withdrawn`: License Deprovisioned, unsubscribe-pending; `access_closed`: unsubscribe-success
 * - `agreement_ended`: over for good, with AWS's status
 * - `entitlements_changed`: entitlement-updated, to be read anew
 * - `notice`: known, and nothing follows for access (a renewal is near, a change set succeeded)
 * - `unknown`: kept and shown
 */
export type MarketplaceEventKind =
  | 'agreement_created'
  | 'agreement_amended'
  | 'agreement_ended'
  | 'access_granted'
  | 'access_refused'
  | 'access_withdrawn'
  | 'access_closed'
  | 'entitlements_changed'
  | 'notice'
  | 'unknown'

export const MARKETPLACE_EVENT_KINDS: readonly MarketplaceEventKind[] = [
  'agreement_created',
  'agreement_amended',
  'agreement_ended',
  'access_granted',
  'access_refused',
  'access_withdrawn',
  'access_closed',
  'entitlements_changed',
  'notice',
  'unknown',
]

/** How a notification came. `agreements`: not sent, but found by asking the Agreement API. */
export type EventChannel = 'sns' | 'eventbridge' | 'relay' | 'agreements' | 'import'

/** One notification of AWS Marketplace, read. What AWS did not say is undefined. */
export interface MarketplaceEvent {
  /** AWS's own id of the message, the same on every delivery: SNS `MessageId`, EventBridge `id`. */
  readonly id: string
  readonly channel: EventChannel
  readonly kind: MarketplaceEventKind
  /** AWS's word for it: the detail-type or action. */
  readonly name: string
  /** AWS's own time, ms: EventBridge `time`, SNS `Timestamp`. */
  readonly occurredAt: number
  readonly agreementId?: string | undefined
  readonly previousAgreementId?: string | undefined
  /** `ACTIVE`, `CANCELLED`, `EXPIRED`, `RENEWED`, `REPLACED`, … as AWS wrote it. */
  readonly agreementStatus?: string | undefined
  readonly intent?: string | undefined
  /** When the agreement starts, ms. */
  readonly startsAt?: number | undefined
  /** When its term ends, ms; undefined also for AWS's year 9999. */
  readonly endsAt?: number | undefined
  readonly acceptedAt?: number | undefined
  readonly offerId?: string | undefined
  /** AWS's product code. */
  readonly productCode?: string | undefined
  /** AWS's product entity id, `prod-…`. */
  readonly productId?: string | undefined
  readonly licenseArn?: string | undefined
  readonly customerAwsAccountId?: string | undefined
  readonly customerIdentifier?: string | undefined
  readonly proposerAccountId?: string | undefined
  /** True where it was sold through a channel partner: price and terms are not the manufacturer's to see. */
  readonly throughPartner?: boolean | undefined
  readonly freeTrial?: boolean | undefined
  /** The message as it came, for a person to read: JSON. */
  readonly payload: string
}

/** What became of a notification. */
export type EventState =
  /** It is in the facts of an agreement that a subscription follows. */
  | 'followed'
  /** Its agreement has no subscription yet: it waits for a registration, a license event or a person. */
  | 'waiting'
  /** Nothing follows from it, or nobody knows its kind. */
  | 'kept'
  /** It was known already by its id. */
  | 'known'

/** What a kept notification can be, as it is listed. */
export const EVENT_STATES: readonly KeptEvent['state'][] = ['followed', 'waiting', 'kept']

/** A kept notification, as it is listed. */
export interface KeptEvent {
  readonly event: MarketplaceEvent
  readonly state: Exclude<EventState, 'known'>
  readonly receivedAt: number
  /** The subscription that follows its agreement. */
  readonly subscription: string | undefined
}

/** A message that could not be taken: kept for a person, with why. */
export interface RejectedMessage {
  readonly id: string
  readonly channel: EventChannel
  readonly reason: string
  readonly receivedAt: number
  readonly payload: string
}
