/** One UTC hour, as whole hours since the epoch: small, ordered, and never a local time. */
export type Hour = number

export const HOUR_MS = 3_600_000
export const MINUTE_MS = 60_000

export function hourOf(timeMs: number): Hour {
  return Math.floor(timeMs / HOUR_MS)
}

export function hourStart(hour: Hour): number {
  return hour * HOUR_MS
}

export function hourEnd(hour: Hour): number {
  return (hour + 1) * HOUR_MS
}

/** `2026-11-21T07:00:00.000Z` */
export function hourText(hour: Hour): string {
  return new Date(hourStart(hour)).toISOString()
}

/** Midnight UTC on the first day of the month after the one that `timeMs` lies in. */
export function nextMonthStart(timeMs: number): number {
  const date = new Date(timeMs)
  return Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + 1, 1)
}

export function monthStart(timeMs: number): number {
  const date = new Date(timeMs)
  return Date.UTC(date.getUTCFullYear(), date.getUTCMonth(), 1)
}
