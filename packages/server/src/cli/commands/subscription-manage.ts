import { Command, Option } from 'commander'
import { composeManage, composeRequestCancellation, createAgreements, type Ledger } from '../../compose.ts'
import type { Clock } from '../../domain/clock.ts'
import type { Product } from '../../domain/products/product.ts'
import {
  CANCELLATION_REASONS,
  type CancellationReason,
} from '../../domain/subscriptions/agreement-service.ts'
import type { BuyerCase, CaseChanges } from '../../domain/subscriptions/buyer-case.ts'
import { decideEnd, decideGrant, decideSuccessor } from '../../domain/subscriptions/decide.ts'
import { endSubscription } from '../../domain/subscriptions/end-subscription.ts'
import type { SubscriptionUpdate } from '../../domain/subscriptions/manage-subscription.ts'
import type { Subscription } from '../../domain/subscriptions/subscription.ts'
import { checkLive } from '../check-live.ts'
import { type CommonOptions, changeLedger, cliActor } from '../context.ts'
import { CliError, guarded, print } from '../output.ts'

/** What a person does with subscriptions by hand. */
export function manageCommands(): readonly Command[] {
  return [
    createCommand(),
    changeCommand(),
    endCommand(),
    suspendCommand('suspend', 'hold a free or direct subscription: the buyer has no access'),
    suspendCommand('resume', 'let a suspended free or direct subscription go on'),
    activateCommand(),
    successorCommand(),
    cancelRequestCommand(),
  ]
}

interface CreateOptions extends CommonOptions {
  readonly channel: string
  readonly product?: string
  readonly plan?: string
  readonly tenant?: string
  readonly buyer?: string
  readonly key?: string
}

function createCommand(): Command {
  return withCommonOptions(
    new Command('create')
      .description('open a free or direct subscription; on AWS Marketplace only the buyer can')
      .requiredOption('--channel <channel>', 'how it is bought: free or direct')
      .option('--product <id>', 'of what; may be left out where there is only one')
      .option('--plan <id>', 'on which plan')
      .option('--tenant <id>', 'your name for the buyer’s workspace')
      .option('--buyer <id>', 'of a buyer who is known already, buy_…')
      .option('--key <text>', 'the same on every retry, where no tenant tells it'),
  ).action(
    guarded(async (options: CreateOptions) => {
      const { subscription, created } = await changeLedger(options, (ledger, clock) =>
        composeManage(ledger, clock).open(
          {
            product: productOf(ledger, options.product),
            channel: channelOption(options.channel),
            plan: options.plan,
            tenantId: options.tenant,
            buyer: options.buyer,
            idempotencyKey: options.key,
          },
          cliActor(),
        ),
      )
      print(options.json, { subscription, created }, () =>
        created
          ? `${subscription.id} is active: the buyer has access.`
          : `${subscription.id} is there already, and ${subscription.status}.`,
      )
    }),
  )
}

function channelOption(text: string): 'free' | 'direct' {
  if (text === 'free' || text === 'direct') return text
  throw new CliError(
    text === 'aws'
      ? 'on AWS Marketplace only the buyer accepts an agreement: send them the listing’s link, or a private offer’s'
      : `--channel must be free or direct, not ${JSON.stringify(text)}`,
  )
}

function productOf({ catalog }: Ledger, asked: string | undefined): Product {
  const products = catalog.list()
  const product =
    asked === undefined ? (products.length === 1 ? products[0] : undefined) : catalog.find(asked)
  if (product !== undefined) return product
  const ids = products.map(({ id }) => id).join(', ')
  throw new CliError(
    asked === undefined
      ? `--product is needed: one of ${ids}`
      : `there is no product ${asked}: there are ${ids}`,
  )
}

function changeCommand(): Command {
  return withCommonOptions(
    new Command('change')
      .description('name the plan or the workspace anew')
      .argument('<id>', 'the subscription, sub_…')
      .option('--plan <id>', 'the plan')
      .option('--tenant <id>', 'your name for the buyer’s workspace'),
  ).action(
    guarded(async (id: string, options: CommonOptions & { plan?: string; tenant?: string }) => {
      if (options.plan === undefined && options.tenant === undefined)
        throw new CliError('say what to change: --plan or --tenant')
      const changed = await update(options, id, { plan: options.plan, tenantId: options.tenant })
      print(
        options.json,
        changed,
        () => `${id} is on plan ${changed.plan ?? 'none'}, tenant ${changed.tenantId ?? 'none'}.`,
      )
    }),
  )
}

function update(options: CommonOptions, id: string, update: SubscriptionUpdate): Promise<Subscription> {
  return changeLedger(options, (ledger, clock) => composeManage(ledger, clock).update(id, update, cliActor()))
}

function suspendCommand(name: 'suspend' | 'resume', description: string): Command {
  return withCommonOptions(
    new Command(name).description(description).argument('<id>', 'the subscription, sub_…'),
  ).action(
    guarded(async (id: string, options: CommonOptions) => {
      const after = await update(options, id, { suspended: name === 'suspend' })
      print(options.json, after, () => `${id} is ${after.status}.`)
    }),
  )
}

function endCommand(): Command {
  return withCommonOptions(
    new Command('end')
      .description(
        'end a free or direct subscription; of AWS Marketplace, say that AWS ended it: its last usage is sent within the hour',
      )
      .argument('<id>', 'the subscription, sub_…')
      .option('--at <time>', 'when AWS says it ended, ISO 8601 (default: now)')
      .option('--successor <id>', 'the subscription that renews or replaces it'),
  ).action(
    guarded(async (id: string, options: CommonOptions & { at?: string; successor?: string }) => {
      const ended = await changeLedger(options, (ledger, clock) => end(ledger, clock, id, options))
      print(
        options.json,
        ended,
        () =>
          `${id} is ${ended.status}; ${ended.channel === 'aws' ? 'AWS takes its final usage' : 'its final usage is counted'} until ${new Date(ended.finalWindowEnd ?? 0).toISOString()}.`,
      )
    }),
  )
}

async function end(
  ledger: Ledger,
  clock: Clock,
  id: string,
  options: { readonly at?: string; readonly successor?: string },
): Promise<Subscription> {
  const now = clock.now()
  const endedAt = options.at === undefined ? now : timeOption('--at', options.at)
  if (options.successor !== undefined)
    return endSubscription(ledger, id, { endedAt, successor: options.successor }, cliActor(), now)
  const { channel } = await ledger.subscriptions.get(id)
  const reason = channel === 'aws' ? 'SAID_BY_SELLER' : 'SELLER'
  return settled(ledger, id, (buyerCase) => decideEnd(buyerCase, id, { endedAt, reason }, now), now)
}

function activateCommand(): Command {
  return withCommonOptions(
    new Command('activate')
      .description('let access start although AWS’s word has not come: you know that it was granted')
      .argument('<id>', 'the subscription, sub_…')
      .option('--at <time>', 'when AWS granted access, ISO 8601 (default: now)'),
  ).action(
    guarded(async (id: string, options: CommonOptions & { at?: string }) => {
      const active = await changeLedger(options, (ledger, clock) => {
        const now = clock.now()
        const at = options.at === undefined ? now : timeOption('--at', options.at)
        return settled(ledger, id, (buyerCase) => decideGrant(buyerCase, id, { at }, now), now)
      })
      if (active.status !== 'active')
        throw new CliError(`${id} is ${active.status}: only one that is pending can be let in`)
      print(
        options.json,
        active,
        () => `${id} is ${active.status}; usage counts from ${minute(active.accessStart)}.`,
      )
    }),
  )
}

function successorCommand(): Command {
  return withCommonOptions(
    new Command('successor')
      .description('say which agreement took the place of one that AWS renewed or replaced')
      .argument('<id>', 'the superseded subscription, sub_…')
      .argument('<agreement>', 'the agreement (agmt-…) or the subscription that follows it (sub_…)'),
  ).action(
    guarded(async (id: string, agreement: string, options: CommonOptions) => {
      const old = await changeLedger(options, (ledger, clock) => {
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
}

function cancelRequestCommand(): Command {
  return withCommonOptions(
    new Command('cancel-request')
      .description('ask the buyer, through AWS Marketplace, to let the agreement be cancelled')
      .argument('<id>', 'the subscription, sub_…')
      .addOption(new Option('--reason <code>', 'why').choices(CANCELLATION_REASONS).makeOptionMandatory())
      .option('--description <text>', 'for the buyer to read'),
  ).action(
    guarded(
      async (id: string, options: CommonOptions & { reason: CancellationReason; description?: string }) => {
        const { request, autoApprovalAt } = await changeLedger(options, async (ledger, clock) => {
          await checkLive(ledger.config)
          const agreements = await createAgreements(ledger.config)
          const why = { reasonCode: options.reason, description: options.description }
          return composeRequestCancellation(ledger, agreements, clock)(id, why, cliActor())
        })
        print(
          options.json,
          { cancellationRequest: request, autoApprovalAt: new Date(autoApprovalAt).toISOString() },
          () =>
            `${request.id} is ${request.status}: the buyer decides; without an answer AWS approves it on ${new Date(autoApprovalAt).toISOString().slice(0, 10)}. Until AWS says that agreement ${request.agreementId} ended, ${id} goes on.`,
        )
      },
    ),
  )
}

function withCommonOptions(command: Command): Command {
  return command.option('--config <file>', 'configuration file').option('--json', 'print JSON')
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
