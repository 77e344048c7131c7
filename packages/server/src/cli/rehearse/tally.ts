import { type Hour, hourOf } from '../../domain/usage/hour.ts'
import { parseQuantity } from '../../domain/usage/quantity.ts'
import type { EventOutcome, EventStatus } from '../../domain/usage/usage-event.ts'
import type { DimensionSpec } from './dimension-spec.ts'
import { excerptOf, type LogLine } from './log-line.ts'
import type { LineUse, RefusedLine } from './to-usage-reports.ts'

/** Damaged lines that are kept to be shown. */
export const NOTES_MAX = 10
/** Reasons that are counted apart; later ones are counted together. */
export const REASONS_MAX = 50

const OTHER_REASONS = 'other reasons'

/** Lines of the log, blank ones and a CSV header left out. */
export interface LineCounts {
  readonly read: number
  /** Could not be read at all. */
  readonly malformed: number
  /** Damaged, but read and counted. */
  readonly truncated: number
}

/**
 * Events: one for each line that could be read, whatever the number of dimensions, so that
 * `read = malformed + accepted + duplicate + refused + late` holds at the end.
 *
 * - `refused`: any of its dimensions was (a conflict is one, and so is a field that could not be read);
 *   the others count nevertheless
 * - else `late`: any of them counts in a later hour
 * - else `accepted`: any of them counts now; the rest, if any, was known
 * - else `duplicate`: all of it was known
 */
export interface EventCounts {
  readonly accepted: number
  readonly duplicate: number
  readonly refused: number
  readonly late: number
}

export type EventOutcomeName = keyof EventCounts

export type ReportOutcome = Pick<EventOutcome, 'status' | 'reason'>

export interface DamagedLine {
  readonly line: number
  readonly counted: boolean
  readonly reason: string
  readonly excerpt: string
}

/** Events refused for the same reason. */
export interface RefusalGroup {
  /** None where the whole line was refused. */
  readonly dimension: string | undefined
  readonly reason: string
  readonly count: number
  readonly firstLine: number
  /** What stood in that first line. */
  readonly value: string | undefined
}

export interface TallySummary {
  readonly lines: LineCounts
  readonly events: EventCounts
  /** The reports of each dimension; a conflict is a refusal. */
  readonly dimensions: ReadonlyMap<string, EventCounts>
  /** Base units by the log alone, for `sum` and `count`: what the ledger must have measured. */
  readonly expected: ReadonlyMap<string, ExpectedUsage>
  /** Events that count, by the hour that they happened in. */
  readonly hours: ReadonlyMap<Hour, number>
  /** The first few. */
  readonly damaged: readonly DamagedLine[]
  /** Most frequent first. */
  readonly refusals: readonly RefusalGroup[]
}

export interface ExpectedUsage {
  /** Accepted or late. */
  readonly counted: bigint
  /** Turned away by the server, which keeps some of it as unbillable. */
  readonly refused: bigint
}

/** Counts what becomes of a log's lines. Its memory does not grow with the log, but by its hours. */
export interface Tally {
  line(line: LogLine): void
  refusedLine(line: RefusedLine): void
  /** @param outcomes - one for each of `use.reports`, in their order */
  use(use: LineUse, outcomes: readonly ReportOutcome[]): void
  summary(): TallySummary
}

export function eventOutcome(statuses: readonly EventStatus[]): EventOutcomeName {
  const seen = new Set(statuses.map(outcomeName))
  if (seen.has('refused') || seen.size === 0) return 'refused'
  if (seen.has('late')) return 'late'
  return seen.has('accepted') ? 'accepted' : 'duplicate'
}

function outcomeName(status: EventStatus): EventOutcomeName {
  return status === 'conflict' ? 'refused' : status
}

export function createTally(specs: readonly DimensionSpec[]): Tally {
  const lines = { read: 0, malformed: 0, truncated: 0 }
  const events = noEvents()
  const dimensions = new Map(specs.map(({ dimension }) => [dimension.key, noEvents()]))
  const additive = specs.flatMap(({ dimension }) =>
    dimension.aggregation === 'sum' || dimension.aggregation === 'count' ? [dimension] : [],
  )
  const scales = new Map(additive.map((dimension) => [dimension.key, dimension.scale]))
  const expected = new Map(additive.map((dimension) => [dimension.key, { counted: 0n, refused: 0n }]))
  const hours = new Map<Hour, number>()
  const damaged: DamagedLine[] = []
  const refusals = new Map<string, RefusalGroup>()

  function note(line: number, counted: boolean, reason: string, excerpt: string): void {
    if (damaged.length < NOTES_MAX) damaged.push({ line, counted, reason, excerpt })
  }

  function refuse(line: number, reason: string, dimension?: string, value?: string): void {
    const key = JSON.stringify([dimension, reason])
    const isNew = !refusals.has(key)
    const overflow = isNew && refusals.size >= REASONS_MAX
    const at = overflow ? OTHER_REASONS : key
    const group = refusals.get(at) ?? {
      dimension: overflow ? undefined : dimension,
      reason: overflow ? OTHER_REASONS : reason,
      count: 0,
      firstLine: line,
      value: overflow || value === undefined ? undefined : excerptOf(value),
    }
    refusals.set(at, { ...group, count: group.count + 1 })
  }

  return {
    line(line) {
      lines.read++
      if ('malformed' in line) {
        lines.malformed++
        note(line.line, false, line.malformed, line.excerpt)
      } else if (line.truncated) {
        lines.truncated++
        note(line.line, true, line.reason ?? 'damaged', line.excerpt ?? '')
      }
    },
    refusedLine(line) {
      events.refused++
      refuse(line.line, line.reason, undefined, line.value)
    },
    use(use, outcomes) {
      const statuses: EventStatus[] = []
      for (const { dimension, reason, value } of use.refused) {
        statuses.push('refused')
        dimensions.get(dimension)!.refused++
        refuse(use.line, reason, dimension, value)
      }
      for (const [index, report] of use.reports.entries()) {
        const outcome = outcomes[index]!
        const name = outcomeName(outcome.status)
        statuses.push(outcome.status)
        dimensions.get(report.dimension)![name]++
        if (name === 'refused') refuse(use.line, outcome.reason ?? outcome.status, report.dimension)
        const usage = expected.get(report.dimension)
        if (usage !== undefined && name !== 'duplicate') {
          const base = parseQuantity(report.quantity ?? '1', scales.get(report.dimension) ?? 0)
          usage[name === 'refused' ? 'refused' : 'counted'] += BigInt(typeof base === 'number' ? base : 0)
        }
      }
      const outcome = eventOutcome(statuses)
      events[outcome]++
      const counts = statuses.some((status) => status === 'accepted' || status === 'late')
      if (counts) hours.set(hourOf(use.time), (hours.get(hourOf(use.time)) ?? 0) + 1)
    },
    summary: () => ({
      lines: { ...lines },
      events: { ...events },
      dimensions: new Map([...dimensions].map(([key, counts]) => [key, { ...counts }])),
      expected: new Map([...expected].map(([key, usage]) => [key, { ...usage }])),
      hours: new Map(hours),
      damaged: [...damaged],
      refusals: [...refusals.values()].sort((a, b) => b.count - a.count || a.firstLine - b.firstLine),
    }),
  }
}

function noEvents(): { -readonly [Name in EventOutcomeName]: number } {
  return { accepted: 0, duplicate: 0, refused: 0, late: 0 }
}
