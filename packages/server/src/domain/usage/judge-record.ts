import { isLive, type Subscription } from '../subscriptions/subscription.ts'
import { AWS_RULES } from './aws-rules.ts'
import { hasNextHour } from './deadlines.ts'
import { hourOf, MINUTE_MS } from './hour.ts'
import type { UsageRecord } from './usage-record.ts'
import type { Judgement, RecordAnswer } from './usage-store.ts'

const RETRY_FIRST_MS = 5_000
const RETRY_MAX_MS = 10 * MINUTE_MS

/** How long to wait before the next attempt: twice as long each time, up to ten minutes. */
export function retryDelayMs(attempts: number): number {
  return Math.min(RETRY_FIRST_MS * 2 ** Math.max(0, attempts - 1), RETRY_MAX_MS)
}

/** At most a quarter of the time that is left: the last minutes before AWS stops taking it are used. */
function nextAttempt(record: UsageRecord, now: number): number {
  const delay = retryDelayMs(record.attempts)
  const share = Math.floor((record.deadline - now) / 4)
  return now + (share < delay ? Math.max(RETRY_FIRST_MS, share) : delay)
}

/**
 * What AWS's answer to one attempt makes of a record.
 *
 * A refusal speaks only for its own attempt. Once any attempt went unanswered, AWS may have the record:
 * only `Success` or `DuplicateRecord` closes it then, the latter as *assumed*. A `DuplicateRecord` with no
 * unanswered attempt before it means that somebody else metered that hour.
 *
 * @param record - with `attempts` counting this attempt, and `unanswered` not yet
 */
export function judgeAnswer(
  record: UsageRecord,
  subscription: Subscription,
  answer: RecordAnswer,
  now: number,
): Judgement {
  const nextAttemptAt = nextAttempt(record, now)
  const { unanswered } = record
  switch (answer.kind) {
    case 'unanswered':
      return { state: 'sent', unanswered: unanswered + 1, nextAttemptAt, note: answer.reason }
    case 'unprocessed':
      return notTaken(unanswered, nextAttemptAt, 'AWS did not process it; sent again')
    case 'refused_request':
      if (answer.alone && answer.code === 'TimestampOutOfBoundsException' && unanswered === 0) {
        return carryOn(record, subscription, now, 'AWS no longer takes this hour')
      }
      return notTaken(unanswered, nextAttemptAt, `${answer.code}: ${answer.message}`)
    case 'result':
      return judgeStatus(record, subscription, answer, now, nextAttemptAt)
  }
}

function judgeStatus(
  record: UsageRecord,
  subscription: Subscription,
  answer: Extract<RecordAnswer, { kind: 'result' }>,
  now: number,
  nextAttemptAt: number,
): Judgement {
  const { unanswered } = record
  const { meteringRecordId } = answer
  switch (answer.status) {
    case 'Success':
      return { state: 'accepted', unanswered, meteringRecordId }
    case 'DuplicateRecord':
      return unanswered > 0
        ? {
            state: 'assumed',
            unanswered,
            meteringRecordId,
            note: 'AWS has a record of this hour; ours was sent before without an answer',
          }
        : {
            state: 'conflict',
            unanswered,
            meteringRecordId,
            note: 'AWS has another quantity for this hour: somebody else meters it',
          }
    case 'CustomerNotSubscribed':
      if (unanswered > 0 || mayStillSubscribe(subscription, now)) {
        return notTaken(unanswered, nextAttemptAt, 'AWS says that the customer is not subscribed (yet)')
      }
      return { state: 'refused', unanswered, note: 'AWS says that the customer is not subscribed' }
    default:
      // A status that AWS added since: nobody knows what it did. Kept, shown, tried again.
      return {
        state: 'sent',
        unanswered: unanswered + 1,
        nextAttemptAt,
        note: `AWS answered ${answer.status}, which is unknown here`,
      }
  }
}

/** Every attempt was answered with "not taken": AWS certainly does not have it. Else it stays what it is, ambiguous. */
function notTaken(unanswered: number, nextAttemptAt: number, note: string): Judgement {
  return { state: unanswered > 0 ? 'sent' : 'ready', unanswered, nextAttemptAt, note }
}

/** Before AWS's event about a start, a suspension or an end has reached us, AWS may know more than we do. */
function mayStillSubscribe(subscription: Subscription, now: number): boolean {
  return (
    isLive(subscription) || (subscription.finalWindowEnd !== undefined && now < subscription.finalWindowEnd)
  )
}

/** What a record becomes when AWS no longer takes its hour. */
export function judgeExpired(record: UsageRecord, subscription: Subscription, now: number): Judgement {
  if (record.unanswered > 0) {
    return {
      state: 'in_doubt',
      unanswered: record.unanswered,
      note:
        record.attempts === 0
          ? 'AWS no longer takes this hour, and another copy of this ledger may have sent it'
          : 'AWS no longer takes this hour, and an attempt had no answer',
    }
  }
  return carryOn(record, subscription, now, 'AWS no longer takes this hour; it does not have this record')
}

/** The amount goes to the next hour, where there is one. Only ever called when AWS certainly does not have it. */
function carryOn(record: UsageRecord, subscription: Subscription, now: number, why: string): Judgement {
  if (!hasNextHour(subscription, now) || !isLive(subscription)) {
    const heir =
      subscription.successor === undefined ? '' : `; ${subscription.successor} goes on in its place`
    return { state: 'refused', unanswered: 0, note: `${why}, and no later hour can take it${heir}` }
  }
  if (record.quantity === 0) return { state: 'refused', unanswered: 0, note: `${why}; it was a zero` }
  return {
    state: 'carried',
    unanswered: 0,
    openFrom: Math.max(hourOf(now), record.hour + 1),
    note: `${why}: billed in a later one`,
  }
}

/** Errors that stop a product until somebody mends something: no record is at fault. */
export function isHaltingError(code: string): boolean {
  const known: readonly string[] = [...AWS_RULES.splittingErrors, ...AWS_RULES.throttlingErrors]
  return !known.includes(code)
}

export function isSplittingError(code: string): boolean {
  return (AWS_RULES.splittingErrors as readonly string[]).includes(code)
}
