import type { Subscription } from '../subscriptions/subscription.ts'
import { AWS_RULES, MARGINS } from './aws-rules.ts'
import { HOUR_MS, type Hour, hourEnd, hourOf, hourStart, nextMonthStart } from './hour.ts'

/** The parts of a product and a subscription that decide when an hour closes. */
export interface HourRules {
  readonly graceMs: number
  readonly goodbyeSettleMs: number
}
export type Access = Pick<Subscription, 'accessStart' | 'accessEnd' | 'finalWindowEnd'>

/**
 * The time that stands on an hour's record: inside the hour, never before the agreement, since AWS
 * refuses a whole batch for a time before it.
 */
export function recordTimestamp(hour: Hour, access: Access): number {
  return Math.max(hourStart(hour), Math.min(access.accessStart, hourEnd(hour) - 1))
}

/**
 * When AWS stops taking an hour: 24 h after the record's time, 06:00 UTC on the 1st for the month before,
 * or the end of a subscription's final hour, whichever comes first.
 */
export function awsDeadline(hour: Hour, access: Access): number {
  const timestamp = recordTimestamp(hour, access)
  const byAge = timestamp + AWS_RULES.lateWindowMs
  const byMonth = nextMonthStart(timestamp) + AWS_RULES.monthEndCutMs
  return Math.min(byAge, byMonth, access.finalWindowEnd ?? Number.POSITIVE_INFINITY)
}

/** From when on an hour's bucket may be closed. */
export function closesAt(hour: Hour, rules: HourRules, access: Access): number {
  if (access.accessEnd !== undefined && access.finalWindowEnd !== undefined) {
    const ended = access.accessEnd
    // Finished hours go at once; the one in progress drains what the product still buffers.
    return hourEnd(hour) <= ended ? ended : Math.min(ended + rules.goodbyeSettleMs, access.finalWindowEnd)
  }
  const monthEnd = nextMonthStart(hourStart(hour))
  let due = hourEnd(hour) + rules.graceMs
  if (due >= monthEnd) due = Math.max(due, monthEnd + MARGINS.monthEndSettleMs)
  return Math.max(hourEnd(hour), Math.min(due, awsDeadline(hour, access) - MARGINS.sealBeforeDeadlineMs))
}

/** Until when an ended subscription's last hour takes usage, ms: time must remain to send it. */
export function lastCountedAt({ finalWindowEnd = Number.POSITIVE_INFINITY }: Access): number {
  return finalWindowEnd - MARGINS.lastSealBeforeGoodbyeMs
}

/** Until when a held bucket waits for a person. */
export function holdDeadline(hour: Hour, access: Access): number {
  const margin =
    access.finalWindowEnd === undefined ? MARGINS.holdBeforeDeadlineMs : MARGINS.holdBeforeGoodbyeMs
  return awsDeadline(hour, access) - margin
}

/** The last hour that may hold this subscription's usage. */
export function lastHour(access: Access): Hour {
  return access.accessEnd === undefined
    ? Number.POSITIVE_INFINITY
    : hourOf(Math.max(access.accessEnd - 1, access.accessStart))
}

/** Is there an hour after `now` in which this subscription could still be billed? */
export function hasNextHour(access: Access, now: number): boolean {
  return access.accessEnd === undefined || (access.accessEnd > now && lastHour(access) > hourOf(now))
}

/** Earliest hour that AWS will still take with our margin, at `now`. */
export function earliestBillableHour(now: number, access: Access): Hour {
  let hour = hourOf(now)
  while (hour > hourOf(access.accessStart) && hourOf(now) - hour < AWS_RULES.lateWindowMs / HOUR_MS) {
    if (awsDeadline(hour - 1, access) - MARGINS.sealBeforeDeadlineMs <= now) break
    hour--
  }
  return hour
}
