import { addAmounts, priceOf } from '../../domain/money.ts'
import type { Dimension } from '../../domain/products/product.ts'
import { HOUR_MS } from '../../domain/usage/hour.ts'
import { formatBaseUnits } from '../../domain/usage/quantity.ts'
import type { BuyerBill, RehearsalReport, Units } from './bill.ts'
import type { RefusalGroup, TallySummary } from './tally.ts'
import { alignLeft, alignRight, displayWidth, escapeControls, fit } from './terminal-text.ts'
import { drawUsage } from './usage-picture.ts'

export const BUYERS_SHOWN_MAX = 10
const REFUSALS_SHOWN_MAX = 5
const NAME_WIDTH_MAX = 40
const WIDTH_MIN = 48
/** Wider than this, lines are harder to read, not easier. */
const WIDTH_MAX = 120

/** All that the report of a rehearsal shows. */
export interface RehearsalView {
  /** The log's name. */
  readonly log: string
  readonly report: RehearsalReport
  readonly summary: TallySummary
  readonly dimensions: readonly Dimension[]
  /** Lines that say where to look at it in the running product. */
  readonly keep?: readonly string[]
}

export interface RenderOptions {
  /** Columns of the terminal. */
  readonly width?: number | undefined
  readonly color: boolean
}

const STYLES = { bold: 1, faint: 2, bad: 31, good: 32, peak: 33, bar: 36 } as const
type Style = keyof typeof STYLES
type Paint = (text: string, style: Style) => string

/** The report for a person. Whatever came from the log is made harmless for the terminal. */
export function renderReport(view: RehearsalView, options: RenderOptions): string {
  const width = Math.min(WIDTH_MAX, Math.max(WIDTH_MIN, options.width ?? 80))
  const paint: Paint = (text, style) => (options.color ? `\x1b[${STYLES[style]}m${text}\x1b[0m` : text)
  const sections = [
    renderHead(view, paint),
    drawUsage(view.summary.hours, { width, paint, formatCount: group }),
    renderBuyers(view, width, paint),
    renderDimensions(view, width, paint),
    renderTotal(view, paint),
    renderFaults(view.report, width, paint),
    renderDamaged(view, width, paint),
    renderRefusals(view.summary.refusals, width, paint),
    view.keep ?? [],
  ]
  return `${sections
    .filter((lines) => lines.length > 0)
    .map((lines) => lines.join('\n'))
    .join('\n\n')}\n`
}

function renderHead({ log, report, summary }: RehearsalView, paint: Paint): readonly string[] {
  const { lines, events } = report
  const lineNotes = [
    lines.malformed > 0 ? `${group(lines.malformed)} malformed` : '',
    lines.truncated > 0 ? `${group(lines.truncated)} truncated, counted` : '',
  ].filter(Boolean)
  const notes = (['late', 'duplicate', 'refused'] as const).flatMap((name) =>
    events[name] > 0 ? [`${group(events[name])} ${name}`] : [],
  )
  return [
    `${paint('Rehearsal', 'bold')} of ${escapeControls(log)}  ${paint('SIMULATED: nothing left this machine', 'faint')}`,
    '',
    row('lines', `${group(lines.read)} read${lineNotes.length > 0 ? ` (${lineNotes.join('; ')})` : ''}`),
    row('events', [`${group(events.accepted)} accepted`, ...notes].join(' · ')),
    row('buyers', group(report.buyers)),
    ...period(summary),
  ]
}

function row(name: string, text: string): string {
  return `  ${alignLeft(name, 10)}${text}`
}

function period({ hours }: TallySummary): readonly string[] {
  let first = Infinity
  let last = -Infinity
  for (const hour of hours.keys()) {
    if (hour < first) first = hour
    if (hour > last) last = hour
  }
  if (first > last) return []
  const text = (ms: number) => new Date(ms).toISOString().slice(0, 16).replace('T', ' ')
  const span = last - first + 1
  return [
    row(
      'time',
      `${text(first * HOUR_MS)} to ${text((last + 1) * HOUR_MS)} UTC, ${group(span)} ${plural(span, 'hour')}`,
    ),
  ]
}

function renderBuyers({ report, dimensions }: RehearsalView, width: number, paint: Paint): readonly string[] {
  const { buyers, currency } = report.bill
  if (buyers.length === 0) return []
  const shown = buyers.slice(0, BUYERS_SHOWN_MAX)
  const others = buyers.slice(BUYERS_SHOWN_MAX)
  const toCells = (name: string, units: (key: string) => Units, amount: string) => [
    name,
    ...dimensions.map(({ key }) => group(units(key))),
    money(amount),
  ]
  const rows = shown.map(({ buyer, units, amount }) =>
    toCells(
      fit(escapeControls(buyer), Math.min(NAME_WIDTH_MAX, Math.floor(width / 3))),
      (key) => unitsOf(units, key),
      amount,
    ),
  )
  if (others.length > 0) {
    rows.push(
      toCells(
        `and ${group(others.length)} more`,
        (key) => sumUnits(others, key),
        addAmounts(others.map(({ amount }) => amount)),
      ),
    )
  }
  const header = ['buyer', ...dimensions.map(({ key }) => key), currency]
  return table(header, rows, width, paint)
}

/** Not a plain look-up: a dimension may be named `constructor`. */
function unitsOf(units: BuyerBill['units'], key: string): Units {
  return Object.hasOwn(units, key) ? units[key]! : 0
}

function sumUnits(buyers: readonly BuyerBill[], key: string): string {
  return buyers.reduce((sum, { units }) => sum + BigInt(unitsOf(units, key)), 0n).toString()
}

function renderDimensions(
  { report, dimensions }: RehearsalView,
  width: number,
  paint: Paint,
): readonly string[] {
  const header = ['dimension', 'events', 'records', 'carried', 'billed', 'price', report.bill.currency]
  const rows = dimensions.flatMap(({ key, scale, price }) => {
    const dimension = report.dimensions[key]
    if (dimension === undefined) return []
    const { events, records, carried, billed } = dimension
    const amount = price === undefined ? '-' : money(priceOf(BigInt(billed), price))
    const left = group(formatBaseUnits(BigInt(carried), scale))
    const name = fit(key, Math.min(NAME_WIDTH_MAX, Math.floor(width / 3)))
    return [
      [name, group(events.accepted + events.late), group(records), left, group(billed), price ?? '-', amount],
    ]
  })
  return table(header, rows, width, paint)
}

function renderTotal({ report, dimensions }: RehearsalView, paint: Paint): readonly string[] {
  const { bill, audit } = report
  const unpriced = dimensions.filter(({ price }) => price === undefined).map(({ key }) => key)
  const lines = [`${paint('Bill', 'bold')}   ${paint(`${money(bill.total)} ${bill.currency}`, 'bold')}`]
  if (unpriced.length > 0)
    lines.push(
      paint(
        `       without ${unpriced.join(', ')}: give a price, e.g. --price ${unpriced[0]}=0.002`,
        'faint',
      ),
    )
  const inDoubt = dimensions.flatMap(({ key, scale }) => {
    const amount = audit.accounts[key]?.in_doubt
    return amount === undefined ? [] : [`${group(formatBaseUnits(BigInt(amount), scale))} ${key}`]
  })
  const doubt = inDoubt.length > 0 ? `, but for what is in doubt: ${inDoubt.join(', ')}` : ''
  lines.push(
    audit.balanced
      ? `${paint('Audit', 'bold')}  ${paint('✓ balanced', 'good')}: log, ledger and AWS's side agree${doubt}`
      : `${paint('Audit', 'bold')}  ${paint('✗ NOT balanced', 'bad')}${doubt}`,
    ...audit.findings.map((finding) => `       ${paint(escapeControls(finding), 'bad')}`),
  )
  return lines
}

function renderFaults({ faults }: RehearsalReport, width: number, paint: Paint): readonly string[] {
  const struck = Object.entries(faults)
  if (struck.length === 0) return []
  return table(
    ['fault', 'times'],
    struck.map(([name, times]) => [escapeControls(name), group(times)]),
    width,
    paint,
  )
}

function renderDamaged({ report, summary }: RehearsalView, width: number, paint: Paint): readonly string[] {
  const { damaged } = summary
  if (damaged.length === 0) return []
  const lines = [paint('Damaged lines', 'bold')]
  for (const { line, counted, reason, excerpt } of damaged) {
    const fate = counted ? paint('counted', 'good') : paint('not counted', 'bad')
    lines.push(
      `  line ${line}: ${escapeControls(reason)} (${fate})`,
      paint(fit(`    ${escapeControls(excerpt)}`, width), 'faint'),
    )
  }
  const more = report.lines.malformed + report.lines.truncated - damaged.length
  if (more > 0) lines.push(paint(`  and ${group(more)} more`, 'faint'))
  return lines
}

function renderRefusals(refusals: readonly RefusalGroup[], width: number, paint: Paint): readonly string[] {
  if (refusals.length === 0) return []
  const lines = [paint('Refused', 'bold')]
  for (const { dimension, reason, count, firstLine, value } of refusals.slice(0, REFUSALS_SHOWN_MAX)) {
    const what = `${dimension === undefined ? '' : `${dimension}: `}${escapeControls(reason)}`
    const where = count === 1 ? `line ${firstLine}` : `first in line ${firstLine}`
    lines.push(`  ${group(count)} ${plural(count, 'event')}: ${what} (${where})`)
    if (value !== undefined)
      lines.push(paint(fit(`    ${escapeControls(JSON.stringify(value))}`, width), 'faint'))
  }
  const more = refusals.length - REFUSALS_SHOWN_MAX
  if (more > 0) lines.push(paint(`  and ${more} more ${plural(more, 'reason')}`, 'faint'))
  return lines
}

/**
 * The first column to the left, the others to the right. Where they do not all fit, columns are left out
 * from the middle on: never the name, never the last one.
 */
function table(
  header: readonly string[],
  rows: readonly (readonly string[])[],
  width: number,
  paint: Paint,
): readonly string[] {
  const widths = header.map((name, column) =>
    rows.reduce((widest, cells) => Math.max(widest, displayWidth(cells[column] ?? '')), displayWidth(name)),
  )
  const columns = header.map((_, column) => column)
  const total = () => columns.reduce((sum, column) => sum + widths[column]! + 2, 0)
  while (total() > width && columns.length > 2) columns.splice(-2, 1)
  const omitted = header.filter((_, column) => !columns.includes(column))
  const line = (cells: readonly string[]) =>
    columns
      .map((column) => (column === 0 ? alignLeft : alignRight)(cells[column] ?? '', widths[column]!))
      .join('  ')
  const lines = [paint(`  ${line(header)}`, 'bold'), ...rows.map((cells) => `  ${line(cells)}`)]
  if (omitted.length > 0)
    lines.push(paint(fit(`  (no room for ${omitted.join(', ')}; --json has all)`, width), 'faint'))
  return lines
}

/** `1234567.5` as `1,234,567.5`. */
function group(value: Units): string {
  const [whole, fraction] = String(value).split('.')
  const grouped = whole!.replace(/\B(?=(\d{3})+$)/g, ',')
  return fraction === undefined ? grouped : `${grouped}.${fraction}`
}

function money(amount: string): string {
  return group(amount)
}

function plural(count: number, noun: string): string {
  return count === 1 ? noun : `${noun}s`
}
