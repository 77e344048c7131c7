import { createSimulatorCommands } from './commands.ts'

// Started by an older Node.js (see bin/): end with it, but do not wait for it.
if (process.channel !== undefined) {
  process.once('disconnect', () => process.exit(1))
  process.channel.unref()
}

await createSimulatorCommands('tollkeeper-simulator').parseAsync()
