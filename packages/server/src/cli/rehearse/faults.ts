import type { FaultOrder } from '@tollkeeper/simulator'
import { HOUR_MS } from '../../domain/usage/hour.ts'

export const FAULT_PRESETS = ['all', 'outage'] as const
export type FaultPreset = (typeof FAULT_PRESETS)[number]

/** How long the rehearsed server waits for AWS, ms: slow answers take longer. */
export const CALL_TIMEOUT_MS = 2_000
const SLOW_MS = CALL_TIMEOUT_MS + 500
const METERING = { operation: 'BatchMeterUsage' } as const

/** Everything that the simulator can do to a call. Each hits a few calls and is over long before AWS closes the hour. */
const EVERY_FAULT: readonly FaultOrder[] = [
  { ...METERING, kind: 'throttle', times: 3 },
  { ...METERING, kind: 'cutBefore', times: 3 },
  { ...METERING, kind: 'cutAfter', times: 3 },
  { ...METERING, kind: 'unprocessed', times: 5, share: 0.5 },
  { ...METERING, kind: 'html503', times: 3 },
  { ...METERING, kind: 'slow', times: 2, delayMs: SLOW_MS, taken: true },
  { ...METERING, kind: 'slow', times: 2, delayMs: SLOW_MS, taken: false },
  { ...METERING, kind: 'internalError', times: 2, taken: true },
  { ...METERING, kind: 'internalError', times: 2, taken: false },
  { ...METERING, kind: 'truncatedBody', times: 2 },
  { ...METERING, kind: 'refuse', times: 2, error: 'InvalidUsageDimensionException' },
  { ...METERING, kind: 'refuse', times: 2, error: 'TimestampOutOfBoundsException' },
  { ...METERING, kind: 'refuse', times: 1, error: 'DisabledApiException' },
]

/** An outage crosses AWS's window: what was sent into it stays in doubt. */
const OUTAGE_HOURS = 30

/** Faults to order as a rehearsal begins its `hour`-th of `hours` hours: spread, so that each meets fresh records. */
export function faultsAt(
  preset: FaultPreset | undefined,
  hour: number,
  hours: number,
  now: number,
): readonly FaultOrder[] {
  if (preset === 'all')
    return EVERY_FAULT.filter((_, index) => Math.floor((index * hours) / EVERY_FAULT.length) === hour)
  if (preset === 'outage' && hour === Math.floor(hours / 2)) {
    const until = now + OUTAGE_HOURS * HOUR_MS
    return [
      { ...METERING, kind: 'cutAfter', share: 0.5, until },
      { ...METERING, kind: 'cutBefore', until },
    ]
  }
  return []
}
