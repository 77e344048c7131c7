import type { Hour } from '../../domain/usage/hour.ts'
import { HOUR_MS } from '../../domain/usage/hour.ts'
import { alignLeft, alignRight } from './terminal-text.ts'

/** More days than this are drawn as a bar per day, a row per month. */
export const DAY_ROWS_MAX = 31
/** Of a log that is longer, the last months are drawn. */
export const MONTH_ROWS_MAX = 36

const BLOCKS = ['', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'] as const
const LEVELS = BLOCKS.length - 1
const LABEL_WIDTH = 12
const CELL_WIDTH_MAX = 3
/** Lines of text that the bars of all rows may take together. */
const LINES_MAX = 24
const ROW_HEIGHT_MAX = 3
const WEEKDAYS = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat']
const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']

export interface PictureOptions {
  readonly width: number
  /** Paints a bar; `peak` marks the highest. */
  readonly paint: (text: string, kind: 'bar' | 'peak' | 'faint') => string
  readonly formatCount: (count: number) => string
}

interface Row {
  readonly label: string
  /** Undefined before the first and after the last hour. */
  readonly cells: readonly (number | undefined)[]
}

interface Grid {
  readonly title: string
  readonly rows: readonly Row[]
  readonly ticks: readonly { readonly cell: number; readonly text: string }[]
  readonly omitted: string | undefined
}

/** Events over time: a row per day with a bar per hour, or for a long log a row per month with a bar per day. */
export function drawUsage(hours: ReadonlyMap<Hour, number>, options: PictureOptions): readonly string[] {
  const counts = [...hours.values()]
  if (counts.length === 0) return []
  const span = { first: least(hours.keys()), last: greatest(hours.keys()) }
  const days = Math.floor(span.last / 24) - Math.floor(span.first / 24) + 1
  const grid = days <= DAY_ROWS_MAX ? hourGrid(hours, span) : dayGrid(hours, span)
  const peak = greatest(grid.rows.flatMap((row) => row.cells.map((count) => count ?? 0)))
  const totals = grid.rows.map((row) =>
    options.formatCount(row.cells.reduce<number>((sum, n) => sum + (n ?? 0), 0)),
  )
  const totalWidth = greatest(totals.map((total) => total.length)) + 2
  const columns = grid.rows[0]!.cells.length
  const room = Math.floor((options.width - LABEL_WIDTH - totalWidth) / columns)
  const cellWidth = Math.min(CELL_WIDTH_MAX, Math.max(1, room))
  const height = Math.min(ROW_HEIGHT_MAX, Math.max(1, Math.floor(LINES_MAX / grid.rows.length)))
  const lines = [
    `${grid.title}  ${options.paint(`highest ${options.formatCount(peak)}`, 'peak')}`,
    options.paint(`${' '.repeat(LABEL_WIDTH)}${drawTicks(grid, cellWidth)}`.trimEnd(), 'faint'),
  ]
  for (const [index, row] of grid.rows.entries()) {
    for (let level = height - 1; level >= 0; level--) {
      const bars = row.cells.map((count) => drawCell(count, peak, level, height, cellWidth, options)).join('')
      const label = alignLeft(level === 0 ? row.label : '', LABEL_WIDTH)
      const line = label + bars + (level === 0 ? alignRight(totals[index]!, totalWidth) : '')
      lines.push(line.trimEnd())
    }
  }
  if (grid.omitted !== undefined) lines.push(options.paint(grid.omitted, 'faint'))
  return lines
}

function drawCell(
  count: number | undefined,
  peak: number,
  level: number,
  height: number,
  width: number,
  options: PictureOptions,
): string {
  if (count === undefined) return ' '.repeat(width)
  if (count === 0) return level === 0 ? options.paint('·'.padEnd(width), 'faint') : ' '.repeat(width)
  // Whatever is there is seen: at least the lowest block.
  const eighths = Math.max(1, Math.round((count / peak) * LEVELS * height))
  const block = BLOCKS[Math.min(LEVELS, Math.max(0, eighths - level * LEVELS))]!
  if (block === '') return ' '.repeat(width)
  const bar = width === CELL_WIDTH_MAX ? `${block.repeat(width - 1)} ` : block.repeat(width)
  return options.paint(bar, count === peak ? 'peak' : 'bar')
}

function drawTicks(grid: Grid, cellWidth: number): string {
  let line = ''
  for (const { cell, text } of grid.ticks) {
    const at = cell * cellWidth
    if (at > line.length || line === '') line = line.padEnd(at) + text
  }
  return line
}

interface Span {
  readonly first: Hour
  readonly last: Hour
}

function hourGrid(hours: ReadonlyMap<Hour, number>, { first, last }: Span): Grid {
  const rows: Row[] = []
  for (let day = Math.floor(first / 24); day <= Math.floor(last / 24); day++) {
    const date = new Date(day * 24 * HOUR_MS)
    const dayOfMonth = String(date.getUTCDate()).padStart(2)
    rows.push({
      label: `${WEEKDAYS[date.getUTCDay()]} ${dayOfMonth} ${MONTHS[date.getUTCMonth()]}`,
      cells: Array.from({ length: 24 }, (_, index) => {
        const hour = day * 24 + index
        return hour < first || hour > last ? undefined : (hours.get(hour) ?? 0)
      }),
    })
  }
  const ticks = [0, 6, 12, 18].map((cell) => ({ cell, text: `${String(cell).padStart(2, '0')}h` }))
  return { title: 'Events per hour, UTC', rows, ticks, omitted: undefined }
}

function dayGrid(hours: ReadonlyMap<Hour, number>, { first, last }: Span): Grid {
  const perDay = new Map<number, number>()
  for (const [hour, count] of hours) {
    const day = Math.floor(hour / 24)
    perDay.set(day, (perDay.get(day) ?? 0) + count)
  }
  const monthOf = (hour: Hour) => {
    const date = new Date(hour * HOUR_MS)
    return date.getUTCFullYear() * 12 + date.getUTCMonth()
  }
  const earliest = Math.max(monthOf(first), monthOf(last) - MONTH_ROWS_MAX + 1)
  const rows: Row[] = []
  for (let month = earliest; month <= monthOf(last); month++) {
    const [year, index] = [Math.floor(month / 12), month % 12]
    const start = Date.UTC(year, index, 1) / (24 * HOUR_MS)
    const next = Date.UTC(year, index + 1, 1) / (24 * HOUR_MS)
    rows.push({
      label: `${MONTHS[index]} ${year}`,
      cells: Array.from({ length: 31 }, (_, offset) => {
        const day = start + offset
        const outside = day >= next || day < Math.floor(first / 24) || day > Math.floor(last / 24)
        return outside ? undefined : (perDay.get(day) ?? 0)
      }),
    })
  }
  const ticks = [1, 8, 15, 22, 29].map((day) => ({ cell: day - 1, text: String(day) }))
  const before = earliest - monthOf(first)
  const omitted = before > 0 ? `(${before} earlier month${before === 1 ? '' : 's'} not drawn)` : undefined
  return { title: 'Events per day, UTC', rows, ticks, omitted }
}

// Not Math.max(...values): a long log has more hours than a call may have arguments.
function greatest(values: Iterable<number>): number {
  let found = -Infinity
  for (const value of values) if (value > found) found = value
  return found
}

function least(values: Iterable<number>): number {
  let found = Infinity
  for (const value of values) if (value < found) found = value
  return found
}
