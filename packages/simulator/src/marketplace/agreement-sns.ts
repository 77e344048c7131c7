import type { Happening } from './agreement-happening.ts'
import { hasContract, type SimulatedProduct } from './product.ts'
import type { MarketplaceContext } from './state.ts'
import { type SubscriptionRecord, wasNeverLicensed } from './subscription.ts'

/** The AWS account that owns the SNS topics (AWS's serverless sample, template of 2025). */
const SNS_ACCOUNT = '287250355862'

/**
 * What a legacy product is told over SNS. A renewal or replacement goes on under the same customer: there is no
 * unsubscribing, and `subscribe-success` comes again only where the buyer accepted an offer.
 *
 * @see {@link https://docs.aws.amazon.com/marketplace/latest/userguide/saas-notification.html | SNS notifications}
 */
export function agreementMessages(
  context: MarketplaceContext,
  subscription: SubscriptionRecord,
  product: SimulatedProduct,
  { moment }: Happening,
): Record<string, unknown>[] {
  const { customerIdentifier, productCode, offerId, freeTrial, end, isAutomatic } = subscription
  const topic = (name: 'subscription' | 'entitlement') => topicArn(name, productCode)
  const about = { 'customer-identifier': customerIdentifier, 'product-code': productCode }
  const offer = { 'offer-identifier': offerId, isFreeTrialTermPresent: String(freeTrial) }
  const subscriptionMessage = (action: string, more = {}) => ({
    topicArn: topic('subscription'),
    message: { action, ...about, ...more },
  })
  const entitlementUpdated = hasContract(product)
    ? [{ topicArn: topic('entitlement'), message: { action: 'entitlement-updated', ...about } }]
    : []
  const isHandover = end?.isHandover === true
  // A pure contract has nothing to meter at its end: its entitlements are gone, and that is all.
  const isUnsubscribed = !isHandover && !(product.pricing === 'contract' && end?.reason === 'EXPIRED')
  switch (moment) {
    case 'licensed':
      return [
        ...(isAutomatic === true ? [] : [subscriptionMessage('subscribe-success', offer)]),
        ...entitlementUpdated,
      ]
    case 'failed':
      if (isHandover) return []
      return [subscriptionMessage('subscribe-fail', offer)]
    case 'updated':
      return entitlementUpdated
    case 'ended':
      return isHandover || wasNeverLicensed(subscription) ? [] : entitlementUpdated
    case 'deprovisioned':
      return isUnsubscribed ? [subscriptionMessage('unsubscribe-pending')] : []
    case 'closed':
      return isUnsubscribed && !cameBack(context, subscription)
        ? [subscriptionMessage('unsubscribe-success')]
        : []
    case 'created':
    case 'amended':
      return []
  }
}

/** The two topics of a product are AWS's own. */
export function topicArn(name: 'subscription' | 'entitlement', productCode: string): string {
  return `arn:aws:sns:us-east-1:${SNS_ACCOUNT}:aws-mp-${name}-notification-${productCode}`
}

/** Whether the buyer subscribed anew before the final hour was over: then AWS never says `unsubscribe-success`. */
function cameBack(
  { state }: MarketplaceContext,
  { id, productCode, accountId, end }: SubscriptionRecord,
): boolean {
  const all = state.subscriptions.byAccount(productCode, accountId)
  const later = all.slice(all.findIndex((record) => record.id === id) + 1)
  return later.some(
    ({ acceptedAt, paymentFails, isAutomatic }) =>
      end !== undefined && acceptedAt < end.closedAt && paymentFails !== true && isAutomatic !== true,
  )
}
