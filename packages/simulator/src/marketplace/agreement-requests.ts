import { answerRequest, viewRequest } from './agreement-cancellation.ts'
import { conflict, notFound, validationError } from './agreement-errors.ts'
import {
  AGREEMENT_TYPE,
  ascending,
  CATALOG,
  getAgreement,
  readCatalog,
  readMatching,
  takePage,
} from './agreement-input.ts'
import {
  CANCELLATION_REASONS,
  CANCELLATION_STATUSES,
  type CancellationReason,
  type CancellationRequest,
  type CancellationRequestView,
} from './agreement-request.ts'
import { toSeconds } from './agreement-view.ts'
import { type JsonObject, readObject, readOptionalString } from './shapes.ts'
import type { MarketplaceContext } from './state.ts'
import { isLive } from './subscription.ts'

const CLIENT_TOKEN = /^[a-zA-Z0-9-]{1,64}$/
const REQUEST_ID = /^acr-[a-zA-Z0-9]{1,60}$/
const TEXT = /^[\s\S]{1,2000}$/

/**
 * Asks the buyer to let the agreement be cancelled. The same token and content again is the same request; the same
 * token with other content, or a second request while one is pending, is a conflict (the latter UNVERIFIED).
 *
 * @throws {AwsError} `ValidationException`, `ResourceNotFoundException`, `AccessDeniedException`, `ConflictException`
 * @see {@link https://docs.aws.amazon.com/marketplace/latest/APIReference/API_marketplace-agreements_SendAgreementCancellationRequest.html | SendAgreementCancellationRequest}
 */
export function sendCancellationRequest(context: MarketplaceContext, input: unknown): object {
  const { state, clock, identifiers, commit } = context
  const request = readObject(input, 'input')
  const agreement = getAgreement(context, request)
  const reasonCode = readReason(request)
  const description = readOptional(request, 'description', TEXT, 'INVALID_DESCRIPTION')
  const clientToken = readOptional(request, 'clientToken', CLIENT_TOKEN, 'INVALID_CLIENT_TOKEN')
  const { agreementId } = agreement

  const known = [...state.cancellationRequests.values()]
  const same = clientToken === undefined ? undefined : known.find((sent) => sent.clientToken === clientToken)
  if (same !== undefined) {
    const isIdentical =
      same.agreementId === agreementId && same.reasonCode === reasonCode && same.description === description
    if (isIdentical) return toAnswer(viewRequest(context, same))
    throw conflict('AgreementCancellationRequest', same.id, 'clientToken was used for another request')
  }
  const now = clock.now()
  if (!isLive(agreement, now)) {
    throw validationError('INACTIVE_AGREEMENT', 'agreementId', `Agreement ${agreementId} is not active`)
  }
  const pending = known.find(
    (sent) => sent.agreementId === agreementId && viewRequest(context, sent).status === 'PENDING_APPROVAL',
  )
  if (pending !== undefined) {
    throw conflict(
      'AgreementCancellationRequest',
      pending.id,
      `Agreement ${agreementId} has a pending request`,
    )
  }
  const sent: CancellationRequest = {
    id: identifiers.cancellationRequestId(`${agreementId} ${known.length}`),
    subscriptionId: agreement.id,
    agreementId,
    reasonCode,
    ...(description !== undefined && { description }),
    ...(clientToken !== undefined && { clientToken }),
    createdAt: now,
  }
  commit({ kind: 'cancellationRequest', request: sent })
  return toAnswer(viewRequest(context, sent))
}

/** @throws {AwsError} `ValidationException`, `ResourceNotFoundException`, `AccessDeniedException` */
export function getCancellationRequest(context: MarketplaceContext, input: unknown): object {
  return toAnswer(findRequest(context, readObject(input, 'input')))
}

/** Oldest first. As an acceptor, which the seller may ask too, it has none. @throws {AwsError} `ValidationException` */
export function listCancellationRequests(context: MarketplaceContext, input: unknown): object {
  const request = readObject(input, 'input')
  const reasons = { missing: 'MISSING_PARTY_TYPE', invalid: 'INVALID_PARTY_TYPE' }
  const partyType = readMatching(request, 'partyType', /^(Proposer|Acceptor)$/, reasons)
  readCatalog(request)
  const agreementType = readOptional(
    request,
    'agreementType',
    /^PurchaseAgreement$/,
    'INVALID_AGREEMENT_TYPE',
  )
  const agreementId = readOptional(request, 'agreementId', /^[A-Za-z0-9_/-]{1,64}$/, 'INVALID_AGREEMENT_ID')
  const status = readOptional(request, 'status', STATUS, 'INVALID_STATUS')
  const numbered = [...context.state.cancellationRequests.values()]
    .map((sent, number) => ({ item: viewRequest(context, sent), position: { key: sent.createdAt, number } }))
    .filter(({ item }) => item.createdAt <= context.clock.now())
    .filter(() => partyType === 'Proposer')
    .filter(({ item }) => agreementId === undefined || item.agreementId === agreementId)
    .filter(({ item }) => status === undefined || item.status === status)
    .sort((a, b) => a.position.key - b.position.key || a.position.number - b.position.number)
  const query = [partyType, agreementType ?? null, agreementId ?? null, status ?? null]
  const { items, nextToken } = takePage(request, query, numbered, ascending)
  return {
    items: items.map((item) => ({
      agreementCancellationRequestId: item.id,
      agreementId: item.agreementId,
      status: item.status,
      reasonCode: item.reasonCode,
      agreementType: AGREEMENT_TYPE,
      catalog: CATALOG,
      createdAt: toSeconds(item.createdAt),
      updatedAt: toSeconds(item.updatedAt),
    })),
    ...(nextToken !== undefined && { nextToken }),
  }
}

/**
 * The seller takes a pending request back.
 *
 * @throws {AwsError} `ValidationException`, `ResourceNotFoundException`, `AccessDeniedException`, `ConflictException`
 */
export function withdrawCancellationRequest(context: MarketplaceContext, input: unknown): object {
  const request = readObject(input, 'input')
  const { id, status } = findRequest(context, request)
  const reasons = { missing: 'MISSING_REASON', invalid: 'INVALID_REASON' }
  const reason = readMatching(request, 'cancellationReason', TEXT, reasons)
  if (status !== 'PENDING_APPROVAL') {
    throw conflict('AgreementCancellationRequest', id, `Cancellation request ${id} is ${status}`)
  }
  return toAnswer(answerRequest(context, id, 'CANCELLED', reason))
}

function findRequest(context: MarketplaceContext, request: JsonObject): CancellationRequestView {
  const { agreementId } = getAgreement(context, request)
  const reasons = {
    missing: 'MISSING_AGREEMENT_CANCELLATION_REQUEST_ID',
    invalid: 'INVALID_AGREEMENT_CANCELLATION_REQUEST_ID',
  }
  const id = readMatching(request, 'agreementCancellationRequestId', REQUEST_ID, reasons)
  const sent = context.state.cancellationRequests.get(id)
  if (sent === undefined || sent.agreementId !== agreementId)
    throw notFound('AgreementCancellationRequest', id)
  return viewRequest(context, sent)
}

function toAnswer(request: CancellationRequestView): object {
  const { id, agreementId, status, statusMessage, reasonCode, description, createdAt, updatedAt } = request
  return {
    agreementId,
    agreementCancellationRequestId: id,
    status,
    ...(statusMessage !== undefined && { statusMessage }),
    reasonCode,
    ...(description !== undefined && { description }),
    createdAt: toSeconds(createdAt),
    updatedAt: toSeconds(updatedAt),
  }
}

const STATUS = new RegExp(`^(${CANCELLATION_STATUSES.join('|')})$`)
const REASON = new RegExp(`^(${CANCELLATION_REASONS.join('|')})$`)

function readReason(request: JsonObject): CancellationReason {
  const reasons = { missing: 'MISSING_REASON_CODE', invalid: 'INVALID_REASON_CODE' }
  return readMatching(request, 'reasonCode', REASON, reasons) as CancellationReason
}

function readOptional(
  request: JsonObject,
  field: string,
  pattern: RegExp,
  invalid: string,
): string | undefined {
  const value = readOptionalString(request[field], field)
  if (value !== undefined && !pattern.test(value))
    throw validationError(invalid, field, `${field} is invalid`)
  return value
}
