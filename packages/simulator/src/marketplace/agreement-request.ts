/** Why a seller asks to cancel (Agreement API 2020-03-01, SDK 3.1162.0). */
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

export const CANCELLATION_STATUSES = [
  'PENDING_APPROVAL',
  'APPROVED',
  'REJECTED',
  'CANCELLED',
  'VALIDATION_FAILED',
] as const
export type CancellationStatus = (typeof CANCELLATION_STATUSES)[number]

/** What is stored of a seller's request to cancel an agreement. Times are epoch milliseconds. */
export interface CancellationRequest {
  readonly id: string
  readonly subscriptionId: string
  readonly agreementId: string
  readonly reasonCode: CancellationReason
  readonly description?: string
  readonly clientToken?: string
  readonly createdAt: number
  /** What somebody said to it; without it, time decides. */
  readonly answer?: {
    readonly status: 'APPROVED' | 'REJECTED' | 'CANCELLED'
    readonly at: number
    readonly message?: string
  }
}

/** A request with its status now. */
export interface CancellationRequestView extends Omit<CancellationRequest, 'answer'> {
  readonly status: CancellationStatus
  readonly statusMessage?: string
  readonly updatedAt: number
}
