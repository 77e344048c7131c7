import type { LimitState, QuotaAnswer } from './quota-answer.ts'

/** What of all limits matters first. */
export interface QuotaSummary {
  /** What is left in the tightest of them, base units; undefined: nothing blocks. */
  readonly remaining: number | undefined
  /** When that one starts anew, ms. */
  readonly resetAt: number | undefined
  /** When what was refused would have room, ms; undefined where it never will, or was not refused for it. */
  readonly retryAt: number | undefined
}

export function summaryOf({ limits, quantity, reason, retryAt: askAgainAt }: QuotaAnswer): QuotaSummary {
  let tightest: LimitState | undefined
  for (const limit of limits)
    if (limit.remaining !== undefined && limit.remaining < (tightest?.remaining ?? Number.POSITIVE_INFINITY))
      tightest = limit
  return {
    remaining: tightest?.remaining,
    resetAt: tightest?.resetAt,
    retryAt: reason === 'quota_exceeded' ? retryAt(limits, quantity) : askAgainAt,
  }
}

/** Every limit that has no room has to start anew. */
function retryAt(limits: readonly LimitState[], quantity: number): number | undefined {
  let latest: number | undefined
  for (const { remaining, max, resetAt } of limits) {
    if (remaining === undefined || remaining >= quantity) continue
    // More than a whole window has room for never will.
    if (resetAt === undefined || max === undefined || quantity > max) return undefined
    latest = Math.max(latest ?? 0, resetAt)
  }
  return latest
}
