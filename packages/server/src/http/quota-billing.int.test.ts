import { afterEach, describe, expect, it } from 'vitest'
import { createRefreshEntitlements } from '../domain/entitlements/refresh-entitlements.ts'
import { type Limit, PLAIN_PLAN, type Plan } from '../domain/plans/plan.ts'
import type { Subscription } from '../domain/subscriptions/subscription.ts'
import { aDimension, aProduct, aSubscription } from '../storage/contract/fixtures.ts'
import { anApp } from './app.fixture.ts'

function aPlan(id: string, limits: readonly Limit[], values: Partial<Plan> = {}): Plan {
  return { ...PLAIN_PLAN, id, title: id, limits, ...values }
}

const DIMENSIONS = ['scans', 'users', 'calls'].map((key) => aDimension({ key, meteredBy: 'gate' }))

const PRODUCTS = [
  aProduct({
    id: 'contract',
    productCode: 'contract0of0twenty0five00',
    listing: 'contract',
    pricing: 'contract',
    dimensions: DIMENSIONS,
    plans: [
      aPlan('basic', [{ dimension: 'users', quantity: 2, window: 'day', onExceed: 'block' }], {
        grantedBy: 'basic',
      }),
    ],
  }),
  aProduct({
    id: 'by-use',
    productCode: 'by0use0code0twenty0five00',
    listing: 'by-use',
    dimensions: DIMENSIONS,
    plans: [
      aPlan('pro', [
        { dimension: 'calls', quantity: 2, window: 'day', onExceed: 'bill' },
        // Large ones are counted in memory.
        { dimension: 'exports', quantity: 10_000, window: 'day', onExceed: 'bill' },
      ]),
    ],
  }),
]

const opened: { close(): Promise<void> }[] = []
afterEach(async () => {
  for (const seller of opened.splice(0)) await seller.close()
})

async function start() {
  const seller = await anApp({ products: PRODUCTS })
  opened.push(seller)
  const { app, deps, clock, entitlements } = seller
  const { secret } = await seller.aKey(['access:check'])
  const ask = async (subscription: Subscription, dimension: string, quantity = 1) => {
    const response = await app.inject({
      method: 'POST',
      url: '/quota/validate',
      headers: { authorization: `Bearer ${secret}` },
      payload: { subscriptionId: subscription.id, dimension, quantity },
    })
    return response.json()
  }
  const check = async ({ id }: Subscription, dimension: string) => {
    const response = await app.inject({
      url: `/entitlements/check?${new URLSearchParams({ subscriptionId: id, dimension })}`,
      headers: { authorization: `Bearer ${secret}` },
    })
    return response.json().allowed
  }
  const subscribe = async (values: Partial<Subscription>) =>
    (await deps.subscriptions.create(aSubscription({ plan: undefined, ...values }), 'test')).subscription
  /** AWS says that the contract grants this. */
  const grant = (subscription: Subscription, dimension: string) =>
    createRefreshEntitlements({
      entitlements,
      service: {
        getEntitlements: async () => [
          { dimension, value: { kind: 'integer', value: 1 }, expiresAt: undefined },
        ],
      },
      cases: { settleOf: () => Promise.reject(new Error('nobody waits here')) },
      usage: deps.usage,
      catalog: deps.catalog,
      clock,
      refreshMs: 3_600_000,
    })(subscription.id)
  return { ask, check, subscribe, grant }
}

const REFUSED = { allowed: false, reason: 'not_entitled', limits: [] }

describe('what no plan names', () => {
  it('is for nobody who bought a contract, which AWS bills no use of', async () => {
    const { ask, check, subscribe, grant } = await start()
    const buyer = await subscribe({ product: 'contract' })
    // Before AWS has answered for the first time.
    expect(await ask(buyer, 'scans', 1e9)).toMatchObject(REFUSED)
    await grant(buyer, 'basic')
    expect(await ask(buyer, 'users')).toMatchObject({ allowed: true, plan: 'basic', remaining: 1 })
    expect(await ask(buyer, 'scans', 1e9)).toMatchObject(REFUSED)
    expect(await check(buyer, 'users')).toBe(true)
    expect(await check(buyer, 'scans')).toBe(false)
    // AWS grants a dimension that no plan is granted by.
    await grant(buyer, 'support')
    const without = await ask(buyer, 'scans', 1e9)
    expect(without).toMatchObject(REFUSED)
    expect(without.plan).toBeUndefined()
  })

  it('may be used where the contract itself grants it', async () => {
    const { ask, subscribe, grant } = await start()
    const buyer = await subscribe({ product: 'contract' })
    await grant(buyer, 'scans')
    expect(await ask(buyer, 'scans')).toMatchObject({ allowed: true, limits: [] })
    expect(await ask(buyer, 'users')).toMatchObject(REFUSED)
  })

  it('is paid by use, with a plan and without: at AWS Marketplace, and off it', async () => {
    const { ask, subscribe } = await start()
    const off = { channel: 'direct', licenseArn: undefined, customerAwsAccountId: undefined } as const
    for (const values of [
      { product: 'by-use' },
      { product: 'by-use', plan: 'pro' },
      { product: 'by-use', ...off },
      { product: 'contract', ...off },
    ])
      expect(await ask(await subscribe(values), 'scans', 1e6), JSON.stringify(values)).toMatchObject({
        allowed: true,
        limits: [],
        recordId: expect.any(String),
      })
  })
})

describe('a limit that bills', () => {
  it('blocks who pays nothing, and says so', async () => {
    const { ask, check, subscribe } = await start()
    const free = { product: 'by-use', channel: 'free', licenseArn: undefined } as const
    const guest = await subscribe({ ...free, plan: 'pro' })
    expect(await ask(guest, 'calls', 2)).toMatchObject({
      allowed: true,
      remaining: 0,
      limits: [{ onExceed: 'block' }],
    })
    expect(await ask(guest, 'calls')).toMatchObject({ allowed: false, reason: 'quota_exceeded' })
    expect(await ask(guest, 'exports', 10_000)).toMatchObject({ allowed: true, remaining: 0 })
    expect(await ask(guest, 'exports')).toMatchObject({ allowed: false, reason: 'quota_exceeded' })
    expect(await ask(guest, 'scans')).toMatchObject(REFUSED)
    expect(await check(guest, 'calls')).toBe(true)
    expect(await check(guest, 'scans')).toBe(false)
    // One plan, two who are on it: the other pays.
    const paying = await subscribe({ product: 'by-use', plan: 'pro' })
    expect(await ask(paying, 'calls', 3)).toMatchObject({
      allowed: true,
      remaining: 'unlimited',
      limits: [{ onExceed: 'bill', used: 3 }],
    })
    // Without a plan nothing is granted to who pays nothing.
    expect(await ask(await subscribe({ ...free, tenantId: 'none' }), 'calls')).toMatchObject(REFUSED)
  })
})
