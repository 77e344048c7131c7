/** A ledger full of usage of hours that are over, to be sealed and submitted. */
import assert from 'node:assert/strict'
import { composeEngine, type Engine, openLedger } from '../../packages/server/src/compose.ts'
import type { Clock } from '../../packages/server/src/domain/clock.ts'
import { closeDueBuckets } from '../../packages/server/src/domain/usage/close-due-buckets.ts'
import { submitDueRecords } from '../../packages/server/src/domain/usage/submit-due-records.ts'
import { systemClock } from '../../packages/server/src/system-clock.ts'
import { answerQuestions } from '../harness/child.ts'
import { aConfig, aProduct, aSubscription } from './demo-ledger.ts'
import type { License } from './simulator.ts'
import { watchStore } from './watch-store.ts'

export interface SealingOptions {
  readonly directory: string
  /** A PostgreSQL database or a DynamoDB table; without it, a SQLite file in the directory. */
  readonly store?: string | undefined
  readonly endpoint: string
  readonly licenses: readonly License[]
  readonly dimensions: number
  readonly hours: number
  /** Now, ms. */
  readonly now: number
  /** `stands`: only sleeping moves it. `runs`: a second takes a second. */
  readonly clock: 'stands' | 'runs'
  /** Puts the usage in. Else it is there: what seals is as fresh as a worker that has just started. */
  readonly fills: boolean
}

export interface Memory {
  readonly rssMb: number
  /** The most it ever was. */
  readonly peakMb: number
}

export interface Work {
  readonly seconds: number
  readonly middle: Memory
  readonly end: Memory
}

const HOUR_MS = 3_600_000
const BATCH = 1_000

const watch = watchStore()
let engine: Engine | undefined

async function start(options: SealingOptions): Promise<void> {
  const codes = [...new Set(options.licenses.map(({ productCode }) => productCode))]
  const dimensions = Array.from({ length: options.dimensions }, (_, index) => `dimension_${index}`)
  const config = aConfig({
    directory: options.directory,
    store: options.store,
    endpoint: options.endpoint,
    products: codes.map((_, number) => aProduct(dimensions, number)),
  })
  const clock = options.clock === 'stands' ? standingClock(options.now) : runningClock(options.now)
  const ledger = await openLedger(config, clock)
  engine = await composeEngine(ledger, { clock })
  if (options.fills) await fill(options, engine, dimensions)
}

async function fill(
  options: SealingOptions,
  { ledger }: Engine,
  dimensions: readonly string[],
): Promise<void> {
  const firstHour = Math.floor(options.now / HOUR_MS) - options.hours - 1
  for (const [index, { licenseArn, accountId, productCode }] of options.licenses.entries()) {
    await ledger.subscriptions.create(
      aSubscription(index, firstHour * HOUR_MS, {
        product: ledger.config.products.find((product) => product.productCode === productCode)!.id,
        licenseArn,
        customerAwsAccountId: accountId,
      }),
      'bench',
    )
  }
  const reports = function* () {
    for (const { licenseArn } of options.licenses) {
      for (const dimension of dimensions) {
        for (let hour = 0; hour < options.hours; hour++) {
          const time = (firstHour + hour) * HOUR_MS + 1
          yield {
            reference: { licenseArn },
            dimension,
            id: `${dimension}-${licenseArn}-${hour}`,
            time,
            quantity: 7,
          }
        }
      }
    }
  }
  let batch: ReturnType<typeof reports> extends Generator<infer Report> ? Report[] : never = []
  for (const report of reports()) {
    batch.push(report)
    if (batch.length < BATCH) continue
    await take(batch)
    batch = []
  }
  await take(batch)
}

async function take(batch: Parameters<Engine['ingest']>[0]): Promise<void> {
  const outcomes = await engine!.ingest(batch)
  assert(outcomes.every(({ status }) => status === 'accepted'))
}

/** Counts too: who waits for its turn at AWS lets the time pass. */
function standingClock(start: number): Clock {
  let now = start
  return {
    now: () => now,
    sleep: async (ms) => {
      now += ms
    },
  }
}

function runningClock(start: number): Clock {
  const offset = start - Date.now()
  return { now: () => Date.now() + offset, sleep: systemClock.sleep }
}

async function seal(): Promise<Work & { closed: number }> {
  assert(engine !== undefined)
  const { ledger, clock } = engine
  return work(async () => {
    const { closed } = await closeDueBuckets(ledger, clock.now())
    return { closed }
  })
}

async function submit({ ms }: { ms?: number }): Promise<Work & { calls: number; accepted: number }> {
  assert(engine !== undefined)
  const { ledger, clock, metering } = engine
  const signal = ms === undefined ? undefined : AbortSignal.timeout(ms)
  return work(async () => {
    const { calls, accepted } = await submitDueRecords(
      { usage: ledger.usage, metering, clock, timeoutMs: ledger.config.aws.timeoutMs },
      signal,
    )
    return { calls, accepted }
  })
}

const SAMPLE_MS = 100

/** Times it, and looks at its memory on the way. */
async function work<Result extends object>(step: () => Promise<Result>): Promise<Work & Result> {
  const samples: Memory[] = []
  const timer = setInterval(() => samples.push(memory()), SAMPLE_MS)
  const startedAt = performance.now()
  const result = await step()
  const seconds = (performance.now() - startedAt) / 1000
  clearInterval(timer)
  const end = memory()
  await watch.assertDurable(engine!.ledger.config.store)
  return { ...result, seconds, middle: samples[samples.length >> 1] ?? end, end }
}

function memory(): Memory {
  return { rssMb: process.memoryUsage.rss() / 2 ** 20, peakMb: process.resourceUsage().maxRSS / 1024 }
}

answerQuestions({ start, seal, submit, memory })
