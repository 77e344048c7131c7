import { Command } from 'commander'
import type { ClientOptions } from './client.ts'

export const DEFAULT_PORT = 4010
const DEFAULT_URL = `http://127.0.0.1:${DEFAULT_PORT}`

/** A command that asks a running simulator. */
export function client(name: string, description: string): Command {
  return new Command(name)
    .description(description)
    .option('--url <url>', 'the running simulator', DEFAULT_URL)
    .option('--json', 'print JSON')
}

export function print<Answer>(
  options: ClientOptions,
  answer: unknown,
  format: (answer: Answer) => string,
): void {
  console.log(options.json ? JSON.stringify(answer) : format(answer as Answer))
}

/** One line on standard error, and an exit code, for what fails. */
export function guarded<Given extends unknown[]>(action: (...given: Given) => Promise<void>) {
  return async (...given: Given): Promise<void> => {
    try {
      await action(...given)
    } catch (error) {
      console.error(`error: ${(error as Error).message.replace(/\s+/g, ' ')}`)
      process.exitCode = 1
    }
  }
}
