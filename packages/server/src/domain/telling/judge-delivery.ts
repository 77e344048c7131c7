import type { ClaimedDelivery, SinkHealth, TryState, Verdict } from './outbox-store.ts'
import type { DeliveryOutcome } from './sink.ts'

const SECOND_MS = 1_000
const MINUTE_MS = 60 * SECOND_MS
const HOUR_MS = 60 * MINUTE_MS

/**
 * How long to wait after each failed try, as Standard Webhooks suggests. One more failure, and it is given up.
 *
 * @see {@link https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md | Standard Webhooks}, read November 2026
 */
export const RETRY_DELAYS_MS: readonly number[] = [
  5 * SECOND_MS,
  5 * MINUTE_MS,
  30 * MINUTE_MS,
  2 * HOUR_MS,
  5 * HOUR_MS,
  10 * HOUR_MS,
  14 * HOUR_MS,
  20 * HOUR_MS,
  24 * HOUR_MS,
]

/** How long something waits for a sink that takes nothing at all: as long as all tries together take. */
export const GIVE_UP_MS: number = RETRY_DELAYS_MS.reduce((sum, delay) => sum + delay, 0)

/** Rounds without a success after which a sink gets one try at a time. One is enough where nobody answers. */
const FAILURES_OPEN = 3
const PAUSE_MIN_MS = 5 * SECOND_MS
const PAUSE_MAX_MS = 5 * MINUTE_MS
/** What a sink may ask for: less hammers it, more would be a way to never be told. */
const BUSY_MIN_MS = SECOND_MS
const BUSY_MAX_MS = HOUR_MS
/** A sink that takes nothing for so long is a person's business. */
const DOWN_ALARM_MS = 15 * MINUTE_MS

export const WELL: SinkHealth = { failures: 0, failingSince: undefined, pausedUntil: undefined }

/** How many deliveries may be tried at once: one, to see whether the sink is back, while it fails. */
export function triesAllowed(sink: SinkHealth, now: number, limit: number): number {
  if (sink.pausedUntil !== undefined && sink.pausedUntil > now) return 0
  return isFailing(sink) ? Math.min(1, limit) : limit
}

export function isFailing(sink: SinkHealth): boolean {
  return sink.failures >= FAILURES_OPEN
}

/** Under this subject the alarm says that a sink takes nothing. */
export function downSubject(sink: string): string {
  return `${sink}/down`
}

/**
 * What becomes of a delivery that was tried, and of its sink.
 *
 * A sink that answers is judged delivery by delivery, on the schedule. One that nobody answers for is paused as a whole,
 * and what waits for it is given up only when it has waited as long as the whole schedule takes.
 *
 * @param random - from 0 to 1: spreads what failed together over a tenth of its delay
 */
export function judgeDelivery(
  claimed: ClaimedDelivery,
  outcome: DeliveryOutcome,
  state: TryState,
  now: number,
  random: number,
): Verdict {
  const later = (delayMs: number) => Math.ceil(now + delayMs * (1 + random / 10))
  const verdict = { state: 'waiting', failures: state.failures, nextAt: now, raise: [], clear: [] } as const
  switch (outcome.kind) {
    case 'delivered':
      return { ...verdict, state: 'delivered', error: undefined, ...whenWell(claimed, state) }
    case 'cancelled':
      return {
        ...verdict,
        error: 'stopped before it was answered',
        sink: { ...state.sink, pausedUntil: pauseAfterAnswer(state.sink) },
      }
    case 'refused':
      return { ...verdict, ...givenUp(claimed, outcome.reason, now), ...whenWell(claimed, state) }
    case 'failed': {
      const { sink, down } = whenFailing(claimed, state, 1, outcome.reason, now, later)
      const delayMs = RETRY_DELAYS_MS[state.failures]
      if (delayMs !== undefined) {
        const failures = state.failures + 1
        return { ...verdict, failures, nextAt: later(delayMs), error: outcome.reason, sink, raise: down }
      }
      const end = givenUp(claimed, outcome.reason, now)
      return { ...verdict, ...end, sink, raise: [...end.raise, ...down] }
    }
    case 'unreachable': {
      const { sink, down } = whenFailing(claimed, state, FAILURES_OPEN, outcome.reason, now, later)
      if (now - state.queuedAt < GIVE_UP_MS) {
        return { ...verdict, nextAt: later(PAUSE_MIN_MS), error: outcome.reason, sink, raise: down }
      }
      const end = givenUp(claimed, outcome.reason, now)
      return { ...verdict, ...end, sink, raise: [...end.raise, ...down] }
    }
    case 'busy': {
      const nextAt = later(Math.min(Math.max(outcome.retryAfterMs, BUSY_MIN_MS), BUSY_MAX_MS))
      const sink = { ...state.sink, pausedUntil: nextAt }
      if (now - state.queuedAt < GIVE_UP_MS) return { ...verdict, nextAt, error: outcome.reason, sink }
      return { ...verdict, ...givenUp(claimed, outcome.reason, now), sink }
    }
  }
}

function whenWell(claimed: ClaimedDelivery, { sink }: TryState): Pick<Verdict, 'sink' | 'clear'> {
  return {
    sink: { ...WELL, pausedUntil: pauseAfterAnswer(sink) },
    clear: isFailing(sink) ? [downSubject(claimed.sink)] : [],
  }
}

/** A pause that the sink asked for holds; one that waited for a sign of life is over. */
function pauseAfterAnswer(sink: SinkHealth): number | undefined {
  return isFailing(sink) ? undefined : sink.pausedUntil
}

function whenFailing(
  claimed: ClaimedDelivery,
  { sink }: TryState,
  failuresMin: number,
  reason: string,
  now: number,
  later: (delayMs: number) => number,
): { sink: SinkHealth; down: Verdict['raise'] } {
  // Tries that were under way together are one round, which the first of them has counted.
  const counted = sink.failures !== claimed.failuresBefore
  const failures = Math.max(counted ? sink.failures : sink.failures + 1, failuresMin)
  const failingSince = sink.failingSince ?? now
  if (failures < FAILURES_OPEN)
    return { sink: { failures, failingSince, pausedUntil: sink.pausedUntil }, down: [] }
  const pauseMs = Math.min(PAUSE_MIN_MS * 2 ** Math.min(failures - FAILURES_OPEN, 20), PAUSE_MAX_MS)
  const message = `${claimed.sink} has taken nothing since ${new Date(failingSince).toISOString()} (${reason}); what is due to it waits, see \`tollkeeper delivery list --sink ${claimed.sink}\``
  return {
    sink: { failures, failingSince, pausedUntil: later(pauseMs) },
    down:
      now - failingSince < DOWN_ALARM_MS
        ? []
        : [{ kind: 'delivery_dead', subject: downSubject(claimed.sink), message, at: now }],
  }
}

function givenUp(
  { event, sink, attempt }: ClaimedDelivery,
  reason: string,
  now: number,
): Pick<Verdict, 'state' | 'error' | 'raise'> {
  const tries = attempt === 1 ? '1 try' : `${attempt} tries`
  const message = `${sink} was not told of ${event.type} (${event.id}) after ${tries}: ${reason}; see \`tollkeeper delivery list --dead\`, then \`tollkeeper delivery replay ${event.id}\``
  return { state: 'dead', error: reason, raise: [{ kind: 'delivery_dead', subject: sink, message, at: now }] }
}
