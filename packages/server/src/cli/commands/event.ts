import { Command, Option } from 'commander'
import {
  EVENT_STATES,
  type KeptEvent,
  MARKETPLACE_EVENT_KINDS,
  type MarketplaceEventKind,
} from '../../domain/subscriptions/marketplace-event.ts'
import { licenseTail } from '../../domain/subscriptions/subscription.ts'
import { type CommonOptions, withLedger } from '../context.ts'
import { CliError, guarded, integerOption, print, table } from '../output.ts'

interface ListOptions extends CommonOptions {
  readonly product?: string
  readonly state?: KeptEvent['state']
  readonly kind?: MarketplaceEventKind
  readonly rejected?: boolean
  readonly limit: string
}

export function eventCommand(): Command {
  const command = new Command('event').description('what AWS Marketplace has told')
  command
    .command('list')
    .description('notifications, newest first')
    .option('--product <id>', 'only of this product')
    .addOption(
      new Option(
        '--state <state>',
        'only those that a subscription follows, that wait, or that are kept',
      ).choices(EVENT_STATES),
    )
    .addOption(new Option('--kind <kind>', 'only of this kind').choices(MARKETPLACE_EVENT_KINDS))
    .option('--rejected', 'messages that could not be taken, with why')
    .option('--limit <n>', 'at most this many', '50')
    .option('--config <file>', 'configuration file')
    .option('--json', 'print JSON')
    .action(
      guarded((options: ListOptions) => (options.rejected ? listRejected(options) : listEvents(options))),
    )
  return command
}

async function listEvents(options: ListOptions): Promise<void> {
  const limit = integerOption('--limit', options.limit, 1, 10_000)
  const { product, state, kind } = options
  const items = await withLedger(options, async (ledger) => {
    if (product !== undefined && ledger.catalog.find(product) === undefined)
      throw new CliError(
        `there is no product ${product}: there are ${ledger.catalog
          .list()
          .map(({ id }) => id)
          .join(', ')}`,
      )
    const { items } = await ledger.cases.listEvents({
      product: product === undefined ? undefined : ledger.catalog.find(product)?.id,
      state,
      kind,
      limit,
    })
    return items
  })
  print(options.json, { events: items }, () =>
    items.length === 0
      ? 'Nothing was told yet.'
      : table(
          ['at', 'what', 'kind', 'state', 'of', 'account', 'subscription'],
          items.map(({ event, state: now, subscription }) => [
            new Date(event.occurredAt).toISOString(),
            event.name,
            event.kind,
            now,
            event.agreementId ??
              (event.licenseArn && licenseTail(event.licenseArn)) ??
              event.productCode ??
              '',
            event.customerAwsAccountId ?? event.customerIdentifier ?? '',
            subscription ?? '',
          ]),
        ),
  )
}

async function listRejected(options: ListOptions): Promise<void> {
  for (const name of ['product', 'state', 'kind'] as const) {
    if (options[name] !== undefined)
      throw new CliError(`--${name} does not go with --rejected: what could not be read does not say it`)
  }
  const limit = integerOption('--limit', options.limit, 1, 10_000)
  const items = await withLedger(options, (ledger) => ledger.cases.listRejected(limit))
  print(options.json, { rejected: items }, () =>
    items.length === 0
      ? 'Everything could be taken.'
      : table(
          ['received', 'by', 'id', 'why'],
          items.map(({ receivedAt, channel, id, reason }) => [
            new Date(receivedAt).toISOString(),
            channel,
            id,
            reason,
          ]),
        ),
  )
}
