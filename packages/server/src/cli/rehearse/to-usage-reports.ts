import { parseQuantity } from '../../domain/usage/quantity.ts'
import { parseClfTime } from './combined-parser.ts'
import { plainDecimal } from './decimal-text.ts'
import type { DimensionSpec } from './dimension-spec.ts'
import type { ReadableLine } from './log-line.ts'
import type { LogFormat } from './log-reader.ts'

/** Digits of the log's digest in the ids of its lines: 64 bits. */
export const DIGEST_PREFIX_LENGTH = 16
/** Longer names are not names: a field that holds a whole document was chosen by mistake. */
export const NAME_LENGTH_MAX = 256

/** Times outside are a field misread; a virtual clock would run for decades. */
const TIME_MIN = Date.UTC(2000, 0, 1)
const TIME_MAX = Date.UTC(2100, 0, 1)

/** One dimension's share of a use: what is sent to the server. */
export interface LineReport {
  readonly dimension: string
  readonly id: string
  /** ms */
  readonly time: number
  /** Plain decimal digits: only for `sum` and `max`. Zero is a use too. */
  readonly quantity?: string
  /** Only for `unique`. */
  readonly value?: string
}

export interface Refusal {
  /** Says what is wrong without saying with which value: equal ones are counted together. */
  readonly reason: string
  /** What stood there. */
  readonly value?: string
}

export interface DimensionRefusal extends Refusal {
  readonly dimension: string
}

/** A line as a use of the product by one buyer. */
export interface LineUse {
  readonly kind: 'use'
  readonly line: number
  readonly buyer: string
  /** ms */
  readonly time: number
  readonly id: string
  readonly reports: readonly LineReport[]
  /** Dimensions whose field could not be read; the others are reported all the same. */
  readonly refused: readonly DimensionRefusal[]
}

/** A line that nobody can be billed for. */
export interface RefusedLine extends Refusal {
  readonly kind: 'refused'
  readonly line: number
}

export interface UsageReaderOptions {
  readonly format: LogFormat
  /** Of the log: makes the ids of `combined` lines. */
  readonly digest: string
  readonly specs: readonly DimensionSpec[]
  /** The field that names the buyer. */
  readonly buyer: string
  /** The field that is the event's id. Not said: `id`, but for `combined` the log's digest and the line number. */
  readonly id?: string | undefined
  /** The field that is the event's time; `time` if not said. */
  readonly time?: string | undefined
}

/** Makes uses of lines. What cannot be read is told with its reason, never thrown. */
export function createUsageReader(
  options: UsageReaderOptions,
): (line: ReadableLine) => LineUse | RefusedLine {
  const { specs, format } = options
  const timeField = options.time ?? 'time'
  const idField = options.id ?? (format === 'combined' ? undefined : 'id')
  const digest = options.digest.slice(0, DIGEST_PREFIX_LENGTH)

  return ({ line, fields }) => {
    const refuse = (refusal: Refusal): RefusedLine => ({ kind: 'refused', line, ...refusal })
    const buyer = readName(options.buyer, fields[options.buyer])
    if (typeof buyer !== 'string') return refuse(buyer)
    if (format === 'combined' && buyer === '-')
      return refuse({ reason: `nobody: "${options.buyer}" is empty`, value: buyer })
    const id = idField === undefined ? `${digest}:${line}` : readName(idField, fields[idField])
    if (typeof id !== 'string') return refuse(id)
    const timeText = fields[timeField]
    if (timeText === undefined) return refuse(missing(timeField))
    const time = parseTime(timeText)
    if (typeof time !== 'number')
      return refuse({ reason: `time "${timeField}" ${time.reason}`, value: timeText })

    const reports: LineReport[] = []
    const refused: DimensionRefusal[] = []
    for (const spec of specs) {
      const dimension = spec.dimension.key
      const read = readDimension(spec, spec.field === undefined ? undefined : fields[spec.field])
      if ('reason' in read) refused.push({ dimension, ...read })
      else reports.push({ dimension, id, time, ...read })
    }
    return { kind: 'use', line, buyer, time, id, reports, refused }
  }
}

function readDimension(
  { dimension, field }: DimensionSpec,
  text: string | undefined,
): { quantity?: string; value?: string } | Refusal {
  if (field === undefined) return {}
  if (text === undefined) return missing(field)
  if (text.trim() === '') return { reason: `field "${field}" is empty` }
  if (dimension.aggregation === 'unique') return { value: text }
  const quantity = plainDecimal(text)
  if (typeof quantity !== 'string') return { reason: `field "${field}" ${quantity.reason}`, value: text }
  const base = parseQuantity(quantity, dimension.scale)
  if (typeof base !== 'number') return { reason: `field "${field}": ${base.reason}`, value: text }
  return { quantity }
}

function readName(field: string, text: string | undefined): string | Refusal {
  if (text === undefined) return missing(field)
  if (text.trim() === '') return { reason: `field "${field}" is empty` }
  if (text.length > NAME_LENGTH_MAX)
    return { reason: `field "${field}" is longer than ${NAME_LENGTH_MAX} characters`, value: text }
  return text
}

function missing(field: string): Refusal {
  return { reason: `no field "${field}"` }
}

const ISO =
  /^(\d{4})-(\d{2})-(\d{2})(?:[T ](\d{2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,12}))?)?\s?(Z|[+-]\d{2}(?::?\d{2})?)?)?$/i
const EPOCH = /^(\d{9,19})(?:\.(\d{1,12}))?$/

/**
 * A time in ms: ISO 8601 (`T` or a space; UTC where it names no zone), the web servers' own format, or
 * seconds, milli-, micro- or nanoseconds since 1970, told apart by their size. Finer than ms is cut off.
 */
export function parseTime(text: string): number | { readonly reason: string } {
  const trimmed = text.trim()
  const time = parseEpoch(trimmed) ?? parseIso(trimmed) ?? parseClfTime(trimmed)
  if (time === undefined) return { reason: 'is neither ISO 8601 nor seconds or milliseconds since 1970' }
  if (time < TIME_MIN || time >= TIME_MAX) return { reason: 'is not between 2000 and 2100' }
  return time
}

function parseEpoch(text: string): number | undefined {
  const match = EPOCH.exec(text)
  if (!match) return undefined
  const digits = match[1]!
  // 11 digits of seconds reach the year 5138; 12 of milliseconds begin in 1973, and so on by thousands.
  const decimals = digits.length <= 11 ? 0 : digits.length <= 14 ? 3 : digits.length <= 17 ? 6 : 9
  const fraction = digits.slice(digits.length - decimals, digits.length) + (match[2] ?? '')
  const seconds = digits.slice(0, digits.length - decimals)
  return Number(seconds + fraction.slice(0, 3).padEnd(3, '0'))
}

function parseIso(text: string): number | undefined {
  const match = ISO.exec(text)
  if (!match) return undefined
  const [year, month, day, hour, minute, second] = match.slice(1, 7).map((part) => Number(part ?? 0))
  if (hour! > 23 || minute! > 59 || second! > 60) return undefined
  const ms = Number((match[7] ?? '').slice(0, 3).padEnd(3, '0'))
  const local = Date.UTC(year!, month! - 1, day, hour, minute, Math.min(second!, 59), ms)
  const date = new Date(local)
  if (date.getUTCFullYear() !== year || date.getUTCMonth() !== month! - 1 || date.getUTCDate() !== day)
    return undefined
  const zone = /([+-])(\d{2}):?(\d{2})?/.exec(match[8] ?? '')
  if (!zone) return local
  const [hours, minutes] = [Number(zone[2]), Number(zone[3] ?? 0)]
  if (hours > 14 || minutes > 59) return undefined
  return local - (zone[1] === '-' ? -1 : 1) * (hours * 60 + minutes) * 60_000
}
