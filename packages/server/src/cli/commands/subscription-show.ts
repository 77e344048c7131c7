import { Command } from 'commander'
import type { Ledger } from '../../compose.ts'
import type { Agreement } from '../../domain/subscriptions/agreement.ts'
import type { Buyer } from '../../domain/subscriptions/buyer.ts'
import {
  describeSubscription,
  endReasonOf,
  readSubscriptionFacts,
  type SubscriptionWords,
} from '../../domain/subscriptions/describe-subscription.ts'
import type { KeptEvent } from '../../domain/subscriptions/marketplace-event.ts'
import type { Subscription } from '../../domain/subscriptions/subscription.ts'
import type { UnsettledUsage } from '../../domain/subscriptions/subscription-history.ts'
import type { OpenAlarm } from '../../domain/usage/usage-store.ts'
import { type CommonOptions, withLedger } from '../context.ts'
import { guarded, print } from '../output.ts'

/** How far back AWS's last word is looked for among our own changes. */
const HISTORY_MAX = 200
const OTHERS_MAX = 100
/** A legacy customer may come and go for years. */
const MARKS_MAX = 6

export function showCommand(): Command {
  return new Command('show')
    .description('one subscription on a page: how it is, what AWS said, and what happens next')
    .argument('<id>', 'the subscription, sub_…')
    .option('--config <file>', 'configuration file')
    .option('--json', 'print JSON')
    .action(
      guarded(async (id: string, options: CommonOptions) => {
        const shown = await withLedger(options, (ledger, clock) => show(ledger, id, clock.now()))
        print(options.json, shown, () => toText(shown))
      }),
    )
}

interface Shown {
  readonly subscription: Subscription
  readonly explanation: SubscriptionWords
  readonly buyer: Buyer
  /** How many people registered: who they are is not for a terminal's history. */
  readonly contacts: number
  readonly agreement: Agreement | undefined
  readonly endReason: string | undefined
  readonly unsettled: UnsettledUsage
  readonly alarms: readonly OpenAlarm[]
  /** What AWS told last. */
  readonly lastEvent: KeptEvent['event'] | undefined
  /** Others of the same buyer and product. */
  readonly others: readonly Pick<Subscription, 'id' | 'status' | 'channel' | 'agreementId'>[]
}

async function show(ledger: Ledger, id: string, now: number): Promise<Shown> {
  const { subscriptions, buyers, history } = ledger
  const subscription = await subscriptions.get(id)
  const facts = await readSubscriptionFacts(ledger, subscription)
  const { items } = await history.list(subscription, { limit: HISTORY_MAX })
  const siblings = await subscriptions.list({ buyerId: subscription.buyer, limit: OTHERS_MAX })
  return {
    subscription,
    explanation: describeSubscription(subscription, facts, now),
    buyer: await buyers.get(subscription.buyer),
    contacts: (await buyers.listContacts(subscription.buyer)).length,
    agreement: facts.agreement,
    endReason: endReasonOf(subscription, facts),
    unsettled: facts.unsettled,
    alarms: facts.alarms,
    lastEvent: items.flatMap((item) => (item.kind === 'event' ? [item.kept.event] : []))[0],
    others: siblings
      .filter((sibling) => sibling.id !== id)
      .map(({ id: other, status, channel, agreementId }) => ({ id: other, status, channel, agreementId })),
  }
}

type Row = readonly [name: string, value: string | undefined]

function toText(shown: Shown): string {
  const { subscription: s, explanation, alarms } = shown
  const head = [
    `${s.id}: ${s.product}${s.plan === undefined ? '' : `, plan ${s.plan}`}, ${s.status}`,
    '',
    explanation.state,
    `Next: ${explanation.next}`,
    ...alarms.map(({ message }) => `Look at this: ${message}`),
  ]
  const groups = [whoRows(shown), whenRows(shown), awsRows(shown)]
  return [head.join('\n'), ...groups.map(rowsText).filter((text) => text !== '')].join('\n\n')
}

function whoRows({ subscription: s, buyer, contacts, others }: Shown): Row[] {
  return [
    ['buyer', `${buyer.id}, ${contacts} ${contacts === 1 ? 'person' : 'people'} registered`],
    ['tenant', s.tenantId],
    ['AWS account', s.customerAwsAccountId],
    ['customer', s.customerIdentifier],
    ...others.map(({ id, status, channel, agreementId }): Row => {
      const known = agreementId === undefined ? '' : `, ${agreementId}`
      return ['also', `${id}, ${channel}, ${status}${known}`]
    }),
  ]
}

function whenRows({ subscription: s }: Shown): Row[] {
  return [
    [s.channel === 'aws' ? 'registered' : 'opened', time(s.createdAt)],
    ['access granted', time(s.grantedAt)],
    ['usage counts from', time(s.accessStart)],
    ['until', time(s.accessEnd)],
    [s.channel === 'aws' ? 'AWS takes usage until' : 'settles until', time(s.finalWindowEnd)],
    ['term ends', time(s.termEnd)],
    ['succeeded by', s.successor],
  ]
}

function awsRows({ subscription: s, agreement, endReason, lastEvent }: Shown): Row[] {
  if (s.channel !== 'aws') return [['bought', `${s.channel}, not through AWS Marketplace`]]
  const soldBy =
    agreement?.throughPartner === true
      ? 'through a channel partner: price and terms are not shown to the manufacturer'
      : undefined
  return [
    ['license', s.licenseArn],
    ['agreement', s.agreementId],
    ['sold', soldBy],
    ['free trial', s.freeTrial === undefined ? undefined : s.freeTrial ? 'yes' : 'no'],
    ['AWS’s reason', endReason],
    ...(agreement?.marks ?? [])
      .slice(-MARKS_MAX)
      .map(({ at, what }): Row => ['AWS on access', `${time(at)}: ${what}`]),
    ['AWS said last', lastEvent && `${time(lastEvent.occurredAt)}: ${lastEvent.name}`],
  ]
}

function rowsText(rows: readonly Row[]): string {
  return rows
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${name.padEnd(22)} ${value}`)
    .join('\n')
}

function time(ms: number | undefined): string | undefined {
  return ms === undefined ? undefined : `${new Date(ms).toISOString().slice(0, 16).replace('T', ' ')} UTC`
}
