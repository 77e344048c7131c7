import type { Subscription } from '../subscriptions/subscription.ts'
import { MARGINS } from './aws-rules.ts'
import { awsDeadline, lastHour } from './deadlines.ts'
import { type Hour, hourOf, MINUTE_MS } from './hour.ts'
import type { UnbillableReason } from './usage-event.ts'

/** After this long before a final window's end, nothing more is sealed: time must remain to send it. */
const FINAL_SEAL_MARGIN_MS = 20 * MINUTE_MS

/** How many hours on a late event may look for an open one: more than one is closed only after a clock went back. */
const HOURS_AHEAD_MAX = 3

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
    if (time >= accessEnd || now >= finalWindowEnd - FINAL_SEAL_MARGIN_MS) return { hours: [], unbillable }
    const last = lastHour(subscription)
    return { hours: own === last ? [own] : [own, last], unbillable }
  }
  const hours: Hour[] = []
  if (own < current && awsDeadline(own, subscription) - MARGINS.sealBeforeDeadlineMs > now) hours.push(own)
  const from = Math.max(own, current)
  for (let hour = from; hour < from + HOURS_AHEAD_MAX; hour++) hours.push(hour)
  return { hours, unbillable }
}
