import { afterEach, describe, expect, it } from 'vitest'
import { loadConfig } from '../../server/src/config.ts'
import { anApp } from '../../server/src/http/app.fixture.ts'
import { aSubscription } from '../../server/src/storage/contract/fixtures.ts'
import { createClient } from './client/create-client.ts'
import { planFeatures } from './features/plan-features.ts'
import { fetchGate } from './gate/fetch.ts'
import { createHealthEndpoint } from './health/health-endpoint.ts'

// What the document says that the product was conceived from, section by section, on the plans that ship as an example.

const closing: (() => unknown)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})

async function aMarketplace() {
  const { products } = loadConfig({ file: 'examples/plans/tiered-api.yaml', cwd: process.cwd(), env: {} })
  const [product] = products
  const seller = await anApp({ products })
  closing.push(seller.close)
  const { secret } = await seller.aKey(['access:check', 'keys:write', 'usage:read'])
  const url = await seller.app.listen({ port: 0, host: '127.0.0.1' })
  const client = createClient({ url, key: secret })
  const subscribe = async (plan: string) => {
    const values = { product: product!.id, plan, channel: plan === 'registered' ? 'free' : 'aws' } as const
    const { subscription } = await seller.deps.subscriptions.create(aSubscription(values), 'test')
    return subscription
  }
  const dimension = product!.dimensions[0]!.key
  const ask = (values: object) => client.validateQuota({ product: product!.id, dimension, ...values })
  return { ...seller, product: product!, client, subscribe, dimension, ask }
}

describe('seed 003, section 1: API key management system', () => {
  it('makes keys of a product for a user, replaces them, and ends them', async () => {
    const { client, subscribe, ask } = await aMarketplace()
    const { id: subscriptionId, buyer } = await subscribe('registered')
    const made = await client.createKey({ subscriptionId, user: 'u-17', name: 'CI' })
    expect(await ask({ key: made.key })).toMatchObject({ allowed: true, user: 'u-17', keyId: made.id, buyer })

    const regenerated = await client.rotateKey({ keyId: made.id }, { overlapSeconds: 0 })
    expect(await ask({ key: made.key })).toMatchObject({ allowed: false, reason: 'key_expired' })
    expect(await ask({ key: regenerated.key })).toMatchObject({ allowed: true, user: 'u-17' })

    await client.revokeKey({ keyId: regenerated.id })
    expect(await ask({ key: regenerated.key })).toMatchObject({ allowed: false, reason: 'key_revoked' })
    const { items } = await client.listKeys({ buyerId: buyer })
    // Both were made in the same instant.
    expect(new Set(items.map(({ user, state }) => `${user} ${state}`))).toEqual(
      new Set(['u-17 revoked', 'u-17 expired']),
    )
  })
})

describe('seed 003, section 2: central quota service', () => {
  it('validates each use against the tier of its product, in real time, and reports it', async () => {
    const { client, subscribe, ask, dimension } = await aMarketplace()
    const { id: subscriptionId } = await subscribe('registered')
    // A hundred, however they come.
    const answers = await Promise.all(
      Array.from({ length: 110 }, (_, n) => ask({ subscriptionId, id: `use-${n}` })),
    )
    expect(answers.filter(({ allowed }) => allowed)).toHaveLength(100)
    expect(answers.find(({ allowed }) => !allowed)).toMatchObject({ reason: 'quota_exceeded', remaining: 0 })
    expect(await client.getQuota({ subscriptionId })).toMatchObject({
      plan: 'registered',
      limits: [{ dimension, limit: 100, used: 100, remaining: 0 }],
    })
  })
})

describe('seed 003, section 8: solution integration framework', () => {
  it('sets standard headers, tells errors in one shape with the way up, and says whether it is well', async () => {
    const { client, subscribe, product, dimension } = await aMarketplace()
    const { id: subscriptionId } = await subscribe('registered')
    const { key } = await client.createKey({ subscriptionId })
    const solution = fetchGate(
      { client, product: product.id, dimension, quantity: 50, anonymous: 'refuse', onError: () => {} },
      () => Response.json({ answer: 42 }),
    )
    const call = (headers: Record<string, string>) =>
      solution(new Request('https://api.example.com/', { headers }))
    const authorization = `Bearer ${key}`

    const first = await call({ authorization })
    expect([first.status, await first.json()]).toEqual([200, { answer: 42 }])
    expect(first.headers.get('ratelimit-policy')).toContain('q=100')
    expect(first.headers.get('ratelimit')).toContain('r=50')
    await call({ authorization })

    const refused = await call({ authorization })
    expect([refused.status, refused.headers.get('content-type')]).toEqual([
      402,
      expect.stringContaining('application/problem+json'),
    ])
    expect(await refused.json()).toMatchObject({
      status: 402,
      code: 'quota_exceeded',
      upgrade: { plan: 'pro' },
    })
    expect((await call({})).status).toBe(401)

    const answer = await client.validateQuota({
      subscriptionId,
      product: product.id,
      dimension,
      mode: 'look',
    })
    expect(planFeatures(answer)).toBeDefined()
    const health = await createHealthEndpoint({ checks: { database: () => true } }).fetch()
    expect([health.status, await health.json()]).toEqual([200, { status: 'ok', checks: { database: 'ok' } }])
  })
})
