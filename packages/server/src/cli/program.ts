import { Command } from 'commander'
import { VERSION } from '../compose.ts'
import { fail } from './output.ts'

const program = new Command('tollkeeper')
  .description('Sells SaaS on AWS Marketplace: usage metering that is never lost and never billed twice')
  .version(VERSION)
  .configureHelp({ showGlobalOptions: true })
  .addHelpText(
    'after',
    '\nStart with `tollkeeper dev`: a whole AWS Marketplace on this machine, nothing leaves it.',
  )

/** Each brings what it needs, so only the one that is asked for is loaded; all are for the help. */
const COMMANDS: Readonly<Record<string, () => Promise<Command>>> = {
  init: async () => (await import('./commands/init.ts')).initCommand(),
  dev: async () => (await import('./commands/dev.ts')).devCommand(),
  serve: async () => (await import('./commands/serve.ts')).serveCommand(),
  worker: async () => (await import('./commands/serve.ts')).workerCommand(),
  rehearse: async () => (await import('./commands/rehearse.ts')).rehearseCommand(),
  usage: async () => (await import('./commands/usage.ts')).usageCommand(),
  subscription: async () => (await import('./commands/subscription.ts')).subscriptionCommand(),
  delivery: async () => (await import('./commands/delivery.ts')).deliveryCommand(),
  event: async () => (await import('./commands/event.ts')).eventCommand(),
  key: async () => (await import('./commands/key.ts')).keyCommand(),
  product: async () => (await import('./commands/product.ts')).productCommand(),
  plan: async () => (await import('./commands/plan.ts')).planCommand(),
  'api-key': async () => (await import('./commands/api-key.ts')).apiKeyCommand(),
  audit: async () => (await import('./commands/audit.ts')).auditCommands(),
  db: async () => (await import('./commands/db.ts')).dbCommand(),
  doctor: async () => (await import('./commands/doctor.ts')).doctorCommand(),
}

const asked = process.argv[2]
const load = asked !== undefined && Object.hasOwn(COMMANDS, asked) ? COMMANDS[asked] : undefined
for (const command of load === undefined ? Object.values(COMMANDS) : [load]) {
  program.addCommand(await command())
}
// Loaded only when it is asked for: it brings the whole simulator.
if (process.argv[2] === 'simulator') {
  const { createSimulatorCommands } = await import('@tollkeeper/simulator/cli')
  program.addCommand(createSimulatorCommands())
} else {
  program
    .command('simulator')
    .description('AWS Marketplace on this machine: start it, move its clock, order faults')
}

sayInOneLine(program)
try {
  await program.parseAsync()
} catch (error) {
  fail(error)
}

/** Mistakes in the command line itself read like all others. */
function sayInOneLine(command: Command): void {
  command.configureOutput({
    outputError(text, write) {
      const reason = text
        .replace(/^error: /, '')
        .replace(/\s+/g, ' ')
        .trim()
      write(`tollkeeper: ${reason}; see tollkeeper --help\n`)
    },
  })
  for (const subcommand of command.commands) sayInOneLine(subcommand)
}
