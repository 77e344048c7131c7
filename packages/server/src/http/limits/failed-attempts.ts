import { createCallers } from './callers.ts'

/** Slows those who guess: each has so many failures in a minute, and then waits, each time twice as long. */
export interface FailedAttempts {
  /**
   * Counts a failure. One within a wait is part of it, and makes it no longer.
   *
   * @param now - ms of a clock that never goes back
   * @returns how long to wait, ms; 0: that was still all right
   */
  fail(caller: string, now: number): number
  /** Callers that are kept in memory. */
  tracked(): number
}

const MINUTE_MS = 60_000

export function createFailedAttempts(options: {
  readonly perMinuteMax: number
  /** The first wait. */
  readonly waitMs: number
  /** Longer is none; and after as long without a failure, the next wait is as short as the first. */
  readonly waitMaxMs: number
  readonly callersMax: number
}): FailedAttempts {
  const { perMinuteMax, waitMs, waitMaxMs, callersMax } = options
  const callers = createCallers({
    callersMax,
    make: () => ({ failures: 0, since: Number.NEGATIVE_INFINITY, waits: 0, waitsUntil: 0, failedAt: 0 }),
    isIdle: ({ failedAt, waitsUntil }, now) => now >= Math.max(failedAt, waitsUntil) + waitMaxMs,
  })
  return {
    fail(caller, now) {
      const kept = callers.of(caller, now)
      const isQuiet = now >= Math.max(kept.failedAt, kept.waitsUntil) + waitMaxMs
      kept.failedAt = now
      if (now < kept.waitsUntil) return kept.waitsUntil - now
      if (isQuiet) kept.waits = 0
      if (now >= kept.since + MINUTE_MS) {
        kept.since = now
        kept.failures = 0
      }
      kept.failures++
      if (kept.failures <= perMinuteMax) return 0
      const wait = Math.min(waitMs * 2 ** kept.waits, waitMaxMs)
      kept.waits++
      kept.waitsUntil = now + wait
      kept.since = Number.NEGATIVE_INFINITY
      return wait
    },
    tracked: callers.count,
  }
}
