import { createSimulator, createVirtualClock } from '@tollkeeper/simulator'
import { afterEach, expect, it } from 'vitest'
import { composeEngine, composeServer, createLogger, openLedger } from './compose.ts'
import { sqliteStore } from './config/store.ts'
import { demoConfig } from './config.ts'
import { issueServiceKey } from './domain/keys/issue-service-key.ts'
import { PLAIN_PLAN } from './domain/plans/plan.ts'
import { createRegisterBuyer } from './domain/subscriptions/register-buyer.ts'
import { aDimension, aProduct } from './storage/contract/fixtures.ts'

const MINUTE = 60_000
const HOUR = 3_600_000
const START = Date.UTC(2026, 10, 21, 10, 5)

const closing: (() => Promise<void> | void)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})

const product = aProduct({
  id: 'acme',
  productCode: 'acme0code0of0twenty0five0',
  listing: 'acme',
  pricing: 'contract-with-consumption',
  dimensions: [aDimension({ key: 'requests' })],
  plans: [
    {
      id: 'pro',
      title: 'Pro',
      ...PLAIN_PLAN,
      grantedBy: 'pro',
      features: { sso: true },
      included: [{ dimension: 'requests', units: 10n, per: 'seats', reset: 'calendarMonth' }],
    },
  ],
})

/** The whole server with a simulated AWS whose notifications are all lost. */
async function aSeller() {
  const virtual = createVirtualClock({ start: START, running: false })
  // Nobody else moves this clock: whoever waits lets the time pass.
  const clock = { now: () => virtual.now(), sleep: async (ms: number) => virtual.advance(Math.ceil(ms)) }
  const simulator = await createSimulator({
    clock: virtual,
    seed: 1,
    settings: { licenseDelayMs: 0, createdDelayMs: 0, emptyEntitlementPage: true },
    products: [
      {
        productCode: product.productCode,
        title: 'Acme',
        metering: 'license',
        pricing: 'contractWithConsumption',
        fulfillmentUrl: 'http://127.0.0.1:4000/',
        dimensions: [
          { key: 'requests', types: ['ExternallyMetered'] },
          { key: 'seats', types: ['Entitled'] },
          { key: 'pro', types: ['Entitled'] },
        ],
      },
    ],
  })
  closing.push(() => simulator.close())
  const base = demoConfig()
  const ledger = await openLedger(
    {
      ...base,
      store: sqliteStore(':memory:'),
      aws: { ...base.aws, endpoint: (await simulator.listen()).url },
      products: [product],
    },
    clock,
  )
  const engine = await composeEngine(ledger, { clock, logger: createLogger({ log: { level: 'silent' } }) })
  const app = await composeServer(engine)
  closing.push(async () => {
    await app.close()
    await engine.jobs.stop()
    await ledger.close()
  })
  const { secret } = await issueServiceKey(
    { keys: ledger.keys, clock },
    { name: 'gateway', scopes: ['access:check', 'usage:write'], product: undefined },
    'test',
  )
  const headers = { authorization: `Bearer ${secret}` }
  return {
    simulator,
    ledger,
    engine,
    check: async (query: Readonly<Record<string, string>>) =>
      (await app.inject({ url: `/entitlements/check?${new URLSearchParams(query)}`, headers })).json(),
    use: async (subscriptionId: string, quantity: number) => {
      const payload = {
        subscriptionId,
        dimension: 'requests',
        quantity,
        usageTime: new Date(virtual.now()).toISOString(),
        correlationId: `use-${virtual.now()}`,
      }
      expect((await app.inject({ method: 'POST', url: '/meter', headers, payload })).statusCode).toBe(200)
    },
    runFor: async (ms: number) => {
      for (const end = virtual.now() + ms; virtual.now() < end; ) {
        virtual.advance(Math.min(5 * MINUTE, end - virtual.now()))
        await engine.jobs.runOnce()
      }
    },
  }
}

it('sells a contract from its registration to its end, though no notification arrives', async () => {
  const { simulator, ledger, engine, check, use, runFor } = await aSeller()
  const { marketplace } = simulator
  const order = marketplace.subscribe({
    productCode: product.productCode,
    accountId: '123456789012',
    buyerName: 'Ada',
    quantities: { seats: 2, pro: 1 },
  })
  const register = createRegisterBuyer({
    metering: engine.metering,
    cases: ledger.cases,
    catalog: ledger.catalog,
    clock: engine.clock,
    onRegistered: engine.refreshSoon,
  })
  const { subscription } = await register('acme', order.token)
  const ask = (question: Readonly<Record<string, string>> = {}) =>
    check({ subscriptionId: subscription.id, ...question })
  // The registration does not wait for AWS; who asks a moment later is let in.
  await expect
    .poll(() => ask({ feature: 'sso' }))
    .toMatchObject({
      allowed: true,
      status: 'active',
      plan: 'pro',
      entitlements: [
        { dimension: 'seats', value: 2 },
        { dimension: 'pro', value: 1 },
      ],
    })

  // 20 requests are included; 30 from the upgrade on.
  await use(subscription.id, 25)
  await runFor(90 * MINUTE)
  marketplace.amend(order.id, { seats: 3 })
  await runFor(HOUR)
  await use(subscription.id, 12)
  await runFor(90 * MINUTE)
  expect(marketplace.listRecords({ from: 0, limit: 10 }).map(({ quantity }) => quantity)).toEqual([5, 2])

  // AWS is down: what it said serves on, and says how old it is.
  simulator.faults.order({ kind: 'internalError' })
  await runFor(3 * HOUR)
  expect(await ask({ dimension: 'seats' })).toMatchObject({ allowed: true, stale: true })
  expect((await ask()).ageSeconds).toBeGreaterThan(2 * 3600)
  simulator.faults.clear()
  await runFor(20 * MINUTE)
  expect(await ask()).toMatchObject({ allowed: true, stale: false })

  marketplace.cancel(order.id)
  await runFor(5 * MINUTE)
  expect(await ask()).toMatchObject({ allowed: true })
  // Read within the hour, and again to be sure.
  await runFor(75 * MINUTE)
  expect(await ask()).toMatchObject({ allowed: false, reason: 'cancelling', entitlements: [] })
  await runFor(2 * HOUR)
  expect(await ask()).toMatchObject({ allowed: false, reason: 'ended', status: 'cancelled' })
})
