import type { RecordedEvent, RoutedEvent } from '../../domain/usage/usage-event.ts'

/** How an event was counted, as it is stored. */
export const ACCEPTED = 0
export const LATE = 1
export const UNBILLABLE = 2
/** Nothing is written: the hour has no room for it. */
export const OVERFLOW = 3

/** Statuses of a bucket that takes usage: open, or so far only with what nobody is billed for. */
export const OPEN = 0
export const UNTOUCHED = 3

/** A bucket, and all that a meter ever counts, stays far below 2^63. */
export const BUCKET_MAX = 4_000_000_000_000_000_000n

export const STALE: RecordedEvent = { status: 'stale' }
export const SUPERSEDED: RecordedEvent = { status: 'superseded' }
export const TOO_OLD: RecordedEvent = { status: 'too_old' }
export const UNBILLABLE_OUTCOME: RecordedEvent = { status: 'unbillable' }
export const OVERFLOW_OUTCOME: RecordedEvent = { status: 'overflow' }
export const DUPLICATE: RecordedEvent = { status: 'duplicate' }
const ACCEPTED_OUTCOME: RecordedEvent = { status: 'accepted' }
const LATE_OUTCOME: RecordedEvent = {
  status: 'late',
  reason: 'its own hour is sealed or too old for AWS: billed in a later one',
}
const INHERITED_OUTCOME: RecordedEvent = {
  status: 'late',
  reason: 'its agreement was renewed: billed to the one that follows',
}
export const CONFLICT: RecordedEvent = {
  status: 'conflict',
  reason: 'this id was seen before with another buyer, quantity, value or tags',
}
export const RESTAMPED: RecordedEvent = {
  status: 'conflict',
  reason: 'this id was seen before with another time: a retry must carry the first time',
}

/** What the caller is told of an event that was stored in this state. */
export function outcomeOf(state: number, { isInherited }: RoutedEvent): RecordedEvent {
  if (state === ACCEPTED) return ACCEPTED_OUTCOME
  if (state === UNBILLABLE) return UNBILLABLE_OUTCOME
  if (state === OVERFLOW) return OVERFLOW_OUTCOME
  return isInherited ? INHERITED_OUTCOME : LATE_OUTCOME
}

export function fell(from: number, to: number): RecordedEvent {
  return {
    status: 'conflict',
    reason: `the running total fell from ${from} to ${to} base units; totals only grow`,
  }
}
