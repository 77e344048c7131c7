import { availableParallelism } from 'node:os'
import { playSeeds, replayCommand } from './play-seeds.ts'
import type { Trouble } from './run-state.ts'
import { simulate } from './simulation.ts'

/**
 * Plays many seeds: `npm run simulate [-- --seeds 10000] [--from 1] [--threads 2]`, or one: `-- --seed N [--trace]`.
 * With `--store postgres://USER:PASSWORD@HOST/DATABASE`, each run has a database of its own on that server; with
 * `--store dynamodb://REGION/NAME?endpoint=http://127.0.0.1:PORT`, a table of its own on that engine.
 * Exits 1 when one fails, with the command that plays it again.
 */
async function main(args: readonly string[]): Promise<number> {
  const option = (name: string, otherwise: number) => {
    const at = args.indexOf(`--${name}`)
    return at < 0 ? otherwise : Number(args[at + 1])
  }
  const store = args.includes('--store') ? args[args.indexOf('--store') + 1] : undefined
  if (args.includes('--seed')) return playOne(option('seed', 1), args.includes('--trace'), store)
  const seeds = option('seeds', 10_000)
  const from = option('from', 1)
  const threads = option('threads', availableParallelism())
  const startedAt = performance.now()
  const played = await playSeeds({ from, seeds, threads, store }, (done) => {
    if (process.stderr.isTTY) process.stderr.write(`\r${done}/${seeds} seeds`)
  })
  const seconds = Math.round((performance.now() - startedAt) / 100) / 10
  const { failed, events, records, crashes } = played
  for (const { seed, error } of failed) process.stdout.write(`seed ${seed}: ${error?.message}\n`)
  process.stdout.write(
    `${played.seeds} seeds, ${events} events, ${records} records, ${crashes} crashes in ${seconds} s: ${failed.length} failed\n`,
  )
  if (failed[0] !== undefined) process.stdout.write(`again: ${replayCommand(failed[0], store)}\n`)
  return failed.length === 0 ? 0 : 1
}

async function playOne(seed: number, withTrace: boolean, store: string | undefined): Promise<number> {
  const result = await simulate(seed, undefined, store)
  if (withTrace) process.stdout.write(`${result.trace.join('\n')}\n`)
  if (result.error === undefined) {
    process.stdout.write(`seed ${seed}: ${result.events} events, ${result.records} records, all right\n`)
    return 0
  }
  process.stdout.write(`seed ${seed} fails: ${result.error.stack}\n`)
  const without: string[] = []
  for (const kind of ['crashes', 'faults', 'jumps'] as const) {
    const trouble: Partial<Trouble> = Object.fromEntries([...without, kind].map((name) => [name, false]))
    if ((await simulate(seed, trouble, store)).error !== undefined) without.push(kind)
  }
  if (without.length > 0) process.stdout.write(`it fails without ${without.join(' and ')} too\n`)
  return 1
}

process.exitCode = await main(process.argv.slice(2))
