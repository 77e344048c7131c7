import { createSimulatorCommands } from './commands.ts'

await createSimulatorCommands('tollkeeper-simulator').parseAsync()
