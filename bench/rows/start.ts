import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { pinned } from '../harness/child.ts'
import { median, ROUNDS, rounds, spread } from '../harness/rounds.ts'
import type { Benchmark, Row, Setup } from '../harness/row.ts'

const MAIN = join(import.meta.dirname, '../../packages/server/src/cli/main.ts')
const READY_TIMEOUT_MS = 30_000

const CONFIG = `mode: simulated
log: { level: silent }
server: { port: 0 }
store: { url: "sqlite:./ledger.db" }
products:
  - id: bench
    title: Benchmark
    productCode: bench0tollkeeper000000000
    dimensions:
      - { key: requests, aggregation: count }
`

/** From the command to the first answer, on a new ledger. */
export const start: Benchmark = {
  name: 'start',
  about: '`tollkeeper serve` until /ready answers, against a bare `node -e 0`',
  byDefault: true,
  async run(setup) {
    const cache = join(setup.directory, 'start-cache')
    // The first start on a machine fills the cache; each round's ledger is new all the same.
    await startOnce(setup, 'filling', { XDG_CACHE_HOME: cache })
    const measured = await rounds(ROUNDS, async (index) => {
      const bareMs = startBare()
      const cachedMs = await startOnce(setup, `cached-${index}`, { XDG_CACHE_HOME: cache })
      const uncachedMs = await startOnce(setup, `uncached-${index}`, { NODE_DISABLE_COMPILE_CACHE: '1' })
      setup.progress(
        `round ${index + 1}: ${cachedMs.toFixed(0)} ms, without cache ${uncachedMs.toFixed(0)} ms; bare ${bareMs.toFixed(0)} ms`,
      )
      return { bareMs, cachedMs, uncachedMs }
    })
    const bareMs = median(measured.map((round) => round.bareMs))
    const row = (what: string, of: (round: (typeof measured)[number]) => number): Row => {
      const ratios = measured.map((round) => of(round) / round.bareMs)
      const ms = median(measured.map(of))
      return {
        name: 'start',
        what,
        limit: `\`node -e 0\`: ${bareMs.toFixed(0)} ms`,
        // Under a second as well: where that fails, so does the row.
        ratio: ms < 1000 ? median(ratios) : Math.max(median(ratios), 1000 / bareMs),
        aim: { atMost: 25 },
        figure: `${ms.toFixed(0)} ms`,
        noise: spread(ratios),
      }
    }
    return [
      row('start to ready, new ledger', (round) => round.cachedMs),
      row('… the very first on a machine (no compile cache)', (round) => round.uncachedMs),
    ]
  },
}

function startBare(): number {
  const [command, ...words] = [...pinned('server'), process.execPath, '-e', '0']
  const startedAt = performance.now()
  const { status } = spawnSync(command!, words)
  if (status !== 0) throw new Error('node -e 0 failed')
  return performance.now() - startedAt
}

async function startOnce(
  { directory }: Setup,
  name: string,
  environment: Record<string, string>,
): Promise<number> {
  const place = join(directory, `start-${name}`)
  mkdirSync(place, { recursive: true })
  writeFileSync(join(place, 'tollkeeper.yaml'), CONFIG)
  const [command, ...words] = [...pinned('server'), process.execPath, MAIN, 'serve', '--port', '0', '--json']
  const startedAt = performance.now()
  const child = spawn(command!, words, {
    cwd: place,
    env: { PATH: process.env.PATH, HOME: process.env.HOME, ...environment },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  try {
    const { url } = JSON.parse(await firstLine(child)) as { url: string }
    while ((await fetch(`${url}/ready`)).status !== 200) {
      if (performance.now() - startedAt > READY_TIMEOUT_MS) throw new Error('it never became ready')
      await new Promise((resolve) => setTimeout(resolve, 1))
    }
    return performance.now() - startedAt
  } finally {
    // Ended politely: that is when the cache is written.
    const ended = new Promise((resolve) => child.once('exit', resolve))
    child.kill('SIGTERM')
    await ended
  }
}

function firstLine(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error('it never said where it listens')), READY_TIMEOUT_MS)
    child.once('exit', (code) => reject(new Error(`tollkeeper serve ended with ${code}`)))
    createInterface({ input: child.stdout! }).once('line', (line) => {
      clearTimeout(timer)
      resolve(line)
    })
  })
}
