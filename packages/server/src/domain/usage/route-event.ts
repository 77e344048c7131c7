import type { Subscription } from '../subscriptions/subscription.ts'
import { MARGINS } from './aws-rules.ts'
import { awsDeadline, lastCountedAt, lastHour } from './deadlines.ts'
import { type Hour, hourOf } from './hour.ts'
import type { UnbillableReason } from './usage-event.ts'

/** How many hours on a late event may look for an open one: more than one is closed only after a clock went back. */
const HOURS_AHEAD_MAX = 48

/**
 * The hours that may take an event, in order: its own while AWS takes it with our margin, then the earliest
 * unsealed one at or after now. The store takes the first whose bucket is open.
 */
export function routeEvent(
  time: number,
  now: number,
  subscription: Subscription,
): { hours: readonly Hour[]; unbillable: UnbillableReason } {
  if (time < subscription.accessStart) return { hours: [], unbillable: 'before_access' }
  const own = hourOf(time)
  const current = hourOf(now)
  const unbillable = 'subscription_ended'
  const { accessEnd, finalWindowEnd } = subscription
  if (accessEnd !== undefined && finalWindowEnd !== undefined) {
    if (time >= accessEnd || now >= lastCountedAt(subscription)) return { hours: [], unbillable }
    // Finished hours are on their way; one bucket takes what still comes, so that the remainder is decided on once.
    return { hours: [lastHour(subscription)], unbillable }
  }
  const ahead = hoursFrom(Math.max(own, current))
  const isTaken = own < current && awsDeadline(own, subscription) - MARGINS.sealBeforeDeadlineMs > now
  return { hours: isTaken ? [own, ...ahead] : ahead, unbillable }
}

let latest: readonly Hour[] = []

/** Nearly all events have the same ones: they are made once. */
function hoursFrom(from: Hour): readonly Hour[] {
  if (latest[0] !== from) latest = Array.from({ length: HOURS_AHEAD_MAX }, (_, index) => from + index)
  return latest
}
