/**
 * Money as decimal strings, computed exactly: no float, and nothing is rounded. A sum has as many decimals
 * as it needs, and at least the two of a cent.
 */
const CENT_DECIMALS = 2

interface Scaled {
  readonly digits: bigint
  readonly scale: number
}

function parse(amount: string): Scaled {
  const [whole, fraction = ''] = amount.split('.')
  return { digits: BigInt(whole! + fraction), scale: fraction.length }
}

function format({ digits, scale }: Scaled): string {
  const text = digits.toString().padStart(scale + 1, '0')
  const whole = text.slice(0, text.length - scale)
  const fraction = text.slice(text.length - scale).replace(/0+$/, '')
  return `${whole}.${fraction.padEnd(CENT_DECIMALS, '0')}`
}

/** @param price - plain decimal digits, 0 or more */
export function priceOf(units: bigint, price: string): string {
  const { digits, scale } = parse(price)
  return format({ digits: units * digits, scale })
}

export function addAmounts(amounts: Iterable<string>): string {
  let sum: Scaled = { digits: 0n, scale: CENT_DECIMALS }
  for (const amount of amounts) {
    const next = parse(amount)
    const scale = Math.max(sum.scale, next.scale)
    sum = { digits: rescale(sum, scale) + rescale(next, scale), scale }
  }
  return format(sum)
}

/** For sorting: below zero where `a` is less. */
export function compareAmounts(a: string, b: string): number {
  const [left, right] = [parse(a), parse(b)]
  const scale = Math.max(left.scale, right.scale)
  const difference = rescale(left, scale) - rescale(right, scale)
  return difference < 0n ? -1 : difference > 0n ? 1 : 0
}

function rescale({ digits, scale }: Scaled, to: number): bigint {
  return digits * 10n ** BigInt(to - scale)
}
