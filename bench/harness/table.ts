import { type Aim, isReached, type Row } from './row.ts'

const HEAD = [
  '',
  'what',
  'limit, same run',
  'ratio',
  'aim',
  'figure',
  'CPU µs/request',
  'p50 µs',
  'p99 µs',
  'noise',
]

export function renderTable(rows: readonly Row[]): string {
  const lines = [HEAD, ...rows.map(toCells)]
  const widths = HEAD.map((_, column) => Math.max(...lines.map((line) => line[column]!.length)))
  return lines
    .map((line) =>
      line
        .map((cell, column) => cell.padEnd(widths[column]!))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}

function toCells(row: Row): string[] {
  return [
    row.aim === undefined ? '' : isReached(row) ? 'ok' : 'no',
    row.what,
    row.limit,
    short(row.ratio),
    row.aim === undefined ? '' : aimText(row.aim),
    row.figure,
    row.cpuUs === undefined ? '' : row.cpuUs.toFixed(1),
    row.latency === undefined ? '' : count(row.latency.p50Us),
    row.latency === undefined ? '' : count(row.latency.p99Us),
    row.noise === undefined ? '' : `${short(row.noise[0])}–${short(row.noise[1])}`,
  ]
}

function aimText(aim: Aim): string {
  if ('atLeast' in aim) return `≥ ${aim.atLeast}`
  if ('atMost' in aim) return `≤ ${aim.atMost}${aim.unit ?? '×'}`
  return `= ${aim.exactly}`
}

function short(value: number): string {
  return value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2)
}

/** 12,345 */
export function count(value: number): string {
  return Math.round(value).toLocaleString('en-US')
}
