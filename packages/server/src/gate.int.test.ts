import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { composeEngine, createLogger, openLedger } from './compose.ts'
import { sqliteStore } from './config/store.ts'
import { demoConfig } from './config.ts'
import { EPOCHS_MS } from './domain/entitlements/recent-epochs.ts'
import { API_KEY_CACHE_MS } from './domain/keys/verify-api-key.ts'
import { PLAIN_PLAN } from './domain/plans/plan.ts'
import { aClock, aProduct, aSubscription, utc } from './storage/contract/fixtures.ts'

const NOW = utc('2026-11-21T10:30')
/** What one node does holds on the others by then, ms. */
const ELSEWHERE_MS = 5_000

const plan = (id: string, calls: number) => ({
  ...PLAIN_PLAN,
  id,
  title: id,
  limits: [
    { dimension: 'calls', quantity: calls, window: 'day', onExceed: 'block' } as const,
    { dimension: 'exports', quantity: 5, window: 'day', onExceed: 'block' } as const,
  ],
})

/** Two nodes on one ledger, and a buyer with an API key. */
async function twoNodes() {
  const folder = mkdtempSync(join(tmpdir(), 'tollkeeper-gate-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  const clock = aClock(NOW)
  const product = aProduct({ plans: [plan('low', 10_000), plan('high', 100_000)] })
  const config = {
    ...demoConfig(),
    products: [product],
    subscriptions: [],
    store: sqliteStore(join(folder, 'ledger.db')),
  }
  const startNode = async () => {
    const ledger = await openLedger(config, clock)
    onTestFinished(() => ledger.close())
    return composeEngine(ledger, { clock, logger: createLogger({ log: { level: 'silent' } }) })
  }
  const [here, there] = [await startNode(), await startNode()]
  const { subscription } = await here.ledger.subscriptions.create(
    aSubscription({ product: product.id, plan: 'high', accessStart: NOW }),
    'test',
  )
  const change = (values: object) =>
    here.ledger.subscriptions.change(subscription.id, () => values, 'test', clock.now())
  const issued = await here.manageApiKeys.issue(
    {
      product: undefined,
      reference: { subscriptionId: subscription.id },
      user: undefined,
      name: undefined,
      scopes: [],
      expiresAt: undefined,
    },
    'test',
  )
  const ask = (node: typeof here, quantity = 1, dimension = 'calls') =>
    node.quota.validate({ key: issued.secret, dimension, quantity, mode: 'consume' })
  return { here, there, clock, change, issued, ask }
}

it('holds a limit that is lowered at once on the node, and within seconds on the others', async () => {
  const { here, there, clock, change, ask } = await twoNodes()
  expect(await ask(here, 12_000)).toMatchObject({ allowed: true })
  // Both have a slice of the larger limit at hand.
  for (const node of [here, there]) expect(await ask(node)).toMatchObject({ allowed: true })
  await change({ plan: 'low' })
  expect(await ask(here)).toMatchObject({ allowed: false, reason: 'quota_exceeded' })
  clock.set(NOW + EPOCHS_MS)
  expect(await ask(there)).toMatchObject({ allowed: false, reason: 'quota_exceeded' })
  expect(EPOCHS_MS).toBeLessThanOrEqual(ELSEWHERE_MS)
})

it('turns away who is suspended and whose key is revoked at once on the node, and within seconds on the others', async () => {
  const { here, there, clock, change, issued, ask } = await twoNodes()
  for (const node of [here, there]) expect(await ask(node)).toMatchObject({ allowed: true })
  await change({ status: 'suspended' })
  expect(await ask(here)).toMatchObject({ reason: 'suspended' })
  clock.set(NOW + EPOCHS_MS)
  expect(await ask(there)).toMatchObject({ reason: 'suspended' })
  await change({ status: 'active' })
  expect(await ask(here)).toMatchObject({ allowed: true })

  await here.manageApiKeys.revoke(issued.key.id, 'test')
  expect(await ask(here)).toMatchObject({ reason: 'key_revoked' })
  clock.set(clock.now() + API_KEY_CACHE_MS)
  expect(await ask(there)).toMatchObject({ reason: 'key_revoked' })
  expect(API_KEY_CACHE_MS).toBeLessThanOrEqual(ELSEWHERE_MS)
})

it('reads nothing for a use that it counts in memory', async () => {
  const { here, ask } = await twoNodes()
  await ask(here)
  // Whoever would read or write now could not.
  await here.ledger.close()
  for (let n = 0; n < 50; n++) expect(await ask(here)).toMatchObject({ allowed: true })
})

it('counts nothing in a ledger that another process moves, or that waits for a person', async () => {
  const { here, there, ask } = await twoNodes()
  expect(await ask(here, 1, 'exports')).toMatchObject({ allowed: true })
  await there.ledger.guard.hold(
    { reason: 'it is being copied', copy: { id: 'copy', to: 'elsewhere', isFinished: false } },
    'test',
    NOW,
  )
  await expect(ask(here, 1, 'exports')).rejects.toMatchObject({ code: 'ledger.waiting_for_release' })
  await expect(ask(here)).rejects.toMatchObject({ code: 'ledger.waiting_for_release' })
  await there.ledger.guard.release('test', NOW)
  expect(await ask(here, 1, 'exports')).toMatchObject({ allowed: true })
})
