/** Digits and exponents beyond this are no usage: a short text must not become a long number. */
const DIGITS_MAX = 40

const NUMBER = /^(-)?(\d*)(?:\.(\d*))?(?:[eE]([+-]?\d{1,3}))?$/

/** A number as a log writes it (`007`, `.5`, `1.50`, `1.2e3`) in plain decimal digits, exactly (`7`, `0.5`, `1.5`, `1200`). */
export function plainDecimal(text: string): string | { readonly reason: string } {
  const match = NUMBER.exec(text.trim())
  const whole = match?.[2] ?? ''
  const fraction = match?.[3] ?? ''
  if (!match || whole + fraction === '') return { reason: 'is not a number in plain digits' }
  const exponent = Number(match[4] ?? 0)
  if (whole.length + fraction.length > DIGITS_MAX || Math.abs(exponent) > DIGITS_MAX)
    return { reason: 'has too many digits' }
  const point = whole.length + exponent
  const digits = (whole + fraction).padStart(whole.length + fraction.length + Math.max(0, -point), '0')
  const at = Math.max(0, point)
  const padded = digits.padEnd(at, '0')
  const wholeDigits = padded.slice(0, at).replace(/^0+(?=\d)/, '') || '0'
  const fractionDigits = padded.slice(at).replace(/0+$/, '')
  const plain = fractionDigits === '' ? wholeDigits : `${wholeDigits}.${fractionDigits}`
  if (match[1] === '-' && plain !== '0') return { reason: 'is below zero' }
  return plain
}

/** How many digits follow the point of a plain decimal. */
export function decimalsOf(plain: string): number {
  const point = plain.indexOf('.')
  return point === -1 ? 0 : plain.length - point - 1
}
