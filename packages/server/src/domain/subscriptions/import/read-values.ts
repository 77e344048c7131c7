import { readTime } from '../../usage/read-time.ts'

/** SaaS on AWS Marketplace is younger; what lies before is a number that means something else. */
const EARLIEST = Date.UTC(2012, 0, 1)
const LATEST = Date.UTC(2100, 0, 1)
/** Digits of a count since the epoch, up to which, and what a second is in it. */
const UNITS = [
  { digits: 11, perMs: 1 / 1_000 },
  { digits: 14, perMs: 1 },
  { digits: 17, perMs: 1_000 },
  { digits: 20, perMs: 1_000_000 },
] as const

/**
 * A time as tables have it, in ms: a count of seconds, milliseconds, microseconds or nanoseconds since the epoch (its
 * length tells which), or ISO 8601. Without a zone it is UTC, as Python's `utcnow()` writes it.
 */
export function readAnyTime(value: unknown): number | undefined {
  const text = typeof value === 'number' ? String(value) : typeof value === 'string' ? value.trim() : ''
  const time = /^\d{9,20}(\.\d+)?$/.test(text) ? fromCount(text) : fromText(text)
  return time !== undefined && time >= EARLIEST && time < LATEST ? time : undefined
}

function fromCount(text: string): number | undefined {
  const whole = text.split('.')[0]!
  const unit = UNITS.find(({ digits }) => whole.length <= digits)
  if (unit === undefined) return undefined
  // Seconds may have a fraction; finer counts are whole, and longer than a number keeps.
  return unit.perMs < 1 ? Math.floor(Number(text) / unit.perMs) : Number(BigInt(whole) / BigInt(unit.perMs))
}

function fromText(text: string): number | undefined {
  if (/^\d{4}-\d\d-\d\d$/.test(text)) return readTime(`${text}T00:00:00Z`)
  const spaced = text.replace(/^(\d{4}-\d\d-\d\d) /, '$1T')
  return readTime(spaced) ?? readTime(`${spaced}Z`) ?? readTime(spaced.replace(/([+-]\d\d)(\d\d)$/, '$1:$2'))
}

/** Whom a value names. */
export type Identifier =
  | { readonly kind: 'license'; readonly value: string }
  | { readonly kind: 'account'; readonly value: string }
  | { readonly kind: 'customer'; readonly value: string }

const LICENSE_TAIL = /(^|[:/])(l|lic)-[A-Za-z0-9]{8,64}$/
const CUSTOMER = /^[A-Za-z0-9_.-]{3,255}$/

/**
 * What AWS's sample kept under `customerIdentifier` is another thing in each of its generations: the legacy
 * identifier, the license, or the account. Its form tells which.
 */
export function sniffIdentifier(text: string): Identifier | undefined {
  if (LICENSE_TAIL.test(text)) return text.length <= 1_100 ? { kind: 'license', value: text } : undefined
  if (/^\d{12}$/.test(text)) return { kind: 'account', value: text }
  // An account whose leading zeros a spreadsheet took, or something that only looks like a license.
  if (/^\d+$/.test(text) || text.includes(':') || text.includes('/')) return undefined
  return CUSTOMER.test(text) ? { kind: 'customer', value: text } : undefined
}
