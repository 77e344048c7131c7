import { DomainError } from '../error.ts'

/** One agreement as AWS's Agreement API summarises it. Words of AWS are kept as they are: it may add new ones. */
export interface AgreementSummary {
  /** `agmt-…` */
  readonly agreementId: string
  /** `ACTIVE`, `CANCELLED`, `EXPIRED`, `RENEWED`, `REPLACED`, `TERMINATED`, `ROLLED_BACK`, … */
  readonly status: string
  readonly customerAwsAccountId: string | undefined
  readonly proposerAccountId: string | undefined
  /** AWS's entity ids of what was sold, `prod-…`. */
  readonly productIds: readonly string[]
  readonly offerId: string | undefined
  /** Each license once. Legacy products have none. */
  readonly licenseArns: readonly string[]
  readonly acceptedAt: number | undefined
  readonly startsAt: number | undefined
  /** Of its term, or when it ended before; undefined: none (pay as you go). */
  readonly endsAt: number | undefined
  readonly updatedAt: number | undefined
  /** The first of the chain of renewals that it belongs to; its own id where it is the first. */
  readonly initialAgreementId: string | undefined
  /** `RENEW`, `REPLACE` or `EXPIRE`. */
  readonly endBehavior: string | undefined
  /** AWS's answer, JSON. */
  readonly payload: string
}

/** All that are given must fit. */
export interface AgreementFilter {
  readonly productId?: string | undefined
  readonly customerAwsAccountId?: string | undefined
  readonly licenseArn?: string | undefined
  readonly status?: string | undefined
  readonly initialAgreementId?: string | undefined
  /** Changed after this time, ms. */
  readonly updatedAfter?: number | undefined
}

/** What was accepted, as far as access and plans depend on it. */
export interface AgreementTerms {
  /** There is a free trial term. */
  readonly freeTrial: boolean
  /** Undefined: it has no renewal term. */
  readonly autoRenew: boolean | undefined
  /** The validity term's own end date, ms, where it has one. */
  readonly endsAt: number | undefined
  /** Names of all terms, as AWS writes them: `usageBasedPricingTerm`, … */
  readonly kinds: readonly string[]
}

/** Why a seller asks the buyer to cancel. AWS may know more. */
export const CANCELLATION_REASONS = [
  'INCORRECT_TERMS_ACCEPTED',
  'REPLACING_AGREEMENT',
  'TEST_AGREEMENT',
  'ALTERNATIVE_PROCUREMENT_CHANNEL',
  'PRODUCT_DISCONTINUED',
  'UNINTENDED_RENEWAL',
  'BUYER_DISSATISFACTION',
  'OTHER',
] as const
export type CancellationReason = (typeof CANCELLATION_REASONS)[number]

/** A seller cannot cancel: it asks, and what the buyer leaves unanswered for seven days is approved. */
export interface CancellationRequest {
  /** `acr-…` */
  readonly id: string
  readonly agreementId: string
  /** `PENDING_APPROVAL`, `APPROVED`, `REJECTED`, `CANCELLED`, `VALIDATION_FAILED`, … */
  readonly status: string
  readonly reasonCode: string | undefined
  readonly createdAt: number | undefined
  readonly updatedAt: number | undefined
}

/**
 * AWS Marketplace's Agreement API, as the seller (proposer). It stays under AWS's rate, and waits and asks again where
 * AWS is busy.
 *
 * Each throws `DomainError`: `request.invalid` where AWS will not have the request (its words are in the message);
 * `marketplace.unavailable` where it was not answered, or is not permitted (`isNotPermitted`).
 */
export interface AgreementService {
  /** All pages, as they come. What channel partners sold is not among them. */
  searchAgreements(filter: AgreementFilter, signal?: AbortSignal): AsyncIterable<readonly AgreementSummary[]>
  describeAgreement(agreementId: string, signal?: AbortSignal): Promise<AgreementSummary>
  getAgreementTerms(agreementId: string, signal?: AbortSignal): Promise<AgreementTerms>
  /**
   * Asks the buyer to cancel.
   *
   * @param request.description - at most 2,000 characters, for the buyer to read
   * @param request.clientToken - the same on every retry: AWS then takes it for the same request
   */
  requestCancellation(
    request: {
      readonly agreementId: string
      readonly reasonCode: CancellationReason
      readonly description?: string | undefined
      readonly clientToken: string
    },
    signal?: AbortSignal,
  ): Promise<CancellationRequest>
  /** All pages. @param agreementId - undefined: of all agreements */
  listCancellationRequests(
    agreementId: string | undefined,
    signal?: AbortSignal,
  ): Promise<readonly CancellationRequest[]>
}

/** Is it refused for want of permission? Asking again is no use then: a person mends the role. */
export function isNotPermitted(error: unknown): boolean {
  return error instanceof DomainError && error.details.permitted === false
}
