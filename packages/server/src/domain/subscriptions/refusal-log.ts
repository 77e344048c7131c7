import type { AuditTrail } from '../audit/audit-trail.ts'
import type { Clock } from '../clock.ts'

/** A message that was turned away. Nothing of what it says is in here. */
export interface Refusal {
  readonly channel: 'sns' | 'relay' | 'eventbridge'
  /** The topic that it names, if it is well formed. */
  readonly topic: string | undefined
  readonly why: string
}

/** Writes refusals to the audit trail, but never lets a flood of forgeries fill it. */
export interface RefusalLog {
  note(refusal: Refusal): Promise<void>
  /** Writes how many were not listed. */
  close(): Promise<void>
}

export const REFUSALS_PER_MINUTE_MAX = 60
const MINUTE_MS = 60_000
const TOPIC = /^arn:aws[a-z-]*:sns:[a-z0-9-]{1,30}:\d{12}:[A-Za-z0-9_.-]{1,256}$/

/**
 * At most so many in a minute are listed one by one; the rest is counted, and the count is written when the minute is
 * over and another comes, or at `close`.
 */
export function createRefusalLog(deps: {
  readonly audit: Pick<AuditTrail, 'append'>
  readonly clock: Pick<Clock, 'now'>
  readonly perMinuteMax?: number
}): RefusalLog {
  const { audit, clock, perMinuteMax = REFUSALS_PER_MINUTE_MAX } = deps
  let since = Number.NEGATIVE_INFINITY
  let listed = 0
  let unlisted = 0

  /** What was counted, once. */
  function takeCount(): unknown {
    if (unlisted === 0) return undefined
    const count = { count: unlisted, since: new Date(since).toISOString() }
    unlisted = 0
    return count
  }

  async function append(at: number, subject: string, after: unknown): Promise<void> {
    await audit.append({
      at,
      actor: 'system',
      action: 'notification.refused',
      subject,
      before: undefined,
      after,
    })
  }

  return {
    async note({ channel, topic, why }) {
      const now = clock.now()
      // A clock that was put back begins anew as well.
      if (now - since >= MINUTE_MS || now < since) {
        const count = takeCount()
        since = now
        listed = 0
        if (count !== undefined) await append(now, 'notifications', count)
      }
      if (listed >= perMinuteMax) {
        unlisted++
        return
      }
      listed++
      const subject = topic !== undefined && TOPIC.test(topic) ? topic : channel
      await append(now, subject, { channel, why })
    },
    async close() {
      const count = takeCount()
      if (count !== undefined) await append(clock.now(), 'notifications', count)
    },
  }
}
