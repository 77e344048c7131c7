import { Command } from 'commander'
import { DELIVERY_STATES, type DeliveryState } from '../../domain/telling/outbox-store.ts'
import { replayEvent } from '../../domain/telling/replay-event.ts'
import { type CommonOptions, changeLedger, cliActor, withLedger } from '../context.ts'
import { CliError, guarded, integerOption, print, table } from '../output.ts'

interface ListOptions extends CommonOptions {
  readonly sink?: string
  readonly state?: string
  readonly dead?: boolean
  readonly product?: string
  readonly limit: string
}

interface ReplayOptions extends CommonOptions {
  readonly sink?: string
  readonly dead?: boolean
}

export function deliveryCommand(): Command {
  const command = new Command('delivery').description(
    'what your systems are told: webhooks, EventBridge, e-mail',
  )
  command
    .command('list')
    .description('events on their way to each sink, newest first')
    .option('--sink <name>', 'only to this one: eventbridge, webhook:<id>, email:buyer, email:seller')
    .option('--state <state>', `only these: ${DELIVERY_STATES.join(', ')}`)
    .option('--dead', 'only those that were given up')
    .option('--product <id>', 'only of this product')
    .option('--limit <n>', 'at most this many', '50')
    .option('--config <file>', 'configuration file')
    .option('--json', 'print JSON')
    .action(guarded(list))
  command
    .command('replay')
    .description('tell an event again; it keeps its id and its place in the order of its subscription')
    .argument('[event]', 'the event, evt_…')
    .option('--sink <name>', 'to this one, whatever became of it there (default: those it is dead for)')
    .option('--dead', 'instead of one event: all that was given up, or given up for --sink')
    .option('--config <file>', 'configuration file')
    .option('--json', 'print JSON')
    .action(guarded(replay))
  return command
}

async function list(options: ListOptions): Promise<void> {
  const limit = integerOption('--limit', options.limit, 1, 10_000)
  const state = options.dead ? 'dead' : options.state
  if (state !== undefined && !isState(state))
    throw new CliError(`--state ${state} is none: use ${DELIVERY_STATES.join(', ')}`)
  const { sink, product } = options
  const { items } = await withLedger(options, (ledger) => ledger.outbox.list({ sink, state, product, limit }))
  print(options.json, { deliveries: items }, () =>
    items.length === 0
      ? 'None.'
      : table(
          ['event', 'type', 'at', 'subscription', 'sink', 'state', 'tries', 'next try', 'last error'],
          items.map((delivery) => [
            delivery.event,
            delivery.type,
            minute(delivery.at),
            delivery.subscription,
            delivery.sink,
            delivery.state,
            delivery.attempts,
            delivery.nextAttemptAt === undefined ? '' : minute(delivery.nextAttemptAt),
            delivery.lastError ?? '',
          ]),
        ),
  )
}

async function replay(event: string | undefined, options: ReplayOptions): Promise<void> {
  const { sink } = options
  if ((options.dead === true) === (event !== undefined))
    throw new CliError('name one event, or say --dead for all that was given up')
  await changeLedger(options, async (ledger, clock) => {
    const actor = cliActor()
    const replayed =
      event === undefined
        ? await ledger.outbox.replayDead(sink, actor, clock.now())
        : (await replayEvent(ledger, event, sink, actor, clock.now())).length
    print(options.json, { replayed }, () =>
      replayed === 0
        ? 'Nothing was given up.'
        : `${replayed} ${replayed === 1 ? 'delivery waits' : 'deliveries wait'} to be told again; the running server or worker does it.`,
    )
  })
}

function isState(text: string): text is DeliveryState {
  return (DELIVERY_STATES as readonly string[]).includes(text)
}

function minute(time: number): string {
  return new Date(time).toISOString().slice(0, 16).replace('T', ' ')
}
