import { hash } from 'node:crypto'
import type { AuditTrail } from '../audit/audit-trail.ts'
import type { Clock } from '../clock.ts'
import { DomainError } from '../error.ts'
import type { Product, ProductCatalog } from '../products/product.ts'
import {
  type AgreementService,
  type CancellationReason,
  type CancellationRequest,
  isNotPermitted,
} from './agreement-service.ts'
import type { Subscription } from './subscription.ts'
import type { SubscriptionHistory } from './subscription-history.ts'
import type { SubscriptionStore } from './subscription-store.ts'

/** What the buyer leaves unanswered for so long, AWS approves (AWS docs, read November 2026). */
export const AUTO_APPROVAL_MS = 7 * 86_400_000

const AGREEMENTS_MAX = 20
const PENDING = 'PENDING_APPROVAL'
const ASK_THE_BUYER =
  'ask the buyer to cancel it on AWS Marketplace (Manage subscriptions); its end is followed here by itself'

export interface RequestedCancellation {
  readonly request: CancellationRequest
  /** When AWS approves by itself what the buyer has not answered, ms. */
  readonly autoApprovalAt: number
}

/**
 * Asks the buyer of an AWS Marketplace subscription to let its agreement be cancelled: a seller cannot cancel. The
 * subscription stays as it is until AWS says that it ended.
 *
 * Asked again while a request waits for the buyer, that one is answered; after the buyer said no, a new one is sent.
 *
 * @throws {DomainError} `subscription.not_found`, `subscription.ended`, `subscription.not_at_aws`, `agreement.unknown`,
 *   `agreement.not_permitted`, `agreement.refused`, `marketplace.unavailable`
 */
export type RequestCancellation = (
  id: string,
  why: { readonly reasonCode: CancellationReason; readonly description?: string | undefined },
  actor: string,
) => Promise<RequestedCancellation>

export function createRequestCancellation(deps: {
  readonly subscriptions: Pick<SubscriptionStore, 'get'>
  readonly history: Pick<SubscriptionHistory, 'findAgreement'>
  readonly agreements: Pick<
    AgreementService,
    'searchAgreements' | 'requestCancellation' | 'listCancellationRequests'
  >
  readonly catalog: ProductCatalog
  readonly audit: AuditTrail
  readonly clock: Clock
}): RequestCancellation {
  const { subscriptions, history, agreements, catalog, audit, clock } = deps
  return async (id, why, actor) => {
    const subscription = await subscriptions.get(id)
    if (subscription.channel !== 'aws') {
      throw new DomainError(
        'subscription.not_at_aws',
        `${id} was not bought on AWS Marketplace: it ends at once when you end it`,
      )
    }
    if (subscription.accessEnd !== undefined) {
      const at = new Date(subscription.accessEnd).toISOString()
      throw new DomainError('subscription.ended', `${id} ended on ${at}`)
    }
    const known = await history.findAgreement(subscription)
    if (known?.throughPartner === true) {
      throw new DomainError(
        'agreement.refused',
        'it was sold through a channel partner: only the partner, who proposed the agreement, can ask for its cancellation',
      )
    }
    return inOurWords(async () => {
      const agreementId =
        subscription.agreementId ??
        known?.agreementId ??
        (await findAgreementId(agreements, subscription, catalog.find(subscription.product)))
      const earlier = await agreements.listCancellationRequests(agreementId)
      const waiting = earlier.find(({ status }) => status === PENDING)
      if (waiting !== undefined) return requested(waiting, clock.now())
      const clientToken = tokenOf(agreementId, why, earlier.length)
      const request = await agreements.requestCancellation({ agreementId, ...why, clientToken })
      const now = clock.now()
      await audit.append({
        at: now,
        actor,
        action: 'subscription.request_cancellation',
        subject: id,
        before: undefined,
        // Not the description: who knows whom it names.
        after: { request: request.id, agreementId, reasonCode: request.reasonCode, status: request.status },
      })
      return requested(request, now)
    })
  }
}

function requested(request: CancellationRequest, now: number): RequestedCancellation {
  return { request, autoApprovalAt: (request.createdAt ?? now) + AUTO_APPROVAL_MS }
}

/** A retry is the same request; one after the buyer said no is another. */
function tokenOf(
  agreementId: string,
  { reasonCode, description = '' }: { reasonCode: string; description?: string | undefined },
  earlier: number,
): string {
  return hash('sha256', JSON.stringify([agreementId, reasonCode, description, earlier]), 'hex')
}

/**
 * The one agreement in force of this license, or of this account and product.
 *
 * @throws {DomainError} `agreement.unknown`
 */
async function findAgreementId(
  agreements: Pick<AgreementService, 'searchAgreements'>,
  { licenseArn, customerAwsAccountId }: Subscription,
  product: Product | undefined,
): Promise<string> {
  const productId = product?.productId
  const unknown = (why: string) =>
    new DomainError(
      'agreement.unknown',
      `AWS has not named the agreement of this subscription, and ${why}; ${ASK_THE_BUYER}`,
    )
  if (licenseArn === undefined && customerAwsAccountId === undefined)
    throw unknown('neither its license nor its AWS account is known to find it by')
  if (licenseArn === undefined && productId === undefined) {
    throw unknown(
      `an account may have agreements for several products: set \`productId\` (prod-…) of product ${product?.id ?? ''}`,
    )
  }
  const filter = licenseArn === undefined ? { customerAwsAccountId, productId } : { licenseArn }
  const found: string[] = []
  for await (const page of agreements.searchAgreements({ ...filter, status: 'ACTIVE' })) {
    found.push(...page.map(({ agreementId }) => agreementId))
    if (found.length > AGREEMENTS_MAX) break
  }
  const [only] = found
  if (only === undefined)
    throw unknown('its Agreement API knows none in force (what a channel partner sold is not shown there)')
  if (found.length > 1)
    throw unknown(`the account has ${found.length} in force for this product (${found.join(', ')})`)
  return only
}

/** What AWS will not do is not the fault of whoever asked us. */
async function inOurWords<T>(ask: () => Promise<T>): Promise<T> {
  try {
    return await ask()
  } catch (error) {
    if (isNotPermitted(error) && error instanceof DomainError) {
      throw new DomainError('agreement.not_permitted', `${error.message}; until then ${ASK_THE_BUYER}`, {
        cause: error,
      })
    }
    if (error instanceof DomainError && error.code === 'request.invalid') {
      throw new DomainError('agreement.refused', error.message, { details: error.details, cause: error })
    }
    throw error
  }
}
