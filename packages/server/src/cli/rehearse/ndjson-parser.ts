import { emptyFields, isBlank, type LineParser, type LogLine, malformedLine } from './log-line.ts'
import { LINE_BYTES_MAX, type PhysicalLine } from './physical-lines.ts'

/** Objects nested deeper than this have no fields: paths would grow without end. */
const DEPTH_MAX = 16

/**
 * Reads one JSON object a line. Nested values are fields by dotted path (`request.bytes`, `items.0.size`);
 * numbers are the digits that were written, since beyond 2^53 the number itself is another one.
 */
export function createNdjsonParser(): LineParser {
  return {
    push: (line) => (isBlank(line.text) ? [] : [parseObject(line)]),
    end: () => [],
  }
}

/** What `JSON.parse` tells a reviver about a number, string, boolean or null: missing in the library's types. */
interface ReviverContext {
  readonly source?: string
}

function parseObject(line: PhysicalLine): LogLine {
  if (line.cut) return malformedLine(line, `is longer than ${LINE_BYTES_MAX} bytes`)
  let value: unknown
  try {
    value = JSON.parse(line.text, keepDigits)
  } catch {
    return malformedLine(line, 'is not JSON')
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    return malformedLine(line, 'is not a JSON object')
  const fields = emptyFields()
  flatten(value, '', 1, fields)
  return { line: line.number, fields, truncated: false }
}

function keepDigits(_key: string, value: unknown, context?: ReviverContext): unknown {
  return typeof value === 'number' ? (context?.source ?? String(value)) : value
}

function flatten(object: object, prefix: string, depth: number, fields: Record<string, string>): void {
  for (const [key, value] of Object.entries(object)) {
    const path = prefix + key
    if (typeof value === 'object' && value !== null) {
      if (depth < DEPTH_MAX) flatten(value, `${path}.`, depth + 1, fields)
    } else if (value !== null && !(path in fields)) {
      fields[path] = String(value)
    }
  }
}
