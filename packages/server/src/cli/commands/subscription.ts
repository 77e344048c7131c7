import { Command } from 'commander'
import { endSubscription } from '../../domain/subscriptions/end-subscription.ts'
import { type CommonOptions, cliActor, withLedger } from '../context.ts'
import { CliError, guarded, integerOption, print, table } from '../output.ts'

export function subscriptionCommand(): Command {
  const command = new Command('subscription').description('who uses what')
  command
    .command('list')
    .description('newest first')
    .option('--product <id>', 'only of this product')
    .option('--limit <n>', 'at most this many', '50')
    .option('--config <file>', 'configuration file')
    .option('--json', 'print JSON')
    .action(
      guarded(async (options: CommonOptions & { product?: string; limit: string }) => {
        const limit = integerOption('--limit', options.limit, 1, 10_000)
        const items = await withLedger(options, (ledger) =>
          ledger.subscriptions.list({ product: options.product, limit }),
        )
        print(options.json, { subscriptions: items }, () =>
          items.length === 0
            ? 'No subscriptions yet.'
            : table(
                ['subscription', 'product', 'tenant', 'status', 'account', 'access from', 'to'],
                items.map((s) => [
                  s.id,
                  s.product,
                  s.tenantId ?? '',
                  s.status,
                  s.customerAwsAccountId ?? s.customerIdentifier ?? '',
                  minute(s.accessStart),
                  s.accessEnd === undefined ? '' : minute(s.accessEnd),
                ]),
              ),
        )
      }),
    )
  command
    .command('end')
    .description('say that a subscription has ended: its last usage is sent within the hour')
    .argument('<id>', 'the subscription, sub_…')
    .option('--at <time>', 'when AWS says it ended, ISO 8601 (default: now)')
    .option('--successor <id>', 'the subscription that renews or replaces it')
    .option('--config <file>', 'configuration file')
    .option('--json', 'print JSON')
    .action(
      guarded(async (id: string, options: CommonOptions & { at?: string; successor?: string }) => {
        const ended = await withLedger(options, async (ledger, clock) => {
          const endedAt = options.at === undefined ? clock.now() : Date.parse(options.at)
          if (Number.isNaN(endedAt))
            throw new CliError(
              `--at must be a time such as 2026-11-21T07:00:00Z, not ${JSON.stringify(options.at)}`,
            )
          return endSubscription(
            ledger,
            id,
            { endedAt, successor: options.successor },
            cliActor(),
            clock.now(),
          )
        })
        print(
          options.json,
          ended,
          () =>
            `${id} is ${ended.status}; AWS takes its final usage until ${new Date(ended.finalWindowEnd ?? 0).toISOString()}.`,
        )
      }),
    )
  return command
}

function minute(time: number): string {
  return new Date(time).toISOString().slice(0, 16).replace('T', ' ')
}
