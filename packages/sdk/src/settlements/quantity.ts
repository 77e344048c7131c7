type Quantity = number | string

const DECIMAL = /^(0|[1-9]\d{0,20})(?:\.(\d{1,20}))?$/
const DIGITS_MAX = 15
/** Decimals that are compared: all that there can be. */
const SCALE = 20

/**
 * A quantity in plain decimal digits, as Tollkeeper takes it. How many decimals a dimension has, only Tollkeeper knows.
 *
 * @throws {RangeError} for what is no number, below 0, or has more than 15 digits: what a division leaves is rounded by whoever
 *   knows to what
 */
export function quantityText(quantity: Quantity): string {
  const text = Object.is(quantity, -0) ? '0' : String(quantity)
  const match = DECIMAL.exec(text)
  const digits =
    match === null ? '' : `${match[1]}${(match[2] ?? '').replace(/0+$/, '')}`.replace(/^0+(?=\d)/, '')
  // Of a number, zeros in front are digits to Tollkeeper too: it cannot be exact any more.
  const isExact = typeof quantity === 'string' || text.replace('.', '').length <= DIGITS_MAX
  if (match !== null && digits.length <= DIGITS_MAX && isExact) return text
  throw new RangeError(
    `quantity: ${text.slice(0, 60)} is none: 0 or more, at most ${DIGITS_MAX} digits; round it to the decimals of the dimension, as toFixed(2) does`,
  )
}

/** How much more was used than held, as a decimal; undefined where it was not. */
export function excessOf(used: Quantity, held: Quantity): string | undefined {
  const excess = unitsOf(used) - unitsOf(held)
  if (excess <= 0n) return undefined
  const digits = String(excess).padStart(SCALE + 1, '0')
  return `${digits.slice(0, -SCALE)}.${digits.slice(-SCALE)}`.replace(/\.?0+$/, '')
}

function unitsOf(quantity: Quantity): bigint {
  const [whole, fraction = ''] = quantityText(quantity).split('.')
  return BigInt(whole + fraction.padEnd(SCALE, '0'))
}
