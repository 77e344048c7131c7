/** A route that answers as the gate does, behind what people use today, as its documentation says. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import rateLimit from '@fastify/rate-limit'
import Database from 'better-sqlite3'
import { fastify } from 'fastify'
import { RateLimiterRes, RateLimiterSQLite } from 'rate-limiter-flexible'
import { answerQuestions } from '../harness/child.ts'

/**
 * - `plugin`: @fastify/rate-limit, in memory
 * - `flexible`: rate-limiter-flexible on SQLite, as durable as the ledger
 */
export interface RateLimitsOptions {
  readonly directory: string
  readonly kind: 'plugin' | 'flexible'
  readonly path: string
  /** The bytes that it answers. */
  readonly answer: string
}

/** Never reached: what is measured is the counting. */
const REQUESTS_MAX = 1_000_000_000
const DAY_S = 86_400
const TABLE = 'counted'

const app = fastify()
let database: Database.Database | undefined

type Asked = { Body: { key: string } }

async function start({ directory, kind, path, answer }: RateLimitsOptions): Promise<void> {
  if (kind === 'plugin') {
    await app.register(rateLimit, {
      max: REQUESTS_MAX,
      timeWindow: DAY_S * 1000,
      // The key is in the body.
      hook: 'preHandler',
      keyGenerator: ({ body }) => (body as Asked['Body']).key,
    })
    app.post(path, async (_, reply) => reply.type('application/json; charset=utf-8').send(answer))
    return
  }
  database = new Database(join(directory, 'rate-limiter-flexible.db'))
  database.pragma('journal_mode = WAL')
  database.pragma('synchronous = FULL')
  const limiter = await openLimiter(database)
  app.post<Asked>(path, async ({ body }, reply) => {
    try {
      await limiter.consume(body.key)
    } catch (refusal) {
      return reply.code(refusal instanceof RateLimiterRes ? 429 : 500).send()
    }
    return reply.type('application/json; charset=utf-8').send(answer)
  })
}

function openLimiter(storeClient: Database.Database): Promise<RateLimiterSQLite> {
  return new Promise((resolve, reject) => {
    const limiter = new RateLimiterSQLite(
      { storeClient, storeType: 'better-sqlite3', tableName: TABLE, points: REQUESTS_MAX, duration: DAY_S },
      (error?: unknown) => (error ? reject(error) : resolve(limiter)),
    )
  })
}

async function listen(): Promise<{ url: string }> {
  return { url: await app.listen({ host: '127.0.0.1', port: 0 }) }
}

function cpu(): { cpuUs: number } {
  const { user, system } = process.cpuUsage()
  return { cpuUs: user + system }
}

/** What rate-limiter-flexible has on disk. */
function check(): { used: number } {
  assert(database !== undefined)
  assert.equal(database.pragma('journal_mode', { simple: true }), 'wal')
  assert.equal(database.pragma('synchronous', { simple: true }), 2)
  return database.prepare(`SELECT SUM(points) AS used FROM ${TABLE}`).get() as { used: number }
}

answerQuestions({ start, listen, cpu, check })
