import assert from 'node:assert/strict'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { type Child, startChild } from '../harness/child.ts'
import { startRedis } from '../harness/redis.ts'
import { median, ROUNDS, rounds, spread } from '../harness/rounds.ts'
import type { Benchmark, Row } from '../harness/row.ts'
import { count } from '../harness/table.ts'
import type { Load } from '../load/bodies.ts'
import type { Saturation } from '../load/client.ts'
import { type Latency, medianLatency } from '../load/latency.ts'
import type { QuotaDoor, QuotaKind, QuotaOptions } from '../servers/quota.ts'
import type { RateLimitsOptions } from '../servers/rate-limits.ts'
import type { TollkeeperOptions } from '../servers/tollkeeper.ts'

const PATH = '/quota/validate'
const BUYERS = 200
const CONNECTIONS = 50
const WARM_UP_MS = 1_500
const LATENCY_MS = 1_000

/** The product's own, and beside them the libraries: `plugin` and `flexible` behind a route of their own. */
type Side = QuotaKind | 'meter' | 'plugin' | 'flexible'

/** What takes turns. A slice of a limit is counted for 5 seconds: what is leased runs for as long at a time, so that it is taken as often as in use. */
const GROUPS: readonly { readonly sides: readonly Side[]; readonly slices: number; readonly ms: number }[] = [
  { sides: ['leased', 'nothing', 'library', 'redis', 'plugin'], slices: 1, ms: 5_000 },
  { sides: ['exact', 'metered', 'meter', 'flexible'], slices: 4, ms: 400 },
]

const OWN: readonly QuotaKind[] = ['leased', 'nothing', 'exact', 'metered', 'library', 'redis']

/** Like beside like: from memory beside from memory, from disk beside from disk. */
const PAIRS: readonly {
  readonly own: Side
  readonly beside: Side
  readonly what: string
  readonly limit: string
  /** Undefined: it does less than ours, and is a figure to know. */
  readonly aim?: number
}[] = [
  {
    own: 'leased',
    beside: 'nothing',
    what: 'a large limit, leased',
    limit: 'the same door and answer, deciding nothing',
    aim: 0.8,
  },
  { own: 'exact', beside: 'meter', what: 'a small limit, on disk', limit: 'POST /meter', aim: 0.8 },
  { own: 'metered', beside: 'meter', what: 'metered by the gate, on disk', limit: 'POST /meter', aim: 0.8 },
  {
    own: 'leased',
    beside: 'library',
    what: 'a large limit, leased',
    limit: 'the same door and answer behind @fastify/rate-limit in memory',
    aim: 1,
  },
  {
    own: 'leased',
    beside: 'redis',
    what: 'a large limit, leased',
    limit: 'the same door and answer behind @fastify/rate-limit on Redis',
    aim: 1,
  },
  {
    own: 'leased',
    beside: 'plugin',
    what: 'a large limit, leased',
    limit: '@fastify/rate-limit in memory before a bare route: no service key, no API key, no schema',
  },
  {
    own: 'exact',
    beside: 'flexible',
    what: 'a small limit, on disk',
    limit: 'rate-limiter-flexible on SQLite before a bare route',
    aim: 1,
  },
]

/** May this caller do this now? Asked before every request of a product. */
export const quota: Benchmark = {
  name: 'quota',
  about: 'POST /quota/validate by API key, beside a gate that decides nothing, /meter and rate limiters',
  byDefault: true,
  async run({ directory, progress }) {
    const children: Child[] = []
    const redis = await startRedis()
    if (redis === undefined)
      progress('no redis-server on this machine: @fastify/rate-limit on Redis is left out')
    const own = OWN.filter((kind) => kind !== 'redis' || redis !== undefined)
    const begin = async (script: string, core: 'server' | 'client', given: unknown) => {
      const child = await startChild(script, core, given)
      children.push(child)
      return child
    }
    const place = (name: string) => {
      const made = join(directory, 'quota', name)
      mkdirSync(made, { recursive: true })
      return made
    }
    try {
      const client = await begin('load/client.ts', 'client', undefined)
      const open = (name: Side, url: string, load: Load) =>
        client.ask('open', { name, target: { url, connections: CONNECTIONS, load } })
      const sides = new Map<Side, Child>()
      let answer = ''
      for (const kind of own) {
        const options: QuotaOptions = {
          directory: place(kind),
          buyers: BUYERS,
          kind,
          ...(redis !== undefined && kind === 'redis' && { redisPort: redis.port }),
        }
        const child = await begin('servers/quota.ts', 'server', options)
        sides.set(kind, child)
        const door = await child.ask<QuotaDoor>('listen')
        const load = aLoad(door, kind)
        await open(kind, door.url, load)
        if (kind === 'nothing') answer = await ask(door.url, load)
      }
      const meterOptions: TollkeeperOptions = { directory: place('meter'), buyers: BUYERS, decides: true }
      const meter = await begin('servers/tollkeeper.ts', 'server', meterOptions)
      const { url, secret } = await meter.ask<{ url: string; secret: string }>('listen')
      const headers = { authorization: `Bearer ${secret}` }
      await open('meter', url, { kind: 'meter', path: '/meter', headers, size: 1, buyers: BUYERS })
      for (const kind of ['plugin', 'flexible'] as const) {
        const options: RateLimitsOptions = { directory: place(kind), kind, path: PATH, answer }
        const child = await begin('servers/rate-limits.ts', 'server', options)
        sides.set(kind, child)
        const { url } = await child.ask<{ url: string }>('listen')
        await open(kind, url, { ...aLoad({ secret: 'none', apiKeys: keysOf(BUYERS) }, kind) })
      }
      sides.set('meter', meter)

      const answered = new Map<Side, number>()
      const note = <T extends { readonly answered: number }>(side: Side, result: T): T => {
        answered.set(side, (answered.get(side) ?? 0) + result.answered)
        return result
      }
      const saturate = async (side: Side, ms: number) =>
        note(side, await client.ask<Saturation>('saturate', { name: side, ms }))
      for (const side of sides.keys()) await saturate(side, WARM_UP_MS)

      const measured = await rounds(ROUNDS, async (index) => {
        const spent = new Map<Side, Spent>(
          [...sides.keys()].map((side) => [side, { answered: 0, ms: 0, cpuUs: 0 }]),
        )
        for (const { sides: group, slices, ms } of GROUPS)
          for (let slice = 0; slice < slices; slice++)
            for (const side of group.filter((one) => sides.has(one))) {
              const child = sides.get(side)!
              const name = side === 'meter' ? 'usage' : 'cpu'
              const before = await child.ask<{ cpuUs: number }>(name)
              const result = await saturate(side, ms)
              const { cpuUs } = await child.ask<{ cpuUs: number }>(name)
              add(spent.get(side)!, { ...result, cpuUs: cpuUs - before.cpuUs })
            }
        const latencies = new Map<Side, Latency>()
        for (const side of ['leased', 'exact', 'metered'] as const) {
          const paced = { name: side, ms: LATENCY_MS, perSecond: perSecond(spent.get(side)!) / 2 }
          latencies.set(side, note(side, await client.ask<Latency>('pace', paced)))
        }
        const rates = [...spent].map(([side, one]) => `${side} ${count(perSecond(one))}`)
        progress(`round ${index + 1}: answers/s: ${rates.join(', ')}`)
        return { spent, latencies }
      })

      for (const side of (['leased', 'exact', 'metered', 'redis'] as const).filter((one) => sides.has(one))) {
        const { used, events } = await sides.get(side)!.ask<{ used: number; events: number }>('check')
        assert.equal(
          used,
          answered.get(side),
          `${side}: all that was answered was let through, and counted once`,
        )
        assert.equal(events, side === 'metered' ? used : 0, `${side}: usage events`)
      }
      const { events } = await meter.ask<{ events: number }>('check')
      assert.equal(events, answered.get('meter'), 'every event that was answered is counted once')
      const { used } = await sides.get('flexible')!.ask<{ used: number }>('check')
      assert.equal(used, answered.get('flexible'), 'rate-limiter-flexible counts each request once')

      return PAIRS.filter(({ beside }) => sides.has(beside)).map(({ own, beside, what, limit, aim }): Row => {
        const rateOf = (side: Side) => median(measured.map(({ spent }) => perSecond(spent.get(side)!)))
        const ratios = measured.map(({ spent }) => perSecond(spent.get(own)!) / perSecond(spent.get(beside)!))
        return {
          name: 'quota',
          what: `POST ${PATH}, ${what}, ${CONNECTIONS} connections, ${BUYERS} API keys`,
          limit: `${count(rateOf(beside))} answers/s: ${limit}`,
          ratio: median(ratios),
          ...(aim !== undefined && { aim: { atLeast: aim } }),
          figure: `${count(rateOf(own))} answers/s`,
          cpuUs: median(measured.map(({ spent }) => spent.get(own)!.cpuUs / spent.get(own)!.answered)),
          latency: medianLatency(measured.map(({ latencies }) => latencies.get(own)!)),
          noise: spread(ratios),
        }
      })
    } finally {
      for (const child of children) await child.stop()
      await redis?.stop()
    }
  },
}

function aLoad({ secret, apiKeys }: Pick<QuotaDoor, 'secret' | 'apiKeys'>, side: Side): Load {
  return {
    kind: 'validate',
    path: PATH,
    headers: { authorization: `Bearer ${secret}` },
    size: 1,
    buyers: BUYERS,
    apiKeys,
    dimension: side === 'metered' ? 'units' : 'calls',
    // What is on disk is known again by its id; the libraries know none.
    withIds: side === 'exact' || side === 'metered',
  }
}

/** As long as ours, so that each request is as many bytes. */
function keysOf(buyers: number): readonly string[] {
  return Array.from({ length: buyers }, (_, index) => `tka_${String(index).padStart(44, '0')}`)
}

const TRIES_MAX = 100

/** A server that has only just started on a busy core may say that it is overloaded. */
async function ask(url: string, { path, headers, apiKeys, dimension }: Load): Promise<string> {
  const body = JSON.stringify({ key: apiKeys![0], dimension })
  let status = 0
  for (let attempt = 0; attempt < TRIES_MAX; attempt++) {
    const response = await fetch(`${url}${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body,
    })
    if (response.status === 200) return response.text()
    status = response.status
    await pause(50)
  }
  throw new Error(`${path} answered ${status}`)
}

interface Spent {
  answered: number
  ms: number
  cpuUs: number
}

function add(sum: Spent, { answered, ms, cpuUs }: Spent): void {
  sum.answered += answered
  sum.ms += ms
  sum.cpuUs += cpuUs
}

function perSecond({ answered, ms }: Spent): number {
  return (answered * 1000) / ms
}
