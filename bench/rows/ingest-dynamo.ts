import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { startDynamoLocal } from '../../e2e/dynamodb-local.ts'
import { type Child, startChild } from '../harness/child.ts'
import { median, ROUNDS, rounds, spread } from '../harness/rounds.ts'
import type { Benchmark, Row, Setup } from '../harness/row.ts'
import { count } from '../harness/table.ts'
import type { Load } from '../load/bodies.ts'
import type { Saturation } from '../load/client.ts'
import type { RawDynamoOptions, RawDynamoWrite } from '../servers/raw-dynamo.ts'
import type { ServerUsage, TollkeeperOptions } from '../servers/tollkeeper.ts'

const BUYERS = 200
const BATCH = 500
const CONNECTIONS = 4
const REGION = 'us-east-1'
/** Meters, hours and connections are opened before anything is measured. */
const WARM_UP_MS = 1_000
/** A request takes a second or more, and all that are under way at the end are waited for. */
const LEDGER_MS = 3_000
const RAW_MS = 1_500
const TRY_MS = 1_000
const IN_FLIGHT = [1, 4, 16] as const

/** Batches, on an engine that is a test's: what a transaction costs it, and what the ledger adds. */
export const usageDynamo: Benchmark = {
  name: 'usage-dynamodb',
  about: 'POST /usage on DynamoDB Local, in memory: batches of 500, each meter in a transaction',
  byDefault: true,
  run: measure,
}

interface Round {
  readonly ledger: number
  readonly batches: number
  readonly transactions: number
  readonly eventsInTransaction: number
  readonly requestsPerMillion: number
  readonly unitsPerMillion: number
  readonly cpuUs: number
}

/** The address of a table that is made when it is opened. */
export function dynamoStoreUrl(endpoint: string): string {
  return `dynamodb://${REGION}/bench-${randomUUID()}?endpoint=${encodeURIComponent(endpoint)}`
}

async function measure({ directory, progress }: Setup): Promise<readonly Row[]> {
  const engine = await startDynamoLocal()
  const children: Child[] = []
  const begin = async (script: string, core: 'server' | 'client', given: unknown) => {
    const child = await startChild(script, core, given)
    children.push(child)
    return child
  }
  try {
    const ledgerOptions: TollkeeperOptions = {
      directory,
      store: dynamoStoreUrl(engine.endpoint),
      buyers: BUYERS,
      decides: true,
    }
    const ledger = await begin('servers/tollkeeper.ts', 'server', ledgerOptions)
    const rawOptions: RawDynamoOptions = {
      endpoint: engine.endpoint,
      region: REGION,
      table: `raw-${randomUUID()}`,
      buyers: BUYERS,
    }
    const raw = await begin('servers/raw-dynamo.ts', 'server', rawOptions)
    const client = await begin('load/client.ts', 'client', undefined)
    const { url, secret } = await ledger.ask<{ url: string; secret: string }>('listen')
    const load: Load = {
      kind: 'usage',
      path: '/usage',
      headers: { authorization: `Bearer ${secret}` },
      size: BATCH,
      buyers: BUYERS,
    }
    await client.ask('open', { name: 'ledger', target: { url, connections: CONNECTIONS, load } })

    let answered = 0
    const saturate = async (ms: number) => {
      const result = await client.ask<Saturation>('saturate', { name: 'ledger', ms })
      answered += result.answered
      return result
    }
    const write = async (given: RawDynamoWrite) => perSecond(await raw.ask<Saturation>('write', given))
    await saturate(WARM_UP_MS)
    await write({ by: 'batches', inFlight: 16, ms: TRY_MS })
    await write({ by: 'transactions', inFlight: 16, ms: TRY_MS })
    const inFlight = {
      batches: await findBest(write, 'batches', progress),
      transactions: await findBest(write, 'transactions', progress),
    }

    const measured = await rounds(ROUNDS, async (index): Promise<Round> => {
      const before = await ledger.ask<ServerUsage>('usage')
      const taken = await saturate(LEDGER_MS)
      const after = await ledger.ask<ServerUsage>('usage')
      const events = taken.answered * BATCH
      assert(after.commits > before.commits, 'no transaction was seen: is the client another one?')
      const round = {
        ledger: perSecond({ ...taken, answered: events }),
        batches: await write({ by: 'batches', inFlight: inFlight.batches, ms: RAW_MS }),
        transactions: await write({ by: 'transactions', inFlight: inFlight.transactions, ms: RAW_MS }),
        eventsInTransaction: events / (after.commits - before.commits),
        requestsPerMillion: ((after.requests - before.requests) * 1e6) / events,
        unitsPerMillion: ((after.writeUnits - before.writeUnits) * 1e6) / events,
        cpuUs: (after.cpuUs - before.cpuUs) / taken.answered,
      }
      progress(
        `usage-dynamodb round ${index + 1}: ${count(round.ledger)} events/s, ${round.eventsInTransaction.toFixed(1)} in a transaction; raw ${count(round.batches)} in batches, ${count(round.transactions)} in transactions`,
      )
      return round
    })

    const { events } = await ledger.ask<{ events: number }>('check')
    assert.equal(events, answered * BATCH, 'every event that was answered is counted once')
    return [
      toRow(measured, 'batches', inFlight.batches),
      toRow(measured, 'transactions', inFlight.transactions),
    ]
  } finally {
    for (const child of children) await child.stop()
    await engine.stop()
  }
}

/** As many at once as is best for the engine. */
async function findBest(
  write: (given: RawDynamoWrite) => Promise<number>,
  by: RawDynamoWrite['by'],
  progress: Setup['progress'],
): Promise<number> {
  let [best, most] = [1, 0]
  for (const inFlight of IN_FLIGHT) {
    const speed = await write({ by, inFlight, ms: TRY_MS })
    progress(`raw in ${by}, ${inFlight} at once: ${count(speed)} events/s`)
    if (speed > most) [best, most] = [inFlight, speed]
  }
  return best
}

const LIMITS = {
  batches: { by: '`BatchWriteItem` of 25', aim: 0.2 },
  transactions: { by: '`TransactWriteItems` of 10', aim: 0.5 },
} as const

function toRow(measured: readonly Round[], limit: 'batches' | 'transactions', inFlight: number): Row {
  const ratios = measured.map((round) => round.ledger / round[limit])
  const of = (pick: (round: Round) => number) => median(measured.map(pick))
  const { by, aim } = LIMITS[limit]
  const inTransaction = of(({ eventsInTransaction }) => eventsInTransaction).toFixed(1)
  return {
    name: 'usage-dynamodb',
    what: `POST /usage on DynamoDB Local, batches of ${BATCH}, ${CONNECTIONS} connections`,
    limit: `${count(of((round) => round[limit]))} events/s (bare ${by}, ${inFlight} at once)`,
    ratio: median(ratios),
    aim: { atLeast: aim },
    figure:
      limit === 'batches'
        ? `${count(of(({ ledger }) => ledger))} events/s, ${inTransaction} in a transaction`
        : `a million: ${count(of(({ requestsPerMillion }) => requestsPerMillion))} requests, ${count(of(({ unitsPerMillion }) => unitsPerMillion))} write units by AWS's rule`,
    cpuUs: of(({ cpuUs }) => cpuUs),
    noise: spread(ratios),
  }
}

function perSecond({ answered, ms }: Saturation): number {
  return (answered * 1000) / ms
}
