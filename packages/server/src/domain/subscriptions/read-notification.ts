import { readTime } from '../usage/read-time.ts'
import type { EventChannel, MarketplaceEvent, MarketplaceEventKind } from './marketplace-event.ts'
import { type Json, objectOf, own, readJsonObject, textOf, timeOf, unreadable } from './notification-json.ts'
import type { SnsMessage } from './sns-message.ts'

const ID_LENGTH_MAX = 255
/** How AWS's events write "no end" (capture of August 2026). */
const NO_END = Date.UTC(9999, 0, 1)

/** What a message has besides its text: SNS's envelope says it, a queue, or whoever relays it. */
export interface Delivered {
  /** The same on every delivery. */
  readonly id: string
  /** When AWS sent it, ms. */
  readonly at: number
  readonly channel: EventChannel
}

/**
 * An SNS notification: AWS Marketplace's own, or an EventBridge event that a rule put on a topic.
 *
 * @throws {DomainError} `notification.unreadable`
 */
export function readSnsNotification(message: SnsMessage, channel: EventChannel): MarketplaceEvent {
  const at = readTime(message.timestamp)
  if (at === undefined) throw unreadable('the SNS message has no Timestamp that can be read')
  return readMessage(message.message, { id: message.messageId, at, channel })
}

/**
 * The text of a message, whichever of AWS's two forms it has. An EventBridge event brings an id and a time of its own:
 * coming in two ways it is one.
 *
 * @throws {DomainError} `notification.unreadable`
 */
export function readMessage(text: string, delivered: Delivered): MarketplaceEvent {
  const message = readJsonObject(text, 'the message')
  if (isEventBridgeEvent(message)) {
    const channel = delivered.channel === 'relay' ? 'relay' : 'eventbridge'
    return readEventBridgeEvent(message, text, channel)
  }
  if (textOf(message, 'action') === undefined)
    throw unreadable('the message has neither an `action` (SNS) nor a `detail-type` (EventBridge)')
  return readAction(message, text, delivered)
}

/** Does it look like an event of EventBridge, even if not all of it is there? */
export function isEventBridgeEvent(message: Json): boolean {
  return Object.hasOwn(message, 'detail-type')
}

/** What SNS calls an action (facts of November 2026, AWS's "saas-notification"). */
const ACTIONS: Readonly<Record<string, MarketplaceEventKind>> = {
  'subscribe-success': 'access_granted',
  'subscribe-fail': 'access_refused',
  'unsubscribe-pending': 'access_withdrawn',
  'unsubscribe-success': 'access_closed',
  'entitlement-updated': 'entitlements_changed',
}

function readAction(message: Json, payload: string, { id, at, channel }: Delivered): MarketplaceEvent {
  const name = textOf(message, 'action')!
  const productCode = textOf(message, 'product-code')
  const customerIdentifier = textOf(message, 'customer-identifier')
  const isAboutSomebody = productCode !== undefined && customerIdentifier !== undefined
  return {
    id,
    channel,
    // Nothing can follow from what does not say of whom it speaks: it is shown to a person.
    kind: isAboutSomebody ? (own(ACTIONS, name) ?? 'unknown') : 'unknown',
    name,
    occurredAt: at,
    productCode,
    customerIdentifier,
    offerId: textOf(message, 'offer-identifier'),
    freeTrial: flagOf(message, 'isFreeTrialTermPresent'),
    payload,
  }
}

/** @throws {DomainError} `notification.unreadable` */
function readEventBridgeEvent(event: Json, payload: string, channel: EventChannel): MarketplaceEvent {
  const id = textOf(event, 'id', ID_LENGTH_MAX)
  const name = textOf(event, 'detail-type')
  const at = timeOf(event, 'time')
  if (name === undefined) throw unreadable('the event has no `detail-type` that can be read')
  if (id === undefined) throw unreadable('the event has no `id`: it cannot be told from others')
  if (at === undefined) throw unreadable('the event has no `time` that can be read')

  const detail = objectOf(event, 'detail')
  const agreement = objectOf(detail, 'agreement')
  const product = objectOf(detail, 'product')
  const { kind, role, isLicense } = kindOf(textOf(event, 'source'), name)
  const agreementId = textOf(agreement, 'id') ?? agreementOfResources(event)
  const proposerAccountId = textOf(objectOf(detail, 'proposer'), 'accountId')
  return {
    id,
    channel,
    // Every event of an agreement and of a license says which: without that nothing can follow from it.
    kind: agreementId === undefined && kind !== 'notice' ? 'unknown' : kind,
    name,
    occurredAt: at,
    agreementId,
    previousAgreementId: textOf(agreement, 'previousAgreementId'),
    agreementStatus: textOf(agreement, 'status'),
    intent: textOf(agreement, 'intent'),
    startsAt: timeOf(agreement, 'startTime'),
    endsAt: endOf(agreement),
    acceptedAt: timeOf(agreement, 'acceptanceTime'),
    offerId: textOf(objectOf(detail, 'offer'), 'id'),
    productCode: textOf(product, 'code'),
    productId: textOf(product, 'id') ?? textOf(agreement, 'productId'),
    licenseArn: licenseOf(detail),
    customerAwsAccountId:
      textOf(objectOf(detail, 'acceptor'), 'accountId') ?? textOf(agreement, 'acceptorId'),
    proposerAccountId,
    throughPartner: isLicense
      ? isOthersOffer(textOf(event, 'account'), proposerAccountId)
      : isThroughPartner(role),
    payload,
  }
}

type Role = 'Proposer' | 'Manufacturer'

interface Meaning {
  readonly kind: MarketplaceEventKind
  /** As whom AWS tells us; undefined where it does not say, or as a buyer of somebody else's product. */
  readonly role?: Role | undefined
  readonly isLicense?: boolean
}

const AGREEMENT_EVENTS: Readonly<Record<string, MarketplaceEventKind>> = {
  'Purchase Agreement Created': 'agreement_created',
  'Purchase Agreement Amended': 'agreement_amended',
  'Purchase Agreement Ended': 'agreement_ended',
}
const LICENSE_EVENTS: Readonly<Record<string, MarketplaceEventKind>> = {
  'License Updated': 'access_granted',
  'License Deprovisioned': 'access_withdrawn',
}
/** Known, and nothing follows for access. Names with and without the words they begin with: AWS's pages use both. */
const AGREEMENT_NOTICES: readonly string[] = [
  'Advisory Issued',
  'Advisory Resolved',
  'Ending',
  'Renewal Terms Finalized',
  'Renewal Upcoming',
  'Cancellation Request Pending Approval',
  'Cancellation Request Approved',
  'Cancellation Request Rejected',
  'Cancellation Request Cancelled',
  'Cancellation Request Validation Failed',
  'Billing Adjustment Completed',
  'Billing Adjustment Failed',
  'Spend Threshold Reached',
  'Vet Succeeded',
  'Vet Failed',
]
const CATALOG_NOTICES: readonly string[] = [
  'Offer Released',
  'OfferSet Released',
  'Change Set Succeeded',
  'Change Set Failed',
  'Change Set Cancelled',
  'Products Security Report Created',
]

/**
 * What a detail-type means. Nobody but AWS can put an event with a source of `aws.…` on a bus, so the same words of
 * another source mean nothing here.
 *
 * An account that sells may buy as well: what AWS tells it as an acceptor is about somebody else's product.
 */
function kindOf(source: string | undefined, detailType: string): Meaning {
  const [, stem = detailType, role] = /^(.{1,200}?) [-–] (\w{1,20})$/.exec(detailType) ?? []
  if (source === 'aws.agreement-marketplace') {
    const agreement = own(AGREEMENT_EVENTS, stem)
    const license = own(LICENSE_EVENTS, stem)
    const isNotice = AGREEMENT_NOTICES.includes(stem.replace(/^(Purchase Agreement|Agreement) /, ''))
    if (isNotice) return { kind: 'notice' }
    const kind = agreement ?? license
    if (kind === undefined) return { kind: 'unknown' }
    if (role === 'Acceptor') return { kind: 'notice' }
    if (role !== 'Proposer' && role !== 'Manufacturer') return { kind: 'unknown' }
    return { kind, role, isLicense: license !== undefined }
  }
  const isNotice =
    (source === 'aws.marketplacecatalog' && CATALOG_NOTICES.includes(stem)) ||
    (source === 'aws.marketplace' && stem === 'Disbursement Paused')
  return { kind: isNotice ? 'notice' : 'unknown' }
}

/** Who is both is told as proposer only: told as manufacturer, somebody else made the offer. */
function isThroughPartner(role: Role | undefined): boolean | undefined {
  return role === undefined ? undefined : role === 'Manufacturer'
}

/** License events go to the manufacturer alone, whoever made the offer. */
function isOthersOffer(account: string | undefined, proposer: string | undefined): boolean | undefined {
  return account === undefined || proposer === undefined ? undefined : account !== proposer
}

function agreementOfResources({ resources }: Json): string | undefined {
  if (!Array.isArray(resources)) return undefined
  for (const resource of resources.slice(0, 10)) {
    const id = /^arn:aws[a-z-]*:aws-marketplace::[^:]*:agreement:([A-Za-z0-9_/-]{1,64})$/.exec(
      String(resource),
    )?.[1]
    if (typeof resource === 'string' && id !== undefined) return id
  }
  return undefined
}

/** Documentation prints the ARN without its `arn:`; AWS takes metering only with it. */
function licenseOf(detail: Json): string | undefined {
  const arn = textOf(objectOf(detail, 'license'), 'arn')
  return arn !== undefined && /^aws[a-z-]*:license-manager:/.test(arn) ? `arn:${arn}` : arn
}

function endOf(agreement: Json): number | undefined {
  const end = timeOf(agreement, 'endTime')
  return end !== undefined && end < NO_END ? end : undefined
}

function flagOf(of: Json, field: string): boolean | undefined {
  const value = own(of, field)
  if (value === true || value === 'true') return true
  return value === false || value === 'false' ? false : undefined
}
