import { Command } from 'commander'
import { declareSubscriptions, openLedger } from '../../compose.ts'
import { systemClock } from '../../system-clock.ts'
import { type CommonOptions, configOf } from '../context.ts'
import { guarded, print } from '../output.ts'

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
        await declareSubscriptions(ledger, systemClock)
        await ledger.close()
        const { migrated } = ledger
        print(options.json, { store: config.store.name, mode: config.mode, migrated }, () =>
          migrated.length === 0
            ? `${config.store.name} is up to date.`
            : `${config.store.name}: ran ${migrated.join(', ')}.`,
        )
      }),
    )
  return command
}
