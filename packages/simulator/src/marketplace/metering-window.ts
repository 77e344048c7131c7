import { AwsError } from './aws-error.ts'
import type { Settings } from './settings.ts'

/** How far back usage is taken (BatchMeterUsage API reference, 2026; it was 1 h to 2020 and 6 h until early 2026). */
export const LATE_MAX_MS = 24 * 3_600_000
/** How long into a month the month before is taken: until 06:00 UTC on the 1st (same source). */
export const MONTH_END_GRACE_MS = 6 * 3_600_000
/** How far ahead a timestamp may be; AWS's own bound is UNVERIFIED. */
export const AHEAD_MAX_MS = 5 * 60_000

/**
 * The first instant at which usage of `timestamp` is no longer taken, in epoch milliseconds. Usage of exactly 24 h
 * ago is still taken; usage of last month at exactly 06:00 UTC on the 1st is not.
 */
export function meteringDeadline(timestamp: number): number {
  const date = new Date(timestamp)
  const monthEnd = Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + 1, 1)
  return Math.min(timestamp + LATE_MAX_MS + 1, monthEnd + MONTH_END_GRACE_MS)
}

/** @throws {AwsError} `TimestampOutOfBoundsException` for usage too old or too far ahead */
export function checkMeteringWindow(timestamp: number, now: number, settings: Settings): void {
  if (now >= meteringDeadline(timestamp)) throw outOfBounds(timestamp, 'is too old')
  if (settings.futureTimestamps === 'refuse' && timestamp > now + AHEAD_MAX_MS) {
    throw outOfBounds(timestamp, 'is in the future')
  }
}

/**
 * Judged to the second, since some SDKs send whole seconds of an agreement that started within one.
 *
 * @throws {AwsError} `TimestampOutOfBoundsException` for usage before the agreement
 */
export function checkAgreementStart(timestamp: number, startAt: number, settings: Settings): void {
  if (settings.usageBeforeAgreement === 'accept') return
  if (Math.floor(timestamp / 1000) < Math.floor(startAt / 1000)) {
    throw outOfBounds(timestamp, `is before the agreement, which started ${new Date(startAt).toISOString()}`)
  }
}

function outOfBounds(timestamp: number, reason: string): AwsError {
  return new AwsError(
    'TimestampOutOfBoundsException',
    `The timestamp ${new Date(timestamp).toISOString()} of a usage record ${reason}`,
  )
}
