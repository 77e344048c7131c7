/**
 * What the ledger's own rows, keys and buckets cost PostgreSQL at the least: one connection, one transaction for a group, one
 * statement for its events and one for its buckets. It checks nothing and answers nobody.
 */
import { hash } from 'node:crypto'
import pg from 'pg'
import { byteaArray, int8Array, textArray } from '../../packages/server/src/storage/sql/postgres-arrays.ts'
import { openPostgresStores } from '../../packages/server/src/storage/sql/postgres-stores.ts'
import { answerQuestions } from '../harness/child.ts'
import { aSubscription, DIMENSION } from './demo-ledger.ts'
import { watchPostgres } from './watch-postgres.ts'

export interface RawPostgresOptions {
  readonly url: string
  readonly buyers: number
}

const HOUR_MS = 3_600_000
const DAY_MS = 86_400_000

const watch = watchPostgres()
let client: pg.Client | undefined
let meters: readonly number[] = []
let written = 0

async function start({ url, buyers }: RawPostgresOptions): Promise<void> {
  const stores = await openPostgresStores(url)
  await watch.assertDurable(url)
  for (let index = 0; index < buyers; index++)
    await stores.subscriptions.create(aSubscription(index, Date.now() - DAY_MS), 'bench')
  await stores.close()
  client = new pg.Client({ connectionString: url })
  await client.connect()
  await client.query(
    `INSERT INTO meter (subscription, dimension, product, scale, aggregation) SELECT seq, '${DIMENSION}', product, 0, 'sum' FROM subscription`,
  )
  const { rows } = await client.query<{ seq: string }>('SELECT seq FROM meter ORDER BY seq')
  meters = rows.map(({ seq }) => Number(seq))
}

interface Group {
  readonly rows: readonly {
    readonly key: Buffer
    readonly hour: number
    readonly meter: number
    readonly now: number
    readonly quantity: number
    readonly id: string
  }[]
  readonly hour: number
  readonly buckets: ReadonlyMap<number, { quantity: number; events: number }>
}

/** Made ahead: only the writing is timed. */
function makeGroup(size: number): Group {
  const now = Date.now()
  const hour = Math.floor(now / HOUR_MS)
  const buckets = new Map<number, { quantity: number; events: number }>()
  const rows = Array.from({ length: size }, () => {
    const number = written++
    const id = `raw-${process.pid}-${number.toString(16).padStart(20, '0')}`
    const key = hash('sha256', JSON.stringify(['bench', DIMENSION, '', id]), 'buffer').subarray(0, 16)
    const meter = meters[(number * 7919) % meters.length]!
    const quantity = 1 + (number % 100)
    const bucket = buckets.get(meter) ?? { quantity: 0, events: 0 }
    bucket.quantity += quantity
    bucket.events++
    buckets.set(meter, bucket)
    return { key, hour, meter, now, quantity, id }
  })
  return { rows, hour, buckets }
}

/** As quick as `COPY`, at every size of group. */
function insert({ rows }: Group): pg.QueryConfig {
  return {
    name: 'events',
    text: `INSERT INTO usage_event (key, hour, meter, time, quantity, delta, counted, received_at, tags, state, id, source, value)
           SELECT key, hour, meter, now, quantity, quantity, hour, now, NULL, 0, id, '', NULL
           FROM unnest($1::bytea[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::text[]) AS x (key, hour, meter, now, quantity, id)`,
    values: [
      byteaArray(rows.map(({ key }) => key)),
      int8Array(rows.map(({ hour }) => hour)),
      int8Array(rows.map(({ meter }) => meter)),
      int8Array(rows.map(({ now }) => now)),
      int8Array(rows.map(({ quantity }) => quantity)),
      textArray(rows.map(({ id }) => id)),
    ],
  }
}

function addToBuckets({ hour, buckets }: Group): pg.QueryConfig {
  const sorted = [...buckets].sort(([a], [b]) => a - b)
  return {
    name: 'buckets',
    text: `INSERT INTO bucket (meter, hour, quantity, events) SELECT meter, $2::bigint, quantity, events FROM unnest($1::bigint[], $3::bigint[], $4::bigint[]) AS x (meter, quantity, events)
           ON CONFLICT (meter, hour) DO UPDATE SET quantity = bucket.quantity + excluded.quantity, events = bucket.events + excluded.events`,
    values: [
      int8Array(sorted.map(([meter]) => meter)),
      hour,
      int8Array(sorted.map(([, { quantity }]) => quantity)),
      int8Array(sorted.map(([, { events }]) => events)),
    ],
  }
}

/** @returns events written, and how long the writing took */
async function write({
  group: size,
  ms,
}: {
  group: number
  ms: number
}): Promise<{ answered: number; ms: number }> {
  if (client === undefined) throw new Error('not started')
  let spent = 0
  let events = 0
  while (spent < ms) {
    const group = makeGroup(size)
    const [buckets, rows] = [addToBuckets(group), insert(group)]
    const startedAt = performance.now()
    await client.query('BEGIN')
    await client.query(buckets)
    await client.query(rows)
    await client.query('COMMIT')
    spent += performance.now() - startedAt
    events += size
  }
  return { answered: events, ms: spent }
}

answerQuestions({ start, write })
