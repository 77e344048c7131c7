const DECIMAL = /^(\d{1,18})(?:\.(\d{1,12}))?$/

/** An exact, non-negative decimal: `units` of 10^-`scale`. */
export interface Decimal {
  readonly units: bigint
  readonly scale: number
}

/** @returns `undefined` unless `text` is digits with at most 12 decimals, such as `"0.002"` */
export function parseDecimal(text: string): Decimal | undefined {
  const match = DECIMAL.exec(text)
  if (match === null) return undefined
  const [, whole = '', fraction = ''] = match
  return { units: BigInt(whole + fraction), scale: fraction.length }
}

export function multiply(a: Decimal, times: bigint): Decimal {
  return { units: a.units * times, scale: a.scale }
}

export function add(a: Decimal, b: Decimal): Decimal {
  const scale = Math.max(a.scale, b.scale)
  const rescale = (value: Decimal) => value.units * 10n ** BigInt(scale - value.scale)
  return { units: rescale(a) + rescale(b), scale }
}

/** The shortest exact form: `"12.5"`, `"0"`, never an exponent. */
export function formatDecimal({ units, scale }: Decimal): string {
  const digits = units.toString().padStart(scale + 1, '0')
  const whole = digits.slice(0, digits.length - scale)
  const fraction = digits.slice(digits.length - scale).replace(/0+$/, '')
  return fraction === '' ? whole : `${whole}.${fraction}`
}
