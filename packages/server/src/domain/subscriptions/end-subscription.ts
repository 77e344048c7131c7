import { AWS_RULES } from '../usage/aws-rules.ts'
import type { Subscription } from './subscription.ts'
import type { SubscriptionStore } from './subscription-store.ts'

/**
 * A subscription ends: cancelled, expired or, with a successor, superseded by a renewal. Its finished hours
 * are sent at once, the hour in progress after it has settled, all within AWS's final hour.
 *
 * The first word of the end counts: `unsubscribe-pending`, `Purchase Agreement Ended` or `License Deprovisioned`.
 * Saying it again changes nothing, but may still name the successor: AWS's word of a renewal can come later.
 *
 * @param endedAt - AWS's own time of the end, ms; usage timed later is not this subscription's
 * @throws {DomainError} `subscription.not_found`, also for a successor that is none of the same product
 */
export function endSubscription(
  deps: { subscriptions: SubscriptionStore },
  id: string,
  end: { endedAt: number; successor?: string | undefined },
  actor: string,
  now: number,
): Promise<Subscription> {
  const { successor } = end
  return deps.subscriptions.change(
    id,
    (before) => {
      if (before.accessEnd !== undefined) {
        return successor === undefined || before.successor !== undefined
          ? undefined
          : { status: 'superseded', successor }
      }
      // AWS's clock may be ahead of ours; an end that is still to come is said when it comes.
      const accessEnd = Math.max(Math.min(end.endedAt, now), before.accessStart)
      return {
        status: successor === undefined ? 'cancelling' : 'superseded',
        accessEnd,
        finalWindowEnd: accessEnd + AWS_RULES.finalWindowMs,
        successor,
      }
    },
    actor,
    now,
  )
}
