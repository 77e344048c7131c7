/**
 * The limit: the ledger's own tables, keys and buckets, written by bare prepared statements on one connection. It
 * reads nothing, checks nothing and answers nobody.
 */
import { hash } from 'node:crypto'
import { join } from 'node:path'
import { migrate } from '../../packages/server/src/storage/sql/migrations.ts'
import { openSqlite, type SqliteDatabase } from '../../packages/server/src/storage/sql/sqlite.ts'
import { createSqlSubscriptionStore } from '../../packages/server/src/storage/sql/subscription-store.ts'
import { answerQuestions } from '../harness/child.ts'
import { aSubscription, DIMENSION } from './demo-ledger.ts'
import { watchSqlite } from './watch-sqlite.ts'

export interface RawOptions {
  readonly directory: string
  readonly buyers: number
}

const HOUR_MS = 3_600_000
const DAY_MS = 86_400_000
/** Rows in one statement: the fastest sizes, largest first. */
const SIZES = [32, 8, 1] as const
const COLUMNS = 13

const watch = watchSqlite()
let database: SqliteDatabase | undefined
let statements: ReturnType<typeof prepare> | undefined
let buyers = 0
let written = 0

async function start(options: RawOptions): Promise<void> {
  database = openSqlite(join(options.directory, 'raw.db'))
  await migrate(database)
  watch.assertDurable()
  const subscriptions = createSqlSubscriptionStore(database)
  buyers = options.buyers
  for (let index = 0; index < buyers; index++) {
    await subscriptions.create(aSubscription(index, Date.now() - DAY_MS), 'bench')
  }
  database.handle.exec(
    `INSERT INTO meter (subscription, dimension, product, scale, aggregation) SELECT seq, '${DIMENSION}', product, 0, 'sum' FROM subscription`,
  )
  statements = prepare(database)
}

function prepare({ handle }: SqliteDatabase) {
  const row = `(${new Array(COLUMNS).fill('?').join(', ')})`
  return {
    events: SIZES.map((size) =>
      handle.prepare(
        `INSERT INTO usage_event (hour, key, meter, time, quantity, delta, counted, state, id, source, value, tags, received_at) VALUES ${new Array(size).fill(row).join(', ')}`,
      ),
    ),
    bucket: handle.prepare(
      `INSERT INTO bucket (meter, hour, quantity, events) VALUES (?, ?, ?, ?)
       ON CONFLICT (meter, hour) DO UPDATE SET quantity = quantity + excluded.quantity, events = events + excluded.events`,
    ),
    hour: handle.prepare(
      'INSERT INTO event_hour VALUES (?, ?) ON CONFLICT (hour) DO UPDATE SET events = events + excluded.events',
    ),
    ingested: handle.prepare(`UPDATE ledger SET value = ? WHERE name = 'ingested'`),
    begin: handle.prepare('BEGIN IMMEDIATE'),
    commit: handle.prepare('COMMIT'),
  }
}

interface Group {
  readonly hour: number
  readonly rows: readonly unknown[][]
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
    const meter = 1 + ((number * 7919) % buyers)
    const quantity = 1 + (number % 100)
    const bucket = buckets.get(meter)
    if (bucket === undefined) buckets.set(meter, { quantity, events: 1 })
    else {
      bucket.quantity += quantity
      bucket.events++
    }
    return [hour, key, meter, now, quantity, quantity, hour, 0, id, '', null, null, now]
  })
  return { hour, rows, buckets }
}

/** @returns events written, and how long the writing took */
function write({ group: size, ms }: { group: number; ms: number }): { answered: number; ms: number } {
  if (statements === undefined) throw new Error('not started')
  let spent = 0
  let events = 0
  while (spent < ms) {
    const group = makeGroup(size)
    const startedAt = performance.now()
    statements.begin.run()
    let at = 0
    for (const [index, many] of SIZES.entries()) {
      for (; group.rows.length - at >= many; at += many) {
        statements.events[index]!.run(many === 1 ? group.rows[at]! : group.rows.slice(at, at + many).flat())
      }
    }
    for (const [meter, { quantity, events: count }] of group.buckets)
      statements.bucket.run(meter, group.hour, quantity, count)
    statements.hour.run(group.hour, size)
    statements.ingested.run(String(written))
    statements.commit.run()
    spent += performance.now() - startedAt
    events += size
  }
  return { answered: events, ms: spent }
}

answerQuestions({ start, write })
