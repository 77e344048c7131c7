import { DomainError } from '../../domain/error.ts'
import { emptyFields, excerptOf, isBlank, type LineParser, type LogLine, malformedLine } from './log-line.ts'
import { LINE_BYTES_MAX, type PhysicalLine } from './physical-lines.ts'

/** Lines that one record may span by quoted newlines: past that, its opening quote is taken for a mistake. */
export const RECORD_LINES_MAX = 1_000

const SEPARATORS = [',', ';', '\t'] as const
type Separator = (typeof SEPARATORS)[number]

interface Row {
  readonly fields: string[]
  /** Of the field being read. */
  text: string
  /** Within quotes. */
  open: boolean
}

type Fed = 'complete' | 'open' | { readonly reason: string }

/**
 * Reads CSV (RFC 4180) with a header row; the separator is the one of comma, semicolon and tab that the header
 * has most of. A record whose quotes are wrong costs its first line only: reading starts anew with the second,
 * so no stray quote can swallow the records after it.
 *
 * @throws {DomainError} `request.invalid` for a header that cannot be used
 */
export function createCsvParser(): LineParser {
  let separator: Separator | undefined
  let header: readonly string[] | undefined
  let pending: PhysicalLine[] = []
  let pendingLength = 0
  let row = newRow()

  function run(lines: readonly PhysicalLine[], atEnd: boolean): readonly LogLine[] {
    const out: LogLine[] = []
    // A stack, last first: lines that are read again go back on top.
    const queue = lines.toReversed()
    for (;;) {
      const line = queue.pop()
      if (line === undefined) {
        if (!atEnd || pending.length === 0) return out
        reject('a quote is opened and never closed')
        continue
      }
      if (pending.length === 0 && isBlank(line.text)) continue
      separator ??= sniffSeparator(line.text)
      const previous = pending.at(-1)
      if (previous !== undefined) row.text += previous.end
      pending.push(line)
      pendingLength += line.text.length
      const fed: Fed = line.cut
        ? { reason: `is longer than ${LINE_BYTES_MAX} bytes` }
        : feed(row, line.text, separator)
      if (typeof fed === 'object') reject(fed.reason)
      else if (fed === 'complete') complete()
      else if (pending.length >= RECORD_LINES_MAX || pendingLength > LINE_BYTES_MAX)
        reject('a quote is opened and not closed within one record')
    }

    function reject(reason: string): void {
      const first = pending[0]!
      if (header === undefined)
        throw new DomainError(
          'request.invalid',
          `line ${first.number}: the header cannot be read (${reason}): give the file a first line of column names`,
        )
      out.push(malformedLine(first, reason))
      for (let index = pending.length - 1; index > 0; index--) queue.push(pending[index]!)
      restart()
    }

    function complete(): void {
      if (header === undefined) header = checkHeader(row.fields, pending[0]!)
      else if (row.fields.length !== header.length) {
        reject(`has ${row.fields.length} fields where the header has ${header.length}`)
        return
      } else {
        const fields = emptyFields()
        for (const [index, name] of header.entries()) fields[name] = row.fields[index]!
        out.push({ line: pending[0]!.number, fields, truncated: false })
      }
      restart()
    }
  }

  function restart(): void {
    pending = []
    pendingLength = 0
    row = newRow()
  }

  return { push: (line) => run([line], false), end: () => run([], true) }
}

function newRow(): Row {
  return { fields: [], text: '', open: false }
}

/** Reads one more line into a row. */
function feed(row: Row, text: string, separator: Separator): Fed {
  let at = 0
  for (;;) {
    if (!row.open && text[at] === '"') {
      row.open = true
      at++
    }
    if (row.open) {
      const quote = text.indexOf('"', at)
      row.text += text.slice(at, quote === -1 ? undefined : quote)
      if (quote === -1) return 'open'
      at = quote + 1
      if (text[at] === '"') {
        row.text += '"'
        at++
        continue
      }
      row.open = false
      if (at < text.length && text[at] !== separator) return { reason: 'text follows a closing quote' }
    } else {
      const next = text.indexOf(separator, at)
      row.text = text.slice(at, next === -1 ? undefined : next)
      at = next === -1 ? text.length : next
    }
    row.fields.push(row.text)
    row.text = ''
    if (at >= text.length) return 'complete'
    at++
  }
}

function sniffSeparator(headerLine: string): Separator {
  const unquoted = headerLine.replace(/"[^"]*"/g, '')
  let best: Separator = ','
  let most = 0
  for (const separator of SEPARATORS) {
    const count = unquoted.split(separator).length - 1
    if (count > most) {
      best = separator
      most = count
    }
  }
  return best
}

function checkHeader(columns: readonly string[], line: PhysicalLine): readonly string[] {
  const names = columns.map((column) => column.trim())
  const twice = names.find((name, index) => name !== '' && names.indexOf(name) !== index)
  if (twice !== undefined)
    throw new DomainError(
      'request.invalid',
      `line ${line.number}: two columns are named "${excerptOf(twice)}": rename one of them`,
    )
  return names.map((name, index) => name || `column ${index + 1}`)
}
