import { DomainError } from '../../error.ts'
import type { RowProblem, SourceRow } from './source-row.ts'

const SEPARATORS = [',', ';', '\t'] as const
const COLUMNS_MAX = 200

/**
 * CSV (RFC 4180) with a header; the separator is whichever of comma, semicolon and tab the header has most of.
 *
 * @throws {DomainError} `request.invalid` for a header that cannot be used, or a quote that is never closed
 */
export function readCsv(
  text: string,
  name: string,
): { rows: readonly SourceRow[]; problems: readonly RowProblem[] } {
  const [head, ...records] = readRecords(text, separatorOf(text), name)
  const header = head?.fields.map((field) => field.trim()) ?? []
  if (header.length < 2 || header.some((field) => field === ''))
    throw new DomainError(
      'request.invalid',
      `${name} is neither JSON nor CSV whose first line names at least two columns`,
    )
  if (new Set(header).size < header.length)
    throw new DomainError('request.invalid', `${name} has two columns of the same name in its header`)
  const rows: SourceRow[] = []
  const problems: RowProblem[] = []
  for (const { line, fields } of records) {
    const where = `line ${line}`
    if (fields.length !== header.length) {
      problems.push({ where, reason: `has ${fields.length} fields, the header names ${header.length}` })
      continue
    }
    const attributes = Object.fromEntries(header.map((column, index) => [column, fields[index]]))
    rows.push({ where, attributes })
  }
  return { rows, problems }
}

interface CsvRecord {
  readonly line: number
  readonly fields: readonly string[]
}

function readRecords(text: string, separator: string, name: string): CsvRecord[] {
  const records: CsvRecord[] = []
  let line = 1
  let at = 0
  while (at < text.length) {
    const begun = line
    const fields: string[] = []
    for (;;) {
      let field = ''
      if (text[at] === '"') {
        at++
        for (;;) {
          const end = text.indexOf('"', at)
          if (end === -1)
            throw new DomainError(
              'request.invalid',
              `${name}: the record of line ${begun} opens a quote and never closes it`,
            )
          field += text.slice(at, end)
          at = end + 1
          if (text[at] !== '"') break
          field += '"'
          at++
        }
        line += field.split('\n').length - 1
      }
      const end = nextOf(text, at, separator)
      field += text.slice(at, end).replace(/\r$/, '')
      at = end
      if (fields.length < COLUMNS_MAX) fields.push(field)
      if (text[at] !== separator) break
      at++
    }
    at++
    line++
    if (fields.length > 1 || fields[0]?.trim() !== '') records.push({ line: begun, fields })
  }
  return records
}

/** Where the field ends that goes on at a place: at the separator, the end of the line, or of the text. */
function nextOf(text: string, from: number, separator: string): number {
  let at = from
  while (at < text.length && text[at] !== separator && text[at] !== '\n') at++
  return at
}

function separatorOf(text: string): string {
  const end = text.indexOf('\n')
  const head = end === -1 ? text : text.slice(0, end)
  const counts = SEPARATORS.map((separator) => head.split(separator).length)
  return SEPARATORS[counts.indexOf(Math.max(...counts))] ?? ','
}
