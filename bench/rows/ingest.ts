import assert from 'node:assert/strict'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { startPostgresServer } from '../../packages/server/src/storage/sql/postgres-server.fixture.ts'
import { type Child, startChild } from '../harness/child.ts'
import { median, ROUNDS, rounds, spread } from '../harness/rounds.ts'
import type { Benchmark, Row, Setup } from '../harness/row.ts'
import { count } from '../harness/table.ts'
import type { Load } from '../load/bodies.ts'
import type { Saturation } from '../load/client.ts'
import { type Latency, medianLatency } from '../load/latency.ts'
import type { RawOptions } from '../servers/raw-ledger.ts'
import type { RawPostgresOptions } from '../servers/raw-postgres.ts'
import type { ServerUsage, TollkeeperOptions } from '../servers/tollkeeper.ts'

const BUYERS = 200
const WARM_UP_MS = 1_500
/** What is compared takes turns this short within a round: a machine's mood lasts longer. */
const SLICE_MS = 400
const SLICES = 5
const LATENCY_MS = 1_000
/** Requests in one transaction, until it is known. */
const GROUP_REQUESTS = 32

/** One event a request: what a product does that meters as it goes. */
export const meter: Benchmark = {
  name: 'meter',
  about: 'POST /meter: one event a request, 50 connections, on disk before the answer',
  byDefault: true,
  run: (setup) => measure(setup, { ...METER, name: 'meter', onPostgres: false }),
}

/** Batches: what a product does that buffers. */
export const usage: Benchmark = {
  name: 'usage',
  about: 'POST /usage: batches of 500, deduplicated and on disk before the answer',
  byDefault: true,
  run: (setup) => measure(setup, { ...USAGE, name: 'usage', aim: 0.5, onPostgres: false }),
}

export const meterPostgres: Benchmark = {
  name: 'meter-postgres',
  about: 'POST /meter on PostgreSQL, which waits for the disk: one event a request, 50 connections',
  byDefault: true,
  run: (setup) => measure(setup, { ...METER, name: 'meter-postgres', onPostgres: true }),
}

export const usagePostgres: Benchmark = {
  name: 'usage-postgres',
  about: 'POST /usage on PostgreSQL, which waits for the disk: batches of 500',
  byDefault: true,
  run: (setup) => measure(setup, { ...USAGE, name: 'usage-postgres', aim: 0.6, onPostgres: true }),
}

const METER = { kind: 'meter', path: '/meter', connections: 50, size: 1, aim: 0.75 } as const
const USAGE = { kind: 'usage', path: '/usage', connections: 4, size: 500 } as const

interface Plan {
  readonly name: string
  readonly kind: 'meter' | 'usage'
  readonly onPostgres: boolean
  readonly path: string
  readonly connections: number
  /** Events in one request. */
  readonly size: number
  readonly aim: number
}

interface Round {
  readonly ledger: number
  readonly nothing: number
  readonly raw: number
  readonly group: number
  readonly cpuUs: number
  readonly latency: Latency
}

async function measure({ directory, progress }: Setup, plan: Plan): Promise<readonly Row[]> {
  const place = (name: string) => {
    const made = join(directory, plan.name, name)
    mkdirSync(made, { recursive: true })
    return made
  }
  const children: Child[] = []
  const begin: Begin = async (script, core, given) => {
    const child = await startChild(script, core, given)
    children.push(child)
    return child
  }
  const postgres = plan.onPostgres ? await startPostgresServer({ fsync: true }) : undefined
  try {
    const ledgerOptions: TollkeeperOptions = {
      directory: place('ledger'),
      store: await postgres?.createLedger(),
      buyers: BUYERS,
      decides: true,
    }
    const ledger = await begin('servers/tollkeeper.ts', 'server', ledgerOptions)
    const nothingOptions: TollkeeperOptions = { directory: place('nothing'), buyers: 0, decides: false }
    const nothing = await begin('servers/tollkeeper.ts', 'server', nothingOptions)
    const raw = await startRaw(begin, place('raw'), await postgres?.createLedger())
    const client = await begin('load/client.ts', 'client', undefined)
    await connect(client, 'ledger', ledger, plan)
    await connect(client, 'nothing', nothing, plan)

    let answered = 0
    const saturate = async (name: string, ms: number) => {
      const result = await client.ask<Saturation>('saturate', { name, ms })
      if (name === 'ledger') answered += result.answered
      return result
    }
    await saturate('ledger', WARM_UP_MS)
    await saturate('nothing', WARM_UP_MS)
    await raw.ask('write', { group: plan.size * GROUP_REQUESTS, ms: WARM_UP_MS / 3 })

    const measured = await rounds(ROUNDS, async (index): Promise<Round> => {
      let group = plan.size * GROUP_REQUESTS
      const spent = { ledger: nothingYet(), nothing: nothingYet(), raw: nothingYet() }
      let cpuUs = 0
      let commits = 0
      for (let slice = 0; slice < SLICES; slice++) {
        const before = await ledger.ask<ServerUsage>('usage')
        add(spent.ledger, await saturate('ledger', SLICE_MS))
        const after = await ledger.ask<ServerUsage>('usage')
        cpuUs += after.cpuUs - before.cpuUs
        commits += after.commits - before.commits
        assert(commits > 0, 'no commit was seen')
        group = Math.max(1, Math.round((spent.ledger.answered * plan.size) / commits))
        add(spent.nothing, await saturate('nothing', SLICE_MS))
        add(spent.raw, await raw.ask<Saturation>('write', { group, ms: SLICE_MS / 2 }))
      }
      const latency = await client.ask<Latency>('pace', {
        name: 'ledger',
        ms: LATENCY_MS,
        perSecond: (spent.ledger.answered * 500) / spent.ledger.ms,
      })
      answered += latency.answered
      const round = {
        ledger: eventsPerSecond(spent.ledger, plan.size),
        nothing: eventsPerSecond(spent.nothing, plan.size),
        raw: eventsPerSecond(spent.raw, 1),
        group,
        cpuUs: cpuUs / spent.ledger.answered,
        latency,
      }
      progress(
        `${plan.name} round ${index + 1}: ${count(round.ledger)} events/s; no-op ${count(round.nothing)}, raw ${count(round.raw)} in groups of ${group}`,
      )
      return round
    })

    const { events } = await ledger.ask<{ events: number }>('check')
    assert.equal(events, answered * plan.size, 'every event that was answered is counted once')
    return [toRow(plan, measured)]
  } finally {
    for (const child of children) await child.stop()
    await postgres?.stop()
  }
}

type Begin = (script: string, core: 'server' | 'client', given: unknown) => Promise<Child>

function startRaw(begin: Begin, directory: string, url: string | undefined): Promise<Child> {
  const options: RawOptions = { directory, buyers: BUYERS }
  const postgresOptions: RawPostgresOptions | undefined =
    url === undefined ? undefined : { url, buyers: BUYERS }
  return postgresOptions === undefined
    ? begin('servers/raw-ledger.ts', 'server', options)
    : begin('servers/raw-postgres.ts', 'server', postgresOptions)
}

async function connect(client: Child, name: string, server: Child, plan: Plan): Promise<void> {
  const { url, secret } = await server.ask<{ url: string; secret: string }>('listen')
  const load: Load = {
    kind: plan.kind,
    path: plan.path,
    headers: { authorization: `Bearer ${secret}` },
    size: plan.size,
    buyers: BUYERS,
  }
  await client.ask('open', { name, target: { url, connections: plan.connections, load } })
}

function toRow(plan: Plan, measured: readonly Round[]): Row {
  const limitOf = ({ nothing, raw }: Round) => (plan.kind === 'meter' ? 1 / (1 / nothing + 1 / raw) : raw)
  const ratios = measured.map((round) => round.ledger / limitOf(round))
  const of = (pick: (round: Round) => number) => count(median(measured.map(pick)))
  return {
    name: plan.name,
    what: `POST ${plan.path}${plan.onPostgres ? ' on PostgreSQL' : ''}, ${plan.size === 1 ? 'single events' : `batches of ${plan.size}`}, ${plan.connections} connections`,
    limit:
      plan.kind === 'meter'
        ? `${of(limitOf)}/s (no-op ${of(({ nothing }) => nothing)}, raw ${of(({ raw }) => raw)} in groups of ${of(({ group }) => group)})`
        : `${of(limitOf)} events/s (raw in groups of ${of(({ group }) => group)}; no-op ${of(({ nothing }) => nothing)})`,
    ratio: median(ratios),
    aim: { atLeast: plan.aim },
    figure: `${of(({ ledger }) => ledger)} events/s`,
    cpuUs: median(measured.map(({ cpuUs }) => cpuUs)),
    latency: medianLatency(measured.map(({ latency }) => latency)),
    noise: spread(ratios),
  }
}

function nothingYet(): { answered: number; ms: number } {
  return { answered: 0, ms: 0 }
}

function add(sum: { answered: number; ms: number }, { answered, ms }: Saturation): void {
  sum.answered += answered
  sum.ms += ms
}

function eventsPerSecond({ answered, ms }: Saturation, size: number): number {
  return (answered * size * 1000) / ms
}
