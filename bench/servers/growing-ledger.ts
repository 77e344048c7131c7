/** A ledger that takes in many events, by the store's own door: what HTTP costs would hide how the price grows. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { statSync } from 'node:fs'
import { join } from 'node:path'
import { type Ledger, openLedger } from '../../packages/server/src/compose.ts'
import { eventKey } from '../../packages/server/src/domain/usage/ingest-usage.ts'
import type { RoutedEvent } from '../../packages/server/src/domain/usage/usage-event.ts'
import { systemClock } from '../../packages/server/src/system-clock.ts'
import { answerQuestions } from '../harness/child.ts'
import { aConfig, aProduct, aSubscription, DIMENSION } from './demo-ledger.ts'
import { watchSqlite } from './watch-sqlite.ts'

export interface GrowthOptions {
  readonly directory: string
  readonly total: number
}

export interface GrowthSlice {
  readonly usPerEvent: number
}

const BUYERS = 200
const BATCH = 500
const FILL_BATCHES = 6
const DAY_MS = 86_400_000
const HOUR_MS = 3_600_000
/** One batch in so many comes an hour late, into leaves that are no longer at hand. */
const LATE_EVERY = 50

const watch = watchSqlite()
const run = randomBytes(8).toString('hex')
let ledger: Ledger | undefined
let stepMs = 0
let from = 0
let written = 0

async function start({ directory, total }: GrowthOptions): Promise<void> {
  const config = aConfig({ directory, products: [aProduct([DIMENSION])] })
  ledger = await openLedger(config, systemClock)
  from = Math.floor(Date.now() / HOUR_MS) * HOUR_MS - DAY_MS
  stepMs = DAY_MS / total
  for (let index = 0; index < BUYERS; index++)
    await ledger.subscriptions.create(aSubscription(index, from - 2 * HOUR_MS), 'bench')
}

function makeBatch(): RoutedEvent[] {
  const late = (written / BATCH) % LATE_EVERY === LATE_EVERY - 1 ? HOUR_MS : 0
  return Array.from({ length: BATCH }, (): RoutedEvent => {
    const number = written++
    const id = `${run}-${number.toString(16).padStart(12, '0')}`
    const time = Math.floor(from + number * stepMs) - late
    const subscription = aSubscriptionId(number)
    return {
      key: eventKey('bench', DIMENSION, '', id),
      event: { id, source: '', time, quantity: 1 + (number % 100), value: undefined, tags: '' },
      subscription,
      product: 'bench',
      dimension: DIMENSION,
      scale: 0,
      aggregation: 'sum',
      hours: [Math.floor(time / HOUR_MS)],
      unbillable: 'subscription_ended',
      hasHeir: false,
      isInherited: false,
      period: '',
    }
  })
}

const ids = Array.from({ length: BUYERS }, (_, index) => aSubscription(index, 0).id)

function aSubscriptionId(number: number): string {
  return ids[(number * 7919) % BUYERS]!
}

/** What comes before what is measured: several batches in a transaction, so that it is over sooner. */
async function fill({ events }: { events: number }): Promise<void> {
  assert(ledger !== undefined)
  const { usage } = ledger
  const epoch = await usage.epoch()
  for (let done = 0; done < events; done += BATCH * FILL_BATCHES) {
    const now = Math.floor(from + written * stepMs)
    const calls = Array.from({ length: FILL_BATCHES }, () => usage.record(makeBatch(), now, epoch))
    const outcomes = (await Promise.all(calls)).flat()
    assert(outcomes.every(({ status }) => status === 'accepted'))
  }
}

/** Only the store's part is timed. */
async function write({ events }: { events: number }): Promise<GrowthSlice> {
  assert(ledger !== undefined)
  const { usage } = ledger
  const epoch = await usage.epoch()
  let spentMs = 0
  for (let done = 0; done < events; done += BATCH) {
    const batch = makeBatch()
    const now = Math.floor(from + written * stepMs)
    const startedAt = performance.now()
    const outcomes = await usage.record(batch, now, epoch)
    spentMs += performance.now() - startedAt
    assert(outcomes.every(({ status }) => status === 'accepted'))
  }
  return { usPerEvent: (spentMs * 1000) / events }
}

async function check(): Promise<{ bytes: number }> {
  assert(ledger !== undefined)
  watch.assertDurable()
  const file = ledger.config.store.url.slice('sqlite:'.length)
  return { bytes: statSync(join(file)).size }
}

answerQuestions({ start, fill, write, check })
