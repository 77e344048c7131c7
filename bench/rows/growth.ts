import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { startChild } from '../harness/child.ts'
import { median, rounds, spread } from '../harness/rounds.ts'
import type { Benchmark, Row, Setup } from '../harness/row.ts'
import { count } from '../harness/table.ts'
import type { GrowthSlice } from '../servers/growing-ledger.ts'

/** A day's events: the price of one must not rise with how many there are. */
export const growthTen: Benchmark = {
  name: 'growth-10m',
  about: 'ten million events: the tenth million against the first (several minutes, 1 GB of disk)',
  byDefault: false,
  run: (setup) => measure(setup, 'growth-10m', 10_000_000, 1_000_000),
}

export const growth: Benchmark = {
  name: 'growth',
  about: 'two million events: the last 200,000 against the first 200,000 (`growth-10m` is the whole)',
  byDefault: true,
  run: (setup) => measure(setup, 'growth', 2_000_000, 200_000),
}

/** The large ledger and a new one take turns so many times. */
const TURNS = 20

async function measure(setup: Setup, name: string, total: number, part: number): Promise<readonly Row[]> {
  const begin = (place: string) => {
    const directory = join(setup.directory, name, place)
    mkdirSync(directory, { recursive: true })
    return startChild('servers/growing-ledger.ts', 'server', { directory, total })
  }
  const large = await begin('large')
  const fresh = await begin('fresh')
  try {
    const before = total - part
    for (let done = 0; done < before; done += before / 10) {
      await large.ask('fill', { events: before / 10 })
      setup.progress(`${count(done + before / 10)} events`)
    }
    const pairs = await rounds(TURNS, async () => {
      const first = await fresh.ask<GrowthSlice>('write', { events: part / TURNS })
      const last = await large.ask<GrowthSlice>('write', { events: part / TURNS })
      return { first: first.usPerEvent, last: last.usPerEvent }
    })
    const { bytes } = await large.ask<{ bytes: number }>('check')
    const ratios = pairs.map(({ first, last }) => last / first)
    const of = (pick: (pair: (typeof pairs)[number]) => number) => median(pairs.map(pick)).toFixed(1)
    return [
      {
        name,
        what: `the last ${count(part)} of ${count(total)} events, batches of 500, a day's`,
        limit: `the first ${count(part)} of a new ledger: ${of(({ first }) => first)} µs an event`,
        ratio: median(ratios),
        aim: { atMost: 1.3 },
        figure: `${of(({ last }) => last)} µs an event; ${(bytes / total).toFixed(0)} bytes an event on disk`,
        noise: spread(ratios),
      },
    ]
  } finally {
    await fresh.stop()
    await large.stop()
  }
}
