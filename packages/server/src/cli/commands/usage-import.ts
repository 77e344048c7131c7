import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { createInterface } from 'node:readline'
import { Command } from 'commander'
import { composeIngest } from '../../compose.ts'
import type { IngestUsage, UsageReport } from '../../domain/usage/ingest-usage.ts'
import { parseJson } from '../../domain/usage/read-json.ts'
import { readUsageEvent } from '../../domain/usage/read-usage-event.ts'
import type { EventStatus } from '../../domain/usage/usage-event.ts'
import { type CommonOptions, changeLedger } from '../context.ts'
import { CliError, guarded, integerOption, print } from '../output.ts'

const BATCH = 1_000
const BACK_DAYS_MAX = 35
const DAY_MS = 86_400_000
/** A line is one event: more is a mistake. */
const LINE_LENGTH_MAX = 65_536
const PROBLEMS_SHOWN_MAX = 20

interface Problem {
  readonly problem: string
}

interface ImportReport {
  readonly lines: number
  readonly outcomes: Record<EventStatus, number>
  readonly problems: { line: number; reason: string }[]
}

/** Events from a file of JSON lines, with their own window of time. */
export function importCommand(): Command {
  return new Command('import')
    .description('take in usage events from a file of JSON lines (the body of POST /meter on each)')
    .argument('<file>', 'NDJSON; - reads standard input')
    .option(
      '--back-days <n>',
      'take events this many days back; a time whose ids the ledger has forgotten is refused all the same',
      '7',
    )
    .option('--config <file>', 'configuration file')
    .option('--json', 'print JSON')
    .action(
      guarded(async (file: string, options: CommonOptions & { backDays: string }) => {
        const backDays = integerOption('--back-days', options.backDays, 1, BACK_DAYS_MAX)
        if (
          file !== '-' &&
          !(await stat(file).then(
            (found) => found.isFile(),
            () => false,
          ))
        )
          throw new CliError(`${file} is not a file that can be read`)
        const report = await changeLedger(options, (ledger, clock) =>
          importLines(file, composeIngest(ledger, clock, { acceptBackMs: backDays * DAY_MS }), options.json),
        )
        print(options.json, report, () =>
          [
            `${report.lines} lines: ${
              Object.entries(report.outcomes)
                .filter(([, count]) => count > 0)
                .map(([status, count]) => `${count} ${status}`)
                .join(', ') || 'nothing'
            }.`,
            ...report.problems
              .slice(0, PROBLEMS_SHOWN_MAX)
              .map(({ line, reason }) => `line ${line}: ${reason}`),
          ].join('\n'),
        )
        if (report.outcomes.refused + report.outcomes.conflict > 0) process.exitCode = 2
      }),
    )
}

async function importLines(
  file: string,
  ingest: IngestUsage,
  quiet: boolean | undefined,
): Promise<ImportReport> {
  const report: ImportReport = {
    lines: 0,
    outcomes: { accepted: 0, late: 0, duplicate: 0, conflict: 0, refused: 0 },
    problems: [],
  }
  let lines = 0
  let batch: { line: number; report: UsageReport | Problem }[] = []
  const flush = async () => {
    const readable = batch.flatMap(({ report: read }) => ('problem' in read ? [] : [read]))
    const outcomes = await ingest(readable)
    let next = 0
    for (const { line, report: read } of batch) {
      const outcome =
        'problem' in read ? { status: 'refused' as const, reason: read.problem } : outcomes[next++]!
      report.outcomes[outcome.status]++
      if ((outcome.status === 'refused' || outcome.status === 'conflict') && report.problems.length < 1_000)
        report.problems.push({ line, reason: outcome.reason ?? outcome.status })
    }
    batch = []
    if (!quiet && process.stderr.isTTY) process.stderr.write(`\r${lines} lines`)
  }
  for await (const text of createInterface({
    input: file === '-' ? process.stdin : createReadStream(file),
    crlfDelay: Number.POSITIVE_INFINITY,
  })) {
    lines++
    if (text.trim() === '') continue
    batch.push({ line: lines, report: readLine(text) })
    if (batch.length === BATCH) await flush()
  }
  await flush()
  if (!quiet && process.stderr.isTTY) process.stderr.write('\r\x1b[K')
  return { ...report, lines }
}

/** The body of `POST /meter`, read as the API reads it: a misspelt field would silently change who pays. */
function readLine(text: string): UsageReport | Problem {
  if (text.length > LINE_LENGTH_MAX) return { problem: `is longer than ${LINE_LENGTH_MAX} characters` }
  try {
    const read = readUsageEvent(parseJson(text, 'the line'))
    return 'reason' in read ? { problem: `${read.field} ${read.reason}`.trim() } : read
  } catch (error) {
    return { problem: (error as Error).message }
  }
}
