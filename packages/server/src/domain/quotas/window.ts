import { anniversaryBefore } from '../entitlements/included-units.ts'
import type { LimitWindow } from '../plans/plan.ts'
import { HOUR_MS, MINUTE_MS } from '../usage/hour.ts'

/** When a limit starts anew. `minute`, `hour` and `day` are fixed in UTC, `month` runs from an anniversary, `lifetime` never ends. */
export type Window = LimitWindow

/** A window that a time lies in, ms. */
export interface WindowSpan {
  /** 0 for `lifetime`. */
  readonly start: number
  /** Not in it any more; undefined: it never ends. */
  readonly end: number | undefined
}

const FIXED = { minute: MINUTE_MS, hour: HOUR_MS, day: 24 * HOUR_MS } as const

/**
 * @param anchor - what months are counted from, ms: the start of access. The 31st becomes a short month's last day.
 */
export function windowAt(window: Window, time: number, anchor: number): WindowSpan {
  switch (window) {
    case 'minute':
    case 'hour':
    case 'day': {
      const length = FIXED[window]
      const start = Math.floor(time / length) * length
      return { start, end: start + length }
    }
    case 'month':
      return monthAt(time, anchor)
    case 'lifetime':
      return { start: 0, end: undefined }
  }
}

function monthAt(time: number, anchor: number): WindowSpan {
  // Before its start (a clock that went back) a subscription is in its first month.
  const start = anniversaryBefore(anchor, Math.max(time, anchor))
  const next = new Date(start)
  const day = new Date(anchor).getUTCDate()
  const days = new Date(Date.UTC(next.getUTCFullYear(), next.getUTCMonth() + 2, 0)).getUTCDate()
  // The first month begins at the very start, the others at midnight.
  return { start, end: Date.UTC(next.getUTCFullYear(), next.getUTCMonth() + 1, Math.min(day, days)) }
}
