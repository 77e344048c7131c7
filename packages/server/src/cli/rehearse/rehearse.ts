import type { DynamoStoreConfig, PostgresStoreConfig } from '../../config/store.ts'
import { ACCOUNTS, type Account, type Balances } from '../../domain/usage/account.ts'
import { auditUsage } from '../../domain/usage/audit-usage.ts'
import { type Hour, hourEnd, hourOf, hourStart, MINUTE_MS } from '../../domain/usage/hour.ts'
import { CliError } from '../output.ts'
import { type AcceptedRecord, buildReport, type RehearsalReport } from './bill.ts'
import { createScaleFinder, type DimensionPlan, type DimensionSpec } from './dimension-spec.ts'
import { type FaultPreset, faultsAt } from './faults.ts'
import type { Log, LogFormat } from './log-reader.ts'
import type { Progress } from './progress.ts'
import { createTally, type Tally, type TallySummary } from './tally.ts'
import { createUsageReader, type LineReport, type LineUse } from './to-usage-reports.ts'
import { BATCH, createWorld, type World } from './world.ts'

export interface RehearsalOptions {
  readonly log: Log
  readonly format: LogFormat
  readonly plan: DimensionPlan
  readonly buyer: string
  readonly id: string | undefined
  readonly time: string | undefined
  readonly faults: FaultPreset | undefined
  readonly keep: string | undefined
  /** Where the ledger is made; default: a file. */
  readonly store: DynamoStoreConfig | PostgresStoreConfig | undefined
  readonly progress: Progress
}

export interface Rehearsal {
  readonly report: RehearsalReport
  readonly summary: TallySummary
  readonly specs: readonly DimensionSpec[]
  readonly directory: string
}

/** Lines that are put in order of time in memory. */
const LINES_MAX = 5_000_000
/** Minutes of each hour at which the jobs run: a quarter past closes the hour before, the others try again what failed. */
const JOB_MINUTES = [0, 15, 20, 30, 45]
/** After the log's end the clock goes on until all is settled: AWS's window, a month's end, an outage. */
const HOURS_AFTER_MAX = 72

/**
 * Replays a log through the real server, ledger and a simulated AWS on the log's own time.
 *
 * @throws {CliError} for a log that cannot be rehearsed
 */
export async function rehearse(options: RehearsalOptions): Promise<Rehearsal> {
  const { log, progress } = options
  const specs = await findSpecs(options)
  const tally = createTally(specs)
  const { uses, buyers } = await readUses(options, specs, tally)
  if (uses.length === 0)
    throw new CliError(
      `${log.name} has no line that can be counted${firstReason(tally)}: check --format, --buyer and --time`,
    )
  uses.sort((a, b) => a.time - b.time || a.line - b.line)
  const dimensions = specs.map(({ dimension }) => dimension)
  const world = await createWorld({
    dimensions,
    startAt: hourStart(hourOf(uses[0]!.time)),
    keep: options.keep,
    store: options.store,
  })
  try {
    await drive(world, uses, tally, options)
    await settle(world, progress)
    progress.end()
    const summary = tally.summary()
    const { balances, findings } = await readBalances(world)
    const report = buildReport({
      summary,
      dimensions,
      buyers: buyers.size,
      records: acceptedRecords(world),
      balances,
      findings,
      faults: world.simulator.faults.hits(),
    })
    return { report, summary, specs, directory: world.directory }
  } finally {
    progress.end()
    await world.close()
  }
}

/** How many decimals the log has decides a dimension's smallest unit where nobody said it. */
async function findSpecs({ log, plan, progress }: RehearsalOptions): Promise<readonly DimensionSpec[]> {
  if (plan.openScales.size === 0) return plan.specs
  const finder = createScaleFinder(plan)
  let lines = 0
  for await (const line of log.lines()) {
    if ('fields' in line) finder.see(line.fields)
    if (++lines % 10_000 === 0) progress.update(`reading ${log.name}`, lines, lines)
  }
  return finder.specs()
}

async function readUses(
  options: RehearsalOptions,
  specs: readonly DimensionSpec[],
  tally: Tally,
): Promise<{ uses: LineUse[]; buyers: Set<string> }> {
  const { log, format, buyer, id, time } = options
  const read = createUsageReader({ format, digest: log.digest, specs, buyer, id, time })
  const uses: LineUse[] = []
  const buyers = new Set<string>()
  for await (const line of log.lines()) {
    tally.line(line)
    if (!('fields' in line)) continue
    const use = read(line)
    if (use.kind === 'refused') tally.refusedLine(use)
    else {
      uses.push(use)
      buyers.add(use.buyer)
    }
    if (uses.length > LINES_MAX)
      throw new CliError(
        `${log.name} has more than ${LINES_MAX} lines: split it by time, and rehearse the parts`,
      )
  }
  return { uses, buyers }
}

function firstReason(tally: Tally): string {
  const { refusals, damaged } = tally.summary()
  const first = refusals[0]
  if (first !== undefined) return ` (line ${first.firstLine}: ${first.reason})`
  return damaged[0] === undefined ? '' : ` (line ${damaged[0].line}: ${damaged[0].reason})`
}

/** Hour by hour: new buyers subscribe, the hour's events arrive, the jobs run. */
async function drive(
  world: World,
  uses: readonly LineUse[],
  tally: Tally,
  { faults, progress }: RehearsalOptions,
): Promise<void> {
  const known = new Set<string>()
  const first = hourOf(uses[0]!.time)
  const hours = hourOf(uses.at(-1)!.time) - first + 1
  let next = 0
  for (let hour: Hour = first; hour < first + hours; hour++) {
    const begin = next
    while (next < uses.length && hourOf(uses[next]!.time) === hour) next++
    const ofThisHour = uses.slice(begin, next)
    world.advanceTo(hourStart(hour))
    await subscribeNew(world, ofThisHour, known)
    for (const fault of faultsAt(faults, hour - first, hours, hourStart(hour)))
      world.simulator.faults.order(fault)
    await runJobs(world, hour)
    world.advanceTo(hourEnd(hour) - 1)
    await send(world, ofThisHour, tally)
    progress.update(
      `metering ${new Date(hourStart(hour)).toISOString().slice(0, 16)}`,
      hour - first + 1,
      hours,
    )
  }
}

/** Runs the jobs at their minutes of an hour, before its events: they close the hour before. */
async function runJobs(world: World, hour: Hour): Promise<void> {
  for (const minute of JOB_MINUTES) {
    world.advanceTo(hourStart(hour) + minute * MINUTE_MS)
    await world.engine.jobs.runOnce()
  }
}

/** Buyers subscribe before they use anything: at the hour of their first use. */
async function subscribeNew(world: World, uses: readonly LineUse[], known: Set<string>): Promise<void> {
  for (const { buyer } of uses) {
    if (known.has(buyer)) continue
    known.add(buyer)
    await world.subscribe(buyer)
  }
}

/** Sends lines over HTTP, all dimensions of a line in one request, and counts their outcomes. */
async function send(world: World, uses: readonly LineUse[], tally: Tally): Promise<void> {
  let batch: LineUse[] = []
  let size = 0
  const flush = async () => {
    const reports: LineReport[] = batch.flatMap((use) => use.reports)
    const buyers = batch.flatMap((use) => use.reports.map(() => use.buyer))
    const outcomes = reports.length === 0 ? [] : await world.report(buyers, reports)
    let at = 0
    for (const use of batch) {
      tally.use(use, outcomes.slice(at, at + use.reports.length))
      at += use.reports.length
    }
    batch = []
    size = 0
  }
  for (const use of uses) {
    if (size + use.reports.length > BATCH) await flush()
    batch.push(use)
    size += use.reports.length
  }
  await flush()
}

/** The clock goes on until nothing is open or on its way. */
async function settle(world: World, progress: Progress): Promise<void> {
  const from = hourOf(world.now()) + 1
  for (let hour = from; hour < from + HOURS_AFTER_MAX; hour++) {
    await runJobs(world, hour)
    progress.update('settling what is left', hour - from, HOURS_AFTER_MAX)
    const status = await world.engine.ledger.usage.status(undefined)
    if (status.openBuckets + status.heldBuckets + status.records.ready + status.records.sent === 0) return
  }
}

async function readBalances(
  world: World,
): Promise<{ balances: ReadonlyMap<string, Balances>; findings: readonly string[] }> {
  const { usage } = world.engine.ledger
  const sums = new Map<string, Record<Account, bigint>>()
  await usage.audit((page) => {
    for (const meter of page) {
      const sum =
        sums.get(meter.dimension) ??
        (Object.fromEntries(ACCOUNTS.map((account) => [account, 0n])) as Record<Account, bigint>)
      for (const account of ACCOUNTS) sum[account] += meter.balances[account]
      sums.set(meter.dimension, sum)
    }
  })
  const audit = await auditUsage(usage)
  return {
    balances: sums,
    findings: audit.discrepancies.map(
      ({ subscription, dimension, what }) => `${subscription} ${dimension}: ${what}`,
    ),
  }
}

function* acceptedRecords(world: World): Generator<AcceptedRecord> {
  const { marketplace } = world.simulator
  const page = 10_000
  for (let from = 0; from < marketplace.recordCount; from += page) {
    for (const record of marketplace.listRecords({ from, limit: page })) {
      yield {
        buyer: world.buyerOf(record.subscriptionId),
        dimension: record.dimension,
        units: BigInt(record.quantity),
      }
    }
  }
}
