import { Command, Option } from 'commander'
import type { Channel, SubscriptionStatus } from '../../domain/subscriptions/subscription.ts'
import { type CommonOptions, withLedger } from '../context.ts'
import { CliError, guarded, integerOption, print, table } from '../output.ts'
import { subscriptionHistoryCommand } from './subscription-history.ts'
import { subscriptionImportCommand } from './subscription-import.ts'
import { manageCommands } from './subscription-manage.ts'
import { revokeCommand } from './subscription-revoke.ts'
import { showCommand } from './subscription-show.ts'
import { syncCommand } from './subscription-sync.ts'

const STATUSES: readonly SubscriptionStatus[] = [
  'pending',
  'active',
  'suspended',
  'cancelling',
  'cancelled',
  'failed',
  'expired',
  'superseded',
]
const CHANNELS: readonly Channel[] = ['aws', 'direct', 'free']

interface ListOptions extends CommonOptions {
  readonly product?: string
  readonly status?: SubscriptionStatus
  readonly channel?: Channel
  readonly buyer?: string
  readonly tenant?: string
  readonly account?: string
  readonly customer?: string
  readonly license?: string
  readonly limit: string
}

export function subscriptionCommand(): Command {
  const command = new Command('subscription').description('who uses what')
  command.addCommand(listCommand())
  command.addCommand(showCommand())
  command.addCommand(subscriptionHistoryCommand())
  for (const part of manageCommands()) command.addCommand(part)
  command.addCommand(syncCommand())
  command.addCommand(subscriptionImportCommand())
  command.addCommand(revokeCommand())
  return command
}

function listCommand(): Command {
  return new Command('list')
    .description('newest first; all filters that are given must fit')
    .option('--product <id>', 'only of this product')
    .addOption(new Option('--status <status>', 'only with this status').choices(STATUSES))
    .addOption(new Option('--channel <channel>', 'only bought this way').choices(CHANNELS))
    .option('--buyer <id>', 'only of this buyer, buy_…')
    .option('--tenant <id>', 'only of this workspace')
    .option('--account <id>', 'only of this AWS account')
    .option('--customer <id>', 'only of this legacy customer')
    .option('--license <arn>', 'only of this license')
    .option('--limit <n>', 'at most this many', '50')
    .option('--config <file>', 'configuration file')
    .option('--json', 'print JSON')
    .action(
      guarded(async (options: ListOptions) => {
        const limit = integerOption('--limit', options.limit, 1, 10_000)
        const items = await withLedger(options, ({ subscriptions, catalog }) => {
          const product = options.product === undefined ? undefined : catalog.find(options.product)
          if (options.product !== undefined && product === undefined) {
            const ids = catalog.list().map(({ id }) => id)
            throw new CliError(`there is no product ${options.product}: there are ${ids.join(', ')}`)
          }
          return subscriptions.list({
            product: product?.id,
            status: options.status,
            channel: options.channel,
            buyerId: options.buyer,
            tenantId: options.tenant,
            customerAwsAccountId: options.account,
            customerIdentifier: options.customer,
            licenseArn: options.license,
            limit,
          })
        })
        print(options.json, { subscriptions: items }, () =>
          items.length === 0
            ? 'No such subscriptions.'
            : table(
                ['subscription', 'product', 'plan', 'tenant', 'status', 'bought', 'account', 'from', 'to'],
                items.map((s) => [
                  s.id,
                  s.product,
                  s.plan ?? '',
                  s.tenantId ?? '',
                  s.status,
                  s.channel,
                  s.customerAwsAccountId ?? s.customerIdentifier ?? '',
                  minute(s.accessStart),
                  s.accessEnd === undefined ? '' : minute(s.accessEnd),
                ]),
              ),
        )
      }),
    )
}

function minute(time: number): string {
  return new Date(time).toISOString().slice(0, 16).replace('T', ' ')
}
