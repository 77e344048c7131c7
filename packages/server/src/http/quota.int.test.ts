import { describe, expect, it } from 'vitest'
import { PLAIN_PLAN, type Plan } from '../domain/plans/plan.ts'
import type { Product } from '../domain/products/product.ts'
import { endSubscription } from '../domain/subscriptions/end-subscription.ts'
import { composeBuyerMails } from '../domain/telling/compose-mail.ts'
import { DOMAIN_EVENT_TYPES } from '../domain/telling/domain-event.ts'
import { aDimension, aProduct, aSubscription, utc } from '../storage/contract/fixtures.ts'
import { anApp } from './app.fixture.ts'

const NOW = utc('2026-11-21T10:30')
const PLANS: readonly Plan[] = [
  {
    ...PLAIN_PLAN,
    id: 'registered',
    title: 'Registered',
    audience: 'registered',
    trial: { days: 30 },
    upgradeTo: 'pro',
    features: { export: false },
    limits: [{ dimension: 'calls', quantity: 3, window: 'day', onExceed: 'block' }],
  },
  {
    ...PLAIN_PLAN,
    id: 'pro',
    title: 'Pro',
    features: { export: true },
    limits: [
      { dimension: 'calls', quantity: 100_000, window: 'day', onExceed: 'block' },
      { dimension: 'scans', quantity: 5, window: 'month', onExceed: 'bill' },
      { dimension: 'exports', quantity: 10_000, window: 'month', onExceed: 'bill' },
      { dimension: 'minutes', quantity: 10, window: 'month', onExceed: 'block' },
    ],
  },
]

const PRODUCT: Product = aProduct({
  dimensions: [
    aDimension({ key: 'scans', meteredBy: 'gate', metrics: ['totalScans'] }),
    aDimension({ key: 'minutes', meteredBy: 'gate', scale: 2 }),
    aDimension({ key: 'reports' }),
  ],
  plans: PLANS,
  upgradeUrl: {
    aws: 'https://aws.amazon.com/marketplace/pp/prodview-demo',
    direct: 'https://example.com/pricing',
  },
})

async function start() {
  const it = await anApp({ products: [PRODUCT] })
  const { app, deps, aKey } = it
  const { secret } = await aKey(['access:check', 'usage:write', 'keys:write', 'subscriptions:write'])
  const headers = { authorization: `Bearer ${secret}` }
  const post = (url: string, payload: object) => app.inject({ method: 'POST', url, payload, headers })
  const validate = async (payload: object) => {
    const response = await post('/quota/validate', { dimension: 'calls', ...payload })
    return { status: response.statusCode, headers: response.headers, ...response.json() }
  }
  const subscribe = async (plan: string, values: object = {}) => {
    const { subscription } = await deps.subscriptions.create(
      aSubscription({ plan, channel: plan === 'pro' ? 'aws' : 'free', ...values }),
      'test',
    )
    return subscription
  }
  const issue = async (subscriptionId: string, values: object = {}) => {
    const response = await post('/keys', { subscriptionId, ...values })
    expect(response.statusCode).toBe(201)
    return response.json() as { id: string; key: string }
  }
  return { ...it, post, validate, subscribe, issue, headers }
}

describe('POST /quota/validate', () => {
  it('lets through what the limit is, then says why not, what to do and when it starts anew', async () => {
    const { validate, subscribe, issue } = await start()
    const { id } = await subscribe('registered')
    const { key } = await issue(id, { user: 'ada' })
    expect(await validate({ key })).toMatchObject({
      status: 200,
      allowed: true,
      plan: 'registered',
      subscription: id,
      user: 'ada',
      remaining: 2,
      limits: [{ window: 'day', limit: 3, used: 1, remaining: 2, onExceed: 'block' }],
      features: { export: false },
      headers: {
        'ratelimit-policy': '"day";q=3;w=86400',
        ratelimit: expect.stringMatching(/^"day";r=2;t=\d+$/),
      },
    })
    for (let n = 0; n < 2; n++) expect(await validate({ key })).toMatchObject({ allowed: true })
    const refused = await validate({ key })
    expect(refused).toMatchObject({
      status: 200,
      allowed: false,
      reason: 'quota_exceeded',
      message: expect.any(String),
      remaining: 0,
      upgrade: { plan: 'pro', url: 'https://example.com/pricing' },
    })
    expect(refused.headers['retry-after']).toBe(String(refused.retryAfterSeconds))
  })

  it('gives the same id the same answer and counts it once', async () => {
    const { validate, subscribe } = await start()
    const { id: subscriptionId } = await subscribe('registered')
    const use = { subscriptionId, id: 'request-1', quantity: 3 }
    expect(await validate(use)).toMatchObject({ allowed: true, remaining: 0 })
    expect(await validate(use)).toMatchObject({ allowed: true, repeated: true, remaining: 0 })
    expect(await validate({ ...use, quantity: 2 })).toMatchObject({ status: 409, code: 'quota.id_conflict' })
  })

  it('only looks where it is told to', async () => {
    const { validate, subscribe } = await start()
    const { id: subscriptionId } = await subscribe('registered')
    expect(await validate({ subscriptionId, mode: 'look', quantity: 3 })).toMatchObject({
      allowed: true,
      remaining: 3,
    })
    expect(await validate({ subscriptionId, mode: 'look', quantity: 4 })).toMatchObject({
      allowed: false,
      reason: 'quota_exceeded',
      remaining: 3,
    })
  })

  it('counts large limits in memory, and never past them', async () => {
    const { validate, subscribe } = await start()
    const { id: subscriptionId } = await subscribe('pro')
    expect(await validate({ subscriptionId, quantity: 99_999 })).toMatchObject({
      allowed: true,
      remaining: 1,
    })
    expect(await validate({ subscriptionId, quantity: 2 })).toMatchObject({ allowed: false })
    expect(await validate({ subscriptionId, id: 'last' })).toMatchObject({ allowed: true, remaining: 0 })
    expect(await validate({ subscriptionId, id: 'last' })).toMatchObject({ allowed: true, repeated: true })
    expect(await validate({ subscriptionId })).toMatchObject({
      allowed: false,
      // Who came through AWS Marketplace is shown no other way to pay.
      upgrade: { url: 'https://aws.amazon.com/marketplace/pp/prodview-demo' },
    })
  })

  it('counts what a limit does not block on past it, also where it is counted in memory', async () => {
    const { validate, subscribe } = await start()
    const { id: subscriptionId } = await subscribe('pro')
    for (let n = 1; n <= 4; n++)
      expect(await validate({ subscriptionId, dimension: 'exports', quantity: 5_000 })).toMatchObject({
        allowed: true,
        limits: [{ limit: 10_000, used: 5_000 * n, remaining: 'unlimited', onExceed: 'bill' }],
      })
  })

  it('refuses what is larger than the limit, and nothing else for it', async () => {
    const { validate, subscribe } = await start()
    const { id: subscriptionId } = await subscribe('pro')
    expect(await validate({ subscriptionId, quantity: 200_000 })).toMatchObject({
      allowed: false,
      remaining: 100_000,
    })
    expect(await validate({ subscriptionId, quantity: 100_000 })).toMatchObject({
      allowed: true,
      remaining: 0,
    })
  })

  it('knows a use of a buyer with several subscriptions again, whichever of them it was counted for', async () => {
    const { validate, subscribe } = await start()
    const buyer = { buyer: 'buy_several', status: 'active' }
    await subscribe('registered', buyer)
    await subscribe('registered', buyer)
    const use = { buyerId: 'buy_several', quantity: 2 }
    expect(await validate({ ...use, id: 'a' })).toMatchObject({ allowed: true })
    // The first has one left: the second takes it.
    const second = await validate({ ...use, id: 'b' })
    expect(second).toMatchObject({ allowed: true })
    expect(await validate({ ...use, id: 'b' })).toMatchObject({
      repeated: true,
      subscription: second.subscription,
    })
    await validate({ buyerId: 'buy_several', id: 'c' })
    expect(await validate({ ...use, id: 'b' })).toMatchObject({
      repeated: true,
      subscription: second.subscription,
    })
  })

  it('wants to know which product a key is shown to, where there are several', async () => {
    const several = await anApp({
      products: [
        PRODUCT,
        aProduct({ id: 'other', productCode: 'other0code0of0twenty0five', listing: 'other' }),
      ],
    })
    const { secret } = await several.aKey(['access:check'])
    const ask = (payload: object) =>
      several.app.inject({
        method: 'POST',
        url: '/quota/validate',
        headers: { authorization: `Bearer ${secret}` },
        payload: { key: 'tka_x', dimension: 'calls', ...payload },
      })
    expect((await ask({})).json()).toMatchObject({
      status: 400,
      detail: expect.stringContaining('product is required'),
    })
    expect((await ask({ product: 'demo' })).json()).toMatchObject({ allowed: false, reason: 'key_unknown' })
    await several.close()
  })

  it('makes what the gate meters the usage event that is billed, which the product cannot report as well', async () => {
    const { validate, subscribe, post, deps } = await start()
    const { id: subscriptionId } = await subscribe('pro')
    for (let n = 1; n <= 6; n++)
      expect(await validate({ subscriptionId, dimension: 'totalScans', id: `scan-${n}` })).toMatchObject({
        allowed: true,
        dimension: 'scans',
        recordId: expect.any(String),
        limits: [{ window: 'month', limit: 5, used: n, remaining: 'unlimited', onExceed: 'bill' }],
      })
    expect(await validate({ subscriptionId, dimension: 'scans', id: 'scan-6' })).toMatchObject({
      repeated: true,
    })
    const { items } = await deps.usage.listBuckets({ limit: 10 })
    expect(items).toMatchObject([{ dimension: 'scans', quantity: 6n, events: 6 }])
    const event = { dimension: 'scans', quantity: 1, usageTime: new Date(deps.clock.now()).toISOString() }
    const reported = await post('/meter', { ...event, subscriptionId, correlationId: 'own' })
    expect(reported.statusCode).toBe(422)
    expect(reported.json()).toMatchObject({ detail: expect.stringContaining('POST /quota/validate') })
  })

  it('refuses what the plan does not have, ended trials, and whoever may not come in', async () => {
    const { validate, subscribe, clock } = await start()
    const { id: registered } = await subscribe('registered')
    const { id: suspended } = await subscribe('pro', { status: 'suspended' })
    expect(await validate({ subscriptionId: registered, dimension: 'exports' })).toMatchObject({
      allowed: false,
      reason: 'not_entitled',
    })
    expect(await validate({ subscriptionId: registered, feature: 'export' })).toMatchObject({
      reason: 'not_entitled',
      upgrade: { plan: 'pro' },
    })
    expect(await validate({ subscriptionId: suspended })).toMatchObject({ reason: 'suspended' })
    // Of the product, without a limit in the plan: for those who pay for what they use, and for nobody else.
    const reports = { dimension: 'reports', quantity: 1e9 }
    const { id: paying } = await subscribe('pro')
    expect(await validate({ subscriptionId: paying, ...reports })).toMatchObject({
      allowed: true,
      limits: [],
    })
    expect(await validate({ subscriptionId: registered, ...reports })).toMatchObject({
      allowed: false,
      reason: 'not_entitled',
    })
    clock.set(utc('2026-12-31T00:00'))
    expect(await validate({ subscriptionId: registered })).toMatchObject({
      allowed: false,
      reason: 'trial_ended',
    })
  })

  it('tells keys apart that are unknown, revoked, or lack the scope', async () => {
    const { app, validate, subscribe, issue, headers } = await start()
    const { id } = await subscribe('registered')
    const { id: keyId, key } = await issue(id, { scopes: ['read'] })
    expect(await validate({ key: 'tka_nonsense' })).toMatchObject({
      status: 200,
      allowed: false,
      reason: 'key_unknown',
    })
    expect(await validate({ key, scope: 'write' })).toMatchObject({ reason: 'key_scope', keyId })
    expect(await validate({ key, scope: 'read' })).toMatchObject({ allowed: true })
    await app.inject({ method: 'DELETE', url: `/keys/${keyId}`, headers })
    expect(await validate({ key })).toMatchObject({ allowed: false, reason: 'key_revoked' })
  })

  it.each([
    [{}, 'name the caller by exactly one of key'],
    [{ key: 'tka_x', buyerId: 'buy_1' }, 'exactly one'],
    [{ subscriptionId: 'sub_1', quantity: -1 }, 'quantity'],
    [{ subscriptionId: 'sub_1', mode: 'take' }, 'mode'],
    [{ subscriptionId: 'sub_1', quantitty: 1 }, 'body: quantitty is not known here'],
    [{ subscriptionId: 'sub_1', dimension: undefined }, 'body: dimension is missing'],
    [{ visitor: { userAgent: 'a' } }, 'body: visitor.ip is missing'],
    [{ visitor: { ip: '192.0.2.1', agent: 'a' } }, 'body: visitor.agent is not known here'],
  ])('says what is wrong with %j', async (payload, text) => {
    const { validate } = await start()
    const answer = await validate(payload)
    expect(answer.status).toBe(400)
    expect(JSON.stringify(answer)).toContain(text)
  })
})

describe('limits that are nearly used', () => {
  it('are told once for each threshold, to the seller’s systems and by mail, with the way to more', async () => {
    const { validate, subscribe, deps } = await start()
    const sink = { name: 'all', types: DOMAIN_EVENT_TYPES, product: undefined }
    await deps.outbox.register([sink], NOW)
    const { id: subscriptionId } = await subscribe('pro')
    const told = async () => {
      while (await deps.outbox.fanOut([sink], NOW, 100));
      const { items } = await deps.outbox.list({ sink: 'all', limit: 100 })
      const events = await Promise.all(items.toReversed().map(({ event }) => deps.outbox.getEvent(event)))
      return events.filter(({ type }) => type === 'quota.threshold_reached')
    }
    const scan = { subscriptionId, dimension: 'scans' }
    await validate({ ...scan, quantity: 3 })
    expect(await told()).toEqual([])
    await validate(scan)
    await validate({ ...scan, mode: 'look' })
    await validate({ ...scan, quantity: 2 })
    await validate(scan)
    const events = await told()
    expect(events.map(({ data }) => [data.percent, data.used, data.limit, data.onExceed])).toEqual([
      [80, '4', '5', 'bill'],
      [100, '6', '5', 'bill'],
    ])
    const contact = {
      email: 'ada@example.com',
      name: 'Ada',
      company: undefined,
      phone: undefined,
      registeredAt: NOW,
    }
    const [mail] = composeBuyerMails(events[1]!, PRODUCT, [contact], [])
    expect(mail).toMatchObject({ subject: 'Your scans in Demo are used up' })
    expect(mail!.text).toContain('charged as your plan says')
    // Bought at AWS Marketplace: its address alone.
    expect(mail!.text).toContain('https://aws.amazon.com/marketplace/pp/prodview-demo')
    expect(mail!.text).not.toContain('example.com/pricing')
  })

  it('go on counting where the plan is changed, and the new limit holds at once', async () => {
    const { validate, subscribe, headers, app } = await start()
    const { id: subscriptionId } = await subscribe('registered')
    await validate({ subscriptionId, quantity: 3 })
    expect(await validate({ subscriptionId })).toMatchObject({ allowed: false })
    const upgraded = await app.inject({
      method: 'PUT',
      url: `/marketplace/subscriptions/${subscriptionId}`,
      headers,
      payload: { plan: 'pro' },
    })
    expect(upgraded.statusCode).toBe(200)
    // The counter goes on: what was used before counts.
    expect(await validate({ subscriptionId })).toMatchObject({
      allowed: true,
      plan: 'pro',
      limits: [{ limit: 100_000, used: 4 }],
    })
  })
})

describe('reservations', () => {
  it('hold, settle for what was used as the billed event, and let go of the rest', async () => {
    const { post, subscribe, deps, app, headers } = await start()
    const { id: subscriptionId } = await subscribe('pro')
    const asked = { subscriptionId, dimension: 'minutes', quantity: '8.5', id: 'job-1' }
    const reserved = (await post('/quota/reservations', asked)).json()
    expect(reserved).toMatchObject({
      allowed: true,
      quantity: 8.5,
      remaining: 1.5,
      reservation: { id: expect.stringMatching(/^rsv_/), expiresAt: expect.any(String) },
    })
    expect((await post('/quota/reservations', asked)).json()).toMatchObject({ repeated: true })
    expect((await post('/quota/reservations', { ...asked, id: 'job-2' })).json()).toMatchObject({
      allowed: false,
      reason: 'quota_exceeded',
    })
    const settle = (quantity: string, id = reserved.reservation.id) =>
      post(`/quota/reservations/${id}/settle`, { quantity })
    expect((await settle('8.51')).statusCode).toBe(400)
    expect((await settle('2.25')).json()).toMatchObject({
      state: 'settled',
      settled: true,
      reserved: 8.5,
      used: 2.25,
      recordId: expect.any(String),
      billed: true,
    })
    expect((await settle('2.25')).json()).toMatchObject({ settled: true })
    expect((await settle('2')).statusCode).toBe(409)
    expect((await settle('2', 'rsv_none')).statusCode).toBe(404)
    const { items } = await deps.usage.listBuckets({ limit: 10 })
    expect(items).toMatchObject([{ dimension: 'minutes', quantity: 225n, events: 1 }])
    const overview = await app.inject({
      url: `/quota?subscriptionId=${subscriptionId}&dimension=minutes`,
      headers,
    })
    expect(overview.json()).toMatchObject({
      allowed: true,
      plan: 'pro',
      limits: [{ dimension: 'minutes', window: 'month', limit: 10, used: 2.25, remaining: 7.75 }],
    })
  })

  it('settle for the subscription that they were made for, also when it was renewed meanwhile', async () => {
    const { post, subscribe, deps, clock } = await start()
    const { id: subscriptionId } = await subscribe('pro')
    const asked = { subscriptionId, dimension: 'minutes', quantity: 5, id: 'job' }
    const { reservation } = (await post('/quota/reservations', asked)).json()
    clock.set(clock.now() + 60_000)
    const heir = await subscribe('pro', { accessStart: clock.now(), createdAt: clock.now() })
    await endSubscription(
      { subscriptions: deps.subscriptions },
      subscriptionId,
      { endedAt: clock.now(), successor: heir.id },
      'test',
      clock.now(),
    )
    const settled = await post(`/quota/reservations/${reservation.id}/settle`, { quantity: 4 })
    expect(settled.json()).toMatchObject({ settled: true, used: 4, recordId: expect.any(String) })
    const { items } = await deps.usage.listBuckets({ limit: 10 })
    expect(items.map(({ quantity }) => quantity)).toEqual([400n])
  })

  it('say so where they are settled when AWS takes no more of it', async () => {
    const { post, subscribe, deps, clock } = await start()
    const { id: subscriptionId } = await subscribe('pro')
    const asked = { subscriptionId, dimension: 'minutes', quantity: 5, id: 'job', expiresInSeconds: 86_400 }
    const { reservation } = (await post('/quota/reservations', asked)).json()
    clock.set(clock.now() + 60_000)
    const ending = { endedAt: clock.now(), successor: undefined }
    await endSubscription({ subscriptions: deps.subscriptions }, subscriptionId, ending, 'test', clock.now())
    clock.set(clock.now() + 40 * 60_000)
    const settle = async () =>
      (await post(`/quota/reservations/${reservation.id}/settle`, { quantity: 4 })).json()
    const settled = await settle()
    expect(settled).toMatchObject({
      state: 'settled',
      settled: true,
      used: 4,
      billed: false,
      reason: expect.stringContaining('unbillable'),
    })
    expect(settled.recordId).toBeUndefined()
    expect(await settle()).toEqual(settled)
  })

  it('are settled without a bill where nobody pays by use', async () => {
    const { post, subscribe, deps } = await start()
    const { id: subscriptionId } = await subscribe('pro', { channel: 'free' })
    const asked = { subscriptionId, dimension: 'minutes', quantity: 5, id: 'job' }
    const { reservation } = (await post('/quota/reservations', asked)).json()
    const settle = async () =>
      (await post(`/quota/reservations/${reservation.id}/settle`, { quantity: 4 })).json()
    const settled = await settle()
    expect(settled).toMatchObject({
      settled: true,
      used: 4,
      recordId: expect.any(String),
      billed: false,
      reason: expect.stringContaining('nobody pays'),
    })
    expect(await settle()).toEqual(settled)
    const { items } = await deps.usage.listBuckets({ limit: 10 })
    expect(items).toMatchObject([{ dimension: 'minutes', quantity: 400n, events: 1 }])
  })

  it('are released', async () => {
    const { post, subscribe } = await start()
    const { id: subscriptionId } = await subscribe('registered')
    const reserved = (
      await post('/quota/reservations', { subscriptionId, dimension: 'calls', quantity: 3, id: 'a' })
    ).json()
    const release = () => post(`/quota/reservations/${reserved.reservation.id}/release`, {})
    expect((await release()).json()).toMatchObject({ state: 'released', settled: false })
    expect((await release()).json()).toMatchObject({ state: 'released' })
    expect(
      (await post('/quota/validate', { subscriptionId, dimension: 'calls', quantity: 3 })).json(),
    ).toMatchObject({ allowed: true })
  })
})
