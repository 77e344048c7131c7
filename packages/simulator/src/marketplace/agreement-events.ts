import type { Happening } from './agreement-happening.ts'
import type { CancellationRequestView, CancellationStatus } from './agreement-request.ts'
import { partiesOf } from './agreement-view.ts'
import { productIdOf, type SimulatedProduct } from './product.ts'
import type { MarketplaceContext } from './state.ts'
import { type SubscriptionRecord, termEnd } from './subscription.ts'

/** An event of EventBridge, whole. */
export type AwsEvent = Readonly<Record<string, unknown>>

/** How AWS's events write "no end" (capture of August 2026). */
const NO_END = '9999-01-01T00:00:00Z'

/**
 * What a product metered by license is told over EventBridge. A seller who is proposer and manufacturer gets the
 * proposer's agreement events only; of what a channel partner sold, the manufacturer's. License events go to the
 * manufacturer.
 *
 * @see {@link https://docs.aws.amazon.com/marketplace/latest/userguide/notifications-eventbridge.html | EventBridge events}
 */
export function agreementEvents(
  context: MarketplaceContext,
  subscription: SubscriptionRecord,
  product: SimulatedProduct,
  happening: Happening,
): AwsEvent[] {
  const { moment } = happening
  const role = subscription.channelPartner === undefined ? 'Proposer' : 'Manufacturer'
  const tell = (what: string, detail: object) =>
    agreementEvent(context, subscription, `${what} - ${role}`, happening, detail)
  const license = (kind: 'Updated' | 'Deprovisioned') =>
    agreementEvent(
      context,
      subscription,
      `License ${kind} - Manufacturer`,
      happening,
      licenseDetail(context, subscription, product),
    )
  switch (moment) {
    case 'created':
      return [tell('Purchase Agreement Created', createdDetail(context, subscription, product))]
    case 'licensed':
    case 'updated':
      return [license('Updated')]
    case 'amended':
      return [tell('Purchase Agreement Amended', amendedDetail(context, subscription, product, happening))]
    case 'ended':
      return [
        tell('Purchase Agreement Ended', {
          agreement: { id: subscription.agreementId, status: subscription.end?.reason },
          ...partiesOf(context, subscription),
          resaleAuthorization: resaleAuthorizationOf(subscription),
        }),
      ]
    case 'deprovisioned':
      return subscription.end?.isHandover === true ? [] : [license('Deprovisioned')]
    case 'closed':
    case 'failed':
      return []
  }
}

/** Trouble with the buyer's account, or its end. */
export function advisoryEvent(
  context: MarketplaceContext,
  subscription: SubscriptionRecord,
  product: SimulatedProduct,
  { kind, at, number }: { kind: 'Issued' | 'Resolved'; at: number; number: number },
): AwsEvent {
  const detailType = `Purchase Agreement Advisory ${kind} - Manufacturer`
  return agreementEvent(
    context,
    subscription,
    detailType,
    { at, number },
    {
      agreement: { id: subscription.agreementId },
      product: { id: productIdOf(product, context.identifiers) },
      ...partiesOf(context, subscription),
      offer: { id: subscription.offerId },
      advisory: { [kind === 'Issued' ? 'issuedAt' : 'resolvedAt']: new Date(at).toISOString() },
    },
  )
}

const CANCELLATION_TITLES = {
  PENDING_APPROVAL: 'Pending Approval',
  APPROVED: 'Approved',
  REJECTED: 'Rejected',
  CANCELLED: 'Cancelled',
  VALIDATION_FAILED: 'Validation Failed',
} satisfies Record<CancellationStatus, string>

/** A change of a cancellation request. Such events name no resources. */
export function cancellationEvent(
  context: MarketplaceContext,
  subscription: SubscriptionRecord,
  request: CancellationRequestView,
): AwsEvent {
  const { agreementId, accountId, offerId, productCode } = subscription
  const product = context.state.products.get(productCode)
  const { status, updatedAt } = request
  const detailType = `Agreement Cancellation Request ${CANCELLATION_TITLES[status]} - Proposer`
  return makeEvent(context, {
    name: request.id,
    detailType,
    at: updatedAt,
    number: 0,
    resources: [],
    detail: {
      agreement: {
        id: agreementId,
        acceptorId: accountId,
        ...(product !== undefined && { productId: productIdOf(product, context.identifiers) }),
        offerId,
      },
      agreementCancellationRequest: {
        id: request.id,
        reasonCode: request.reasonCode,
        reasonMessage: request.description ?? '',
        statusCode: status,
        statusMessage: request.statusMessage ?? '',
        createdAt: toSecond(request.createdAt),
        updatedAt: toSecond(updatedAt),
      },
    },
  })
}

/** An event about an agreement. */
export function agreementEvent(
  context: MarketplaceContext,
  { id, agreementId }: SubscriptionRecord,
  detailType: string,
  { at, number }: Pick<Happening, 'at' | 'number'>,
  detail: object,
): AwsEvent {
  const resources = [`arn:aws:aws-marketplace::aws:agreement:${agreementId}`]
  return makeEvent(context, { name: id, detailType, at, number, resources, detail })
}

export interface EventParts {
  /** With type, time and number it makes the event's id. */
  readonly name: string
  readonly detailType: string
  readonly at: number
  readonly number: number
  readonly resources: readonly string[]
  readonly detail: object
  readonly source?: string
}

/** The envelope, to the second, as AWS's is; details have milliseconds where AWS's have. */
export function makeEvent({ identifiers, state }: MarketplaceContext, parts: EventParts): AwsEvent {
  const { name, detailType, at, number, resources, detail } = parts
  const key = `${name} ${detailType} ${at}${number > 0 ? ` ${number}` : ''}`
  return {
    version: '0',
    id: identifiers.uuid(`event ${key}`),
    'detail-type': detailType,
    source: parts.source ?? 'aws.agreement-marketplace',
    account: state.settings.sellerAccountId,
    time: toSecond(at),
    region: 'us-east-1',
    resources,
    detail: { requestId: identifiers.uuid(`request ${key}`), catalog: 'AWSMarketplace', ...detail },
  }
}

function createdDetail(
  context: MarketplaceContext,
  subscription: SubscriptionRecord,
  product: SimulatedProduct,
): object {
  const { intent, previousAgreementId } = subscription
  const isSaid = previousAgreementId !== undefined && context.state.settings.previousAgreementIdInEvents
  return {
    agreement: {
      ...agreementOf(subscription, intent),
      ...(isSaid && { previousAgreementId }),
    },
    ...(intent !== 'NEW' && { product: productOf(context, product) }),
    ...partiesOf(context, subscription),
    offer: { id: subscription.offerId },
    resaleAuthorization: resaleAuthorizationOf(subscription),
  }
}

function amendedDetail(
  context: MarketplaceContext,
  subscription: SubscriptionRecord,
  product: SimulatedProduct,
  { autoRenew = false }: Happening,
): object {
  const isProposer = subscription.channelPartner === undefined
  return {
    agreement: {
      ...agreementOf(subscription, 'AMEND'),
      ...(isProposer && { autoRenewalEnabled: autoRenew }),
    },
    ...(isProposer && {
      renewalSummary: renewalSummaryOf(subscription, autoRenew),
      product: productOf(context, product),
    }),
    ...partiesOf(context, subscription),
    offer: { id: subscription.offerId },
    resaleAuthorization: resaleAuthorizationOf(subscription),
  }
}

function licenseDetail(
  context: MarketplaceContext,
  subscription: SubscriptionRecord,
  product: SimulatedProduct,
): object {
  return {
    agreement: { id: subscription.agreementId },
    product: { id: productIdOf(product, context.identifiers), code: product.productCode },
    license: { arn: subscription.licenseArn },
    ...partiesOf(context, subscription),
    offer: { id: subscription.offerId },
  }
}

function agreementOf(subscription: SubscriptionRecord, intent: string) {
  const { agreementId, acceptedAt, startAt } = subscription
  return {
    id: agreementId,
    intent,
    status: 'ACTIVE',
    acceptanceTime: new Date(acceptedAt).toISOString(),
    startTime: new Date(startAt).toISOString(),
    endTime: endTimeOf(subscription),
  }
}

/** When the accepted terms end, as events write it. */
export function endTimeOf(subscription: SubscriptionRecord): string {
  const endsAt = termEnd(subscription)
  return endsAt === undefined ? NO_END : toSecond(endsAt)
}

/** Who turned renewal off, if somebody did; the simulator's terms have no lockout. */
export function renewalSummaryOf({ term, freeTrial }: SubscriptionRecord, autoRenew: boolean) {
  const isOptedOut = term !== undefined && !freeTrial && !autoRenew
  return { lockoutStartTime: null, disabledBy: isOptedOut ? 'ACCEPTOR' : null }
}

export function productOf({ identifiers }: MarketplaceContext, product: SimulatedProduct) {
  return { id: productIdOf(product, identifiers), title: product.title }
}

function resaleAuthorizationOf({ channelPartner }: SubscriptionRecord) {
  return { id: channelPartner?.resaleAuthorizationId ?? null }
}

/** `2026-11-20T12:30:00Z`, without a fraction. */
export function toSecond(epochMs: number): string {
  return `${new Date(epochMs).toISOString().slice(0, 19)}Z`
}
