/**
 * A token bucket that holds one second's worth: `perSecond` calls at once, then evenly as they refill. Kept as the
 * time at which it will be full again, in whole microseconds.
 */
export interface Quota {
  /** Takes one call. @returns `false`, having taken nothing, when the bucket is empty */
  take(key: string, perSecond: number, nowMs: number): boolean
}

const SECOND_US = 1_000_000

export function createQuota(): Quota {
  const fullAtUs = new Map<string, { at: number; takenAt: number }>()
  return {
    take(key, perSecond, nowMs) {
      const now = nowMs * 1000
      const bucket = fullAtUs.get(key)
      // A clock put back must not leave the bucket empty for the time it went back.
      const fullAt = bucket === undefined || bucket.takenAt > now ? now : Math.max(bucket.at, now)
      const next = fullAt + Math.round(SECOND_US / perSecond)
      if (next - now > SECOND_US) return false
      fullAtUs.set(key, { at: next, takenAt: now })
      return true
    },
  }
}
