import { hasContract, type SimulatedProduct } from './product.ts'
import type { MarketplaceContext } from './state.ts'
import type { SubscriptionRecord } from './subscription.ts'

/** What AWS would have sent the seller. Nothing is delivered yet: this is the log of it. */
export interface Notification {
  /** Epoch milliseconds. */
  readonly at: number
  readonly subscriptionId: string
  readonly channel: 'eventbridge' | 'sns'
  /** The EventBridge event whole, or the SNS message that its envelope would carry as a string. */
  readonly payload: Readonly<Record<string, unknown>>
}

/** The AWS account that owns the SNS topics (AWS's serverless sample, template of 2025). */
const SNS_ACCOUNT = '287250355862'
/** How AWS's events write "no end" (capture of August 2026). */
const NO_END = '9999-01-01T00:00:00Z'

type Moment = 'created' | 'licensed' | 'amended' | 'ended' | 'deprovisioned' | 'closed' | 'failed'

/**
 * All that was sent up to now, in order of time. It follows from the subscriptions' instants, so it needs no
 * storage, and a clock put back takes notifications back. Payloads have the shapes of a capture of August 2026.
 *
 * @see {@link https://docs.aws.amazon.com/marketplace/latest/userguide/saas-eventbridge-integration.html | EventBridge events}
 */
export function listNotifications(context: MarketplaceContext): Notification[] {
  const now = context.clock.now()
  return context.state.subscriptions
    .list()
    .flatMap((subscription) => notificationsOf(context, subscription))
    .filter(({ at }) => at <= now)
    .sort((a, b) => a.at - b.at)
}

function notificationsOf(context: MarketplaceContext, subscription: SubscriptionRecord): Notification[] {
  const product = context.state.products.get(subscription.productCode)
  if (product === undefined) return []
  return momentsOf(subscription).flatMap(([moment, at]) => {
    const payloads =
      product.metering === 'legacy'
        ? snsMessages(subscription, product, moment)
        : eventsAt(context, subscription, product, moment, at)
    const channel = product.metering === 'legacy' ? 'sns' : 'eventbridge'
    return payloads.map(
      (payload): Notification => ({ at, subscriptionId: subscription.id, channel, payload }),
    )
  })
}

function momentsOf(subscription: SubscriptionRecord): [Moment, number][] {
  const { end, createdEventAt, licensedAt, amendedAt } = subscription
  const moments: [Moment, number][] = [['created', createdEventAt]]
  if (end !== undefined && end.endedAt < licensedAt) {
    return [...moments, ['failed', end.endedAt], ['ended', Math.max(end.endedAt, createdEventAt)]]
  }
  moments.push(['licensed', licensedAt])
  if (amendedAt !== undefined) moments.push(['amended', amendedAt])
  if (end !== undefined) {
    moments.push(['ended', end.endedAt], ['deprovisioned', end.deprovisionedAt], ['closed', end.closedAt])
  }
  return moments
}

function snsMessages(
  subscription: SubscriptionRecord,
  product: SimulatedProduct,
  moment: Moment,
): Record<string, unknown>[] {
  const { customerIdentifier, productCode, offerId, freeTrial } = subscription
  const topic = (name: string) =>
    `arn:aws:sns:us-east-1:${SNS_ACCOUNT}:aws-mp-${name}-notification-${productCode}`
  const about = { 'customer-identifier': customerIdentifier, 'product-code': productCode }
  const offer = { 'offer-identifier': offerId, isFreeTrialTermPresent: String(freeTrial) }
  const subscriptionMessage = (action: string, more = {}) => ({
    topicArn: topic('subscription'),
    message: { action, ...about, ...more },
  })
  const entitlementUpdated = hasContract(product)
    ? [{ topicArn: topic('entitlement'), message: { action: 'entitlement-updated', ...about } }]
    : []
  switch (moment) {
    case 'licensed':
      return [subscriptionMessage('subscribe-success', offer), ...entitlementUpdated]
    case 'failed':
      return [subscriptionMessage('subscribe-fail', offer)]
    case 'amended':
      return entitlementUpdated
    case 'deprovisioned':
      return [subscriptionMessage('unsubscribe-pending'), ...entitlementUpdated]
    case 'closed':
      return [subscriptionMessage('unsubscribe-success')]
    default:
      return []
  }
}

function eventsAt(
  context: MarketplaceContext,
  subscription: SubscriptionRecord,
  product: SimulatedProduct,
  moment: Moment,
  at: number,
): Record<string, unknown>[] {
  const { identifiers, state } = context
  const { agreementId, id, accountId, offerId, licenseArn } = subscription
  const proposer = { accountId: state.settings.sellerAccountId }
  const acceptor = { accountId }
  const event = (detailType: string, detail: Record<string, unknown>) => ({
    version: '0',
    id: identifiers.uuid(`event ${id} ${detailType} ${at}`),
    'detail-type': detailType,
    source: 'aws.agreement-marketplace',
    account: state.settings.sellerAccountId,
    time: `${new Date(at).toISOString().slice(0, 19)}Z`,
    region: 'us-east-1',
    resources: [`arn:aws:aws-marketplace::aws:agreement:${agreementId}`],
    detail: {
      requestId: identifiers.uuid(`request ${id} ${detailType} ${at}`),
      catalog: 'AWSMarketplace',
      ...detail,
    },
  })
  const agreementEvent = (kind: 'Created' | 'Amended', intent: string) =>
    event(`Purchase Agreement ${kind} - Proposer`, {
      agreement: {
        id: agreementId,
        intent,
        status: 'ACTIVE',
        acceptanceTime: new Date(subscription.acceptedAt).toISOString(),
        startTime: new Date(subscription.startAt).toISOString(),
        endTime: termEnd(subscription),
        ...(subscription.previousAgreementId !== undefined && {
          previousAgreementId: subscription.previousAgreementId,
        }),
      },
      acceptor,
      proposer,
      offer: { id: offerId },
      resaleAuthorization: { id: null },
    })
  const licenseEvent = (kind: 'Updated' | 'Deprovisioned') =>
    event(`License ${kind} - Manufacturer`, {
      agreement: { id: agreementId },
      product: {
        id: product.productId ?? identifiers.productId(product.productCode),
        code: product.productCode,
      },
      license: { arn: licenseArn },
      acceptor,
      proposer,
      offer: { id: offerId },
    })
  switch (moment) {
    case 'created':
      return [agreementEvent('Created', subscription.intent)]
    case 'licensed':
      return [licenseEvent('Updated')]
    case 'amended':
      return [agreementEvent('Amended', 'AMEND'), licenseEvent('Updated')]
    case 'ended':
      return [
        event('Purchase Agreement Ended - Proposer', {
          agreement: { id: agreementId, status: subscription.end?.reason },
          acceptor,
          proposer,
          resaleAuthorization: { id: null },
        }),
      ]
    case 'deprovisioned':
      return [licenseEvent('Deprovisioned')]
    default:
      return []
  }
}

function termEnd({ end }: SubscriptionRecord): string {
  return end?.reason === 'EXPIRED' ? `${new Date(end.endedAt).toISOString().slice(0, 19)}Z` : NO_END
}
