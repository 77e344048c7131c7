import { solveChallenge } from 'altcha-lib'
import { deriveKey } from 'altcha-lib/algorithms/pbkdf2'
import { expect, it, onTestFinished } from 'vitest'
import { composeEngine, composeServer, createLogger, openLedger } from './compose.ts'
import { sqliteStore } from './config/store.ts'
import { parseConfig } from './config.ts'
import { issueServiceKey } from './domain/keys/issue-service-key.ts'
import { LEDGER_KINDS } from './domain/moving/ledger-kinds.ts'
import { aClock, utc } from './storage/contract/fixtures.ts'

const NOON = utc('2026-11-21T12:00')
const DAY = 86_400_000

const CONFIG = `
mode: simulated
visitors: { saltDays: 20, keepDays: 40, newPerAddress: 1, difficulty: 20 }
products:
  - id: tiered
    title: Tiered
    productCode: tiered0code0of0twenty0five
    dimensions: [{ key: scans, name: Scans }]
    plans:
      - id: anonymous
        audience: anonymous
        trial: { days: 15 }
        limits: [{ dimension: calls, quantity: 2, window: lifetime }]
`

/** A whole server, as it is configured. */
async function aServer() {
  const clock = aClock(NOON)
  const parsed = parseConfig(CONFIG, { name: 'test', directory: '/', env: {} })
  const config = { ...parsed, store: sqliteStore(':memory:') }
  const ledger = await openLedger(config, clock)
  const engine = await composeEngine(ledger, { clock, logger: createLogger({ log: { level: 'silent' } }) })
  const app = await composeServer(engine, { overloadDelayMs: 0 })
  onTestFinished(async () => {
    await app.close()
    await engine.jobs.stop()
    await ledger.close()
  })
  const { secret } = await issueServiceKey(
    { keys: ledger.keys, clock },
    { name: 'backend', scopes: ['access:check'], product: undefined },
    'test',
  )
  return {
    clock,
    engine,
    ledger,
    async validate(visitor: object) {
      const headers = { authorization: `Bearer ${secret}` }
      const payload = { visitor, dimension: 'calls' }
      const response = await app.inject({ method: 'POST', url: '/quota/validate', headers, payload })
      expect(response.statusCode, response.payload).toBe(200)
      return response.json()
    },
    metrics: async () => (await app.inject({ url: '/metrics' })).payload,
  }
}

it('lets visitors in as configured, challenges the next ones of an address, and counts both', async () => {
  const { validate, metrics } = await aServer()
  const ada = { ip: '192.0.2.1', userAgent: 'Ada' }
  expect(await validate(ada)).toMatchObject({ allowed: true, remaining: 1 })
  const bob = { ip: '192.0.2.1', userAgent: 'Bob' }
  const { challenge, reason } = await validate(bob)
  expect(reason).toBe('challenge_required')
  const solution = await solveChallenge({ challenge, deriveKey })
  const payload = Buffer.from(JSON.stringify({ challenge, solution })).toString('base64')
  expect(await validate({ ...bob, challenge: payload })).toMatchObject({ allowed: true, remaining: 1 })
  expect(await validate(bob)).toMatchObject({ allowed: true, remaining: 0 })
  const text = await metrics()
  for (const [result, count] of [
    ['new', 1],
    ['challenged', 1],
    ['solved', 1],
    ['known', 1],
    ['unseen', 0],
  ])
    expect(text).toContain(`tollkeeper_visitor_checks_total{result="${result}"} ${count}\n`)
})

it('destroys salts and forgets visitors by a job, also where nobody comes', async () => {
  const { validate, clock, engine, ledger } = await aServer()
  const { visitor } = await validate({ ip: '192.0.2.1' })
  const all = async (name: 'visitor' | 'visitorSalt', field: string) => {
    const kind = LEDGER_KINDS.find((one) => one.name === name)!
    return (await ledger.copy.read(kind, undefined, 10)).rows.map((row) => row[field])
  }
  clock.set(NOON + 21 * DAY)
  await engine.jobs.runOnce()
  expect(await all('visitorSalt', 'number')).toEqual([1n, 2n])
  expect(await all('visitor', 'id')).toEqual([visitor])
  clock.set(NOON + 42 * DAY)
  await engine.jobs.runOnce()
  expect(await all('visitorSalt', 'number')).toEqual([2n, 3n])
  expect(await all('visitor', 'id')).toEqual([])
})
