import { Command } from 'commander'
import { composeIngest, createAgreements, type Ledger } from '../../compose.ts'
import type { Clock } from '../../domain/clock.ts'
import { importAgreements } from '../../domain/subscriptions/import/import-agreements.ts'
import {
  type ImportedItem,
  type ImportReport,
  importSubscribers,
  type MeteringImport,
} from '../../domain/subscriptions/import/import-subscribers.ts'
import { type MeteringRow, readMeteringRow } from '../../domain/subscriptions/import/read-metering-row.ts'
import { readSubscriber } from '../../domain/subscriptions/import/read-subscriber.ts'
import type { RowProblem } from '../../domain/subscriptions/import/source-row.ts'
import type { Subscriber } from '../../domain/subscriptions/import/subscriber.ts'
import { createReceiveEvent } from '../../domain/subscriptions/receive-event.ts'
import { checkLive } from '../check-live.ts'
import { type CommonOptions, changeLedger, cliActor, withLedger } from '../context.ts'
import { CliError, guarded, integerOption, print } from '../output.ts'
import { readSource } from './import-source.ts'

interface ImportOptions extends CommonOptions {
  readonly product?: string
  readonly metering?: string
  readonly dryRun?: boolean
  readonly tell?: boolean
  readonly askAws?: boolean
  readonly backDays: string
}

const DAY_MS = 86_400_000
const BACK_DAYS_MAX = 35
/** Of each list in text; `--json` has all. */
const SHOWN_MAX = 100
const AGREEMENTS = 'agreements'

/** Subscribers of an older system: AWS's serverless sample, tables in its manner, CSV, or AWS itself. */
export function subscriptionImportCommand(): Command {
  return new Command('import')
    .description('bring in subscribers of another system: see docs/import.md')
    .argument(
      '<source>',
      'a JSON or CSV file, a folder of an export to S3, dynamodb://TABLE?region=…, or `agreements` for what AWS itself knows',
    )
    .option('--product <id>', 'rows that name no product are of this one; others are set aside')
    .option('--metering <source>', 'the metering table as well: what was never sent is reported')
    .option('--ask-aws', 'find licenses and accounts that rows do not know by AWS’s agreements')
    .option('--dry-run', 'show what would happen, and write nothing')
    .option('--tell', 'tell webhooks that access starts, as if the buyers were new')
    .option('--back-days <n>', 'take unsent usage this many days back', '7')
    .option('--config <file>', 'configuration file')
    .option('--json', 'print JSON')
    .action(
      guarded(async (source: string, options: ImportOptions) => {
        const acceptBackMs = integerOption('--back-days', options.backDays, 1, BACK_DAYS_MAX) * DAY_MS
        const open = options.dryRun ? withLedger : changeLedger
        const report = await open(options, (ledger, clock) =>
          runImport(ledger, clock, source, { ...options, acceptBackMs }),
        )
        print(options.json, report, () => textOf(report))
        const refused = report.metering?.problems.length ?? 0
        if (report.problems.length + report.differs.length + refused > 0) process.exitCode = 2
      }),
    )
}

async function runImport(
  ledger: Ledger,
  clock: Clock,
  source: string,
  given: ImportOptions & { readonly acceptBackMs: number },
): Promise<ImportReport> {
  const { config, catalog, cases, buyers, subscriptions } = ledger
  const product = given.product === undefined ? undefined : catalog.find(given.product)
  if (given.product !== undefined && product === undefined)
    throw new CliError(
      `--product must be one of ${catalog
        .list()
        .map(({ id }) => id)
        .join(', ')}, not ${JSON.stringify(given.product)}`,
    )
  const { acceptBackMs } = given
  const options = {
    product,
    dryRun: given.dryRun ?? false,
    tell: given.tell ?? false,
    acceptBackMs,
    actor: cliActor(),
    ...(!given.json && process.stderr.isTTY && { onProgress: showProgress }),
  }
  const metering = given.metering === undefined ? undefined : await readMetering(given.metering, ledger)
  const deps = {
    cases,
    buyers,
    subscriptions,
    catalog,
    ingest: composeIngest(ledger, clock, { acceptBackMs }),
  }
  if (source === AGREEMENTS) {
    if (!catalog.list().some(({ productId }) => productId !== undefined))
      throw new CliError(
        'AWS finds agreements by product: say productId (prod-…) of each product in the configuration',
      )
    await checkLive(config)
    const receive = createReceiveEvent({ cases, catalog, clock })
    const agreements = await createAgreements(config)
    return importAgreements({ ...deps, agreements, receive }, metering, options, clock.now())
  }
  if (given.askAws) await checkLive(config)
  const read = await readSubscribers(source, ledger)
  const agreements = given.askAws ? await createAgreements(config) : undefined
  return importSubscribers({ ...deps, agreements }, { ...read, metering }, options, clock.now())
}

const PROGRESS_EVERY = 100

function showProgress(done: number, all: number): void {
  if (done === all) process.stderr.write('\r\x1b[K')
  else if (done % PROGRESS_EVERY === 0) process.stderr.write(`\r${done} of ${all} buyers`)
}

async function readSubscribers(
  source: string,
  { config }: Ledger,
): Promise<{ subscribers: Subscriber[]; problems: RowProblem[] }> {
  const table = await readSource(source, config)
  const subscribers: Subscriber[] = []
  const problems = [...table.problems]
  for (const row of table.rows) {
    const read = readSubscriber(row)
    if ('reason' in read) problems.push(read)
    else subscribers.push(read)
  }
  return { subscribers, problems }
}

async function readMetering(
  source: string,
  { config }: Ledger,
): Promise<{ rows: MeteringRow[]; problems: RowProblem[] }> {
  const table = await readSource(source, config)
  const rows: MeteringRow[] = []
  const problems = [...table.problems]
  for (const row of table.rows) {
    const read = readMeteringRow(row)
    if ('usage' in read) rows.push(read)
    else problems.push(read)
  }
  return { rows, problems }
}

function textOf(report: ImportReport): string {
  const { dryRun, rows, imported, completed, known, differs, contacts, problems, metering } = report
  const counts = new Map<string, number>()
  for (const { status } of imported) counts.set(status, (counts.get(status) ?? 0) + 1)
  const kinds = [...counts].map(([status, count]) => `${count} ${status}`).join(', ')
  const would = dryRun ? ' to import' : ' imported'
  const filled =
    completed.length === 0
      ? ''
      : ` ${completed.length} known ${dryRun ? 'to be ' : ''}given their tenant or plan,`
  return [
    ...(dryRun ? ['Dry run: nothing is written.'] : []),
    `${rows} subscribers read: ${imported.length}${would}${kinds === '' ? '' : ` (${kinds})`},${filled} ${known} known already, ${differs.length} known otherwise, ${problems.length} set aside. ${contacts} contacts ${dryRun ? 'to add' : 'added'}.`,
    ...list('Not plain:', imported.filter(({ notes }) => notes.length > 0).map(itemText)),
    ...list('Known otherwise, left as they are:', differs.map(itemText)),
    ...list('Set aside:', problems.map(problemText)),
    ...(metering === undefined ? [] : meteringText(metering)),
  ].join('\n')
}

function meteringText({ rows, pending, taken, unknown, problems }: MeteringImport): string[] {
  const outcomes = Object.entries(pending.outcomes ?? {}).map(([status, count]) => `${count} ${status}`)
  const became =
    pending.outcomes === undefined
      ? `to be reported as ${pending.events} events (those reported before count once)`
      : `reported as ${pending.events} events${outcomes.length === 0 ? '' : `: ${outcomes.join(', ')}`}`
  return [
    `${rows} metering rows: ${taken} taken by AWS, ${pending.rows} never sent and ${became}, ${unknown.length} of unknown fate, never sent again.`,
    ...list('Counted in a later hour than its own:', pending.moved.map(problemText)),
    ...list('Usage set aside:', problems.map(problemText)),
    ...list(
      'Of unknown fate: look in CloudTrail for BatchMeterUsage of the customer and in the month’s seller report; what AWS does not have and still takes, report with `tollkeeper usage import`:',
      unknown.map(
        ({ where, customer, usedAt, usage, reason }) =>
          `${where}: ${customer}, used ${usedAt}, ${usage.join(' ')}: ${reason}`,
      ),
    ),
  ]
}

function list(title: string, lines: readonly string[]): string[] {
  if (lines.length === 0) return []
  const more = lines.length - SHOWN_MAX
  return [
    title,
    ...lines.slice(0, SHOWN_MAX).map((line) => `  ${line}`),
    ...(more > 0 ? [`  and ${more} more: see --json`] : []),
  ]
}

function itemText({
  where,
  licenseArn,
  customerIdentifier,
  status,
  entitlements,
  notes,
}: ImportedItem): string {
  const who = customerIdentifier ?? licenseArn?.slice(-34) ?? ''
  const entitled = entitlements.length === 0 ? '' : ` (${entitlements.join(' ')})`
  return `${where}: ${who} ${status}${entitled}: ${notes.join('; ')}`
}

function problemText({ where, reason }: RowProblem): string {
  return `${where}: ${reason}`
}
