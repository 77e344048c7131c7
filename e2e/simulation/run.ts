import { isMainThread, parentPort, Worker } from 'node:worker_threads'
import { type RunResult, simulate, type Trouble } from './simulation.ts'

/**
 * Plays many seeds: `npm run simulate [-- --seeds 10000] [--from 1] [--seed N] [--trace] [--threads 2]`.
 * Exits 1 at the first seed that fails, with its trace and the command that plays it again.
 */
const SLICE = 20
/** A run takes a tenth of a second. */
const RUN_MS_MAX = 20_000
/** More of them say nothing new. */
const FAILURES_MAX = 20

interface Slice {
  readonly from: number
  readonly to: number
}

if (isMainThread) process.exitCode = await main(process.argv.slice(2))
else await serve()

async function main(args: readonly string[]): Promise<number> {
  const option = (name: string, otherwise: number) => {
    const at = args.indexOf(`--${name}`)
    return at < 0 ? otherwise : Number(args[at + 1])
  }
  if (args.includes('--seed')) return playOne(option('seed', 1), args.includes('--trace'))
  const from = option('from', 1)
  const seeds = option('seeds', 10_000)
  const threads = option('threads', 2)
  const startedAt = performance.now()
  let next = from
  let events = 0
  let records = 0
  let crashes = 0
  let done = 0
  const failed: RunResult[] = []
  const last = from + seeds - 1
  await Promise.all(
    Array.from({ length: threads }, async () => {
      const player = createThread()
      while (next <= last && failed.length < FAILURES_MAX) {
        const slice: Slice = { from: next, to: Math.min(next + SLICE - 1, last) }
        next = slice.to + 1
        const results = await player.play(slice)
        for (const result of results) {
          done++
          events += result.events
          records += result.records
          crashes += result.crashes
          if (result.error !== undefined) {
            failed.push(result)
            process.stdout.write(`seed ${result.seed}: ${result.error.message}\n`)
          }
        }
        if (process.stderr.isTTY) process.stderr.write(`\r${done}/${seeds} seeds`)
      }
      await player.end()
    }),
  )
  const seconds = Math.round((performance.now() - startedAt) / 100) / 10
  process.stdout.write(
    `${done} seeds, ${events} events, ${records} records, ${crashes} crashes in ${seconds} s: ${failed.length} failed\n`,
  )
  if (failed[0] !== undefined)
    process.stdout.write(`again: npm run simulate -- --seed ${failed[0].seed} --trace\n`)
  return failed.length === 0 ? 0 : 1
}

/** Plays slices of seeds on another thread, one after the other. */
function createThread() {
  const worker = new Worker(new URL(import.meta.url))
  let latest = 0
  let stuck: NodeJS.Timeout | undefined
  let settle: { resolve: (results: RunResult[]) => void; reject: (error: Error) => void } | undefined
  worker.on('error', (error) => settle?.reject(error as Error))
  worker.on('message', (message: RunResult[] | number) => {
    clearTimeout(stuck)
    if (typeof message !== 'number') return settle?.resolve(message)
    latest = message
    stuck = setTimeout(() => settle?.reject(new Error(`seed ${latest} does not end`)), RUN_MS_MAX)
  })
  return {
    play: (slice: Slice) =>
      new Promise<RunResult[]>((resolve, reject) => {
        settle = { resolve, reject }
        worker.postMessage(slice)
      }),
    end: () => worker.terminate(),
  }
}

async function playOne(seed: number, withTrace: boolean): Promise<number> {
  const result = await simulate(seed)
  if (withTrace) process.stdout.write(`${result.trace.join('\n')}\n`)
  if (result.error === undefined) {
    process.stdout.write(`seed ${seed}: ${result.events} events, ${result.records} records, all right\n`)
    return 0
  }
  process.stdout.write(`seed ${seed} fails: ${result.error.stack}\n`)
  const without: string[] = []
  for (const kind of ['crashes', 'faults', 'jumps'] as const) {
    const trouble: Partial<Trouble> = Object.fromEntries([...without, kind].map((name) => [name, false]))
    if ((await simulate(seed, trouble)).error !== undefined) without.push(kind)
  }
  if (without.length > 0) process.stdout.write(`it fails without ${without.join(' and ')} too\n`)
  return 1
}

async function serve(): Promise<void> {
  parentPort?.on('message', (slice: Slice) => {
    void (async () => {
      const results: RunResult[] = []
      for (let seed = slice.from; seed <= slice.to; seed++) {
        parentPort?.postMessage(seed)
        const result = await simulate(seed)
        results.push({ ...result, trace: [] })
      }
      parentPort?.postMessage(results)
    })()
  })
}
