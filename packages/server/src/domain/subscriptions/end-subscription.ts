import { AWS_RULES } from '../usage/aws-rules.ts'
import type { Subscription } from './subscription.ts'
import type { SubscriptionStore } from './subscription-store.ts'

/**
 * A subscription ends: cancelled, expired or, with a successor, superseded by a renewal. Its finished hours
 * are sent at once, the hour in progress after it has settled, all within AWS's final hour.
 *
 * The first word of the end counts: `unsubscribe-pending`, `Purchase Agreement Ended` or `License Deprovisioned`.
 * Saying it again changes nothing.
 *
 * @param endedAt - AWS's own time of the end, ms; usage timed later is not this subscription's
 * @throws {DomainError} `subscription.not_found`
 */
export async function endSubscription(
  deps: { subscriptions: SubscriptionStore },
  id: string,
  end: { endedAt: number; successor?: string | undefined },
  actor: string,
  now: number,
): Promise<Subscription> {
  const subscription = await deps.subscriptions.get(id)
  if (subscription.accessEnd !== undefined) return subscription
  // AWS's clock may be ahead of ours; an end that is still to come is said when it comes.
  const accessEnd = Math.max(Math.min(end.endedAt, now), subscription.accessStart)
  return deps.subscriptions.change(
    id,
    {
      status: end.successor === undefined ? 'cancelling' : 'superseded',
      accessEnd,
      finalWindowEnd: accessEnd + AWS_RULES.finalWindowMs,
      successor: end.successor,
    },
    actor,
    now,
  )
}
