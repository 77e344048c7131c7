/** The wait before the first retry, at most; it doubles with each, up to {@link BACKOFF_MS_MAX}. */
const BACKOFF_MS = 200
export const BACKOFF_MS_MAX = 20_000
/** Where a server asks for a longer pause, the caller is told instead of kept waiting. */
export const RETRY_AFTER_MS_MAX = 30_000

/** What another try may change. A conflict, a refusal or an unknown name it does not. */
export function isPassing(status: number): boolean {
  return status === 408 || status === 429 || (status >= 500 && status !== 501)
}

/**
 * @param tries - that failed so far, 1 or more
 * @param random - from 0 up to 1: half of the wait is left to chance, so that those who failed together do not come back together
 * @returns ms
 */
export function backoffMs(tries: number, random: number, maxMs = BACKOFF_MS_MAX): number {
  const wait = Math.min(maxMs, BACKOFF_MS * 2 ** Math.min(tries - 1, 20))
  return Math.round(wait / 2 + (wait / 2) * random)
}

/** `Retry-After`, seconds or a date, as ms from `now`. */
export function readRetryAfter(text: string | null, now: number): number | undefined {
  if (text === null) return undefined
  if (/^\d{1,9}$/.test(text)) return Number(text) * 1000
  const time = /^[A-Z][a-z]{2}, /.test(text) ? Date.parse(text) : Number.NaN
  return Number.isNaN(time) ? undefined : Math.max(0, time - now)
}
