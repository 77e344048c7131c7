import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { startDynamoLocal } from '../../e2e/dynamodb-local.ts'
import { MARGINS } from '../../packages/server/src/domain/usage/aws-rules.ts'
import { PACKING } from '../../packages/server/src/domain/usage/submit-due-records.ts'
import { startPostgresServer } from '../../packages/server/src/storage/sql/postgres-server.fixture.ts'
import type { Benchmark, Row, Setup } from '../harness/row.ts'
import { count } from '../harness/table.ts'
import { dynamoStoreUrl } from './ingest-dynamo.ts'
import { startSealing } from './sealing.ts'

/** Shorter than the aim's minute, so that a whole run stays short: the rate is even from the first call on. */
const SECONDS = 30

/** No call more than AWS's rules ask for, and none slower than its quota allows. */
export const submit: Benchmark = {
  name: 'submit',
  about: `calls for records of three products; then ${SECONDS} s in real time against the simulator's 10 calls/s`,
  byDefault: true,
  async run(setup) {
    return [await countCalls(setup), await keepPace(setup)]
  },
}

/** Packed as on SQLite: how the ledger is kept makes no call more. */
export const submitPostgres: Benchmark = {
  name: 'submit-postgres',
  about: 'calls for records of three products, from a ledger on PostgreSQL',
  byDefault: true,
  async run(setup) {
    const postgres = await startPostgresServer({ fsync: true })
    try {
      const store = { url: await postgres.createLedger(), name: 'PostgreSQL' }
      return [await countCalls(setup, 'submit-postgres', store)]
    } finally {
      await postgres.stop()
    }
  },
}

/** And so on DynamoDB; of fewer buyers, since the test engine is slow. */
export const submitDynamo: Benchmark = {
  name: 'submit-dynamodb',
  about: 'calls for records of three products, from a ledger on DynamoDB Local',
  byDefault: true,
  async run(setup) {
    const engine = await startDynamoLocal()
    try {
      const store = { url: dynamoStoreUrl(engine.endpoint), name: 'DynamoDB Local' }
      return [await countCalls(setup, 'submit-dynamodb', store, 4)]
    } finally {
      await engine.stop()
    }
  },
}

/** @param buyers - of each product; with 5 dimensions and 7 hours no multiple of 25: the last call of each is not full */
async function countCalls(
  { directory }: Setup,
  name = 'submit',
  store?: { readonly url: string; readonly name: string },
  buyers = 13,
): Promise<Row> {
  const place = join(directory, `${name}-virtual`)
  mkdirSync(place, { recursive: true })
  const [products, dimensions, hours] = [3, 5, 7]
  const { ledger, stop } = await startSealing({
    directory: place,
    store: store?.url,
    products,
    buyers,
    dimensions,
    hours,
    clock: 'stands',
    throttling: false,
  })
  try {
    await ledger.ask('seal')
    const { calls, accepted } = await ledger.ask<{ calls: number; accepted: number }>('submit', {})
    const each = buyers * dimensions * hours
    if (accepted !== products * each)
      throw new Error(`${accepted} of ${products * each} records were accepted`)
    const needed = products * Math.ceil(each / PACKING.recordsMax)
    return {
      name,
      what: `calls for ${count(accepted)} records of ${products} products${store === undefined ? '' : ` on ${store.name}`}`,
      limit: `⌈records/${PACKING.recordsMax}⌉ a product: ${needed} calls`,
      ratio: calls / needed,
      aim: { exactly: 1 },
      figure: `${calls} calls`,
    }
  } finally {
    await stop()
  }
}

async function keepPace({ directory }: Setup): Promise<Row> {
  const place = join(directory, 'submit-real')
  mkdirSync(place, { recursive: true })
  const rate = MARGINS.callsPerSecond
  const buyers = Math.ceil((SECONDS * rate * PACKING.recordsMax * 1.1) / (10 * 10))
  const { ledger, simulator, stop } = await startSealing({
    directory: place,
    products: 1,
    buyers,
    dimensions: 10,
    hours: 10,
    clock: 'runs',
    throttling: true,
  })
  try {
    await ledger.ask('seal')
    const { calls, seconds } = await ledger.ask<{ calls: number; seconds: number }>('submit', {
      ms: SECONDS * 1000,
    })
    const { calls: outcomes } = await simulator.ask<{ calls: Readonly<Record<string, number>> }>('counts')
    const taken = outcomes.ok ?? 0
    return {
      name: 'submit',
      what: `submit for ${SECONDS} s in real time`,
      limit: `${rate} calls/s (AWS takes 10)`,
      ratio: taken / seconds / rate,
      aim: { atLeast: 0.95 },
      figure: `${(taken / seconds).toFixed(2)} calls/s; ${calls - taken} of ${calls} throttled`,
    }
  } finally {
    await stop()
  }
}
