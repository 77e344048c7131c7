import { readFileSync } from 'node:fs'
import { Command } from 'commander'
import { composeManageProducts } from '../../compose.ts'
import { readDeclaration } from '../../config/catalog-reader.ts'
import type { PlanVersion } from '../../domain/plans/plan-version.ts'
import { planVersions } from '../../domain/products/catalog-versions.ts'
import { readTime } from '../../domain/usage/read-time.ts'
import { type CommonOptions, changeLedger, cliActor, withLedger } from '../context.ts'
import { CliError, guarded, print, table } from '../output.ts'
import { limitsText, plansTable, priceText, trialText } from './plans-table.ts'
import { productNamed } from './product-named.ts'

/** Changes made here hold in servers that run within 5 seconds. */
export function planCommand(): Command {
  const command = new Command('plan').description(
    'plans of a product: features, limits, trials and price; those that the configuration does not declare are made here',
  )
  command.addCommand(listCommand())
  command.addCommand(setCommand())
  command.addCommand(historyCommand())
  command.addCommand(retireCommand())
  return command
}

function listCommand(): Command {
  return new Command('list')
    .description('the plans of a product as they are now, lowest first')
    .argument('<product>', 'its id, or AWS’s product code')
    .option('--config <file>', 'configuration file')
    .option('--json', 'print JSON')
    .action(
      guarded(async (name: string, options: CommonOptions) => {
        const { plans } = await withLedger(options, async (ledger) => productNamed(ledger, name))
        print(options.json, { plans }, () => plansTable(plans))
      }),
    )
}

function setCommand(): Command {
  return new Command('set')
    .description('make a plan, or change it from now or a later time on')
    .argument('<product>', 'its id, or AWS’s product code')
    .argument('<plan>', 'id of the plan')
    .requiredOption(
      '--file <file>',
      'what it is, in the words of `plans[]` in tollkeeper.yaml; - reads it from the input',
    )
    .option('--from <time>', 'holds from then on, such as 2027-01-01T00:00:00Z (default: now)')
    .option('--config <file>', 'configuration file')
    .option('--json', 'print JSON')
    .action(
      guarded(
        async (product: string, id: string, options: CommonOptions & { file: string; from?: string }) => {
          const body = readDeclaration(options.file, textOf(options.file))
          const from = timeOption(options.from)
          const { version, created } = await changeLedger(options, (ledger, clock) =>
            composeManageProducts(ledger, clock).putPlan(
              productNamed(ledger, product).id,
              { id, body, from },
              cliActor(),
            ),
          )
          print(
            options.json,
            { ...version, created },
            () => `Version ${version.version} of plan ${id} holds from ${timeText(version.from)} on.`,
          )
        },
      ),
    )
}

function historyCommand(): Command {
  return new Command('history')
    .description('every version of a plan, oldest first; also what is dated ahead')
    .argument('<product>', 'its id, or AWS’s product code')
    .argument('<plan>', 'id of the plan')
    .option('--config <file>', 'configuration file')
    .option('--json', 'print JSON')
    .action(
      guarded(async (product: string, id: string, options: CommonOptions) => {
        const versions = await withLedger(options, async (ledger) =>
          planVersions(ledger.catalog.versions(), productNamed(ledger, product).id, id),
        )
        if (versions.length === 0)
          throw new CliError(
            `nothing is written down of a plan ${id} of ${product}: was it declared, and a server started since?`,
          )
        print(options.json, { versions }, () => table(HEAD, versions.map(toRow)))
      }),
    )
}

const HEAD = ['version', 'from', 'by', 'title', 'limits', 'included', 'trial', 'price', '']

function toRow({ version, from, actor, body }: PlanVersion): (string | number)[] {
  const { title, limits, included, trial, price, isRetired } = body
  return [
    version,
    timeText(from),
    actor,
    title,
    limitsText(limits),
    included.map(({ dimension, units }) => `${units} ${dimension}`).join(', '),
    trialText(trial),
    priceText(price),
    isRetired ? 'retired' : '',
  ]
}

function retireCommand(): Command {
  return new Command('retire')
    .description('give a plan to nobody any more; whoever is on it keeps it')
    .argument('<product>', 'its id, or AWS’s product code')
    .argument('<plan>', 'id of the plan')
    .option('--config <file>', 'configuration file')
    .option('--json', 'print JSON')
    .action(
      guarded(async (product: string, id: string, options: CommonOptions) => {
        const version = await changeLedger(options, (ledger, clock) =>
          composeManageProducts(ledger, clock).retirePlan(productNamed(ledger, product).id, id, cliActor()),
        )
        print(options.json, version, () => `Retired plan ${id}: nobody gets it any more.`)
      }),
    )
}

function textOf(file: string): string {
  try {
    return readFileSync(file === '-' ? 0 : file, 'utf8')
  } catch (error) {
    throw new CliError(
      `--file ${file} cannot be read: ${(error as NodeJS.ErrnoException).code ?? String(error)}`,
    )
  }
}

function timeOption(text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const time = readTime(text)
  if (time === undefined) throw new CliError(`--from ${text} is no time: write it as 2027-01-01T00:00:00Z`)
  return time
}

function timeText(ms: number): string {
  return ms === 0 ? 'the beginning' : new Date(ms).toISOString()
}
