/** What Tollkeeper answers where it does not do what was asked: RFC 9457, with `code` to branch on. */
export interface ProblemDetails {
  readonly type?: string | undefined
  readonly title?: string | undefined
  readonly status: number
  readonly detail?: string | undefined
  /** Stable. */
  readonly code: string
  readonly errors?: readonly { readonly field: string; readonly reason: string }[] | undefined
  readonly requestId?: string | undefined
  readonly [extension: string]: unknown
}

/** Where no problem was answered, `status` is 0 or the answer's own. */
export type ClientErrorCode =
  | 'client.unreachable'
  | 'client.timeout'
  | 'client.aborted'
  | 'client.unreadable_answer'

/** A call that failed. Neither its message nor anything else of it has the service key. */
export class TollkeeperError extends Error {
  /** The operation that was called: `validateQuota`. */
  readonly operation: string
  /** HTTP's; 0 where nothing was answered. */
  readonly status: number
  /** Of the problem, or a {@link ClientErrorCode}. */
  readonly code: string
  readonly detail: string
  readonly problem: ProblemDetails
  /** How long the server asked to wait, ms. */
  readonly retryAfterMs: number | undefined

  constructor(
    operation: string,
    problem: ProblemDetails,
    options: { readonly retryAfterMs?: number | undefined; readonly cause?: unknown } = {},
  ) {
    const detail = problem.detail ?? problem.title ?? problem.code
    super(
      `${operation}: ${detail} (${problem.status === 0 ? '' : `${problem.status} `}${problem.code})`,
      options.cause === undefined ? {} : { cause: options.cause },
    )
    this.name = 'TollkeeperError'
    this.operation = operation
    this.status = problem.status
    this.code = problem.code
    this.detail = detail
    this.problem = problem
    this.retryAfterMs = options.retryAfterMs
  }
}
