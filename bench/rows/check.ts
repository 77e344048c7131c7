import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { type Child, startChild } from '../harness/child.ts'
import { median, ROUNDS, rounds, spread } from '../harness/rounds.ts'
import type { Benchmark } from '../harness/row.ts'
import { count } from '../harness/table.ts'
import type { Load } from '../load/bodies.ts'
import type { Saturation } from '../load/client.ts'
import { type Latency, medianLatency } from '../load/latency.ts'
import type { AccessOptions } from '../servers/access.ts'

const PATH = '/entitlements/check'
const BUYERS = 200
const CONNECTIONS = 50
const WARM_UP_MS = 1_500
const SLICE_MS = 400
const SLICES = 5
const LATENCY_MS = 1_000

/** What a gateway asks on each login. */
export const check: Benchmark = {
  name: 'check',
  about: 'GET /entitlements/check: plan, features and what AWS granted, 50 connections',
  byDefault: true,
  async run({ directory, progress }) {
    const children: Child[] = []
    const begin = async (script: string, core: 'server' | 'client', given: unknown) => {
      const child = await startChild(script, core, given)
      children.push(child)
      return child
    }
    const server = (name: string, decides: boolean) => {
      const place = join(directory, 'check', name)
      mkdirSync(place, { recursive: true })
      const options: AccessOptions = { directory: place, buyers: BUYERS, decides }
      return begin('servers/access.ts', 'server', options)
    }
    try {
      const deciding = await server('deciding', true)
      const nothing = await server('nothing', false)
      const client = await begin('load/client.ts', 'client', undefined)
      for (const [name, child] of [
        ['deciding', deciding],
        ['nothing', nothing],
      ] as const) {
        const { url, secret } = await child.ask<{ url: string; secret: string }>('listen')
        const load: Load = {
          kind: 'check',
          path: PATH,
          headers: { authorization: `Bearer ${secret}` },
          size: 1,
          buyers: BUYERS,
        }
        await client.ask('open', { name, target: { url, connections: CONNECTIONS, load } })
      }
      const saturate = (name: string, ms: number) => client.ask<Saturation>('saturate', { name, ms })
      await saturate('deciding', WARM_UP_MS)
      await saturate('nothing', WARM_UP_MS)
      const measured = await rounds(ROUNDS, async (index) => {
        const spent = { deciding: { answered: 0, ms: 0 }, nothing: { answered: 0, ms: 0 } }
        let cpuUs = 0
        for (let slice = 0; slice < SLICES; slice++) {
          const before = await deciding.ask<{ cpuUs: number }>('cpu')
          add(spent.deciding, await saturate('deciding', SLICE_MS))
          cpuUs += (await deciding.ask<{ cpuUs: number }>('cpu')).cpuUs - before.cpuUs
          add(spent.nothing, await saturate('nothing', SLICE_MS))
        }
        const decided = perSecond(spent.deciding)
        const limit = perSecond(spent.nothing)
        const latency = await client.ask<Latency>('pace', {
          name: 'deciding',
          ms: LATENCY_MS,
          perSecond: decided / 2,
        })
        progress(`round ${index + 1}: ${count(decided)} answers/s; no-op ${count(limit)}`)
        return { decided, limit, cpuUs: cpuUs / spent.deciding.answered, latency }
      })
      const ratios = measured.map(({ decided, limit }) => decided / limit)
      return [
        {
          name: 'check',
          what: `GET ${PATH}, ${CONNECTIONS} connections, ${BUYERS} buyers with contracts`,
          limit: `${count(median(measured.map(({ limit }) => limit)))} answers/s: the same door and answer, deciding nothing`,
          ratio: median(ratios),
          aim: { atLeast: 0.8 },
          figure: `${count(median(measured.map(({ decided }) => decided)))} answers/s`,
          cpuUs: median(measured.map(({ cpuUs }) => cpuUs)),
          latency: medianLatency(measured.map(({ latency }) => latency)),
          noise: spread(ratios),
        },
      ]
    } finally {
      for (const child of children) await child.stop()
    }
  },
}

function add(sum: { answered: number; ms: number }, { answered, ms }: Saturation): void {
  sum.answered += answered
  sum.ms += ms
}

function perSecond({ answered, ms }: Saturation): number {
  return (answered * 1000) / ms
}
