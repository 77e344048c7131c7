import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { fastify } from 'fastify'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { DomainError } from '../domain/error.ts'
import { KEY_SCOPES } from '../domain/keys/service-key.ts'
import { anApp } from './app.fixture.ts'
import { collectRoutes } from './app.ts'

let seller: Awaited<ReturnType<typeof anApp>>
beforeAll(async () => {
  seller = await anApp()
})
afterAll(() => seller.close())

const EVENT = {
  dimension: 'calls',
  usageTime: '2026-11-21T07:00:00Z',
  correlationId: 'a',
  tenantId: 'tenant-a',
}

describe('every error', () => {
  it.each([
    ['an unknown address', { url: '/nope' }, 404, 'request.not_found'],
    ['a wrong method', { method: 'GET', url: '/meter' }, 405, 'request.method_not_allowed'],
    ['a broken address', { url: '/usage/records/%zz' }, 400, 'request.invalid'],
    ['a name that is too long', { url: `/usage/records/${'x'.repeat(300)}` }, 414, 'request.invalid'],
    ['an unknown filter', { url: '/usage/buckets?subscripton=a' }, 400, 'request.invalid'],
    ['a filter twice', { url: '/usage/buckets?product=acme&product=other' }, 400, 'request.invalid'],
    [
      'a limit beyond all numbers',
      { url: `/usage/buckets?limit=${'9'.repeat(400)}` },
      400,
      'request.invalid',
    ],
    ['a filter that no text is', { url: '/usage/buckets?subscription=%00' }, 400, 'request.invalid'],
    ['an unknown product', { url: '/usage/buckets?product=nope' }, 404, 'product.not_found'],
    ['a cursor of one’s own', { url: '/usage/records?cursor=MTIz' }, 400, 'request.invalid'],
    ['an unknown record', { url: '/usage/records/nope' }, 404, 'record.not_found'],
    ['an unknown subscription', { url: '/marketplace/subscriptions/nope' }, 404, 'subscription.not_found'],
  ] as const)('is a problem: %s', async (_, request, status, code) => {
    const response = await seller.app.inject({ ...request, headers: seller.auth })
    expect(response.headers['content-type']).toBe('application/problem+json; charset=utf-8')
    expect(response.json()).toMatchObject({ type: 'about:blank', status, code, detail: expect.any(String) })
    expect(response.statusCode).toBe(status)
  })

  it.each(['/meter', '/usage', '/marketplace/subscriptions/sub_1/meter'])(
    'of a request without any body is a problem: %s',
    async (url) => {
      const { statusCode } = await seller.app.inject({ method: 'POST', url, headers: seller.auth })
      expect(statusCode).toBe(400)
    },
  )

  it('of a method says which are allowed', async () => {
    const { headers } = await seller.app.inject({ method: 'DELETE', url: '/marketplace/register/acme' })
    expect(headers.allow).toBe('GET, HEAD, POST')
  })

  it('that we did not expect is a number, and only the log knows more', async () => {
    const failing = await anApp({
      ingest: async () => {
        throw new Error('SQLITE_CORRUPT at /var/lib/tollkeeper.db')
      },
    })
    const response = await failing.app.inject({
      method: 'POST',
      url: '/meter',
      headers: failing.auth,
      payload: EVENT,
    })
    expect(response.statusCode).toBe(500)
    expect(response.payload).not.toContain('SQLITE')
    const { requestId } = response.json()
    expect(failing.logged()).toContain('SQLITE_CORRUPT')
    expect(failing.logged()).toContain(requestId)
    await failing.close()
  })

  it('on the wire below HTTP is a problem too', async () => {
    const served = await anApp()
    await served.app.listen({ host: '127.0.0.1', port: 0 })
    const address = served.app.server.address()
    assert(address !== null && typeof address === 'object')
    const answer = await new Promise<string>((resolve, reject) => {
      let text = ''
      const socket = connect(address.port, '127.0.0.1', () => socket.write('NOT HTTP\r\n\r\n'))
      socket.on('data', (data) => {
        text += data
      })
      socket.on('end', () => resolve(text))
      socket.on('error', reject)
    })
    expect(answer).toMatch(/^HTTP\/1\.1 400 Bad Request\r\n/)
    expect(JSON.parse(answer.slice(answer.indexOf('\r\n\r\n')))).toMatchObject({ code: 'request.broken' })
    await served.close()
  })
})

describe('keys', () => {
  it('are asked for in the standard way', async () => {
    const without = await seller.app.inject({ method: 'POST', url: '/meter', payload: EVENT })
    expect([without.statusCode, without.headers['www-authenticate']]).toEqual([401, 'Bearer'])
    const { secret } = await seller.aKey(['usage:read'])
    const reader = { authorization: `Bearer ${secret}` }
    const wrong = await seller.app.inject({ method: 'POST', url: '/meter', payload: EVENT, headers: reader })
    expect(wrong.statusCode).toBe(403)
    expect(wrong.json().detail).toContain('usage:write')
    expect(wrong.headers['www-authenticate']).toContain('scope="usage:write"')
  })

  it('work at once, and end at once when revoked here', async () => {
    const { key, secret } = await seller.aKey(['usage:read'])
    const read = () =>
      seller.app.inject({ url: '/usage/status', headers: { authorization: `Bearer ${secret}` } })
    expect((await read()).statusCode).toBe(200)
    await seller.deps.keys.revoke(key.id, 'cli:test', seller.clock.now())
    seller.app.keyVerifier.invalidate()
    expect((await read()).statusCode).toBe(401)
  })

  it('that fail too often are told to wait, while a valid one from the same address works', async () => {
    const busy = await anApp()
    const wrong = { authorization: 'Bearer tk_wrong' }
    let last = await busy.app.inject({ url: '/usage/status', headers: wrong })
    for (let attempt = 0; attempt < 30; attempt++) {
      last = await busy.app.inject({ url: '/usage/status', headers: wrong })
    }
    expect(last.statusCode).toBe(429)
    expect(Number(last.headers['retry-after'])).toBeGreaterThan(0)
    expect((await busy.app.inject({ url: '/usage/status', headers: busy.auth })).statusCode).toBe(200)
    await busy.close()
  })

  it('are in no log', async () => {
    const failing = await anApp({
      logRequests: true,
      ingest: async () => {
        throw new Error('no')
      },
    })
    const { auth, secret } = failing
    await failing.app.inject({
      method: 'POST',
      url: '/meter?key=in-the-query',
      headers: auth,
      payload: EVENT,
    })
    failing.deps.logger.info({ headers: auth, authorization: secret, req: { headers: auth } }, 'by mistake')
    expect(failing.logged()).toContain('by mistake')
    for (const word of [secret, 'in-the-query', 'tenant-a', '127.0.0.1'])
      expect(failing.logged()).not.toContain(word)
    await failing.close()
  })
})

it('changes nothing, but for usage and quotas, whose store refuses it, while the ledger is being moved', async () => {
  const moved = await anApp({
    mayChange: async () => {
      throw new DomainError('ledger.waiting_for_release', 'it is being moved')
    },
  })
  const { secret } = await moved.aKey(KEY_SCOPES)
  const headers = { authorization: `Bearer ${secret}` }
  const changing = moved.app.routeTable.filter(
    ({ method, url, access }) =>
      !['GET', 'HEAD', 'OPTIONS'].includes(method) && access !== 'usage:write' && !url.startsWith('/quota/'),
  )
  expect(changing.map(({ url }) => url)).toEqual(
    expect.arrayContaining([
      '/marketplace/webhook',
      '/marketplace/register/:listing',
      '/marketplace/subscriptions',
      '/buyers/:buyerId/erase',
    ]),
  )
  for (const { method, url } of changing) {
    const { statusCode } = await moved.app.inject({
      method: method as 'POST',
      url: url.replace(':listing', 'acme').replace(/:\w+/, moved.subscription.id),
      headers,
    })
    expect([method, url, statusCode]).toEqual([method, url, 503])
  }
  expect((await moved.app.inject({ url: '/marketplace/subscriptions', headers })).statusCode).toBe(200)
  await moved.close()
})

it('tells strangers of a ledger that cannot be used, and not where it is', async () => {
  const broken = await anApp({
    mayChange: async () => {
      throw new DomainError('ledger.too_new', 'the ledger at postgres://db.example.com/ledger is too new')
    },
  })
  const { secret } = await broken.aKey(['subscriptions:write'])
  const ask = (url: string) =>
    broken.app.inject({
      method: 'POST',
      url,
      headers: { authorization: `Bearer ${secret}` },
      payload: { channel: 'free', tenantId: 'next' },
    })
  const [stranger, operator] = [await ask('/marketplace/webhook'), await ask('/marketplace/subscriptions')]
  expect(stranger.json()).toMatchObject({ status: 503, code: 'ledger.too_new' })
  expect(stranger.body).not.toContain('db.example.com')
  expect(operator.body).toContain('db.example.com')
  await broken.close()
})

describe('operations', () => {
  it('answer without a key', async () => {
    for (const url of ['/health', '/ready', '/openapi.json', '/docs', '/']) {
      expect((await seller.app.inject({ url })).statusCode, url).toBe(200)
    }
  })

  it('say what is not ready', async () => {
    const waiting = await anApp({ ready: async () => ({ ready: false, checks: { database: 'locked' } }) })
    const response = await waiting.app.inject({ url: '/ready' })
    expect(response.statusCode).toBe(503)
    expect(response.json()).toEqual({ ready: false, checks: { database: 'locked' } })
    await waiting.close()
  })

  it.each([
    ['this machine', '127.0.0.1', {}, 200],
    ['this machine, by IPv6', '::1', {}, 200],
    ['this machine, mapped', '::ffff:127.0.0.1', {}, 200],
    ['another machine', '10.0.0.7', {}, 403],
    ['another that claims to be this one', '10.0.0.7', { 'x-forwarded-for': '127.0.0.1' }, 403],
    ['somebody behind a proxy on this machine', '127.0.0.1', { 'x-forwarded-for': '203.0.113.9' }, 403],
  ])('show metrics to %s only if it is the machine itself', async (_, remoteAddress, headers, status) => {
    expect((await seller.app.inject({ url: '/metrics', remoteAddress, headers })).statusCode).toBe(status)
  })

  it('go to the documentation where nothing is simulated', async () => {
    const live = await anApp({ mode: 'live' })
    const response = await live.app.inject({ url: '/' })
    expect([response.statusCode, response.headers.location]).toEqual([302, '/docs'])
    await live.close()
  })

  it('answer while the rest is told to come back', async () => {
    const busy = await anApp({ overloadDelayMs: 1 })
    const until = Date.now() + 1_500
    let refused = await busy.app.inject({ url: '/openapi.json' })
    while (refused.statusCode === 200 && Date.now() < until + 5_000) {
      const block = Date.now() + 60
      while (Date.now() < block); // an event loop that is busy
      await new Promise((resolve) => setTimeout(resolve, 1))
      refused = await busy.app.inject({ url: '/openapi.json' })
    }
    expect(refused.statusCode).toBe(503)
    expect(refused.json()).toMatchObject({ code: 'server.overloaded' })
    expect(Number(refused.headers['retry-after'])).toBeGreaterThan(0)
    expect((await busy.app.inject({ url: '/health' })).statusCode).toBe(200)
    await busy.close()
  })
})

describe('the documentation', () => {
  it('loads nothing from elsewhere and runs only its own script', async () => {
    const { headers, payload } = await seller.app.inject({ url: '/docs' })
    expect(headers['content-security-policy']).toMatch(/script-src 'self' 'sha256-/)
    expect(payload.match(/https?:\/\//g)).toBeNull()
    expect((await seller.app.inject({ url: '/docs/js/scalar.js' })).payload.length).toBeGreaterThan(1_000_000)
  })

  it('names each operation once and every schema', async () => {
    const document = (await seller.app.inject({ url: '/openapi.json' })).json()
    expect(document.openapi).toBe('3.1.0')
    const operations = Object.values<Record<string, { operationId: string }>>(document.paths).flatMap(
      (path) => Object.values(path),
    )
    const ids = operations.map((operation) => operation.operationId)
    expect(ids).not.toContain(undefined)
    expect(new Set(ids).size).toBe(ids.length)
    expect(Object.keys(document.components.schemas)).toEqual(
      expect.arrayContaining(['Problem', 'UsageEvent', 'UsageOutcome', 'UsageRecord', 'Subscription']),
    )
    for (const [, name] of JSON.stringify(document).matchAll(/"\$ref":"([^"]*)"/g)) {
      expect(name).toMatch(/^#\/components\/schemas\//)
      expect(document.components.schemas).toHaveProperty(name!.split('/').at(-1)!)
    }
  })
})

it('an app whose route does not say who may call it does not start', () => {
  const app = fastify()
  collectRoutes(app)
  expect(() => app.get('/secret', async () => 'open')).toThrow('GET /secret does not say who may call it')
})

it('tells its metrics to nobody who came by another name or through a proxy', async () => {
  const { app } = seller
  expect((await app.inject({ url: '/metrics' })).statusCode).toBe(200)
  for (const headers of [
    { host: 'billing.example.com' },
    { 'x-forwarded-for': '203.0.113.7' },
    { forwarded: 'for=203.0.113.7' },
  ]) {
    expect((await app.inject({ url: '/metrics', headers })).statusCode).toBe(403)
  }
})
