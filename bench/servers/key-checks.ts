/** Checks API keys in one process: by the product on its own ledger, or by better-auth's plugin on a store of its kind. */

import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { apiKey } from '@better-auth/api-key'
import { betterAuth } from 'better-auth'
import { memoryAdapter } from 'better-auth/adapters/memory'
import { getMigrations } from 'better-auth/db/migration'
import Database from 'better-sqlite3'
import { composeManageApiKeys, openLedger } from '../../packages/server/src/compose.ts'
import {
  API_KEY_CACHE_MS,
  createApiKeyVerifier,
} from '../../packages/server/src/domain/keys/verify-api-key.ts'
import { createKeyUseNotes } from '../../packages/server/src/jobs/note-key-uses.ts'
import { systemClock } from '../../packages/server/src/system-clock.ts'
import { answerQuestions } from '../harness/child.ts'
import { aConfig, aProduct, aSubscription, DIMENSION } from './demo-ledger.ts'

export interface KeyChecksOptions {
  readonly directory: string
  readonly keys: number
  /**
   * - `warm`: the product, as it runs: keys are in memory for 5 seconds
   * - `cold`: the product, each check reads the ledger on SQLite
   * - `memory`: better-auth, keys in a secondary storage that is a `Map`
   * - `sqlite`: better-auth, keys in SQLite
   */
  readonly kind: 'warm' | 'cold' | 'memory' | 'sqlite'
  /** Of better-auth. */
  readonly rateLimit: boolean
}

export interface KeyChecks {
  readonly checked: number
  readonly ms: number
  readonly cpuUs: number
}

/** As in a server with so many requests at once. */
const AT_ONCE = 50
const DAY_MS = 86_400_000
/** Never reached: what is measured is the counting. */
const REQUESTS_MAX = 1_000_000_000

interface Checker {
  readonly secrets: readonly string[]
  /** @throws {Error} where it is not let in */
  check(secret: string): Promise<void>
  /** Each key was checked once more. */
  onPass(): void
  /** What is written down later is part of the price. */
  settle(): Promise<void>
}

/** A buyer has a bounded number of them. */
const KEYS_PER_BUYER = 100

let checker: Checker | undefined
let next = 0

async function start(options: KeyChecksOptions): Promise<void> {
  checker = await (options.kind === 'warm' || options.kind === 'cold' ? product : betterAuthPlugin)(options)
  for (const secret of checker.secrets) await checker.check(secret)
}

async function product({ directory, keys, kind }: KeyChecksOptions): Promise<Checker> {
  const ledger = await openLedger(aConfig({ directory, products: [aProduct([DIMENSION])] }), systemClock)
  const manage = composeManageApiKeys(ledger, systemClock)
  const request = {
    product: undefined,
    user: 'bench',
    name: undefined,
    scopes: ['read'],
    expiresAt: Date.now() + 365 * DAY_MS,
  }
  const secrets: string[] = []
  for (let buyer = 0; secrets.length < keys; buyer++) {
    const begun = aSubscription(buyer, Date.now() - DAY_MS)
    const { subscription } = await ledger.subscriptions.create(begun, 'bench')
    const reference = { subscriptionId: subscription.id }
    for (let index = 0; index < KEYS_PER_BUYER && secrets.length < keys; index++)
      secrets.push((await manage.issue({ ...request, reference }, 'bench')).secret)
  }
  /** Later than it is: what was kept before is too old by then. */
  let aheadMs = 0
  const { apiKeys } = ledger
  const verifier = createApiKeyVerifier({ apiKeys, clock: { now: () => Date.now() + aheadMs } })
  const notes = createKeyUseNotes({
    verifier,
    apiKeys,
    mayRun: async () => true,
    onError: (error) => {
      throw error
    },
  })
  return {
    secrets,
    async check(secret) {
      const { refusal } = await verifier.verify(secret, { scope: 'read' })
      assert.equal(refusal, undefined)
    },
    onPass: () => {
      if (kind === 'cold') aheadMs += API_KEY_CACHE_MS
    },
    settle: notes.flush,
  }
}

/** In the configuration of its documentation that has least to do. */
async function betterAuthPlugin({ directory, keys, kind, rateLimit }: KeyChecksOptions): Promise<Checker> {
  const database = kind === 'sqlite' ? openDatabase(directory) : emptyMemory()
  const auth = betterAuth({
    database,
    secret: randomBytes(32).toString('base64'),
    baseURL: 'http://127.0.0.1',
    telemetry: { enabled: false },
    // It complains of tables that are made a moment later.
    logger: { disabled: true },
    emailAndPassword: { enabled: true },
    ...(kind === 'memory' && { secondaryStorage: aSecondaryStorage() }),
    plugins: [
      apiKey({
        storage: kind === 'memory' ? 'secondary-storage' : 'database',
        rateLimit: { enabled: rateLimit, maxRequests: REQUESTS_MAX, timeWindow: DAY_MS },
      }),
    ],
  })
  if (kind === 'sqlite') await (await getMigrations(auth.options)).runMigrations()
  const { user } = await auth.api.signUpEmail({
    body: { email: 'bench@example.com', password: randomBytes(16).toString('hex'), name: 'Bench' },
  })
  const body = { userId: user.id, expiresIn: 365 * 86_400, permissions: { reports: ['read'] } }
  const secrets: string[] = []
  for (let index = 0; index < keys; index++) secrets.push((await auth.api.createApiKey({ body })).key)
  return {
    secrets,
    async check(key) {
      const { valid } = await auth.api.verifyApiKey({ body: { key, permissions: { reports: ['read'] } } })
      assert(valid)
    },
    onPass: () => {},
    settle: async () => {},
  }
}

/** It writes the last use of a key at each check: no flush for each of them. */
function openDatabase(directory: string) {
  const database = new Database(join(directory, 'better-auth.db'))
  database.pragma('journal_mode = WAL')
  database.pragma('synchronous = NORMAL')
  return database
}

function emptyMemory() {
  return memoryAdapter({ user: [], session: [], account: [], verification: [], apikey: [] })
}

function aSecondaryStorage() {
  const values = new Map<string, string>()
  return {
    get: (key: string) => values.get(key) ?? null,
    set: (key: string, value: string) => void values.set(key, value),
    delete: (key: string) => void values.delete(key),
    getAndDelete(key: string) {
      const value = values.get(key) ?? null
      values.delete(key)
      return value
    },
    increment(key: string) {
      const value = Number(values.get(key) ?? 0) + 1
      values.set(key, String(value))
      return value
    },
  }
}

/** Keys in turn, for so long. */
async function check({ ms }: { ms: number }): Promise<KeyChecks> {
  assert(checker !== undefined)
  const { secrets, onPass, settle } = checker
  const before = process.cpuUsage()
  const startedAt = performance.now()
  let checked = 0
  while (performance.now() - startedAt < ms) {
    const checks: Promise<void>[] = []
    for (let index = 0; index < AT_ONCE; index++) {
      checks.push(checker.check(secrets[next]!))
      next = (next + 1) % secrets.length
    }
    await Promise.all(checks)
    checked += checks.length
    if (next === 0) onPass()
  }
  await settle()
  const { user, system } = process.cpuUsage(before)
  return { checked, ms: performance.now() - startedAt, cpuUs: user + system }
}

answerQuestions({ start, check })
