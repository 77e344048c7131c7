/**
 * Quantities are integers of a dimension's base unit (10^-scale) from the door to the ledger.
 * One event's quantity has at most 15 digits, so it is exact as a number; sums are exact as `bigint`.
 */
export const EVENT_BASE_UNITS_MAX = 999_999_999_999_999

/** Largest product of `unitSize` and 10^scale: a full hour of AWS's largest record still fits 64 bits. */
export const BASE_UNITS_PER_UNIT_MAX = 1_000_000_000n

const DECIMAL = /^(0|[1-9]\d{0,20})(?:\.(\d{1,20}))?$/

/**
 * A reported quantity in base units, or why it is none. Extra digits are refused, never rounded.
 *
 * @param quantity - a JSON number of at most 15 digits, or a decimal string
 * @param scale - decimal digits of the dimension
 */
export function parseQuantity(quantity: number | string, scale: number): number | { reason: string } {
  const text = typeof quantity === 'number' ? numberText(quantity) : quantity
  if (text === undefined)
    return {
      reason:
        'quantity must be a number of at most 15 digits, 0 or more; send larger or finer ones as a decimal string',
    }
  const match = DECIMAL.exec(text)
  if (!match) return { reason: 'quantity must be 0 or more, written in plain decimal digits' }
  const fraction = (match[2] ?? '').replace(/0+$/, '')
  if (fraction.length > scale) {
    return {
      reason: `quantity has ${fraction.length} decimals, the dimension takes ${scale}: it would have to be rounded`,
    }
  }
  const base = BigInt(match[1] + fraction.padEnd(scale, '0'))
  if (base > BigInt(EVENT_BASE_UNITS_MAX))
    return { reason: 'quantity is too large for one event: at most 15 digits of the smallest unit' }
  return Number(base)
}

function numberText(quantity: number): string | undefined {
  if (!Number.isFinite(quantity) || quantity < 0) return undefined
  if (Object.is(quantity, -0)) return '0'
  const text = String(quantity)
  if (text.includes('e')) {
    // 1e-7 has more decimals than any dimension; 1e21 more digits than any event.
    return undefined
  }
  return text.replace(/[.]|^0+(?=\d)/g, '').length <= 15 ? text : undefined
}

/** Base units as a plain decimal of the dimension's own unit: 1234567 at scale 6 is `1.234567`. */
export function formatBaseUnits(base: bigint, scale: number): string {
  const sign = base < 0n ? '-' : ''
  const digits = (base < 0n ? -base : base).toString().padStart(scale + 1, '0')
  const whole = digits.slice(0, digits.length - scale)
  const fraction = digits.slice(digits.length - scale).replace(/0+$/, '')
  return sign + whole + (fraction ? `.${fraction}` : '')
}
