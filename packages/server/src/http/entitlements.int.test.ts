import { afterEach, describe, expect, it } from 'vitest'
import { createRefreshEntitlements } from '../domain/entitlements/refresh-entitlements.ts'
import { DomainError } from '../domain/error.ts'
import { PLAIN_PLAN, type Plan } from '../domain/plans/plan.ts'
import type { Product } from '../domain/products/product.ts'
import type { Subscription } from '../domain/subscriptions/subscription.ts'
import type { SubscriptionChange } from '../domain/subscriptions/subscription-store.ts'
import { seats } from '../storage/contract/contract-harness.ts'
import { aDimension, aProduct, aSubscription, utc } from '../storage/contract/fixtures.ts'
import { anApp, NOW } from './app.fixture.ts'

const aPlan = (id: string, values: Partial<Plan> = {}): Plan => ({
  id,
  title: id,
  ...PLAIN_PLAN,
  ...values,
})

/** A product by contract with consumption, a pure contract, and one by use. */
const PRODUCTS: readonly Product[] = [
  aProduct({
    id: 'acme',
    productCode: 'acme0code0of0twenty0five0',
    pricing: 'contract-with-consumption',
    dimensions: [aDimension({ key: 'requests', metrics: ['apiCalls'] })],
    plans: [
      aPlan('pro', { features: { export: true, seats: 5, support: 'mail', sso: false, trials: 0 } }),
      aPlan('enterprise', {
        grantedBy: 'enterprise',
        features: { export: true, sso: true },
        limits: [
          { dimension: 'requests', quantity: 'unlimited', window: 'month', onExceed: 'block' },
          { dimension: 'scans', quantity: 1000, window: 'day', onExceed: 'block' },
        ],
      }),
    ],
  }),
  aProduct({ id: 'pure', productCode: 'pure0code0of0twenty0five0', listing: 'pure', pricing: 'contract' }),
  aProduct({ id: 'other', productCode: 'other0code0of0twenty0five', listing: 'other' }),
]

const opened: { close(): Promise<void> }[] = []
afterEach(async () => {
  for (const seller of opened.splice(0)) await seller.close()
})

async function aSeller() {
  const seller = await anApp({ products: PRODUCTS })
  opened.push(seller)
  const { deps, app, clock, entitlements, subscription: first } = seller
  await deps.subscriptions.change(first.id, () => ({ status: 'failed' }), 'test', NOW)
  const { secret } = await seller.aKey(['access:check'])
  const ask = async (query: Readonly<Record<string, string>>, key = secret) => {
    const response = await app.inject({
      url: `/entitlements/check?${new URLSearchParams(query)}`,
      headers: { authorization: `Bearer ${key}` },
    })
    return { status: response.statusCode, body: response.json() }
  }
  const subscribe = async (values: Partial<Subscription> = {}) =>
    (await deps.subscriptions.create(aSubscription({ product: 'acme', ...values }), 'test')).subscription
  let isDown = false
  let granted = [seats(5, utc('2027-11-01T00:00'))]
  const refresh = createRefreshEntitlements({
    entitlements,
    service: {
      getEntitlements: async () => {
        if (isDown) throw new DomainError('marketplace.unavailable', 'AWS is down')
        return granted
      },
    },
    cases: {
      settleOf: () => Promise.reject(new Error('nobody waits here')),
    },
    usage: deps.usage,
    catalog: deps.catalog,
    clock,
    refreshMs: 3_600_000,
  })
  return {
    ...seller,
    ask,
    subscribe,
    refresh,
    down: () => {
      isDown = true
    },
    grant: (...now: typeof granted) => {
      granted = now
    },
    change: (id: string, change: SubscriptionChange) =>
      deps.subscriptions.change(id, () => change, 'test', NOW),
  }
}

describe('GET /entitlements/check', () => {
  it('answers with plan, features, limits, what AWS granted, and how old that is', async () => {
    const { ask, subscribe, refresh, grant, clock } = await aSeller()
    const buyer = await subscribe({ tenantId: 'acme-1' })
    grant(seats(5, utc('2027-11-01T00:00')), {
      dimension: 'enterprise',
      value: { kind: 'boolean', value: true },
      expiresAt: utc('2027-10-01T00:00'),
    })
    await refresh(buyer.id)
    clock.set(NOW + 90_500)
    expect(await ask({ tenantId: 'acme-1', feature: 'sso' })).toEqual({
      status: 200,
      body: {
        allowed: true,
        buyer: buyer.buyer,
        subscription: buyer.id,
        product: 'acme',
        status: 'active',
        plan: 'enterprise',
        features: { export: true, sso: true },
        limits: [
          { dimension: 'requests', quantity: 'unlimited', window: 'month', onExceed: 'block' },
          { dimension: 'scans', quantity: 1000, window: 'day', onExceed: 'block' },
        ],
        entitlements: [
          { dimension: 'seats', value: 5, expiresAt: '2027-11-01T00:00:00.000Z' },
          { dimension: 'enterprise', value: true, expiresAt: '2027-10-01T00:00:00.000Z' },
        ],
        expiresAt: '2027-10-01T00:00:00.000Z',
        readAt: new Date(NOW).toISOString(),
        ageSeconds: 90,
        stale: false,
      },
    })
  })

  it('finds the buyer by any name that it has', async () => {
    const { ask, subscribe } = await aSeller()
    const buyer = await subscribe({ tenantId: 'acme-1', customerIdentifier: 'ifAPi5AcF3' })
    for (const query of [
      { subscriptionId: buyer.id },
      { buyerId: buyer.buyer },
      { tenantId: 'acme-1' },
      { licenseArn: buyer.licenseArn! },
      { licenseArn: buyer.licenseArn!.split(':').at(-1)! },
      { customerAWSAccountId: buyer.customerAwsAccountId! },
      { customerIdentifier: 'ifAPi5AcF3', product: 'acme' },
    ])
      expect((await ask(query)).body, JSON.stringify(query)).toMatchObject({ subscription: buyer.id })
  })

  it('keeps serving what AWS said last, and says that it is stale', async () => {
    const { ask, subscribe, refresh, down, clock } = await aSeller()
    const buyer = await subscribe()
    expect((await ask({ subscriptionId: buyer.id })).body).toMatchObject({ stale: true, entitlements: [] })
    await refresh(buyer.id)
    expect((await ask({ subscriptionId: buyer.id })).body).toMatchObject({ stale: false, ageSeconds: 0 })
    down()
    clock.set(NOW + 60_000)
    await refresh(buyer.id)
    expect((await ask({ subscriptionId: buyer.id, dimension: 'seats' })).body).toMatchObject({
      allowed: true,
      stale: true,
      ageSeconds: 60,
      readAt: new Date(NOW).toISOString(),
      entitlements: [{ dimension: 'seats', value: 5 }],
    })
  })

  it.each([
    ['export', true],
    ['seats', true],
    ['support', true],
    ['sso', false],
    ['trials', false],
    ['nonsense', false],
    ['__proto__', false],
    ['toString', false],
  ])('says of the feature %s: %s', async (feature, allowed) => {
    const { ask, subscribe } = await aSeller()
    const buyer = await subscribe({ plan: 'pro' })
    const { body } = await ask({ subscriptionId: buyer.id, feature })
    expect(body).toMatchObject({ allowed, ...(allowed ? {} : { reason: 'not_entitled' }) })
  })

  it('lets a contract use what it grants, and what is paid by use besides', async () => {
    const { ask, subscribe, refresh, grant } = await aSeller()
    const mixed = await subscribe()
    const pure = await subscribe({ product: 'pure' })
    const byUse = await subscribe({ product: 'other' })
    const direct = await subscribe({ product: 'pure', channel: 'direct', licenseArn: undefined })
    grant(seats(5), { dimension: 'sites', value: { kind: 'integer', value: 0 }, expiresAt: undefined })
    for (const { id } of [mixed, pure]) await refresh(id)
    const may = async ({ id }: Subscription, dimension: string) =>
      (await ask({ subscriptionId: id, dimension })).body.allowed
    expect(await may(mixed, 'seats')).toBe(true)
    expect(await may(mixed, 'sites')).toBe(false)
    expect(await may(mixed, 'requests')).toBe(true)
    expect(await may(mixed, 'apiCalls')).toBe(true)
    expect(await may(pure, 'seats')).toBe(true)
    expect(await may(pure, 'requests')).toBe(false)
    expect(await may(byUse, 'requests')).toBe(true)
    expect(await may(byUse, 'seats')).toBe(false)
    expect(await may(direct, 'requests')).toBe(true)
    // What a contract grants is a feature too.
    expect((await ask({ subscriptionId: pure.id, feature: 'seats' })).body.allowed).toBe(true)
  })

  it.each([
    ['pending', 'pending'],
    ['suspended', 'suspended'],
    ['cancelling', 'cancelling'],
    ['cancelled', 'ended'],
    ['expired', 'ended'],
    ['failed', 'ended'],
  ] as const)('refuses one that is %s: %s', async (status, reason) => {
    const { ask, subscribe, change } = await aSeller()
    const buyer = await subscribe()
    // Asked before, so that an answer is in memory.
    expect((await ask({ subscriptionId: buyer.id })).body).toMatchObject({ allowed: true })
    const isOver = status !== 'pending' && status !== 'suspended'
    await change(buyer.id, {
      status,
      ...(isOver && { accessEnd: NOW, finalWindowEnd: NOW + 3_600_000 }),
    })
    expect(await ask({ subscriptionId: buyer.id })).toMatchObject({
      status: 200,
      body: { allowed: false, reason, status },
    })
  })

  it('notices at once what AWS says anew', async () => {
    const { ask, subscribe, refresh, grant } = await aSeller()
    const buyer = await subscribe()
    await refresh(buyer.id)
    expect((await ask({ subscriptionId: buyer.id, dimension: 'sites' })).body.allowed).toBe(false)
    grant({ ...seats(1), dimension: 'sites' })
    await refresh(buyer.id)
    expect((await ask({ subscriptionId: buyer.id, dimension: 'sites' })).body.allowed).toBe(true)
    expect((await ask({ subscriptionId: buyer.id, dimension: 'seats' })).body.allowed).toBe(false)
  })

  it('follows a renewal, by the old license as well, and lets the buyer in meanwhile', async () => {
    const { ask, subscribe, change, refresh } = await aSeller()
    const account = '999900001111'
    const old = await subscribe({ plan: 'pro', customerAwsAccountId: account, tenantId: 'acme-1' })
    await refresh(old.id)
    const byOldLicense = { licenseArn: old.licenseArn! }
    await change(old.id, { status: 'superseded', accessEnd: NOW, finalWindowEnd: NOW + 3_600_000 })
    expect((await ask(byOldLicense)).body).toMatchObject({ allowed: true, subscription: old.id })
    // Its successor is registered, and AWS has not granted it yet.
    const heir = await subscribe({
      status: 'pending',
      buyer: old.buyer,
      plan: 'pro',
      customerAwsAccountId: account,
      tenantId: 'acme-1',
    })
    await change(old.id, { successor: heir.id })
    for (const query of [byOldLicense, { customerAWSAccountId: account }, { tenantId: 'acme-1' }])
      expect((await ask({ ...query, dimension: 'seats' })).body).toMatchObject({
        allowed: true,
        subscription: old.id,
      })
    await change(heir.id, { status: 'active' })
    for (const query of [byOldLicense, { customerAWSAccountId: account }, { tenantId: 'acme-1' }]) {
      const { body } = await ask({ ...query, dimension: 'seats' })
      // AWS has not answered for it yet: what it granted the old one serves.
      expect(body).toMatchObject({ allowed: true, subscription: heir.id, entitlements: [{ value: 5 }] })
      expect(body.subscriptions).toBeUndefined()
    }
  })

  describe('of a buyer with several', () => {
    const aBuyer = async () => {
      const seller = await aSeller()
      const account = '999900002222'
      const values = { customerAwsAccountId: account, tenantId: 'both' }
      const basic = await seller.subscribe({ ...values, plan: 'pro' })
      const rich = await seller.subscribe({ ...values, plan: 'enterprise' })
      return { ...seller, account, basic, rich }
    }

    it('answers for the buyer, asked by the buyer or its account: allowed if any is', async () => {
      const { ask, account, basic, rich } = await aBuyer()
      for (const query of [{ customerAWSAccountId: account }, { buyerId: basic.buyer }]) {
        const { status, body } = await ask({ ...query, feature: 'sso' })
        expect(status).toBe(200)
        expect(body).toMatchObject({ allowed: true, subscription: rich.id, plan: 'enterprise' })
        expect(body.subscriptions).toEqual(
          expect.arrayContaining([
            { subscription: basic.id, status: 'active', plan: 'pro', allowed: false, reason: 'not_entitled' },
            { subscription: rich.id, status: 'active', plan: 'enterprise', allowed: true },
          ]),
        )
      }
    })

    it('never guesses where they do not agree: it lists them', async () => {
      const { ask, basic, rich } = await aBuyer()
      expect(await ask({ tenantId: 'both', feature: 'export' })).toMatchObject({
        status: 200,
        body: { allowed: true },
      })
      const { status, body } = await ask({ tenantId: 'both', feature: 'sso' })
      expect([status, body.code]).toEqual([409, 'subscription.ambiguous'])
      expect(body.candidates.map((one: { subscriptionId: string }) => one.subscriptionId).sort()).toEqual(
        [basic.id, rich.id].sort(),
      )
      expect(body.details).toBeUndefined()
    })

    it('takes two products of one account for two buyers', async () => {
      const { ask, account, subscribe } = await aBuyer()
      await subscribe({ product: 'other', customerAwsAccountId: account })
      expect((await ask({ customerAWSAccountId: account })).status).toBe(409)
      expect((await ask({ customerAWSAccountId: account, product: 'other' })).body).toMatchObject({
        allowed: true,
        product: 'other',
      })
    })

    it('ignores those that ended', async () => {
      const { ask, change, basic, rich } = await aBuyer()
      await change(rich.id, { status: 'cancelling', accessEnd: NOW, finalWindowEnd: NOW + 3_600_000 })
      expect((await ask({ tenantId: 'both', feature: 'sso' })).body).toMatchObject({
        allowed: false,
        reason: 'not_entitled',
        subscription: basic.id,
      })
    })
  })

  it('does not know a stranger, and tells nobody of another product’s buyers', async () => {
    const { ask, subscribe, aKey } = await aSeller()
    const theirs = await subscribe({ product: 'other', tenantId: 'theirs' })
    const { secret } = await aKey(['access:check'], 'acme')
    const nowhere = await ask({ subscriptionId: 'sub_nowhere' }, secret)
    expect(nowhere).toMatchObject({ status: 404, body: { code: 'buyer.not_found' } })
    for (const query of [{ subscriptionId: theirs.id }, { tenantId: 'theirs' }, { buyerId: theirs.buyer }])
      expect(await ask(query, secret)).toEqual(nowhere)
    expect(await ask({ tenantId: 'theirs', product: 'other' }, secret)).toEqual(
      await ask({ tenantId: 'theirs', product: 'nowhere' }, secret),
    )
  })

  it('wants to know who is meant', async () => {
    const { ask } = await aSeller()
    expect(await ask({ feature: 'sso' })).toMatchObject({ status: 400, body: { code: 'request.invalid' } })
    expect(await ask({ tennantId: 'x' })).toMatchObject({ status: 400 })
  })
})

describe('GET /marketplace/subscriptions/{id}/entitlements', () => {
  it('shows what AWS said last, and from when on what was granted', async () => {
    const { app, auth, subscribe, refresh, grant, clock, down } = await aSeller()
    const buyer = await subscribe()
    await refresh(buyer.id)
    clock.set(NOW + 60_000)
    grant(seats(8))
    await refresh(buyer.id)
    down()
    clock.set(NOW + 120_000)
    await refresh(buyer.id)
    const response = await app.inject({
      url: `/marketplace/subscriptions/${buyer.id}/entitlements`,
      headers: auth,
    })
    expect(response.json()).toEqual({
      subscription: buyer.id,
      entitlements: [{ dimension: 'seats', value: 8 }],
      readAt: new Date(NOW + 60_000).toISOString(),
      ageSeconds: 60,
      stale: true,
      failedAt: new Date(NOW + 120_000).toISOString(),
      failure: 'AWS is down',
      periods: [
        { dimension: 'seats', units: 5 },
        { dimension: 'seats', units: 8, from: new Date(NOW + 60_000).toISOString() },
      ],
      plans: [],
    })
  })
})
