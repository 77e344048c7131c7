import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { startChild } from '../harness/child.ts'
import { median, spread } from '../harness/rounds.ts'
import type { Benchmark, Row, Setup } from '../harness/row.ts'
import { count } from '../harness/table.ts'
import type { GrowthSlice } from '../servers/growing-ledger.ts'

/** Ten million events as the ledger takes them in over a day: its price must not rise with its size. */
export const growthTen: Benchmark = {
  name: 'growth-10m',
  about: 'ten million events: the tenth million against the first (several minutes, 1 GB of disk)',
  byDefault: false,
  run: (setup) => measure(setup, 'growth-10m', 10_000_000, 1_000_000),
}

export const growth: Benchmark = {
  name: 'growth',
  about: 'two million events: the last 200,000 against the first (`growth-10m` is the whole)',
  byDefault: true,
  run: (setup) => measure(setup, 'growth', 2_000_000, 200_000),
}

const SLICES = 5

async function measure(setup: Setup, name: string, total: number, part: number): Promise<readonly Row[]> {
  const directory = join(setup.directory, name)
  mkdirSync(directory, { recursive: true })
  const child = await startChild('servers/growing-ledger.ts', 'server', { directory, total })
  try {
    const slice = part / SLICES
    const costs: number[] = []
    let report = 0
    while (costs.length * slice < total) {
      const { usPerEvent } = await child.ask<GrowthSlice>('write', { events: slice })
      costs.push(usPerEvent)
      if (costs.length * slice >= report + total / 10) {
        report = costs.length * slice
        setup.progress(`${count(report)} events: ${median(costs.slice(-SLICES)).toFixed(1)} µs each`)
      }
    }
    const { bytes } = await child.ask<{ bytes: number }>('check')
    const first = costs.slice(0, SLICES)
    const last = costs.slice(-SLICES)
    const base = median(first)
    return [
      {
        name,
        what: `the last ${count(part)} of ${count(total)} events, batches of 500 over a day`,
        limit: `the first ${count(part)}: ${base.toFixed(1)} µs an event`,
        ratio: median(last) / base,
        aim: { atMost: 1.3 },
        figure: `${median(last).toFixed(1)} µs an event; ${(bytes / total).toFixed(0)} bytes an event on disk`,
        noise: spread(last.map((cost) => cost / base)),
      },
    ]
  } finally {
    await child.stop()
  }
}
