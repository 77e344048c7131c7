import { Command } from 'commander'
import type { AuditEntry } from '../../domain/audit/audit-trail.ts'
import type { HistoryEntry } from '../../domain/subscriptions/subscription-history.ts'
import { isObject } from '../../domain/usage/read-usage-event.ts'
import { type CommonOptions, withLedger } from '../context.ts'
import { guarded, integerOption, print, table } from '../output.ts'

export function subscriptionHistoryCommand(): Command {
  return new Command('history')
    .description('what changed it and what AWS said of its agreement, newest first')
    .argument('<id>', 'the subscription, sub_…')
    .option('--limit <n>', 'at most this many', '50')
    .option('--config <file>', 'configuration file')
    .option('--json', 'print JSON')
    .action(
      guarded(async (id: string, options: CommonOptions & { limit: string }) => {
        const limit = integerOption('--limit', options.limit, 1, 10_000)
        const { items } = await withLedger(options, async ({ subscriptions, history }) =>
          history.list(await subscriptions.get(id), { limit }),
        )
        print(options.json, { history: items }, () =>
          items.length === 0 ? 'Nothing yet.' : table(['at', 'who', 'what'], items.map(toRow)),
        )
      }),
    )
}

function toRow(item: HistoryEntry): readonly string[] {
  if (item.kind === 'event') {
    const { event, receivedAt } = item.kept
    const status = event.agreementStatus === undefined ? '' : ` (${event.agreementStatus})`
    return [time(receivedAt), 'AWS', `${event.name}${status}, of ${time(event.occurredAt)}`]
  }
  const { entry } = item
  return [time(entry.at), entry.actor, changeText(entry)]
}

function changeText({ action, before, after }: AuditEntry): string {
  const [was, is] = [before, after].map((value) => (isObject(value) ? value : {}))
  if (action === 'subscription.create') return `opened, ${String(is?.status ?? '')}`
  const changes = Object.keys({ ...was, ...is })
    .filter((name) => JSON.stringify(was?.[name]) !== JSON.stringify(is?.[name]))
    .map((name) =>
      was?.[name] === undefined
        ? `${name} ${shown(name, is?.[name])}`
        : `${name} ${shown(name, was[name])} → ${shown(name, is?.[name])}`,
    )
  return action === 'subscription.change' ? changes.join(', ') : `${action}: ${changes.join(', ')}`
}

const TIMES = new Set(['grantedAt', 'termEnd', 'accessStart', 'accessEnd', 'finalWindowEnd'])

function shown(name: string, value: unknown): string {
  if (value === undefined) return 'none'
  return typeof value === 'number' && TIMES.has(name) ? time(value) : String(value)
}

function time(ms: number): string {
  return new Date(ms).toISOString().slice(0, 19).replace('T', ' ')
}
