import type { QuotaAnswer } from '../../domain/quotas/quota-answer.ts'
import type { QuotaSummary } from '../../domain/quotas/summary.ts'

/**
 * `RateLimit` and `RateLimit-Policy` as in draft-ietf-httpapi-ratelimit-headers-10, one item for each limit that blocks, by its
 * window; and `Retry-After` where waiting helps. Quantities are whole units, rounded so that nobody is promised too much.
 */
export function rateLimitHeaders(
  answer: QuotaAnswer,
  { retryAt }: QuotaSummary,
  now: number,
): Readonly<Record<string, string>> {
  const headers: Record<string, string> = {}
  const policies: string[] = []
  const states: string[] = []
  const unit = 10 ** answer.scale
  for (const { window, max, remaining, resetAt, startsAt } of answer.limits) {
    if (max === undefined || remaining === undefined) continue
    const length = resetAt === undefined ? '' : `;w=${Math.round((resetAt - startsAt) / 1000)}`
    policies.push(`"${window}";q=${Math.floor(max / unit)}${length}`)
    const left = resetAt === undefined ? '' : `;t=${secondsUntil(resetAt, now)}`
    states.push(`"${window}";r=${Math.floor(remaining / unit)}${left}`)
  }
  if (policies.length > 0) {
    headers['RateLimit-Policy'] = policies.join(', ')
    headers.RateLimit = states.join(', ')
  }
  if (retryAt !== undefined) headers['Retry-After'] = String(Math.max(1, secondsUntil(retryAt, now)))
  return headers
}

export function secondsUntil(time: number, now: number): number {
  return Math.max(0, Math.ceil((time - now) / 1000))
}
