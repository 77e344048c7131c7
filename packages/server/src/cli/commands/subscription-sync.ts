import { Command } from 'commander'
import { createAgreements } from '../../compose.ts'
import { createReceiveEvent } from '../../domain/subscriptions/receive-event.ts'
import { type Learned, type SyncReport, syncAgreements } from '../../domain/subscriptions/sync-agreements.ts'
import { checkLive } from '../check-live.ts'
import { type CommonOptions, changeLedger } from '../context.ts'
import { CliError, guarded, print, table } from '../output.ts'

interface SyncOptions extends CommonOptions {
  readonly product?: string
  readonly since?: string
  readonly all?: boolean
}

const DAY_MS = 86_400_000
const DAYS_BACK = 14

/** Heals notifications that never came. */
export function syncCommand(): Command {
  return new Command('sync')
    .description('ask AWS which agreements changed, and follow what its notifications did not say')
    .option('--since <time>', `changes after this time, ISO 8601 (default: ${DAYS_BACK} days ago)`)
    .option('--all', 'all agreements, whenever they changed')
    .option('--product <id>', 'only of this product')
    .option('--config <file>', 'configuration file')
    .option('--json', 'print JSON')
    .action(
      guarded(async (options: SyncOptions) => {
        const report = await changeLedger(options, async (ledger, clock) => {
          await checkLive(ledger.config)
          const { cases, catalog, subscriptions, usage } = ledger
          const product = options.product === undefined ? undefined : catalog.find(options.product)
          if (options.product !== undefined && product?.productId === undefined)
            throw new CliError(
              `--product must be a product whose productId (prod-…) the configuration says, not ${JSON.stringify(options.product)}`,
            )
          const deps = {
            agreements: await createAgreements(ledger.config),
            receive: createReceiveEvent({ cases, catalog, clock }),
            catalog,
            subscriptions,
            cases,
            usage,
          }
          const now = clock.now()
          return syncAgreements(deps, sinceOf(options, now), now, { product })
        })
        print(options.json, report, () => textOf(report))
        if (report.notPermitted !== undefined) process.exitCode = 2
      }),
    )
}

function sinceOf({ since, all }: SyncOptions, now: number): number | undefined {
  if (all) return undefined
  if (since === undefined) return now - DAYS_BACK * DAY_MS
  const time = Date.parse(since)
  if (Number.isNaN(time))
    throw new CliError(`--since must be a time such as 2026-11-21T07:00:00Z, not ${JSON.stringify(since)}`)
  return time
}

const KINDS: Partial<Record<Learned['kind'], string>> = {
  agreement_created: 'terms',
  access_granted: 'access granted',
  access_withdrawn: 'access withdrawn',
  agreement_ended: 'ended',
  unknown: 'a status that nobody knows',
}

function textOf({ agreements, foreign, learned, notPermitted }: SyncReport): string {
  if (notPermitted !== undefined) return notPermitted
  const others =
    foreign === 0
      ? ''
      : ` ${foreign} of them are of products that this configuration does not name by productId.`
  if (learned.length === 0) return `${agreements} agreements changed; nothing of it was news.${others}`
  return [
    `${agreements} agreements changed.${others} News:`,
    table(
      ['agreement', 'status', 'what', 'subscription'],
      learned.map(({ agreementId, status, kind, subscriptions }) => [
        agreementId,
        status,
        KINDS[kind] ?? kind,
        subscriptions.join(', ') || 'none yet',
      ]),
    ),
  ].join('\n')
}
