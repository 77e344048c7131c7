import { SimulatorError } from '../errors.ts'
import { endAt, endOfTerm, undoRenewals } from './agreement-acceptance.ts'
import type { CancellationRequest, CancellationRequestView } from './agreement-request.ts'
import type { MarketplaceContext } from './state.ts'
import { isLive, type SubscriptionRecord } from './subscription.ts'

/** A request that the buyer leaves unanswered is approved after seven days (AWS docs, read November 2026). */
export const AUTO_APPROVAL_MS = 7 * 24 * 3_600_000

/** Where a request stands: as it was answered, else as time and the agreement's fate have it. */
export function viewRequest(
  context: MarketplaceContext,
  { answer, ...request }: CancellationRequest,
): CancellationRequestView {
  const now = context.clock.now()
  const pending: CancellationRequestView = {
    ...request,
    status: 'PENDING_APPROVAL',
    updatedAt: request.createdAt,
  }
  const { status, at, message } = answer ?? outcomeByItself(context, request)
  if (now < at) return pending
  return { ...pending, status, updatedAt: at, ...(message !== undefined && { statusMessage: message }) }
}

/** What a request comes to if nobody answers it: approved in time, or void once its agreement has ended. */
export function outcomeByItself(
  { state }: MarketplaceContext,
  { id, subscriptionId, createdAt }: Omit<CancellationRequest, 'answer'>,
): { status: 'APPROVED' | 'VALIDATION_FAILED'; at: number; message?: string } {
  const dueAt = createdAt + AUTO_APPROVAL_MS
  const end = state.subscriptions.find(subscriptionId)?.end
  if (end === undefined || end.requestId === id || end.endedAt >= dueAt)
    return { status: 'APPROVED', at: dueAt }
  const isSucceeded = end.reason === 'RENEWED' || end.reason === 'REPLACED'
  return {
    status: 'VALIDATION_FAILED',
    at: end.endedAt,
    message: isSucceeded
      ? 'Agreement has a renewal agreement that must be canceled first'
      : 'Agreement is not in an active state',
  }
}

/**
 * The buyer's answer, or the seller's withdrawal. Approval ends the agreement at once.
 *
 * @throws {SimulatorError} `not_found`, or `conflict` if it is no longer pending
 */
export function answerRequest(
  context: MarketplaceContext,
  requestId: string,
  status: 'APPROVED' | 'REJECTED' | 'CANCELLED',
  message?: string,
): CancellationRequestView {
  const { state, clock, commit } = context
  const request = state.cancellationRequests.get(requestId)
  const record = state.subscriptions.find(request?.subscriptionId ?? '')
  if (request === undefined || record === undefined) {
    throw new SimulatorError('not_found', `no cancellation request ${requestId}`)
  }
  const before = viewRequest(context, request)
  if (before.status !== 'PENDING_APPROVAL') {
    throw new SimulatorError('conflict', `cancellation request ${requestId} is ${before.status}, not pending`)
  }
  const at = clock.now()
  const answered = { ...request, answer: { status, at, ...(message !== undefined && { message }) } }
  commit({
    kind: 'cancellationRequest',
    request: answered,
    ...(status === 'APPROVED' && { subscriptions: endedBy(context, record, requestId, at) }),
    // Approved by time, and the clock put back since: it is open again, and so is the agreement.
    ...(status !== 'APPROVED' &&
      record.end?.requestId === requestId && { subscriptions: [withoutEnd(context, record)] }),
  })
  return viewRequest(context, answered)
}

/** The agreement as a request's approval leaves it; one that had ended before stays as it was. */
export function endedBy(
  context: MarketplaceContext,
  record: SubscriptionRecord,
  requestId: string,
  at: number,
): SubscriptionRecord[] {
  if (!isLive(record, at)) return []
  const [agreement, ...undone] = undoRenewals(context, record, at)
  return [{ ...agreement, end: { ...endAt(context, at, 'CANCELLED'), requestId } }, ...undone]
}

function withoutEnd(context: MarketplaceContext, record: SubscriptionRecord): SubscriptionRecord {
  const { end: _, ...rest } = record
  const end = endOfTerm(context, record.term)
  return end === undefined ? rest : { ...rest, end }
}
