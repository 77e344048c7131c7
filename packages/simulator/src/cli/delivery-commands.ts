import { readFileSync } from 'node:fs'
import { Argument, Command, Option } from 'commander'
import { NOTIFICATION_FAULT_KINDS } from '../delivery/notification-faults.ts'
import { SimulatorError } from '../errors.ts'
import { type ClientOptions, call } from './client.ts'
import { client, guarded, print } from './command-parts.ts'
import { formatDestinations, formatNotificationFaults, formatNotifications } from './format.ts'

/** What was sent to the seller, and what goes wrong with it. */
export function notificationsCommand(): Command {
  const notifications = new Command('notifications').description(
    'what AWS sent the seller, and whether it was delivered',
  )
  notifications.addCommand(client('list', 'all of them, oldest first').action(guarded(list)), {
    isDefault: true,
  })
  notifications.addCommand(
    client('flush', 'wait until all that is due was delivered').action(
      guarded(async (options: ClientOptions) =>
        print(options, await call(options, 'POST', '/_control/notifications/flush'), formatNotifications),
      ),
    ),
  )
  notifications.addCommand(
    client('release', 'let go what is held').action(
      guarded(async (options: ClientOptions) => {
        await call(options, 'POST', '/_control/notifications/release')
        await list(options)
      }),
    ),
  )
  notifications.addCommand(
    client('redeliver', 'send one once more')
      .argument('<id>', 'of the notification')
      .action(
        guarded(async (id: string, options: ClientOptions) => {
          await call(options, 'POST', `/_control/notifications/${encodeURIComponent(id)}/redeliver`)
          await list(options)
        }),
      ),
  )
  notifications.addCommand(faultCommand())
  return notifications
}

async function list(options: ClientOptions): Promise<void> {
  print(options, await call(options, 'GET', '/_control/notifications'), formatNotifications)
}

interface FaultOptions extends ClientOptions {
  readonly type?: string
  readonly channel?: string
  readonly product?: string
  readonly subscription?: string
  readonly times?: string
  readonly copies?: string
  readonly by?: string
}

function faultCommand(): Command {
  const kinds = [...NOTIFICATION_FAULT_KINDS, 'list', 'clear']
  return client('fault', 'order something to go wrong with what is sent from now on')
    .addArgument(new Argument('<kind>', 'what goes wrong; "list" or "clear" what is ordered').choices(kinds))
    .option('--type <name>', 'only this SNS action or EventBridge detail-type')
    .addOption(new Option('--channel <name>', 'only by this way').choices(['sns', 'eventbridge']))
    .option('--product <code>', 'only of this product')
    .option('--subscription <id>', 'only of this subscription')
    .option('--times <n>', 'how many it hits (default: each until cleared; reorder: 2)')
    .option('--copies <n>', 'repeat: how often in all (default: 2)')
    .option('--by <duration>', 'delay: virtual time such as 1h30m (default: 1h)')
    .action(
      guarded(async (kind: string, options: FaultOptions) => {
        if (kind === 'clear') await call(options, 'DELETE', '/_control/notification-faults')
        else if (kind !== 'list')
          await call(options, 'POST', '/_control/notification-faults', toFault(kind, options))
        print(options, await call(options, 'GET', '/_control/notification-faults'), formatNotificationFaults)
      }),
    )
}

function toFault(kind: string, options: FaultOptions): Record<string, unknown> {
  const { type, channel, product, subscription, times, copies, by } = options
  const fields: Record<string, unknown> = {
    kind,
    type,
    channel,
    productCode: product,
    subscriptionId: subscription,
    times: times === undefined ? undefined : Number(times),
    copies: copies === undefined ? undefined : Number(copies),
    by,
  }
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined))
}

/** Where notifications go. */
export function destinationsCommand(): Command {
  const destinations = new Command('destinations').description('where notifications go')
  destinations.addCommand(
    client('show', 'where they go').action(
      guarded(async (options: ClientOptions) =>
        print(options, await call(options, 'GET', '/_control/destinations'), formatDestinations),
      ),
    ),
    { isDefault: true },
  )
  destinations.addCommand(
    client('set', 'send them elsewhere')
      .argument('<file>', 'JSON: {"subscriptions": […], "rules": […]}')
      .action(
        guarded(async (file: string, options: ClientOptions) =>
          print(
            options,
            await call(options, 'PUT', '/_control/destinations', readJson(file)),
            formatDestinations,
          ),
        ),
      ),
  )
  return destinations
}

function readJson(path: string): object {
  try {
    return JSON.parse(readFileSync(path, 'utf8'))
  } catch (error) {
    throw new SimulatorError('invalid', `${path}: ${(error as Error).message}`, { cause: error })
  }
}
