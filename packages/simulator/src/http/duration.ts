import { SimulatorError } from '../errors.ts'

const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 }

/**
 * Reads `"90s"`, `"1h"`, `"1h30m"`, `"2d"`, or a number of milliseconds.
 *
 * @returns whole milliseconds
 * @throws {SimulatorError} `invalid`
 */
export function parseDuration(value: unknown): number {
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return value
  const text = typeof value === 'string' ? value.trim() : ''
  if (/^\d{1,15}$/.test(text)) return Number(text)
  if (/^(\d{1,9}(ms|[smhd]))+$/.test(text)) {
    return [...text.matchAll(/(\d+)(ms|[smhd])/g)].reduce(
      (sum, [, amount = '0', unit = 'ms']) => sum + Number(amount) * (UNIT_MS[unit] ?? 0),
      0,
    )
  }
  throw new SimulatorError('invalid', 'a duration is written like 1h, 90s, 1h30m, or in milliseconds')
}
