import { Command } from 'commander'
import type { Ledger } from '../../compose.ts'
import type { Agreement } from '../../domain/subscriptions/agreement.ts'
import type { Buyer } from '../../domain/subscriptions/buyer.ts'
import { type BuyerCase, type CaseChanges, NO_CHANGES } from '../../domain/subscriptions/buyer-case.ts'
import { decideEnd, decideGrant, decideSuccessor } from '../../domain/subscriptions/decide.ts'
import { endSubscription } from '../../domain/subscriptions/end-subscription.ts'
import { subscriptionOf } from '../../domain/subscriptions/follow.ts'
import type { Subscription } from '../../domain/subscriptions/subscription.ts'
import { type CommonOptions, cliActor, withLedger } from '../context.ts'
import { CliError, guarded, integerOption, print, table } from '../output.ts'
import { subscriptionImportCommand } from './subscription-import.ts'
import { revokeCommand } from './subscription-revoke.ts'
import { syncCommand } from './subscription-sync.ts'

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
          const endedAt = options.at === undefined ? clock.now() : timeOption('--at', options.at)
          const now = clock.now()
          if (options.successor !== undefined)
            return endSubscription(ledger, id, { endedAt, successor: options.successor }, cliActor(), now)
          const end = { endedAt, reason: 'SAID_BY_SELLER' }
          return settled(ledger, id, (buyerCase) => decideEnd(buyerCase, id, end, now), now)
        })
        print(
          options.json,
          ended,
          () =>
            `${id} is ${ended.status}; AWS takes its final usage until ${new Date(ended.finalWindowEnd ?? 0).toISOString()}.`,
        )
      }),
    )
  command
    .command('show')
    .description('one subscription, its buyer, and what AWS said of its agreement')
    .argument('<id>', 'the subscription, sub_…')
    .option('--config <file>', 'configuration file')
    .option('--json', 'print JSON')
    .action(
      guarded(async (id: string, options: CommonOptions) => {
        const shown = await withLedger(options, (ledger, clock) => show(ledger, id, clock.now()))
        print(options.json, shown, () => shownText(shown))
      }),
    )
  command
    .command('activate')
    .description('let access start although AWS’s word has not come: you know that it was granted')
    .argument('<id>', 'the subscription, sub_…')
    .option('--at <time>', 'when AWS granted access, ISO 8601 (default: now)')
    .option('--config <file>', 'configuration file')
    .option('--json', 'print JSON')
    .action(
      guarded(async (id: string, options: CommonOptions & { at?: string }) => {
        const active = await withLedger(options, (ledger, clock) => {
          const now = clock.now()
          const at = options.at === undefined ? now : timeOption('--at', options.at)
          return settled(ledger, id, (buyerCase) => decideGrant(buyerCase, id, { at }, now), now)
        })
        print(
          options.json,
          active,
          () => `${id} is ${active.status}; usage counts from ${minute(active.accessStart)}.`,
        )
      }),
    )
  command
    .command('successor')
    .description('say which agreement took the place of one that AWS renewed or replaced')
    .argument('<id>', 'the superseded subscription, sub_…')
    .argument('<agreement>', 'the agreement (agmt-…) or the subscription that follows it (sub_…)')
    .option('--config <file>', 'configuration file')
    .option('--json', 'print JSON')
    .action(
      guarded(async (id: string, agreement: string, options: CommonOptions) => {
        const old = await withLedger(options, (ledger, clock) => {
          const now = clock.now()
          return settled(ledger, id, (buyerCase) => decideSuccessor(buyerCase, id, agreement, now), now)
        })
        print(
          options.json,
          old,
          () => `${id} is ${old.status}; its successor is ${old.successor ?? 'not known'}.`,
        )
      }),
    )
  command.addCommand(subscriptionImportCommand())
  command.addCommand(syncCommand())
  command.addCommand(revokeCommand())
  return command
}

function minute(time: number): string {
  return new Date(time).toISOString().slice(0, 16).replace('T', ' ')
}

function timeOption(name: string, text: string): number {
  const time = Date.parse(text)
  if (Number.isNaN(time))
    throw new CliError(`${name} must be a time such as 2026-11-21T07:00:00Z, not ${JSON.stringify(text)}`)
  return time
}

/** Decides on a subscription's case as a person. @returns the subscription afterwards */
async function settled(
  { cases }: Ledger,
  id: string,
  decide: (buyerCase: BuyerCase) => CaseChanges,
  now: number,
): Promise<Subscription> {
  const { subscriptions } = await cases.settleOf(id, decide, cliActor(), now)
  return subscriptions.find((subscription) => subscription.id === id)!
}

interface Shown {
  readonly subscription: Subscription
  readonly buyer: Buyer | undefined
  /** How many people registered: who they are is not for a terminal's history. */
  readonly contacts: number
  readonly agreement: Agreement | undefined
  /** Others of the same buyer and product. */
  readonly others: readonly Pick<Subscription, 'id' | 'status' | 'agreementId'>[]
}

/** Reads the case by deciding nothing on it. */
async function show({ cases }: Ledger, id: string, now: number): Promise<Shown> {
  const { subscriptions, agreements, buyer, contacts } = await cases.settleOf(
    id,
    () => NO_CHANGES,
    cliActor(),
    now,
  )
  return {
    subscription: subscriptions.find((subscription) => subscription.id === id)!,
    buyer,
    contacts,
    agreement: agreements.find((agreement) => subscriptionOf(agreement, subscriptions)?.id === id),
    others: subscriptions
      .filter((subscription) => subscription.id !== id)
      .map(({ id: other, status, agreementId }) => ({ id: other, status, agreementId })),
  }
}

function shownText({ subscription: s, buyer, contacts, agreement, others }: Shown): string {
  const time = (ms: number | undefined) => (ms === undefined ? undefined : `${minute(ms)} UTC`)
  const rows: readonly (readonly [string, string | undefined])[] = [
    ['subscription', `${s.id}, ${s.status}`],
    ['product', `${s.product}${s.plan === undefined ? '' : `, plan ${s.plan}`}, ${s.channel}`],
    ['buyer', `${buyer?.id ?? s.buyer}, ${contacts} ${contacts === 1 ? 'person' : 'people'} registered`],
    ['tenant', s.tenantId],
    ['AWS account', s.customerAwsAccountId],
    ['customer', s.customerIdentifier],
    ['license', s.licenseArn],
    ['agreement', s.agreementId],
    ['registered', time(s.createdAt)],
    ['access granted', time(s.grantedAt)],
    ['usage from', time(s.accessStart)],
    ['until', time(s.accessEnd)],
    ['AWS takes usage until', time(s.finalWindowEnd)],
    ['term ends', time(s.termEnd)],
    ['free trial', s.freeTrial === undefined ? undefined : s.freeTrial ? 'yes' : 'no'],
    ['successor', s.successor],
    ...(agreement?.marks ?? []).map(({ at, what }) => ['AWS said', `${time(at)} ${what}`] as const),
    ['AWS’s end status', agreement?.endStatus],
    ...others.map(
      ({ id, status, agreementId }) => ['also', `${id}, ${status}, ${agreementId ?? ''}`] as const,
    ),
  ]
  return rows
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${name.padEnd(22)} ${value}`)
    .join('\n')
}
