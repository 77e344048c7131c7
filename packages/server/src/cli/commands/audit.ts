import { Command } from 'commander'
import { type CommonOptions, withLedger } from '../context.ts'
import { guarded, integerOption, print, table } from '../output.ts'

export function auditCommands(): Command {
  const command = new Command('audit').description('the audit trail: who did what, when')
  command
    .command('list')
    .description('newest first')
    .option('--limit <n>', 'at most this many', '50')
    .option('--subject <id>', 'only of this subscription, record, key …')
    .option('--config <file>', 'configuration file')
    .option('--json', 'print JSON')
    .action(
      guarded(async (options: CommonOptions & { limit: string; subject?: string }) => {
        const limit = integerOption('--limit', options.limit, 1, 10_000)
        const { items } = await withLedger(options, (ledger) =>
          ledger.audit.list({ limit, subject: options.subject }),
        )
        print(options.json, { entries: items }, () =>
          items.length === 0
            ? 'Nothing yet.'
            : table(
                ['at', 'actor', 'action', 'subject'],
                items.map((entry) => [
                  new Date(entry.at).toISOString(),
                  entry.actor,
                  entry.action,
                  entry.subject,
                ]),
              ),
        )
      }),
    )
  return command
}
