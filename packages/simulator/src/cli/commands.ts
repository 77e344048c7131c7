import { Argument, Command, Option } from 'commander'
import { DELIVERY_OPERATIONS, FAULT_KINDS, OPERATIONS } from '../faults/faults.ts'
import { type ClientOptions, call } from './client.ts'
import { client, DEFAULT_PORT, guarded, print } from './command-parts.ts'
import { destinationsCommand, notificationsCommand } from './delivery-commands.ts'
import { formatBill, formatClock, formatFaults, formatLedger } from './format.ts'
import { startSimulator } from './start.ts'

/**
 * The simulator's commands: `start` runs one, the others ask one that is running. A failing command writes one line
 * to standard error and sets the exit code to 1.
 */
export function createSimulatorCommands(name = 'simulator'): Command {
  const command = new Command(name).description(
    'AWS Marketplace on this machine: metering, entitlements, a storefront',
  )
  command.showHelpAfterError('(--help shows what there is)')
  command.addCommand(startCommand())
  command.addCommand(clockCommand())
  command.addCommand(faultCommand())
  command.addCommand(notificationsCommand())
  command.addCommand(destinationsCommand())
  command.addCommand(
    client('ledger', 'the usage records that were accepted').action(
      guarded(async (options: ClientOptions) =>
        print(options, await call(options, 'GET', '/_control/ledger?limit=10000'), formatLedger),
      ),
    ),
  )
  command.addCommand(
    client('bill', 'what AWS would invoice for them').action(
      guarded(async (options: ClientOptions) =>
        print(options, await call(options, 'GET', '/_control/bill'), formatBill),
      ),
    ),
  )
  return command
}

function startCommand(): Command {
  return new Command('start')
    .description('run a simulator until it is interrupted')
    .option('--port <number>', 'port to listen on; 0 takes any free one', String(DEFAULT_PORT))
    .option('--host <address>', 'address to listen on', '127.0.0.1')
    .option('--allow-host <name...>', 'host names to answer to besides loopback ones')
    .option('--state <file>', 'keep all state in this file (default: in memory)')
    .option('--config <file>', 'JSON file with products, settings, deliverTo and seed')
    .option('--start-at <time>', 'virtual time to start at, ISO 8601')
    .option('--frozen', 'let virtual time stand still until it is advanced')
    .option('--json', 'write one JSON object a line')
    .action(guarded(startSimulator))
}

function clockCommand(): Command {
  const clock = new Command('clock').description('read or move virtual time')
  const move = (name: string, description: string, body: (argument: string) => object) =>
    client(name, description).action(
      guarded(async (...given: unknown[]) => {
        const options = given.at(-2) as ClientOptions
        const argument = given.length > 2 ? String(given[0]) : ''
        print(options, await call(options, 'POST', '/_control/clock', body(argument)), formatClock)
      }),
    )
  clock.addCommand(
    client('show', 'what time it is').action(
      guarded(async (options: ClientOptions) =>
        print(options, await call(options, 'GET', '/_control/clock'), formatClock),
      ),
    ),
    { isDefault: true },
  )
  clock.addCommand(
    move('advance', 'move forward, e.g. by 1h or 90s', (advance) => ({ advance })).argument('<duration>'),
  )
  clock.addCommand(move('set', 'jump to a time', (set) => ({ set })).argument('<time>'))
  clock.addCommand(move('run', 'go on with real time', () => ({ running: true })))
  clock.addCommand(move('freeze', 'stand still', () => ({ running: false })))
  return clock
}

interface FaultOptions extends ClientOptions {
  readonly times?: string
  readonly share?: string
  readonly operation?: string
  readonly product?: string
  readonly from?: string
  readonly until?: string
  readonly delay?: string
  readonly taken?: boolean
  readonly error?: string
}

function faultCommand(): Command {
  const fault = client('fault', 'order something to go wrong; "list" what is ordered, or "clear" it')
  return fault
    .addArgument(new Argument('<kind>', 'what goes wrong').choices([...FAULT_KINDS, 'list', 'clear']))
    .option('--times <n>', 'how many calls it hits (default: each until cleared)')
    .option('--share <0..1>', 'chance that a call, or a record for unprocessed, is hit')
    .addOption(
      new Option('--operation <name>', 'only calls of this operation').choices([
        ...OPERATIONS,
        ...DELIVERY_OPERATIONS,
      ]),
    )
    .option('--product <code>', 'only calls for this product')
    .option('--from <time>', 'virtual time from which it may hit')
    .option('--until <time>', 'virtual time from which it no longer hits')
    .option('--delay <ms>', 'slow: real milliseconds until the answer')
    .option('--taken', 'slow, internalError: the call takes effect')
    .option('--no-taken', 'slow, internalError: it does not')
    .option('--error <code>', 'refuse: the error code')
    .action(
      guarded(async (kind: string, options: FaultOptions) => {
        if (kind === 'clear') await call(options, 'DELETE', '/_control/faults')
        else if (kind !== 'list')
          await call(options, 'POST', '/_control/faults', toFault(kind, options, fault))
        print(options, await call(options, 'GET', '/_control/faults'), formatFaults)
      }),
    )
}

function toFault(kind: string, options: FaultOptions, command: Command): Record<string, unknown> {
  const isTakenGiven = command.getOptionValueSource('taken') === 'cli'
  const fields: Record<string, unknown> = {
    kind,
    operation: options.operation,
    productCode: options.product,
    times: options.times === undefined ? undefined : Number(options.times),
    share: options.share === undefined ? undefined : Number(options.share),
    from: options.from,
    until: options.until,
    delayMs: options.delay === undefined ? undefined : Number(options.delay),
    taken: isTakenGiven ? options.taken : undefined,
    error: options.error,
  }
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined))
}
