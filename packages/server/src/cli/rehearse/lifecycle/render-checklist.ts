import { alignLeft, displayWidth, escapeControls } from '../terminal-text.ts'
import type { GroupResult, ItemResult, ProductResult } from './play-checklist.ts'
import type { LifecycleReport } from './rehearse-lifecycle.ts'

const STYLES = { bold: 1, faint: 2, bad: 31, good: 32 } as const
type Paint = (text: string, style: keyof typeof STYLES) => string

const WIDTH_MIN = 48
const WIDTH_MAX = 120
/** Where what belongs to an item begins. */
const INDENT = 12

/** The checklist for a person. What came from a server or a configuration is made harmless for the terminal. */
export function renderChecklist(
  report: LifecycleReport,
  { width, color }: { readonly width?: number | undefined; readonly color: boolean },
): string {
  const paint: Paint = (text, style) => (color ? `\x1b[${STYLES[style]}m${text}\x1b[0m` : text)
  const columns = Math.min(WIDTH_MAX, Math.max(WIDTH_MIN, width ?? 100))
  const sections = [
    [
      `${paint('The integration checklist of AWS Marketplace', 'bold')}  ${paint('SIMULATED: nothing left this machine', 'faint')}`,
    ],
    ...report.products.map((product) => renderProduct(product, columns, paint)),
    [renderSummary(report, paint)],
  ]
  return `${sections.map((lines) => lines.join('\n')).join('\n\n')}\n`
}

function renderProduct({ product, groups }: ProductResult, width: number, paint: Paint): readonly string[] {
  const { title, id, metering, pricing } = product
  const how = `${id}, ${metering === 'license' ? 'metered by license' : 'legacy metering'}, ${PRICINGS[pricing]}`
  return [
    `${paint(escapeControls(title), 'bold')}  ${paint(how, 'faint')}`,
    ...groups.flatMap((group, index) => renderGroup(group, index + 1, width, paint)),
  ]
}

const PRICINGS = {
  usage: 'paid by use',
  contract: 'contract',
  'contract-with-consumption': 'contract with consumption',
} as const

function renderGroup({ title, items }: GroupResult, number: number, width: number, paint: Paint): string[] {
  const asked = items.filter(({ outcome }) => outcome !== 'notAsked')
  const head = `  ${number}  ${title}`
  if (asked.length > 0) return [head, ...items.flatMap((item) => renderItem(item, width, paint))]
  const [first] = items
  return [paint(`${head}: ${first?.outcome === 'notAsked' ? first.why : 'nothing'}`, 'faint')]
}

function renderItem(item: ItemResult, width: number, paint: Paint): string[] {
  const id = alignLeft(item.id, 6)
  if (item.outcome === 'notAsked') return [paint(`    – ${id}${item.title} (${item.why})`, 'faint')]
  if (item.outcome === 'passed') {
    const note = item.note === undefined ? '' : paint(`  ${escapeControls(item.note)}`, 'faint')
    return [`    ${paint('✓', 'good')} ${id}${item.title}${note}`]
  }
  const detail = (name: string, text: string) =>
    wrap(escapeControls(text), width - INDENT - 11).map(
      (line, index) => `${' '.repeat(INDENT)}${alignLeft(index === 0 ? name : '', 11)}${line}`,
    )
  return [
    `    ${paint('✗', 'bad')} ${id}${paint(item.title, 'bad')}`,
    ...detail('expected', item.expected),
    ...detail('seen', item.seen),
    ...detail('look at', item.look),
  ]
}

function renderSummary({ passed, failed, durationMs, products }: LifecycleReport, paint: Paint): string {
  const seconds = (durationMs / 1000).toFixed(1)
  const of = `${products.length} ${products.length === 1 ? 'product' : 'products'}, ${seconds} s`
  return failed === 0
    ? `${paint(`✓ All ${passed} items pass`, 'good')}  ${of}`
    : `${paint(`✗ ${failed} of ${passed + failed} items failed`, 'bad')}  ${of}`
}

/** Breaks a text at spaces where it is too long for a line. */
function wrap(text: string, width: number): string[] {
  const lines: string[] = []
  for (const word of text.split(' ')) {
    const last = lines.at(-1)
    if (last !== undefined && displayWidth(last) + 1 + displayWidth(word) <= width)
      lines[lines.length - 1] = `${last} ${word}`
    else lines.push(word)
  }
  return lines
}
