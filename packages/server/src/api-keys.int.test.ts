import { expect, it, onTestFinished } from 'vitest'
import { composeEngine, composeServer, createLogger, openLedger } from './compose.ts'
import { sqliteStore } from './config/store.ts'
import { demoConfig } from './config.ts'
import { issueServiceKey } from './domain/keys/issue-service-key.ts'
import { aClock, aSubscription, utc } from './storage/contract/fixtures.ts'

const NOON = utc('2026-11-21T12:00')

/** A whole server on a ledger in memory. */
async function aServer() {
  const clock = aClock(NOON)
  const config = { ...demoConfig(), store: sqliteStore(':memory:') }
  const ledger = await openLedger(config, clock)
  const engine = await composeEngine(ledger, { clock, logger: createLogger({ log: { level: 'silent' } }) })
  const app = await composeServer(engine, { overloadDelayMs: 0 })
  onTestFinished(async () => {
    await app.close()
    await engine.jobs.stop()
    await ledger.close()
  })
  const product = ledger.catalog.list()[0]!.id
  const { subscription } = await ledger.subscriptions.create(aSubscription({ product }), 'test')
  const { secret } = await issueServiceKey(
    { keys: ledger.keys, clock },
    { name: 'backend', scopes: ['keys:write'], product: undefined },
    'test',
  )
  return {
    clock,
    engine,
    subscription,
    async ask(method: 'GET' | 'POST' | 'DELETE', url: string, payload?: object) {
      const headers = { authorization: `Bearer ${secret}` }
      const response = await app.inject({ method, url, headers, ...(payload && { payload }) })
      expect(response.statusCode, response.payload).toBeLessThan(300)
      return response.json()
    },
    metrics: async () => (await app.inject({ url: '/metrics' })).payload,
  }
}

it('lets a key in from the moment that it is made, and no longer from the moment that it is revoked', async () => {
  const { engine, ask, subscription } = await aServer()
  const { verify } = engine.apiKeyVerifier
  const { id, key } = await ask('POST', '/keys', { subscriptionId: subscription.id })
  expect(await verify(key)).toMatchObject({ refusal: undefined, key: { id, buyer: subscription.buyer } })
  const rotated = await ask('POST', `/keys/${id}/rotate`, { overlapSeconds: 0 })
  expect(await verify(key)).toMatchObject({ refusal: 'key_expired', key: { id } })
  expect(await verify(rotated.key)).toMatchObject({ refusal: undefined, key: { id: rotated.id } })
  await ask('DELETE', `/keys/${rotated.id}`)
  expect(await verify(rotated.key)).toMatchObject({ refusal: 'key_revoked', key: { id: rotated.id } })
})

it('counts its checks, and writes down the last use of each key when it stops', async () => {
  const { engine, ask, metrics, clock, subscription } = await aServer()
  const { id, key } = await ask('POST', '/keys', { buyerId: subscription.buyer, scopes: ['read'] })
  clock.set(NOON + 5_000)
  await engine.apiKeyVerifier.verify(key, { scope: 'read' })
  await engine.apiKeyVerifier.verify(key, { scope: 'write' })
  await engine.apiKeyVerifier.verify('tka_nonsense')
  expect((await ask('GET', `/keys/${id}`)).lastUsedAt).toBeUndefined()
  await engine.keyUses.stop()
  expect((await ask('GET', `/keys/${id}`)).lastUsedAt).toBe(new Date(NOON + 5_000).toISOString())
  const text = await metrics()
  for (const [result, count] of [
    ['valid', 1],
    ['scope', 1],
    ['malformed', 1],
    ['revoked', 0],
  ])
    expect(text).toContain(`tollkeeper_api_key_checks_total{result="${result}"} ${count}\n`)
})
