/**
 * The product's server with end users who have API keys and limits; or the same one with a gate that decides nothing, or
 * with @fastify/rate-limit before such a gate.
 */
import assert from 'node:assert/strict'
import { subscribe } from 'node:diagnostics_channel'
import rateLimit from '@fastify/rate-limit'
import type { FastifyInstance } from 'fastify'
import { Redis } from 'ioredis'
import { composeEngine, composeServer, type Engine, openLedger } from '../../packages/server/src/compose.ts'
import { issueServiceKey } from '../../packages/server/src/domain/keys/issue-service-key.ts'
import { type Limit, PLAIN_PLAN } from '../../packages/server/src/domain/plans/plan.ts'
import type { Product } from '../../packages/server/src/domain/products/product.ts'
import type { QuotaAnswer } from '../../packages/server/src/domain/quotas/quota-answer.ts'
import type { ValidateQuota } from '../../packages/server/src/domain/quotas/validate-quota.ts'
import { windowAt } from '../../packages/server/src/domain/quotas/window.ts'
import { systemClock } from '../../packages/server/src/system-clock.ts'
import { answerQuestions } from '../harness/child.ts'
import { aConfig, aProduct, aSubscription, DIMENSION } from './demo-ledger.ts'
import { watchStore } from './watch-store.ts'

/**
 * - `leased`: a limit so large that nodes count slices of it in memory
 * - `exact`: a small limit, counted on disk before the answer
 * - `metered`: each use is a usage event, on disk before the answer
 * - `nothing`: the same door and the same answer, and no thought
 * - `library`: the same door, answer and no thought, behind @fastify/rate-limit that counts each API key in memory
 * - `redis`: behind the same that counts on Redis
 */
export type QuotaKind = 'leased' | 'exact' | 'metered' | 'nothing' | 'library' | 'redis'

export interface QuotaOptions {
  readonly directory: string
  readonly buyers: number
  readonly kind: QuotaKind
  /** Of `redis`. */
  readonly redisPort?: number
}

export interface QuotaDoor {
  readonly url: string
  readonly secret: string
  /** Of the end users, one of each buyer. */
  readonly apiKeys: readonly string[]
}

/** What is asked for: another name than any dimension of the product, but where it is metered. */
export const COUNTED = 'calls'
const DAY_MS = 86_400_000
/** The largest that is exact; each buyer has one, so that none is used up. */
const EXACT_MAX = 9_999
const LARGE_MAX = 1_000_000_000

const watch = watchStore()
let engine: Engine | undefined
let apiKeys: string[] = []
let subscriptions: string[] = []
let accessStart = 0
let kind: QuotaKind
let max = LARGE_MAX
let redisPort: number | undefined
let redis: Redis | undefined

async function start(options: QuotaOptions): Promise<void> {
  kind = options.kind
  redisPort = options.redisPort
  if (kind === 'exact') max = EXACT_MAX
  const product = soldProduct(kind)
  const config = aConfig({ directory: options.directory, products: [product] })
  await watch.begin(config.store)
  const ledger = await openLedger(config, systemClock)
  engine = await composeEngine(ledger, { clock: systemClock })
  accessStart = Date.now() - DAY_MS
  for (let index = 0; index < options.buyers; index++) {
    const { subscription } = await ledger.subscriptions.create(
      aSubscription(index, accessStart, { plan: 'pro' }),
      'bench',
    )
    subscriptions = [...subscriptions, subscription.id]
    const issued = await engine.manageApiKeys.issue(
      {
        product: undefined,
        reference: { subscriptionId: subscription.id },
        user: `user-${index}`,
        name: undefined,
        scopes: [],
        expiresAt: Date.now() + 365 * DAY_MS,
      },
      'bench',
    )
    apiKeys = [...apiKeys, issued.secret]
  }
}

function soldProduct(kind: QuotaKind): Product {
  const product = aProduct([DIMENSION])
  const limit: Limit = {
    dimension: kind === 'metered' ? DIMENSION : COUNTED,
    quantity: max,
    window: 'month',
    onExceed: 'block',
  }
  return {
    ...product,
    dimensions: product.dimensions.map((dimension) => ({
      ...dimension,
      meteredBy: kind === 'metered' ? 'gate' : 'product',
    })),
    plans: [
      { ...PLAIN_PLAN, id: 'pro', title: 'Pro', features: { export: true, seats: 25 }, limits: [limit] },
    ],
  }
}

async function listen(): Promise<QuotaDoor> {
  assert(engine !== undefined)
  const { secret } = await issueServiceKey(
    { keys: engine.ledger.keys, clock: engine.clock },
    { name: 'bench', scopes: ['access:check'], product: undefined },
    'bench',
  )
  if (kind === 'library' || kind === 'redis') putLibraryBeforeRoutes()
  const app = await composeServer(DECIDING.includes(kind) ? engine : await decidingNothing(engine))
  return { url: await app.listen({ host: '127.0.0.1', port: 0 }), secret, apiKeys }
}

const DECIDING: readonly QuotaKind[] = ['leased', 'exact', 'metered']

/** Each key is answered what it would be answered, as it was once: the bytes and the memory that they come from are the same. */
async function decidingNothing(engine: Engine): Promise<Engine> {
  const answers = new Map<string | undefined, QuotaAnswer>()
  for (const key of apiKeys) {
    const answer = await engine.quota.validate({ key, dimension: COUNTED, mode: 'look' })
    assert(answer.allowed)
    answers.set(key, answer)
  }
  const nothing: ValidateQuota = async ({ key }) => answers.get(key)!
  return { ...engine, quota: { ...engine.quota, validate: nothing } }
}

/** As its documentation says, on the very server of the product: the first plugin of the app that is made next. */
function putLibraryBeforeRoutes(): void {
  if (redisPort !== undefined) redis = new Redis({ port: redisPort, host: '127.0.0.1' })
  subscribe('fastify.initialization', (message) => {
    const { fastify } = message as { fastify: FastifyInstance }
    void fastify.register(rateLimit, {
      max: LARGE_MAX,
      timeWindow: DAY_MS,
      // The key is in the body.
      hook: 'preHandler',
      keyGenerator: ({ body }) => (body as { key: string }).key,
      ...(redis !== undefined && { redis }),
    })
  })
}

function cpu(): { cpuUs: number } {
  const { user, system } = process.cpuUsage()
  return { cpuUs: user + system }
}

/** What is counted, once all slices are given back; and of what is metered, the events that it became. */
async function check(): Promise<{ used: number; events: number }> {
  assert(engine !== undefined)
  if (redis !== undefined) return { used: await countedByRedis(redis), events: 0 }
  const { ledger, quota } = engine
  await watch.assertDurable(ledger.config.store)
  await quota.close()
  const { start } = windowAt('month', Date.now(), accessStart)
  const dimension = kind === 'metered' ? DIMENSION : COUNTED
  const counters = await ledger.quotas.read(
    subscriptions.map((holder) => ({ holder, dimension, window: 'month' as const, start })),
  )
  let used = 0
  for (const counter of counters) {
    assert(counter.used <= max, 'more than the limit was let through')
    assert.equal(counter.held, 0)
    used += counter.used
  }
  let events = 0
  let cursor: string | undefined
  do {
    const page = await ledger.usage.listBuckets({ limit: 500, ...(cursor !== undefined && { cursor }) })
    for (const bucket of page.items) events += bucket.events
    cursor = page.next
  } while (cursor !== undefined)
  return { used, events }
}

async function countedByRedis(redis: Redis): Promise<number> {
  const counts = await redis.mget(await redis.keys('fastify-rate-limit-*'))
  return counts.reduce((sum, count) => sum + Number(count ?? 0), 0)
}

answerQuestions({ start, listen, cpu, check })
