import { hourOf } from '../usage/hour.ts'

/**
 * An endpoint that goes down and up again and again is told to systems each time, and to people once in an hour of the clock: what comes
 * again in the same hour is quiet. Where it is down when the hour is over, that is told again, so that nobody believes it up.
 */
export const CHANGES_JUDGED = 3

type State = 'unknown' | 'up' | 'down'

/** How an endpoint was at its last probe. Times in ms. */
interface Before {
  readonly state: State
  readonly since: number
  readonly checkedAt: number
}

interface Change {
  readonly state: State
  readonly at: number
}

/** Is this change one that is told to systems alone? */
export function isQuietChange(
  before: Before,
  state: State,
  now: number,
  changes: readonly Change[],
): boolean {
  return state === 'down' ? wentDownBefore(now, changes) : isQuietlyDown(before, changes)
}

/** Was it quiet that it went down, and is this the first time that it is seen down since that hour was over? */
export function isStillDown(before: Before, state: State, now: number, changes: readonly Change[]): boolean {
  return state === 'down' && isQuietlyDown(before, changes) && hourOf(now) > hourOf(before.since)
}

/** It is down, and no person was told that: not then, and not when the hour was over. */
function isQuietlyDown({ state, since, checkedAt }: Before, changes: readonly Change[]): boolean {
  return state === 'down' && hourOf(checkedAt) === hourOf(since) && wentDownBefore(since, changes)
}

/** In the same hour. */
function wentDownBefore(at: number, changes: readonly Change[]): boolean {
  return changes.some(({ state, at: then }) => state === 'down' && then < at && hourOf(then) === hourOf(at))
}
