import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { type Child, startChild } from '../harness/child.ts'
import { median, ROUNDS, rounds, spread } from '../harness/rounds.ts'
import type { Benchmark, Row } from '../harness/row.ts'
import { count } from '../harness/table.ts'
import type { KeyChecks, KeyChecksOptions } from '../servers/key-checks.ts'

/** A multiple of what is checked at once. */
const KEYS = 2_000
const WARM_UP_MS = 1_000
const SLICE_MS = 500
const SLICES = 3

type Side = 'warm' | 'cold' | 'memory' | 'memoryLimited' | 'sqlite' | 'sqliteLimited'

const SIDES: Readonly<Record<Side, Pick<KeyChecksOptions, 'kind' | 'rateLimit'>>> = {
  warm: { kind: 'warm', rateLimit: false },
  cold: { kind: 'cold', rateLimit: false },
  memory: { kind: 'memory', rateLimit: false },
  memoryLimited: { kind: 'memory', rateLimit: true },
  sqlite: { kind: 'sqlite', rateLimit: false },
  sqliteLimited: { kind: 'sqlite', rateLimit: true },
}

/** What is set beside what: ours from memory beside theirs from memory, ours from disk beside theirs from disk. */
const PAIRS: readonly {
  readonly own: Side
  readonly theirs: Side
  readonly what: string
  readonly limit: string
}[] = [
  { own: 'warm', theirs: 'memory', what: 'known keys', limit: 'keys in a Map, no rate limit' },
  { own: 'warm', theirs: 'memoryLimited', what: 'known keys', limit: 'keys in a Map, rate limit' },
  { own: 'cold', theirs: 'sqlite', what: 'keys read from SQLite', limit: 'keys in SQLite, no rate limit' },
  {
    own: 'cold',
    theirs: 'sqliteLimited',
    what: 'keys read from SQLite',
    limit: 'keys in SQLite, rate limit',
  },
]

/** Whose key is it? Asked before every request of a product. */
export const keys: Benchmark = {
  name: 'keys',
  about: 'checking an API key with its scope, beside better-auth’s API-key plugin',
  byDefault: true,
  async run({ directory, progress }) {
    const children = new Map<Side, Child>()
    try {
      for (const [side, options] of Object.entries(SIDES) as [Side, (typeof SIDES)[Side]][]) {
        const place = join(directory, 'keys', side)
        mkdirSync(place, { recursive: true })
        const given: KeyChecksOptions = { directory: place, keys: KEYS, ...options }
        const child = await startChild('servers/key-checks.ts', 'server', given)
        children.set(side, child)
        await child.ask('check', { ms: WARM_UP_MS })
      }
      const measured = await rounds(ROUNDS, async (index) => {
        const spent = new Map<Side, KeyChecks>()
        for (let slice = 0; slice < SLICES; slice++)
          for (const [side, child] of children)
            spent.set(side, sum(spent.get(side), await child.ask<KeyChecks>('check', { ms: SLICE_MS })))
        const rates = [...spent].map(([side, checks]) => `${side} ${count(perSecond(checks))}`)
        progress(`round ${index + 1}: checks/s: ${rates.join(', ')}`)
        return spent
      })
      return PAIRS.map(({ own, theirs, what, limit }): Row => {
        const rateOf = (side: Side) => median(measured.map((round) => perSecond(round.get(side)!)))
        const ratios = measured.map((round) => perSecond(round.get(own)!) / perSecond(round.get(theirs)!))
        return {
          name: 'keys',
          what: `API keys checked, ${what}`,
          limit: `${count(rateOf(theirs))} checks/s: better-auth, ${limit}`,
          ratio: median(ratios),
          aim: { atLeast: 10 },
          figure: `${count(rateOf(own))} checks/s`,
          cpuUs: median(measured.map((round) => round.get(own)!.cpuUs / round.get(own)!.checked)),
          noise: spread(ratios),
        }
      })
    } finally {
      for (const child of children.values()) await child.stop()
    }
  },
}

function sum(one: KeyChecks | undefined, other: KeyChecks): KeyChecks {
  if (one === undefined) return other
  return {
    checked: one.checked + other.checked,
    ms: one.ms + other.ms,
    cpuUs: one.cpuUs + other.cpuUs,
  }
}

function perSecond({ checked, ms }: KeyChecks): number {
  return (checked * 1000) / ms
}
