import { describe, expect, it } from 'vitest'
import { PLAIN_PLAN, type Plan } from '../domain/plans/plan.ts'
import { endSubscription } from '../domain/subscriptions/end-subscription.ts'
import { aProduct, aSubscription } from '../storage/contract/fixtures.ts'
import { anApp, NOW } from './app.fixture.ts'

const AWS = 'https://aws.amazon.com/marketplace/pp/prodview-demo'
const DIRECT = 'https://example.com/pricing'

const aPlan = (id: string, values: Partial<Plan> = {}): Plan => ({
  ...PLAIN_PLAN,
  id,
  title: id,
  limits: [{ dimension: 'calls', quantity: 2, window: 'month', onExceed: 'block' }],
  ...values,
})
const PRODUCT = aProduct({
  plans: [aPlan('anonymous', { audience: 'anonymous' }), aPlan('free'), aPlan('pro')],
  upgradeUrl: { aws: AWS, direct: DIRECT },
})
const ADA = { ip: '192.0.2.17', userAgent: 'Mozilla/5.0 (Ada)' }
const BUYER = { buyer: 'buy_ada', tenantId: 'ada' }

async function start() {
  const seller = await anApp({ products: [PRODUCT] })
  const { app, deps, aKey } = seller
  const { secret } = await aKey(['access:check', 'keys:write', 'subscriptions:write'])
  const headers = { authorization: `Bearer ${secret}` }
  const post = async (url: string, payload: object) =>
    (await app.inject({ method: 'POST', url, payload, headers })).json()
  const subscribe = async (channel: 'aws' | 'direct' | 'free', values: object = {}) => {
    const plan = channel === 'free' ? 'free' : 'pro'
    const off = channel === 'aws' ? {} : { licenseArn: undefined, customerAwsAccountId: undefined }
    const given = { ...BUYER, ...off, channel, plan, tenantId: `${channel}-${plan}`, ...values }
    return (await deps.subscriptions.create(aSubscription(given), 'test')).subscription
  }
  const end = (id: string) =>
    endSubscription({ subscriptions: deps.subscriptions }, id, { endedAt: NOW }, 'test', NOW)
  const validate = (who: object, more: object = {}) =>
    post('/quota/validate', { ...who, dimension: 'calls', ...more })
  const whereTo = async (who: object, more: object = {}) => {
    const { allowed, upgrade } = await validate(who, { quantity: 3, ...more })
    expect(allowed).toBe(false)
    return upgrade.url
  }
  return { ...seller, post, subscribe, end, validate, whereTo }
}

describe('the way to more', () => {
  it('is AWS’s alone for whoever bought there, also where the quota of another subscription counts', async () => {
    const { post, subscribe, validate, whereTo, deps } = await start()
    await deps.outbox.register([{ name: 'all', product: undefined, types: [] }], NOW)
    await subscribe('aws')
    const free = await subscribe('free')
    const { key } = await post('/keys', { buyerId: BUYER.buyer })
    for (const who of [{ key }, { buyerId: BUYER.buyer }]) {
      // The one bought at AWS is full: the other one lets it through, at its own end.
      for (let n = 0; n < 2; n++) {
        const { allowed, upgrade } = await validate(who)
        expect(allowed).toBe(true)
        expect(upgrade?.url ?? AWS).toBe(AWS)
      }
      expect(await whereTo(who)).toBe(AWS)
    }
    expect(await whereTo({ subscriptionId: free.id })).toBe(AWS)
    expect(await whereTo({ tenantId: free.tenantId })).toBe(AWS)
    await deps.outbox.fanOut([{ name: 'all', product: undefined, types: [] }], NOW, 100)
    const told = (await deps.outbox.list({ limit: 100 })).items
    const events = await Promise.all(told.map(({ event }) => deps.outbox.getEvent(event)))
    const reached = events.filter(({ type }) => type === 'quota.threshold_reached')
    expect(new Set(reached.map(({ subscription }) => subscription)).size).toBe(2)
    for (const { data } of reached) expect(data.upgrade).toMatchObject({ url: AWS })
  })

  it('stays AWS’s when the agreement has ended, until they pay directly', async () => {
    const { subscribe, end, whereTo } = await start()
    const { id: bought } = await subscribe('aws')
    const { id: free } = await subscribe('free')
    await end(bought)
    expect(await whereTo({ subscriptionId: free })).toBe(AWS)
    const { id: direct } = await subscribe('direct')
    expect(await whereTo({ subscriptionId: direct })).toBe(DIRECT)
    expect(await whereTo({ buyerId: BUYER.buyer })).toBe(DIRECT)
    // A new agreement counts at once.
    await subscribe('aws', { tenantId: 'again' })
    expect(await whereTo({ subscriptionId: direct })).toBe(AWS)
  })

  it('is the seller’s own for whoever never came through AWS', async () => {
    const { subscribe, whereTo } = await start()
    await subscribe('free')
    expect(await whereTo({ buyerId: BUYER.buyer })).toBe(DIRECT)
    expect(await whereTo({ visitor: ADA })).toBe(DIRECT)
  })

  it('is AWS’s for a visitor who became its buyer and comes back without a key, whatever is refused', async () => {
    const { post, subscribe, validate, whereTo } = await start()
    await subscribe('aws')
    await validate({ visitor: ADA })
    expect(await whereTo({ visitor: ADA })).toBe(DIRECT)
    const conversion = { visitor: ADA, buyerId: BUYER.buyer }
    expect(await post('/quota/conversions', conversion)).toMatchObject({ status: 'converted' })
    // At once, though this node knew them a moment ago.
    expect(await whereTo({ visitor: ADA })).toBe(AWS)
    expect(await whereTo({ visitor: ADA }, { dimension: 'none' })).toBe(AWS)
    expect(await whereTo({ visitor: ADA }, { feature: 'none' })).toBe(AWS)
    expect(await whereTo({ visitor: { ...ADA, ip: '192.0.2.18' } })).toBe(DIRECT)
  })

  it('is the seller’s own for a visitor who became a buyer elsewhere', async () => {
    const { post, subscribe, validate, whereTo } = await start()
    await subscribe('direct')
    await validate({ visitor: ADA })
    await post('/quota/conversions', { visitor: ADA, buyerId: BUYER.buyer })
    expect(await whereTo({ visitor: ADA })).toBe(DIRECT)
  })
})
