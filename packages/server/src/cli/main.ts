import { Command } from 'commander'
import { VERSION } from '../compose.ts'
import { auditCommands } from './commands/audit.ts'
import { dbCommand } from './commands/db.ts'
import { devCommand } from './commands/dev.ts'
import { doctorCommand } from './commands/doctor.ts'
import { initCommand } from './commands/init.ts'
import { keyCommand } from './commands/key.ts'
import { rehearseCommand } from './commands/rehearse.ts'
import { serveCommand, workerCommand } from './commands/serve.ts'
import { subscriptionCommand } from './commands/subscription.ts'
import { usageCommand } from './commands/usage.ts'
import { fail } from './output.ts'

const program = new Command('tollkeeper')
  .description('Sells SaaS on AWS Marketplace: usage metering that is never lost and never billed twice')
  .version(VERSION)
  .configureHelp({ showGlobalOptions: true })
  .addHelpText(
    'after',
    '\nStart with `tollkeeper dev`: a whole AWS Marketplace on this machine, nothing leaves it.',
  )

for (const command of [
  initCommand(),
  devCommand(),
  serveCommand(),
  workerCommand(),
  rehearseCommand(),
  usageCommand(),
  subscriptionCommand(),
  keyCommand(),
  auditCommands(),
  dbCommand(),
  doctorCommand(),
]) {
  program.addCommand(command)
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
