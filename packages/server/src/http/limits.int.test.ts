import { describe, expect, it, onTestFinished } from 'vitest'
import { API_SECRET } from '../domain/keys/api-key.ts'
import { generateSecret } from '../domain/keys/service-key.ts'
import { createMetrics } from '../metrics.ts'
import { anApp, RATE_LIMITS } from './app.fixture.ts'
import type { RateLimits } from './limits/request-limits.ts'

/** An app whose rates are limited by a clock of the test's own. */
async function start(limits: Partial<RateLimits> = {}, given: Parameters<typeof anApp>[0] = {}) {
  const time = { now: 0 }
  const seller = await anApp({
    rateLimits: { ...RATE_LIMITS, ...limits },
    elapsed: () => time.now,
    ...given,
  })
  onTestFinished(() => seller.close())
  const get = (url: string, headers = {}, remoteAddress = '192.0.2.1') =>
    seller.app.inject({ url, headers, remoteAddress })
  return { ...seller, time, get }
}

const bearer = (secret: string) => ({ authorization: `Bearer ${secret}` })
const CHECK = '/entitlements/check?tenantId=tenant-a&product=acme'

describe('one service key', () => {
  it('is told to wait, and when, and goes on then', async () => {
    const { get, auth, time } = await start({ usageAndGate: 2 })
    const answers = []
    for (let n = 0; n < 11; n++) answers.push(await get(CHECK, auth))
    expect(answers.map(({ statusCode }) => statusCode)).toEqual([...Array(10).fill(200), 429])
    // Far from its limit nothing is said of it.
    expect(answers[0]!.headers.ratelimit).toBeUndefined()
    expect(answers[9]!.headers).toMatchObject({
      'ratelimit-policy': '"requests";q=10;w=5',
      ratelimit: '"requests";r=0;t=5',
    })
    expect(answers[10]!.headers).toMatchObject({
      'retry-after': '1',
      ratelimit: '"requests";r=0;t=1',
      'content-type': expect.stringContaining('application/problem+json'),
    })
    expect(answers[10]!.json()).toMatchObject({ status: 429, code: 'request.too_many' })
    time.now = 500
    expect((await get(CHECK, auth)).statusCode).toBe(200)
    expect((await get(CHECK, auth)).statusCode).toBe(429)
  })

  it('takes nothing from another, from another address’s, nor from its other routes', async () => {
    const { get, auth, aKey } = await start({ usageAndGate: 1 })
    for (let n = 0; n < 6; n++) await get(CHECK, auth)
    expect((await get(CHECK, auth)).statusCode).toBe(429)
    expect((await get('/usage/status', auth)).statusCode).toBe(200)
    expect((await get('/docs')).statusCode).not.toBe(429)
    const { secret } = await aKey(['access:check'])
    expect((await get(CHECK, bearer(secret))).statusCode).toBe(200)
  })

  it('has a limit for what is asked less often', async () => {
    const { get, auth } = await start({ otherRoutes: 1 })
    for (let n = 0; n < 5; n++) expect((await get('/usage/status', auth)).statusCode).toBe(200)
    expect((await get('/usage/buckets', auth)).statusCode).toBe(429)
    expect((await get(CHECK, auth)).statusCode).toBe(200)
  })

  it('may have a rate of its own, or none', async () => {
    const { get, aKey } = await start({ usageAndGate: 1 })
    const { secret: faster } = await aKey(['access:check'], undefined, 2)
    const { secret: free } = await aKey(['access:check'], undefined, 0)
    for (let n = 0; n < 10; n++) expect((await get(CHECK, bearer(faster))).statusCode).toBe(200)
    expect((await get(CHECK, bearer(faster))).statusCode).toBe(429)
    for (let n = 0; n < 30; n++) expect((await get(CHECK, bearer(free))).statusCode).toBe(200)
  })
})

describe('one address', () => {
  it('is limited on every route without a key, and on those that are none, but for probes', async () => {
    const { get, app } = await start({ perAddress: 1 })
    for (let n = 0; n < 5; n++) expect((await get(`/no-such-address-${n}`)).statusCode).toBe(404)
    const open = app.routeTable.filter(({ access }) => access === 'public' || access === 'loopback')
    const statuses = new Map<string, number>()
    for (const { method, url } of open) {
      if (method !== 'GET') continue
      const remoteAddress = url === '/metrics' || url.startsWith('/mailbox') ? '127.0.0.1' : '192.0.2.1'
      if (remoteAddress === '127.0.0.1')
        for (let n = 0; n < 5; n++) await get(url, { host: 'localhost' }, remoteAddress)
      const { statusCode } = await get(url, { host: 'localhost' }, remoteAddress)
      statuses.set(url, statusCode)
    }
    const { '/health': health, '/ready': ready, ...others } = Object.fromEntries(statuses)
    expect([health, ready]).toEqual([200, 200])
    expect(new Set(Object.values(others))).toEqual(new Set([429]))
  })

  it('is a /64 of IPv6, and the one that a trusted proxy names', async () => {
    const { get } = await start({ perAddress: 1 }, { trustProxy: ['10.0.0.1'] })
    for (let n = 0; n < 5; n++) await get('/openapi.json', {}, `2001:db8::${n}`)
    expect((await get('/openapi.json', {}, '2001:db8::ffff')).statusCode).toBe(429)
    expect((await get('/openapi.json', {}, '2001:db8:0:1::1')).statusCode).toBe(200)
    const forwarded = (address: string) =>
      get('/openapi.json', { 'x-forwarded-for': `1.1.1.1, ${address}` }, '10.0.0.1')
    expect((await forwarded('2001:db8::99')).statusCode).toBe(429)
    expect((await forwarded('198.51.100.4')).statusCode).toBe(200)
    // Who is no trusted proxy cannot name another address for each request.
    for (let n = 0; n < 5; n++)
      await get('/openapi.json', { 'x-forwarded-for': `203.0.113.${n}` }, '192.0.2.66')
    const spoofed = await get('/openapi.json', { 'x-forwarded-for': '203.0.113.99' }, '192.0.2.66')
    expect(spoofed.statusCode).toBe(429)
  })

  it('that tries keys waits longer each time, whichever of its /64 it uses; good keys always work', async () => {
    const { get, auth, time } = await start()
    let tried = 0
    const wrong = () => get('/usage/status', bearer(generateSecret()), `2001:db8::${(tried++).toString(16)}`)
    const waitAfterMany = async () => {
      let last = await wrong()
      for (let n = 0; n < 30; n++) last = await wrong()
      expect(last.json()).toMatchObject({ status: 429, code: 'request.too_many' })
      return Number(last.headers['retry-after'])
    }
    expect(await waitAfterMany()).toBe(60)
    expect((await get('/usage/status', auth, '2001:db8::1')).statusCode).toBe(200)
    expect((await get('/usage/status', bearer('tk_x'), '192.0.2.1')).statusCode).toBe(401)
    time.now = 60_000
    expect(await waitAfterMany()).toBe(120)
  })

  it('that floods us with keys has none looked up but those we know', async () => {
    const looked: string[] = []
    const seller = await start({ perAddress: 2 })
    const { keys } = seller.deps
    const counting = await start(
      { perAddress: 2 },
      {
        keys: {
          ...keys,
          findByHash: async (hash) => {
            looked.push(hash)
            return keys.findByHash(hash)
          },
        },
      },
    )
    const known = bearer(seller.secret)
    expect((await counting.get(CHECK, known)).statusCode).toBe(200)
    for (let n = 0; n < 100; n++) await counting.get(CHECK, bearer(generateSecret()))
    // Five seconds’ worth, and the one that is good.
    expect(looked).toHaveLength(11)
    // It is read anew, as every few seconds.
    counting.clock.set(counting.clock.now() + 10_000)
    expect((await counting.get(CHECK, known)).statusCode).toBe(200)
    expect((await counting.get(CHECK, bearer(generateSecret()), '192.0.2.2')).statusCode).toBe(401)
    expect(looked).toHaveLength(13)
  })
})

describe('a good key that a node has not seen yet', () => {
  const elsewhere = { perAddress: 2, unknownKeys: 0 }

  it('is looked up, however many requests without a key or with a malformed one come from its address', async () => {
    const { get, auth } = await start(elsewhere)
    for (let n = 0; n < 50; n++) {
      expect((await get(CHECK)).statusCode).toBe(401)
      expect((await get(CHECK, bearer('tk_nonsense'))).statusCode).toBe(401)
    }
    expect((await get(CHECK, auth)).statusCode).toBe(200)
  })

  it('takes no look-up from another, however many there are', async () => {
    const { get, aKey } = await start(elsewhere)
    for (let n = 0; n < 20; n++) {
      const { secret } = await aKey(['access:check'])
      expect((await get(CHECK, bearer(secret))).statusCode).toBe(200)
    }
  })

  it('gets in at its second try, however many guesses come in between', async () => {
    const { get, auth, time } = await start(elsewhere)
    const again = generateSecret()
    const guess = async () => {
      for (let n = 0; n < 40; n++) {
        time.now += 1
        await get(CHECK, bearer(n % 2 === 0 ? generateSecret() : again))
      }
    }
    await guess()
    // Nobody looked: it is not said to be unknown, and who shows it does not wait long.
    const turnedAway = await get(CHECK, auth)
    expect([turnedAway.statusCode, turnedAway.headers['retry-after']]).toEqual([429, '1'])
    await guess()
    expect((await get(CHECK, auth)).statusCode).toBe(200)
  })

  it('gets in at its second try again, where the ledger could not be asked at the one before', async () => {
    const seller = await start(elsewhere)
    const { keys } = seller.deps
    let isAway = false
    const findByHash = async (hash: string) => {
      if (isAway) throw new Error('the disk is away')
      return keys.findByHash(hash)
    }
    const { get, time } = await start(elsewhere, { keys: { ...keys, findByHash } })
    const good = bearer(seller.secret)
    for (const [away, status] of [
      [false, 429],
      [true, 500],
      [false, 429],
      [false, 200],
    ] as const) {
      isAway = false
      for (let n = 0; n < 40; n++) {
        time.now += 1
        await get(CHECK, bearer(generateSecret()))
      }
      isAway = away
      expect((await get(CHECK, good)).statusCode).toBe(status)
    }
  })
})

describe('API keys that somebody guesses', () => {
  it('are slowed for the product that asks; good ones are let through, and typing errors cost nothing', async () => {
    const { app, auth, aKey, deps, subscription, time } = await start({ unknownApiKeys: 3 })
    const issued = await deps.apiKeys.issue(
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
    const validate = async (key: string, headers = auth) => {
      const payload = { product: 'acme', key, dimension: 'calls' }
      const response = await app.inject({ method: 'POST', url: '/quota/validate', payload, headers })
      expect(response.statusCode).toBe(200)
      return { ...response.json(), wait: response.headers['retry-after'] }
    }
    const guess = () => validate(API_SECRET.make())
    for (let n = 0; n < 20; n++)
      expect(await validate(`tka_typo${n}`)).toMatchObject({ reason: 'key_unknown' })
    for (let n = 0; n < 3; n++) expect(await guess()).toMatchObject({ reason: 'key_unknown' })
    expect(await guess()).toMatchObject({
      allowed: false,
      reason: 'rate_limited',
      message: expect.any(String),
      retryAfterSeconds: 10,
      wait: '10',
    })
    expect(await validate(issued.secret)).toMatchObject({ allowed: true })
    const { secret } = await aKey(['access:check'])
    expect(await validate(API_SECRET.make(), bearer(secret))).toMatchObject({ reason: 'key_unknown' })
    time.now = 10_000
    expect(await guess()).toMatchObject({ reason: 'key_unknown' })
  })
})

it('shows what was refused in metrics, by patterns of routes, and nowhere any address or key', async () => {
  const { get, auth, deps, secret, logged } = await start(
    { usageAndGate: 1, perAddress: 1, unknownKeys: 1 },
    { logRequests: true },
  )
  const guessed = generateSecret()
  for (let n = 0; n < 7; n++) {
    await get(CHECK, auth)
    await get(`/marketplace/register/shop-${n}`)
    await get(`/secret-path-${n}`, {}, '192.0.2.200')
    await get('/usage/status', bearer(guessed))
  }
  const metrics = createMetrics({
    ...deps,
    jobs: undefined,
    apiKeys: { counts: () => ({ valid: 0, malformed: 0, unknown: 0, revoked: 0, expired: 0, scope: 0 }) },
    visitors: { counts: () => ({ known: 0, new: 0, solved: 0, unseen: 0, challenged: 0 }) },
    node: 'node-a',
  })
  const text = await metrics.text()
  for (const line of [
    'tollkeeper_rate_limited_total{scope="key",route="/entitlements/check"} 2',
    'tollkeeper_rate_limited_total{scope="address",route="/marketplace/register/:listing"} 2',
    'tollkeeper_rate_limited_total{scope="address",route="none"} 2',
    'tollkeeper_rate_limited_total{scope="address",route="/usage/status"} 6',
    'tollkeeper_rate_limit_callers{scope="key"} 1',
    'tollkeeper_rate_limit_callers{scope="address"} 5',
  ])
    expect(text).toContain(`${line}\n`)
  expect(await metrics.text()).toContain('route="/entitlements/check"} 2\n')
  for (const word of [secret, guessed, '192.0.2', 'secret-path', 'shop-1'])
    expect(text + logged()).not.toContain(word)
})
