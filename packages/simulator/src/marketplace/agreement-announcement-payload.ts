import type { AnnouncementOrder } from './agreement-announcement.ts'
import {
  type AwsEvent,
  agreementEvent,
  endTimeOf,
  makeEvent,
  productOf,
  renewalSummaryOf,
  toSecond,
} from './agreement-events.ts'
import type { Notification } from './agreement-happening.ts'
import { topicArn } from './agreement-sns.ts'
import { priceOf } from './agreement-terms.ts'
import { partiesOf } from './agreement-view.ts'
import { productIdOf, type SimulatedProduct } from './product.ts'
import type { MarketplaceContext } from './state.ts'
import type { SubscriptionRecord } from './subscription.ts'

/** What an order sends, as of now. Unlike other notifications it is stored whole: nothing later changes it. */
export function announce(
  context: MarketplaceContext,
  subscription: SubscriptionRecord,
  product: SimulatedProduct,
  order: AnnouncementOrder,
): Notification {
  const about = { at: context.clock.now(), subscriptionId: subscription.id }
  if (order.kind !== 'unknownSnsAction') {
    const payload = announcementEvent(context, subscription, product, order)
    return { ...about, channel: 'eventbridge', payload }
  }
  const { customerIdentifier, productCode } = subscription
  return {
    ...about,
    channel: 'sns',
    payload: {
      topicArn: topicArn('subscription', productCode),
      message: {
        action: order.action ?? 'subscribe-reconsidered',
        'customer-identifier': customerIdentifier,
        'product-code': productCode,
      },
    },
  }
}

function announcementEvent(
  context: MarketplaceContext,
  subscription: SubscriptionRecord,
  product: SimulatedProduct,
  announcement: AnnouncementOrder,
): AwsEvent {
  const { identifiers, state, clock } = context
  const at = clock.now()
  // Several at one instant are several events.
  const number = state.announcements.length
  const { agreementId } = subscription
  const seller = state.settings.sellerAccountId
  const ofAgreement = (detailType: string, detail: object) =>
    agreementEvent(context, subscription, detailType, { at, number }, detail)
  const ofSeller = (detailType: string, source: string, resources: string[], detail: object) =>
    makeEvent(context, { name: subscription.id, detailType, at, number, resources, detail, source })
  const agreement = {
    id: agreementId,
    startTime: new Date(subscription.startAt).toISOString(),
    endTime: endTimeOf(subscription),
  }
  const parties = { product: productOf(context, product), ...partiesOf(context, subscription) }
  const money = { tcv: priceOf(context, subscription), currency: 'USD' }

  switch (announcement.kind) {
    case 'agreementEnding':
      return ofAgreement('Purchase Agreement Ending - Proposer', {
        agreement: {
          ...agreement,
          status: 'ACTIVE',
          daysBeforeEndTime: announcement.daysBeforeEndTime ?? 30,
          autoRenewalEnabled: subscription.term?.autoRenew === true,
        },
        renewalSummary: renewalSummaryOf(subscription, subscription.term?.autoRenew === true),
        ...parties,
        offer: { id: subscription.offerId },
      })
    case 'renewalTermsFinalized':
      return ofAgreement('Purchase Agreement Renewal Terms Finalized - Proposer', {
        agreement,
        renewalSummary: {
          ...money,
          termsFinalizedTime: toSecond(at),
          lockoutReached: null,
          lockoutStartTime: null,
        },
        ...parties,
      })
    case 'renewalUpcoming':
      return ofAgreement('Purchase Agreement Renewal Upcoming - Proposer', {
        agreement,
        renewalSummary: { lockoutReached: true, ...money },
        ...parties,
      })
    case 'billingAdjustmentCompleted':
    case 'billingAdjustmentFailed': {
      const outcome = announcement.kind === 'billingAdjustmentCompleted' ? 'Completed' : 'Failed'
      const detail = adjustmentOf(context, subscription, at)
      return ofSeller(`Purchase Agreement Billing Adjustment ${outcome} - Proposer`, AGREEMENTS, [], detail)
    }
    case 'disbursementPaused':
      return ofSeller(
        'Disbursement Paused',
        'aws.marketplace',
        [`arn:aws:payments:us-east-1:${seller}:paymentinstrument:simulated`],
        {},
      )
    case 'changeSetSucceeded':
      return changeSetEvent(context, { subscription, at, number }, 'Succeeded')
    case 'changeSetFailed':
      return changeSetEvent(context, { subscription, at, number }, 'Failed')
    case 'offerReleased':
      return ofSeller(
        'Offer Released',
        CATALOG_SOURCE,
        [`arn:aws:aws-marketplace:us-east-1:${seller}:AWSMarketplace/Offer/${subscription.offerId}`],
        offerOf(context, subscription, product),
      )
    // Seen in an index of AWS's docs; the shape of its detail is UNVERIFIED.
    case 'spendThresholdReached':
      return ofAgreement('Spend Threshold Reached', { agreement: { id: agreementId }, ...parties })
    default: {
      const detailType = announcement.detailType ?? 'Purchase Agreement Reconsidered - Proposer'
      return ofAgreement(detailType, {
        agreement: { id: agreementId },
        reconsideration: { id: identifiers.uuid(`reconsideration ${agreementId} ${at}`) },
      })
    }
  }
}

const AGREEMENTS = 'aws.agreement-marketplace'
const CATALOG_SOURCE = 'aws.marketplacecatalog'

function adjustmentOf({ identifiers }: MarketplaceContext, { agreementId }: SubscriptionRecord, at: number) {
  return {
    agreement: { id: agreementId },
    billingAdjustmentRequest: {
      id: identifiers.billingAdjustmentId(`${agreementId} ${at}`),
      adjustmentAmount: '-100.00',
      currencyCode: 'USD',
      adjustmentReasonCode: 'INCORRECT_METERING',
    },
    invoice: { originalInvoiceId: '2028746221' },
  }
}

/** Its detail has capitalised members, next to `requestId`; and no `catalog` in small letters. */
function changeSetEvent(
  context: MarketplaceContext,
  { subscription, at, number }: { subscription: SubscriptionRecord; at: number; number: number },
  outcome: 'Succeeded' | 'Failed',
): AwsEvent {
  const { identifiers, state } = context
  const id = identifiers.productCode(`change set ${subscription.id} ${at} ${number}`)
  const account = state.settings.sellerAccountId
  const event = makeEvent(context, {
    name: subscription.id,
    detailType: `Change Set ${outcome}`,
    at,
    number,
    resources: [`arn:aws:aws-marketplace:us-east-1:${account}:AWSMarketplace/ChangeSet/${id}`],
    detail: {},
    source: CATALOG_SOURCE,
  })
  const { requestId } = event.detail as { requestId: string }
  return {
    ...event,
    detail: {
      requestId,
      Catalog: 'AWSMarketplace',
      ChangeSetId: id,
      ChangeSetName: `Submitted by ${account}`,
      StartTime: toSecond(at - CHANGE_SET_MS),
      EndTime: toSecond(at),
      ...(outcome === 'Failed' && { FailureCode: 'CLIENT_ERROR' }),
    },
  }
}

const CHANGE_SET_MS = 40_000

function offerOf(context: MarketplaceContext, subscription: SubscriptionRecord, product: SimulatedProduct) {
  const account = context.state.settings.sellerAccountId
  const productId = productIdOf(product, context.identifiers)
  const { offerId, accountId, acceptedAt } = subscription
  return {
    offer: {
      id: offerId,
      arn: `arn:aws:catalog:us-east-1:${account}:Offer/${offerId}`,
      name: product.title,
      expirationDate: toSecond(acceptedAt + 365 * 24 * 3_600_000),
    },
    product: {
      id: productId,
      arn: `arn:aws:aws-marketplace:us-east-1:${account}:AWSMarketplace/SaaSProduct/${productId}`,
      title: product.title,
    },
    manufacturer: { accountId: account, name: 'Simulated seller' },
    sellerOfRecord: { accountId: account, name: 'Simulated seller' },
    targetedBuyerAccountIds: [accountId],
  }
}
