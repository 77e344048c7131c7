import { DomainError } from '../../error.ts'
import { readCsv } from './read-csv.ts'
import type { RowProblem, SourceRow } from './source-row.ts'

/** DynamoDB nests 32 levels deep at most. */
const DEPTH_MAX = 33
const TYPES = ['S', 'N', 'BOOL', 'NULL', 'M', 'L', 'SS', 'NS', 'B', 'BS']
/** Digits that a number of JSON keeps for certain. */
const EXACT_DIGITS = 15

export interface Table {
  readonly rows: readonly SourceRow[]
  readonly problems: readonly RowProblem[]
}

/**
 * The rows of a file, whichever way they were exported:
 *
 * - a JSON array of objects, plain or in DynamoDB's typed JSON
 * - the answer of `aws dynamodb scan`: `{"Items": […]}`
 * - a DynamoDB export to S3: lines of `{"Item": {…}}`; or lines of plain objects
 * - CSV with a header
 *
 * @param name - of the file, for messages
 * @throws {DomainError} `request.invalid` where it is none of these, or not all of the table
 */
export function readTable(text: string, name: string): Table {
  const content = text.startsWith('\uFEFF') ? text.slice(1) : text
  const first = content.trimStart()[0]
  if (first === undefined) throw new DomainError('request.invalid', `${name} is empty`)
  if (first !== '[' && first !== '{') return readCsv(content, name)
  const whole = parseExact(content)
  if (whole === undefined) {
    if (first === '{') return readLines(content, name)
    throw new DomainError('request.invalid', `${name} begins like JSON and is not: export it again`)
  }
  const { value } = whole
  if (Array.isArray(value)) return ofItems(value, 'row')
  if (isObject(value) && Array.isArray(value.Items)) {
    // Half of a table would look like all of it.
    if (hasMore(value))
      throw new DomainError(
        'request.invalid',
        `${name} is only a part of the table (it has a NextToken or LastEvaluatedKey): scan it without --max-items`,
      )
    return ofItems(value.Items, 'row')
  }
  return ofItems([value], 'row')
}

/** The rows of items as DynamoDB returns them, or as they are in a file. */
export function ofItems(items: readonly unknown[], what: 'row' | 'line', from = 1): Table {
  const rows: SourceRow[] = []
  const problems: RowProblem[] = []
  for (const [index, item] of items.entries()) {
    const where = `${what} ${from + index}`
    const attributes = attributesOf(item)
    if (attributes === undefined) problems.push({ where, reason: 'is not an object with attributes' })
    else rows.push({ where, attributes })
  }
  return { rows, problems }
}

function readLines(text: string, name: string): Table {
  const rows: SourceRow[] = []
  const problems: RowProblem[] = []
  for (const [index, line] of text.split('\n').entries()) {
    if (line.trim() === '') continue
    const where = `line ${index + 1}`
    const attributes = attributesOf(parseExact(line)?.value)
    if (attributes === undefined) problems.push({ where, reason: 'is not JSON with attributes' })
    else rows.push({ where, attributes })
  }
  if (rows.length === 0)
    throw new DomainError('request.invalid', `${name} begins like JSON and is not: export it again`)
  return { rows, problems }
}

function hasMore(answer: Record<string, unknown>): boolean {
  return [answer.NextToken, answer.LastEvaluatedKey].some((mark) => mark !== undefined && mark !== null)
}

function attributesOf(item: unknown): Record<string, unknown> | undefined {
  if (!isObject(item)) return undefined
  const inner = isObject(item.Item) && Object.keys(item).length === 1 ? item.Item : item
  const entries = Object.entries(inner)
  if (entries.length === 0) return undefined
  return entries.every(([, value]) => isTyped(value))
    ? Object.fromEntries(entries.map(([name, value]) => [name, fromTyped(value, 0)]))
    : inner
}

function isTyped(value: unknown): boolean {
  if (!isObject(value)) return false
  const [type, ...others] = Object.keys(value)
  return type !== undefined && others.length === 0 && TYPES.includes(type)
}

/** A value of DynamoDB's typed JSON; numbers stay the text that they came as. */
function fromTyped(typed: unknown, depth: number): unknown {
  if (!isObject(typed) || depth > DEPTH_MAX) return undefined
  const [entry] = Object.entries(typed)
  if (entry === undefined) return undefined
  const [type, value] = entry
  if (type === 'NULL') return undefined
  if (type === 'M' && isObject(value))
    return Object.fromEntries(
      Object.entries(value).map(([name, inner]) => [name, fromTyped(inner, depth + 1)]),
    )
  if (type === 'L' && Array.isArray(value)) return value.map((inner) => fromTyped(inner, depth + 1))
  return value
}

/** JSON whose long numbers keep their digits, as text: a key of nanoseconds is one. */
export function parseExact(text: string): { readonly value: unknown } | undefined {
  try {
    return { value: JSON.parse(text, keepDigits) }
  } catch {
    return undefined
  }
}

function keepDigits(_key: string, value: unknown, context?: { source?: string }): unknown {
  if (typeof value !== 'number' || context?.source === undefined) return value
  const digits = context.source
    .replace(/[eE].*$/, '')
    .replace(/[-.]/g, '')
    .replace(/^0+/, '')
  return digits.length > EXACT_DIGITS ? context.source : value
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
