import type { SubscriptionReference } from '../domain/subscriptions/subscription.ts'

/** The ways in which a caller names a subscription or a buyer. */
export const REFERENCES = [
  'subscriptionId',
  'buyerId',
  'tenantId',
  'licenseArn',
  'customerAWSAccountId',
  'customerIdentifier',
] as const

export type Referring = { readonly [name in (typeof REFERENCES)[number]]?: string }

/** AWS writes its own name in capitals, and so does the API. */
export function referenceOf({
  subscriptionId,
  buyerId,
  tenantId,
  licenseArn,
  customerAWSAccountId,
  customerIdentifier,
}: Referring): SubscriptionReference {
  return {
    subscriptionId,
    buyerId,
    tenantId,
    licenseArn,
    customerAwsAccountId: customerAWSAccountId,
    customerIdentifier,
  }
}
