import { STATUS_CODES } from 'node:http'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { DomainError, type DomainErrorCode } from '../domain/error.ts'
import { licenseTail } from '../domain/subscriptions/subscription.ts'
import type { IngestOutcome, RefusalCode } from '../domain/usage/ingest-usage.ts'

/** What only a door can find wrong. */
export type DoorErrorCode =
  | 'request.broken'
  | 'request.not_found'
  | 'request.method_not_allowed'
  | 'request.too_large'
  | 'request.unsupported_media_type'
  | 'request.timeout'
  | 'request.too_many'
  | 'request.loopback_only'
  | 'key.unknown'
  | 'key.scope_missing'
  | 'key.bound_to_product'
  | 'server.overloaded'
  | 'server.failed'

/** The one place where a code meets a status; a new code without one does not compile. */
const STATUS = {
  'request.invalid': 400,
  'request.broken': 400,
  'request.not_found': 404,
  'request.method_not_allowed': 405,
  'request.too_large': 413,
  'request.unsupported_media_type': 415,
  'request.timeout': 408,
  'request.too_many': 429,
  'request.loopback_only': 403,
  'key.unknown': 401,
  'key.scope_missing': 403,
  'key.bound_to_product': 403,
  'key.not_found': 404,
  'key.exists': 409,
  'key.too_many': 409,
  'key.not_active': 409,
  'product.not_found': 404,
  'product.exists': 409,
  'product.declared': 409,
  'plan.not_found': 404,
  'plan.declared': 409,
  'plan.needed': 409,
  'endpoint.not_found': 404,
  'endpoint.declared': 409,
  'dimension.not_found': 404,
  'dimension.fixed': 409,
  'subscription.not_found': 404,
  'subscription.ambiguous': 409,
  'subscription.ended': 410,
  'subscription.buyer_only': 409,
  'subscription.exists': 409,
  'subscription.field_fixed': 422,
  'subscription.not_at_aws': 409,
  // AWS's refusals are not ours to repeat: asking again does not help, and neither does another key.
  'quota.id_conflict': 409,
  'reservation.not_found': 404,
  'reservation.ended': 409,
  'agreement.unknown': 409,
  'agreement.not_permitted': 409,
  'agreement.refused': 409,
  'buyer.not_found': 404,
  'event.not_found': 404,
  'notification.unreadable': 400,
  'notification.refused': 403,
  'registration.token_invalid': 400,
  'registration.token_expired': 400,
  'registration.wrong_product': 422,
  'record.not_found': 404,
  'record.not_in_doubt': 409,
  'bucket.not_found': 404,
  'bucket.not_held': 409,
  'hold.quantity_too_large': 422,
  'marketplace.unavailable': 503,
  'ledger.busy': 503,
  'ledger.mode_mismatch': 503,
  'ledger.too_new': 503,
  'ledger.waiting_for_release': 503,
  'ledger.dimension_changed': 503,
  'ledger.half_copied': 503,
  'ledger.copy_refused': 409,
  'ledger.network_file_system': 503,
  'server.overloaded': 503,
  'server.failed': 500,
} as const satisfies Record<DomainErrorCode | DoorErrorCode, number>

/**
 * A single event that was turned away. Its buyer, product or dimension are named in the body, so an unknown one is
 * 422: a 404 would say that the address is wrong.
 */
const REFUSAL_STATUS = {
  invalid: 400,
  time_too_old: 400,
  time_ahead: 400,
  product_unknown: 422,
  dimension_unknown: 422,
  subscription_unknown: 422,
  subscription_ambiguous: 409,
  subscription_ended: 410,
  before_access: 422,
  quantity_overflow: 422,
  metered_by_gate: 422,
  quota_exceeded: 429,
} as const satisfies Record<RefusalCode, number>

/** Subscriptions listed where a reference fits several. */
const CANDIDATES_MAX = 20

/** RFC 9457, with `code` to branch on. `type` stays `about:blank`: the code says it, and no page has to live for ever. */
export interface ProblemDetails {
  readonly type: 'about:blank'
  readonly title: string
  readonly status: number
  readonly detail: string
  readonly code: string
  readonly errors?: readonly { readonly field: string; readonly reason: string }[]
  readonly [extension: string]: unknown
}

/** Thrown by the door itself. */
export class DoorError extends Error {
  readonly code: DoorErrorCode
  readonly headers: Readonly<Record<string, string>>

  constructor(code: DoorErrorCode, message: string, headers: Readonly<Record<string, string>> = {}) {
    super(message)
    this.name = 'DoorError'
    this.code = code
    this.headers = headers
  }
}

/** What to answer to an error. Of an unexpected one the caller learns its request's id and nothing else. */
export function toProblem(error: unknown, requestId: string): ProblemDetails {
  if (error instanceof DomainError) {
    const { details } = error
    return problem(
      STATUS[error.code],
      error.code,
      error.message,
      Object.keys(details).length > 0 ? { details } : {},
    )
  }
  if (error instanceof DoorError) return problem(STATUS[error.code], error.code, error.message)
  const known = fromFastify(error)
  if (known !== undefined) return known
  return problem(500, 'server.failed', 'An unexpected error; the server’s log knows it by the request id.', {
    requestId,
  })
}

/** The problem that a refused or conflicting event is. */
export function toUsageProblem(outcome: IngestOutcome): ProblemDetails {
  const detail = outcome.reason ?? 'not counted'
  if (outcome.status === 'conflict') return problem(409, 'usage.conflict', detail)
  const code = outcome.code ?? 'invalid'
  const candidates = outcome.candidates?.slice(0, CANDIDATES_MAX).map((subscription) => ({
    subscriptionId: subscription.id,
    ...(subscription.licenseArn !== undefined && { license: licenseTail(subscription.licenseArn) }),
  }))
  return problem(
    REFUSAL_STATUS[code],
    `usage.${code}`,
    detail,
    candidates === undefined ? {} : { candidates },
  )
}

/** @param field - dotted path; empty for the body as a whole */
export function invalidField(field: string, reason: string): ProblemDetails {
  const detail = field === '' ? `the body ${reason}` : `${field} ${reason}`
  return problem(400, 'request.invalid', detail, { errors: [{ field, reason }] })
}

export function sendProblem(reply: FastifyReply, details: ProblemDetails): FastifyReply {
  return reply
    .code(details.status)
    .header('content-type', 'application/problem+json; charset=utf-8')
    .send(JSON.stringify(details))
}

/** For `setErrorHandler`. */
export function answerError(error: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const details = forEverybody(toProblem(error, request.id), request)
  if (details.status >= 500 && details.code !== 'server.overloaded') {
    request.log.error({ err: error, reqId: request.id, route: request.routeOptions.url }, 'request failed')
  }
  if (error instanceof DoorError) reply.headers(error.headers)
  if (details.status === 503 && !reply.hasHeader('retry-after')) reply.header('retry-after', '5')
  return sendProblem(reply, details)
}

/** What is wrong with the ledger may say where it is; strangers are not told. */
function forEverybody(details: ProblemDetails, request: FastifyRequest): ProblemDetails {
  if (request.routeOptions.config.access !== 'public' || !details.code.startsWith('ledger.')) return details
  return problem(details.status, details.code, 'the ledger takes nothing just now: try again later')
}

function problem(
  status: number,
  code: string,
  detail: string,
  extensions: Readonly<Record<string, unknown>> = {},
): ProblemDetails {
  return { type: 'about:blank', title: STATUS_CODES[status] ?? 'Error', status, detail, code, ...extensions }
}

/** Fastify's own errors, and its plugins', are about the request where their status is 4xx. */
function fromFastify(error: unknown): ProblemDetails | undefined {
  if (!(error instanceof Error)) return undefined
  const code = 'code' in error && typeof error.code === 'string' ? error.code : ''
  const status = 'statusCode' in error && typeof error.statusCode === 'number' ? error.statusCode : 0
  if ('validation' in error && Array.isArray(error.validation)) return fromValidation(error)
  if (code === 'FST_UNDER_PRESSURE') {
    return problem(
      503,
      'server.overloaded',
      'Overloaded: try again a little later. What was accepted is kept.',
    )
  }
  if (!code.startsWith('FST_') || status < 400 || status > 499) return undefined
  switch (status) {
    case 413:
      return problem(413, 'request.too_large', error.message)
    case 415:
      return problem(415, 'request.unsupported_media_type', 'this route does not take that content type')
    case 404:
      return problem(404, 'request.not_found', error.message)
    default:
      return problem(status, 'request.invalid', error.message)
  }
}

function fromValidation(error: Error): ProblemDetails {
  const part = 'validationContext' in error ? String(error.validationContext) : 'request'
  const [first] = 'validation' in error && Array.isArray(error.validation) ? error.validation : []
  const path = String(first?.instancePath ?? '')
    .slice(1)
    .replaceAll('/', '.')
  const params: Readonly<Record<string, unknown>> = first?.params ?? {}
  const inside = params.missingProperty ?? params.additionalProperty
  const field = [path, inside].filter((name) => name !== undefined && name !== '').join('.')
  const reason =
    params.missingProperty !== undefined
      ? 'is missing'
      : params.additionalProperty !== undefined
        ? 'is not known here'
        : String(first?.message ?? 'is not valid')
  return problem(400, 'request.invalid', `${part}: ${field} ${reason}`.trim(), {
    errors: [{ field, reason }],
  })
}
