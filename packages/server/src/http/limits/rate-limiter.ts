import { createCallers } from './callers.ts'

/** A token bucket for each caller: a whole window's requests at once, and then as many as flow back. */
export interface RateLimiter {
  /**
   * Counts one request, if there is room for it.
   *
   * @param max - requests in a window
   * @param now - ms of a clock that never goes back
   * @returns the part of the window that is left, ms; below 0: it was refused and not counted, and has room in so many ms
   */
  take(caller: string, max: number, now: number): number
  /** Takes back that one was counted. */
  giveBack(caller: string, max: number, now: number): void
  /** Callers that are kept in memory. */
  tracked(): number
}

/** What sums of fractions may be off by, ms. */
const ROUNDING = 1e-6

export function createRateLimiter(options: {
  readonly windowMs: number
  readonly callersMax: number
}): RateLimiter {
  const { windowMs, callersMax } = options
  // One number says it all: when everything will have flown back. Nothing has to be refilled by a timer.
  const callers = createCallers({
    callersMax,
    make: () => ({ fullAt: 0 }),
    isIdle: ({ fullAt }, now) => fullAt <= now,
  })
  return {
    take(caller, max, now) {
      const kept = callers.of(caller, now)
      const spent = Math.max(kept.fullAt - now, 0) + windowMs / max
      const left = windowMs - spent
      if (left < -ROUNDING) return left
      kept.fullAt = now + spent
      return Math.max(left, 0)
    },
    giveBack(caller, max, now) {
      const kept = callers.of(caller, now)
      kept.fullAt = Math.max(0, kept.fullAt - windowMs / max)
    },
    tracked: callers.count,
  }
}
