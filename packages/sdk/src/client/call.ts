/** For one call. */
export interface CallOptions {
  /** Ends the call, its retries and the waiting between them. */
  readonly signal?: AbortSignal | undefined
  /** Of each try, ms. Default: the client's. */
  readonly timeoutMs?: number | undefined
  /** Further tries after the first. Default: the client's. */
  readonly retries?: number | undefined
  /** Is it tried again where it was asked too often (429), too? Default: true. */
  readonly retryTooMany?: boolean | undefined
  /** Told the head of the answer that is returned. */
  readonly onAnswer?: ((head: AnswerHead) => void) | undefined
}

export interface AnswerHead {
  readonly status: number
  readonly headers: Headers
}
