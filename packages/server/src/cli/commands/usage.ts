import { readFileSync } from 'node:fs'
import { Command } from 'commander'
import { composeEngine, type Ledger } from '../../compose.ts'
import type { Clock } from '../../domain/clock.ts'
import { auditUsage } from '../../domain/usage/audit-usage.ts'
import { notYetDue } from '../../domain/usage/close-due-buckets.ts'
import { decideHold, type HoldVerdict } from '../../domain/usage/decide-hold.ts'
import { hourOf, hourText } from '../../domain/usage/hour.ts'
import { formatBaseUnits } from '../../domain/usage/quantity.ts'
import { statusAt, worthAtRisk } from '../../domain/usage/usage-at-risk.ts'
import type { BaseAmount, BucketKey, UnsealedHours } from '../../domain/usage/usage-store.ts'
import { checkLive } from '../check-live.ts'
import { type CommonOptions, changeLedger, cliActor, withLedger } from '../context.ts'
import { CliError, guarded, integerOption, print, table } from '../output.ts'
import { compareCommand } from './usage-compare.ts'
import { explainCommand } from './usage-explain.ts'
import { importCommand } from './usage-import.ts'

export function usageCommand(): Command {
  const command = new Command('usage').description(
    'the ledger: what was used, what AWS was told, what is at risk',
  )
  command.addCommand(statusCommand())
  command.addCommand(submitCommand())
  command.addCommand(auditCommand())
  command.addCommand(explainCommand())
  command.addCommand(importCommand())
  command.addCommand(compareCommand())
  command.addCommand(holdCommand())
  command.addCommand(pauseCommand())
  command.addCommand(resumeCommand())
  command.addCommand(resolveCommand())
  return command
}

function onLedger(name: string, description: string): Command {
  return new Command(name)
    .description(description)
    .option('--config <file>', 'configuration file')
    .option('--json', 'print JSON')
}

function statusCommand(): Command {
  return onLedger(
    'status',
    'usage at risk: the oldest hour that AWS does not have, how long it still takes it, what it is worth',
  )
    .option('--product <id>', 'only of this product')
    .action(
      guarded(async (options: CommonOptions & { product?: string }) => {
        const found = await withLedger(options, (ledger, clock) =>
          readStatus(ledger, options.product, clock.now()),
        )
        print(options.json, found, () => statusText(found))
      }),
    )
}

async function readStatus({ usage, catalog, guard }: Ledger, product: string | undefined, now: number) {
  const status = await usage.status(product, statusAt(catalog, now))
  const { oldest } = status
  const { pending, total } = worthAtRisk(status, catalog)
  return {
    at: new Date(now).toISOString(),
    ...status,
    oldest: oldest && {
      product: oldest.product,
      hour: hourText(oldest.hour),
      deadline: new Date(oldest.deadline).toISOString(),
      timeLeftMs: oldest.deadline - now,
    },
    overdue: status.overdue.map(shownHours),
    held: status.held.map(shownHours),
    pending,
    atRisk: total,
    waiting: guard.waiting(),
    halts: await usage.listHalts(),
    alarms: await usage.listAlarms(20),
  }
}

function shownHours({ oldestHour, deadline, ...hours }: UnsealedHours) {
  return { ...hours, oldestHour: hourText(oldestHour), deadline: new Date(deadline).toISOString() }
}

function statusText(found: Awaited<ReturnType<typeof readStatus>>): string {
  const { oldest, waiting } = found
  const counted = Object.entries(found.records).filter(([, count]) => count > 0)
  return [
    ...(waiting === undefined
      ? []
      : [`WAITING: ${waiting.reason}. Nothing is taken or sent until: tollkeeper usage resolve ledger`]),
    oldest === undefined
      ? 'Nothing is at risk: AWS has every sealed hour.'
      : `At risk: ${found.atRisk} USD. Oldest unsent hour: ${oldest.hour} of ${oldest.product}; AWS takes it for ${duration(oldest.timeLeftMs)} more (until ${oldest.deadline}).`,
    `Open hours: ${found.openBuckets}. Held for a person: ${found.heldBuckets}.`,
    ...(counted.length === 0 ? [] : ['', table(['records', 'count'], counted)]),
    ...found.pending.map(
      ({ product, dimension, units, amount }) =>
        `not accepted yet: ${units} ${dimension} of ${product}${amount === undefined ? ', no price configured' : `, ${amount} USD`}`,
    ),
    ...found.overdue.map(
      ({ product, buckets, oldestHour, deadline }) =>
        `OVERDUE: ${buckets} hours of ${product} are not sealed, the oldest ${oldestHour}; AWS takes it until ${deadline}`,
    ),
    ...baseAmounts('carried to a next hour', found.carried),
    ...baseAmounts('unbillable', found.unbillable),
    ...baseAmounts('refused without a record', found.refusedUnrecorded),
    ...baseAmounts('forgiven at an end', found.forgiven),
    ...(found.lateAcrossMonths > 0
      ? [`${found.lateAcrossMonths} late events were billed in another month than their own`]
      : []),
    ...(found.lateAcrossAgreements > 0
      ? [`${found.lateAcrossAgreements} late events of a renewed agreement were billed under its successor`]
      : []),
    ...found.halts.map(
      ({ product, reason, probeAt }) =>
        `STOPPED: ${product}: ${reason}${probeAt === undefined ? ' (tollkeeper usage resume ends it)' : ''}`,
    ),
    ...found.alarms.map(
      ({ at, kind, message, count }) =>
        `${new Date(at).toISOString()} ${kind}${count > 1 ? ` (${count} times)` : ''}: ${message}`,
    ),
  ].join('\n')
}

function baseAmounts(what: string, amounts: readonly BaseAmount[]): string[] {
  return amounts.map(
    ({ product, dimension, base }) => `${what}: ${base} base units of ${product}/${dimension}`,
  )
}

/** Rows that a dry run shows of each kind. */
const DRY_RUN_MAX = 1_000

function submitCommand(): Command {
  return onLedger('submit', 'close what is due and send it now')
    .option('--dry-run', 'only show what would be sent')
    .action(
      guarded(async (options: CommonOptions & { dryRun?: boolean }) => {
        if (options.dryRun)
          return withLedger(options, (ledger, clock) => dryRun(ledger, clock.now(), options))
        await changeLedger(options, async (ledger, clock) => {
          await checkLive(ledger.config)
          const engine = await composeEngine(ledger, { clock })
          const report = await engine.jobs.runOnce()
          print(options.json, report, () => {
            const { close, submit } = report
            return `Closed ${close.closed} hours, held ${close.held}. ${submit.calls} calls: ${submit.accepted} records accepted${submit.unanswered > 0 ? `, ${submit.unanswered} calls without an answer (sent again later)` : ''}.${submit.halted.map((product) => `\nSTOPPED: ${product}; see tollkeeper usage status.`).join('')}`
          })
        })
      }),
    )
}

/** What a run would close and what it would send, read only. */
async function dryRun({ usage, catalog }: Ledger, now: number, options: CommonOptions): Promise<void> {
  const records = [
    ...(await usage.listRecords({ state: 'ready', limit: DRY_RUN_MAX })).items,
    ...(await usage.listRecords({ state: 'sent', limit: DRY_RUN_MAX })).items,
  ]
  const due: (BucketKey & { product: string })[] = []
  for (const product of catalog.list()) {
    const open = await usage.listOpen(product.id, hourOf(now), notYetDue(product, now), DRY_RUN_MAX)
    due.push(...open.items.map((key) => ({ product: product.id, ...key })))
  }
  const hours = due.map(({ hour, ...key }) => ({ ...key, hour: hourText(hour) }))
  print(options.json, { due: hours, records }, () =>
    [
      hours.length === 0 ? 'No hour is due to be closed.' : `${hours.length} hours are due to be closed:`,
      ...(hours.length === 0
        ? []
        : [
            table(
              ['subscription', 'product', 'dimension', 'hour'],
              hours.map((key) => [key.subscription, key.product, key.dimension, key.hour]),
            ),
          ]),
      '',
      records.length === 0
        ? 'No record is sealed and unsent.'
        : table(
            ['record', 'product', 'dimension', 'hour', 'units', 'state', 'deadline'],
            records.map((r) => [
              r.id,
              r.product,
              r.dimension,
              hourText(r.hour),
              r.quantity,
              r.state,
              new Date(r.deadline).toISOString(),
            ]),
          ),
    ].join('\n'),
  )
}

function auditCommand(): Command {
  return onLedger('audit', 'check double entry on live data: journal, rows and events must agree').action(
    guarded(async (options: CommonOptions) => {
      const report = await withLedger(options, ({ usage }) =>
        auditUsage(usage, (meters) => {
          if (process.stderr.isTTY && !options.json) process.stderr.write(`\r${meters} meters checked`)
        }),
      )
      if (process.stderr.isTTY && !options.json) process.stderr.write('\r\x1b[K')
      print(options.json, report, () =>
        report.balanced
          ? `Balanced: ${report.meters} meters, no discrepancy.`
          : [
              `NOT BALANCED: ${report.discrepancies.length} discrepancies in ${report.meters} meters.`,
              ...report.discrepancies.map(
                ({ subscription, dimension, what }) => `${subscription} ${dimension}: ${what}`,
              ),
            ].join('\n'),
      )
      if (!report.balanced) process.exitCode = 2
    }),
  )
}

interface HoldOptions extends CommonOptions {
  readonly units?: string
}

function holdCommand(): Command {
  const command = new Command('hold').description('hours held for a person: list, release, lower, waive')
  command.addCommand(
    onLedger('list', 'held hours and why').action(
      guarded(async (options: CommonOptions) => {
        const held = await withLedger(options, async ({ usage, catalog }) =>
          (await usage.listHeld(undefined, 1_000)).map(({ bucket }) => ({
            ...bucket,
            hour: hourText(bucket.hour),
            shown: formatBaseUnits(
              bucket.quantity,
              catalog.find(bucket.product)?.dimensions.find(({ key }) => key === bucket.dimension)?.scale ??
                0,
            ),
          })),
        )
        print(options.json, { held }, () =>
          held.length === 0
            ? 'Nothing is held.'
            : table(
                ['subscription', 'dimension', 'hour', 'quantity', 'why'],
                held.map((bucket) => [
                  bucket.subscription,
                  bucket.dimension,
                  bucket.hour,
                  bucket.shown,
                  bucket.hold?.reason ?? '',
                ]),
              ),
        )
      }),
    ),
  )
  for (const [verb, description] of [
    ['release', 'bill all of it'],
    ['lower', 'bill only --units of it, waive the rest'],
    ['waive', 'bill none of it'],
  ] as const) {
    const decide = onLedger(verb, description)
      .argument('<subscription>')
      .argument('<dimension>')
      .argument('<hour>', 'ISO 8601, such as 2026-11-21T07:00Z')
    if (verb === 'lower') decide.requiredOption('--units <n>', 'whole units to bill')
    command.addCommand(
      decide.action(
        guarded(async (subscription: string, dimension: string, hour: string, options: HoldOptions) => {
          const time = Date.parse(hour)
          if (Number.isNaN(time))
            throw new CliError(
              `the hour must be a time such as 2026-11-21T07:00Z, not ${JSON.stringify(hour)}`,
            )
          const verdict: HoldVerdict =
            verb === 'lower'
              ? {
                  kind: verb,
                  units: BigInt(integerOption('--units', options.units ?? '', 0, Number.MAX_SAFE_INTEGER)),
                }
              : { kind: verb }
          await changeLedger(options, (ledger, clock) =>
            decideHold(
              ledger,
              { subscription, dimension, hour: hourOf(time) },
              verdict,
              cliActor(),
              clock.now(),
            ),
          )
          print(options.json, { subscription, dimension, hour, verdict: verb }, () => `Done: ${verb}.`)
        }),
      ),
    )
  }
  return command
}

function pauseCommand(): Command {
  return onLedger('pause', 'stop sending a product’s records; usage is still taken and kept')
    .argument('<product>')
    .option('--reason <text>', 'why', 'paused by a person')
    .action(
      guarded(async (product: string, options: CommonOptions & { reason: string }) => {
        await changeLedger(options, async (ledger, clock) => {
          const now = clock.now()
          await ledger.usage.halt({
            product: knownProduct(ledger, product),
            reason: options.reason,
            since: now,
            probeAt: undefined,
          })
          await ledger.audit.append({
            at: now,
            actor: cliActor(),
            action: 'usage.pause',
            subject: product,
            before: undefined,
            after: { reason: options.reason },
          })
        })
        print(
          options.json,
          { product, paused: true },
          () =>
            `Paused ${product}: AWS still takes an hour for 24 h at most. End it with: tollkeeper usage resume ${product}`,
        )
      }),
    )
}

function resumeCommand(): Command {
  return onLedger('resume', 'send a product’s records again')
    .argument('<product>')
    .action(
      guarded(async (product: string, options: CommonOptions) => {
        const resumed = await changeLedger(options, (ledger, clock) =>
          ledger.usage.resume(knownProduct(ledger, product), cliActor(), clock.now()),
        )
        print(options.json, { product, resumed }, () =>
          resumed ? `Resumed ${product}.` : `${product} was not stopped.`,
        )
      }),
    )
}

function knownProduct({ catalog }: Ledger, name: string): string {
  const product = catalog.find(name)
  if (product === undefined)
    throw new CliError(
      `no product ${name} in the configuration; it has ${catalog
        .list()
        .map(({ id }) => id)
        .join(', ')}`,
    )
  return product.id
}

function resolveCommand(): Command {
  return onLedger(
    'resolve',
    'end a doubt: AWS has a record or has not; `resolve ledger` lets a restored or copied ledger go on',
  )
    .argument('<record>', 'rec_…, or `ledger`')
    .argument('[verdict]', 'accepted or refused')
    .action(
      guarded(async (record: string, verdict: string | undefined, options: CommonOptions) => {
        if (record === 'ledger') return releaseLedger(options)
        if (verdict !== 'accepted' && verdict !== 'refused') {
          throw new CliError(`the verdict must be accepted or refused, not ${JSON.stringify(verdict ?? '')}`)
        }
        const resolved = await changeLedger(options, ({ usage }, clock: Clock) =>
          usage.resolve(record, verdict, cliActor(), clock.now()),
        )
        print(options.json, resolved, () => `${record} is ${resolved.state} now.`)
      }),
    )
}

async function releaseLedger(options: CommonOptions): Promise<void> {
  const wait = await withLedger(options, ({ guard }, clock) => guard.release(cliActor(), clock.now()))
  print(options.json, { released: wait !== undefined, wait }, () =>
    wait === undefined
      ? 'The ledger did not wait for anything.'
      : `The ledger goes on. It waited because ${wait.reason}; records from ${hourText(wait.from)} on start in doubt.`,
  )
}

export function duration(ms: number): string {
  if (ms <= 0) return 'no time'
  const minutes = Math.floor(ms / 60_000)
  return minutes < 60 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`
}

export function readInput(file: string): string {
  return readFileSync(file === '-' ? 0 : file, 'utf8')
}
