import type { QuotaAnswer } from '../generated/api.gen.ts'

/** The answer to whoever is turned away: one shape, whatever the reason. RFC 9457. */
export interface AccessProblem {
  readonly type: 'about:blank'
  readonly title: string
  readonly status: number
  /** For people. */
  readonly detail: string
  /** To branch on: the reason of `POST /quota/validate`, or `key_missing`, `id_conflict`, `gate_unavailable`, `gate_misconfigured`. */
  readonly code: string
  readonly plan?: string | undefined
  readonly dimension?: string | undefined
  readonly remaining?: number | string | undefined
  readonly resetAt?: string | undefined
  readonly retryAfterSeconds?: number | undefined
  /** What to show to whoever needs more. */
  readonly upgrade?: QuotaAnswer['upgrade']
  /** To be solved, as ALTCHA's widget does, and sent back in the header `tollkeeper-challenge`. */
  readonly challenge?: unknown
  /** Why the solution that came along was not taken. */
  readonly challengeProblem?: string | undefined
}

export interface Refusal {
  readonly pass: false
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly problem: AccessProblem
}

export type Decision = { readonly pass: true; readonly headers: Readonly<Record<string, string>> } | Refusal

type Answer = Pick<QuotaAnswer, 'allowed'> &
  Partial<Omit<QuotaAnswer, 'reason'>> & {
    readonly reason?: string | undefined
    readonly challenge?: unknown
    readonly challengeProblem?: string | undefined
  }

const A_DAY_SECONDS = 86_400
const TITLES: Readonly<Record<number, string>> = {
  401: 'Unauthorized',
  402: 'Payment Required',
  403: 'Forbidden',
  409: 'Conflict',
  429: 'Too Many Requests',
  503: 'Service Unavailable',
}
/** What waiting, paying or another key may change. All else is 403. */
const STATUS: Readonly<Record<string, number>> = {
  key_missing: 401,
  key_unknown: 401,
  key_revoked: 401,
  key_expired: 401,
  challenge_required: 401,
  trial_ended: 402,
  rate_limited: 429,
  id_conflict: 409,
  gate_unavailable: 503,
  gate_misconfigured: 503,
}
const TEXTS: Readonly<Record<string, string>> = {
  key_missing: 'An API key is needed.',
  key_unknown: 'This API key is not known.',
  challenge_required: 'Solve the challenge and try again.',
  rate_limited: 'Too many requests; try again later.',
  id_conflict: 'This idempotency key was used for something else.',
  gate_unavailable: 'It cannot be told now whether this is allowed; try again later.',
  gate_misconfigured: 'It cannot be told whether this is allowed.',
}

/**
 * What `POST /quota/validate` answered, as a product answers it: let in with headers, or turned away with a status, headers and
 * a problem.
 *
 * @param headers - `RateLimit`, `RateLimit-Policy` and `Retry-After` as Tollkeeper sent them
 */
export function decide(answer: Answer, headers: Readonly<Record<string, string>> = {}): Decision {
  if (answer.allowed) return { pass: true, headers }
  const { message, plan, dimension, remaining, resetAt, retryAfterSeconds, upgrade } = answer
  const { challenge, challengeProblem } = answer
  const reason = answer.reason ?? 'not_entitled'
  const status = reason === 'quota_exceeded' ? exceededStatus(retryAfterSeconds) : STATUS[reason]
  const { pass, ...refused } = refuse(reason, {
    status: status ?? 403,
    detail: message,
    headers,
    more: { plan, dimension, remaining, resetAt, retryAfterSeconds, upgrade, challenge, challengeProblem },
  })
  return { pass, ...refused }
}

/** Waiting helps within a day: 429. Else more has to be paid for. */
function exceededStatus(retryAfterSeconds: number | undefined): number {
  return retryAfterSeconds !== undefined && retryAfterSeconds <= A_DAY_SECONDS ? 429 : 402
}

export function refuse(
  code: string,
  options: {
    readonly status?: number
    readonly detail?: string | undefined
    readonly headers?: Readonly<Record<string, string>>
    readonly more?: Omit<Partial<AccessProblem>, 'status' | 'detail' | 'code' | 'type' | 'title'>
  } = {},
): Refusal {
  const status = options.status ?? STATUS[code] ?? 403
  const { retryAfterSeconds } = options.more ?? {}
  const hasWait = Object.keys(options.headers ?? {}).some((name) => name.toLowerCase() === 'retry-after')
  return {
    pass: false,
    status,
    headers: {
      ...options.headers,
      ...(!hasWait &&
        retryAfterSeconds !== undefined && { 'retry-after': String(Math.max(1, retryAfterSeconds)) }),
      ...(status === 401 && { 'www-authenticate': 'Bearer' }),
      // Of one caller, at one moment.
      'cache-control': 'no-store',
      'content-type': 'application/problem+json; charset=utf-8',
    },
    problem: {
      type: 'about:blank',
      title: TITLES[status] ?? 'Error',
      status,
      detail: options.detail ?? TEXTS[code] ?? 'This is not allowed.',
      code,
      ...options.more,
    },
  }
}
