import { AGREEMENT_TYPE, ascending, getAgreement, takePage } from './agreement-input.ts'
import { priceOf, termsOf } from './agreement-terms.ts'
import {
  endTimeBehavior,
  endTimeOf,
  initialAgreementId,
  partiesOf,
  proposalOf,
  resourceOf,
  toSeconds,
} from './agreement-view.ts'
import { readObject } from './shapes.ts'
import type { MarketplaceContext } from './state.ts'
import { agreementStatus, type SubscriptionRecord, subscriptionState } from './subscription.ts'

/**
 * @throws {AwsError} `ValidationException`, `ResourceNotFoundException`, `AccessDeniedException`
 * @see {@link https://docs.aws.amazon.com/marketplace/latest/APIReference/API_marketplace-agreements_DescribeAgreement.html | DescribeAgreement}
 */
export function describeAgreement(context: MarketplaceContext, input: unknown): object {
  const record = getAgreement(context, readObject(input, 'input'))
  const now = context.clock.now()
  const endTime = endTimeOf(record, now)
  const behavior = endTimeBehavior(record, now)
  const canRenew = behavior?.type === 'RENEW' || behavior?.reasonCode === 'ACCEPTOR_RENEW_OPTED_OUT'
  return {
    agreementId: record.agreementId,
    ...partiesOf(context, record),
    startTime: toSeconds(record.startAt),
    endTime: endTime === undefined ? null : toSeconds(endTime),
    acceptanceTime: toSeconds(record.acceptedAt),
    agreementType: AGREEMENT_TYPE,
    estimatedCharges: { currencyCode: 'USD', agreementValue: priceOf(context, record) },
    proposalSummary: proposalOf(context, record),
    status: agreementStatus(record, now),
    initialAgreementId: initialAgreementId(record),
    ...(behavior !== undefined && {
      endTimeBehavior: { ...behavior, ...(canRenew && { renewalSummary: { offerId: record.offerId } }) },
    }),
  }
}

/**
 * @throws {AwsError} `ValidationException`, `ResourceNotFoundException`, `AccessDeniedException`
 * @see {@link https://docs.aws.amazon.com/marketplace/latest/APIReference/API_marketplace-agreements_GetAgreementTerms.html | GetAgreementTerms}
 */
export function getAgreementTerms(context: MarketplaceContext, input: unknown): object {
  const request = readObject(input, 'input')
  const record = getAgreement(context, request)
  const numbered = termsOf(context, record).map((item, number) => ({ item, position: { key: 0, number } }))
  const { items, nextToken } = takePage(request, record.agreementId, numbered, ascending)
  return { acceptedTerms: items, ...(nextToken !== undefined && { nextToken }) }
}

/**
 * Of a SaaS agreement there is one: its product. The seller gets no registration token: that is for the buyer.
 *
 * @throws {AwsError} `ValidationException`, `ResourceNotFoundException`, `AccessDeniedException`
 * @see {@link https://docs.aws.amazon.com/marketplace/latest/APIReference/API_marketplace-agreements_GetAgreementEntitlements.html | GetAgreementEntitlements}
 */
export function getAgreementEntitlements(context: MarketplaceContext, input: unknown): object {
  const request = readObject(input, 'input')
  const record = getAgreement(context, request)
  const entitlement = {
    resource: resourceOf(context, record.productCode),
    ...entitlementStatus(record, context.clock.now()),
    ...(record.licenseArn !== undefined && { licenseArn: record.licenseArn }),
  }
  const only = [{ item: entitlement, position: { key: 0, number: 0 } }]
  const { items } = takePage(request, record.agreementId, only, ascending)
  return { agreementEntitlements: items }
}

/** Which status AWS gives a suspended account's entitlement is UNVERIFIED. */
function entitlementStatus(record: SubscriptionRecord, now: number) {
  switch (subscriptionState(record, now)) {
    case 'failed':
      return { status: 'FAILED', statusReasonCode: 'INVALID_PAYMENT_INSTRUMENT' }
    case 'scheduled':
      return { status: 'SCHEDULED', statusReasonCode: 'FUTURE_START_DATE' }
    case 'agreementActive':
      return { status: 'PENDING', statusReasonCode: 'PROVISIONING_IN_PROGRESS' }
    case 'licensed':
      return record.suspended
        ? { status: 'FAILED', statusReasonCode: 'ACCOUNT_SUSPENDED' }
        : { status: 'PROVISIONED', statusReasonCode: 'AGREEMENT_ACTIVE' }
    case 'ending':
      return { status: 'PROVISIONED', statusReasonCode: 'AGREEMENT_INACTIVE' }
    case 'finalWindow':
    case 'closed':
      return { status: 'DEPROVISIONED', statusReasonCode: 'AGREEMENT_INACTIVE' }
  }
}
