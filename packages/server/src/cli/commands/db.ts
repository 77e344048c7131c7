import { Command } from 'commander'
import { backUpStore, declareConfiguration, openLedger } from '../../compose.ts'
import { systemClock } from '../../system-clock.ts'
import { type CommonOptions, cliActor, configOf, withLedger } from '../context.ts'
import { guarded, print } from '../output.ts'
import { copyCommand } from './db-copy.ts'

export function dbCommand(): Command {
  const command = new Command('db').description('the database of the ledger')
  command
    .command('migrate')
    .description("bring the ledger's tables to this version; makes the ledger if there is none")
    .option('--config <file>', 'configuration file')
    .option('--json', 'print JSON')
    .action(
      guarded(async (options: CommonOptions) => {
        const config = configOf(options)
        const ledger = await openLedger(config, systemClock)
        await declareConfiguration(ledger, systemClock)
        await ledger.close()
        const { migrated } = ledger
        print(options.json, { store: config.store.name, mode: config.mode, migrated }, () =>
          migrated.length === 0
            ? `${config.store.name} is up to date.`
            : `${config.store.name}: ran ${migrated.join(', ')}.`,
        )
      }),
    )
  command
    .command('backup')
    .description(
      'write a copy of a SQLite ledger to a file while it is in use; other stores have their own way',
    )
    .argument('<file>', 'must not be there yet')
    .option('--config <file>', 'configuration file')
    .option('--json', 'print JSON')
    .action(
      guarded(async (file: string, options: CommonOptions) => {
        const { store } = configOf(options)
        await backUpStore(store, file)
        print(options.json, { store: store.name, file }, () => `${store.name} is backed up in ${file}.`)
      }),
    )
  command
    .command('restored')
    .description(
      'say that this ledger was restored or copied in a way that it cannot notice: it waits for `usage resolve ledger`',
    )
    .option('--config <file>', 'configuration file')
    .option('--json', 'print JSON')
    .action(
      guarded(async (options: CommonOptions) => {
        const wait = await withLedger(options, ({ guard }, clock) =>
          guard.hold({ reason: 'a person said that it was restored or copied' }, cliActor(), clock.now()),
        )
        print(
          options.json,
          wait,
          () =>
            `The ledger waits (${wait.reason}): it takes no usage and sends nothing until \`tollkeeper usage resolve ledger\`.`,
        )
      }),
    )
  command.addCommand(copyCommand())
  return command
}
