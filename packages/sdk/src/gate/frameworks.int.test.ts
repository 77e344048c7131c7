import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import express from 'express'
import fastify from 'fastify'
import { Hono } from 'hono'
import { afterEach, describe, expect, it } from 'vitest'
import { PLAIN_PLAN } from '../../../server/src/domain/plans/plan.ts'
import { anApp } from '../../../server/src/http/app.fixture.ts'
import { aDimension, aProduct, aSubscription, utc } from '../../../server/src/storage/contract/fixtures.ts'
import { createClient } from '../client/create-client.ts'
import { type Admitted, admittedOf, expressGate } from './express.ts'
import { fastifyGate } from './fastify.ts'
import { fetchGate, honoGate } from './fetch.ts'
import type { GateOptions } from './gate.ts'

const closing: (() => unknown)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})

const PRODUCT = aProduct({
  dimensions: [aDimension({ key: 'minutes', meteredBy: 'gate', scale: 2 })],
  upgradeUrl: { aws: undefined, direct: 'https://example.com/pricing' },
  plans: [
    {
      ...PLAIN_PLAN,
      id: 'anonymous',
      title: 'Anonymous',
      audience: 'anonymous',
      upgradeTo: 'registered',
      limits: [{ dimension: 'calls', quantity: 2, window: 'lifetime', onExceed: 'block' }],
    },
    {
      ...PLAIN_PLAN,
      id: 'registered',
      title: 'Registered',
      trial: { days: 30 },
      upgradeTo: 'pro',
      limits: [
        { dimension: 'calls', quantity: 2, window: 'day', onExceed: 'block' },
        { dimension: 'exports', quantity: 1, window: 'lifetime', onExceed: 'block' },
      ],
    },
    {
      ...PLAIN_PLAN,
      id: 'pro',
      title: 'Pro',
      features: { export: true },
      limits: [{ dimension: 'minutes', quantity: 10, window: 'month', onExceed: 'block' }],
    },
  ],
})

/** Tollkeeper itself, with a buyer of each plan. */
async function aTollkeeper() {
  const { app, deps, clock, aKey, close } = await anApp({ products: [PRODUCT] })
  closing.push(close)
  const { secret } = await aKey(['access:check', 'keys:write'])
  const url = await app.listen({ port: 0, host: '127.0.0.1' })
  const errors: unknown[] = []
  const client = createClient({ url, key: secret, clock: { now: () => 0, sleep: async () => {} } })
  const issue = async (plan: string, values: object = {}) => {
    const { subscription } = await deps.subscriptions.create(aSubscription({ plan, channel: 'free' }), 'test')
    const made = await client.createKey({ subscriptionId: subscription.id, ...values })
    return { ...made, subscription: subscription.id }
  }
  const gate = (options: Partial<GateOptions<unknown>> = {}): GateOptions<unknown> => ({
    client,
    dimension: 'calls',
    anonymous: 'refuse',
    onError: (error) => errors.push(error),
    ...options,
  })
  const used = async (subscriptionId: string, dimension: string) => {
    const { limits } = await client.getQuota({ subscriptionId, dimension })
    return limits.map(({ used }) => used)
  }
  return { app, client, clock, deps, errors, gate, issue, used }
}

/** What the product does with who is let in; its status is told by the path: `/status/500`. */
type Work = (admitted: Admitted | undefined) => object

const statusOf = (url: string) => Number(/\/status\/(\d+)/.exec(url)?.[1] ?? 200)

/** The same product in each framework. */
const FRAMEWORKS: Readonly<
  Record<string, (options: GateOptions<unknown>, work: Work) => Promise<RequestListener>>
> = {
  async express(options, work) {
    const app = express()
    const routes = express.Router()
    routes.use(expressGate(options))
    routes.use((request, response) => {
      response.status(statusOf(request.url)).json(work(admittedOf(request)))
    })
    app.use('/api', routes)
    return app
  },
  async 'node:http'(options, work) {
    const gate = expressGate(options)
    return (request, response) =>
      gate(request, response, (error) => {
        response.statusCode = error === undefined ? statusOf(request.url ?? '') : 500
        response.setHeader('content-type', 'application/json')
        response.end(JSON.stringify(error === undefined ? work(admittedOf(request)) : {}))
      })
  },
  async fastify(options, work) {
    const app = fastify()
    app.addHook('onRequest', fastifyGate(options))
    app.get('/api/*', async (request, reply) => {
      reply.code(statusOf(request.url))
      return work(admittedOf(request))
    })
    await app.ready()
    closing.push(() => app.close())
    return (request, response) => app.routing(request, response)
  },
  async hono(options, work) {
    const app = new Hono()
    app.use('/api/*', honoGate({ ...options, visitorAddress: () => '203.0.113.9' }))
    app.get('/api/proxied', (context) => {
      work(admittedOf(context.req.raw))
      return fetch('data:text/plain,{}')
    })
    app.get('/api/*', (context) =>
      Response.json(work(admittedOf(context.req.raw)), { status: statusOf(context.req.url) }),
    )
    return listenerOf((request) => app.fetch(request))
  },
  async fetch(options, work) {
    return listenerOf(
      fetchGate({ ...options, visitorAddress: () => '203.0.113.9' }, (request: Request) =>
        request.url.endsWith('/proxied')
          ? fetch(`data:text/plain,${JSON.stringify(work(admittedOf(request)))}`)
          : Response.json(work(admittedOf(request)), { status: statusOf(request.url) }),
      ),
    )
  },
}

/** As an adapter of a platform does: its own request becomes a `Request`. */
function listenerOf(handle: (request: Request) => Response | Promise<Response>): RequestListener {
  return async (request, response) => {
    const headers = Object.entries(request.headers).map(([name, value]) => [name, String(value)])
    const answer = await handle(
      new Request(`http://product${request.url}`, { headers: Object.fromEntries(headers) }),
    )
    response.writeHead(answer.status, Object.fromEntries(answer.headers))
    response.end(await answer.text())
  }
}

async function listen(listener: RequestListener): Promise<string> {
  const server: Server = createServer(listener)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  closing.push(() => {
    server.closeAllConnections()
    return new Promise((resolve) => server.close(resolve))
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

describe.each(Object.keys(FRAMEWORKS))('the gate before %s', (name) => {
  /** @returns asks the product, with headers */
  async function aProductWith(
    options: GateOptions<unknown>,
    work: Work = (admitted) => ({ plan: admitted?.answer?.plan }),
  ) {
    let worked = 0
    const url = await listen(
      await FRAMEWORKS[name]!(options, (admitted) => {
        worked += 1
        return work(admitted)
      }),
    )
    const ask = async (headers: Record<string, string>, path = '/api/hello?x=1') => {
      const response = await fetch(url + path, { headers })
      const body = await response.text()
      return { status: response.status, headers: response.headers, body: body === '' ? {} : JSON.parse(body) }
    }
    return { ask, worked: () => worked }
  }

  it('lets in what the plan has room for, with its headers, then says when to come again and how to get more', async () => {
    const { gate, issue } = await aTollkeeper()
    const { key } = await issue('registered')
    const { ask, worked } = await aProductWith(gate())
    const first = await ask({ authorization: `Bearer ${key}` })
    expect(first).toMatchObject({ status: 200, body: { plan: 'registered' } })
    expect(first.headers.get('ratelimit-policy')).toBe('"day";q=2;w=86400')
    expect(first.headers.get('ratelimit')).toMatch(/^"day";r=1;t=\d+$/)
    // Also where the product passes on what it fetched, whose headers cannot be changed.
    const second = await ask({ 'x-api-key': key }, '/api/proxied')
    expect(second.status).toBe(200)
    expect(second.headers.get('ratelimit')).toMatch(/^"day";r=0;t=\d+$/)
    const { status, headers, body } = await ask({ 'x-api-key': key })
    expect(status).toBe(429)
    expect(headers.get('content-type')).toContain('application/problem+json')
    expect(headers.get('retry-after')).toBe(String(body.retryAfterSeconds))
    expect(headers.get('ratelimit')).toMatch(/^"day";r=0;/)
    expect(body).toMatchObject({
      type: 'about:blank',
      title: 'Too Many Requests',
      status: 429,
      code: 'quota_exceeded',
      plan: 'registered',
      dimension: 'calls',
      remaining: 0,
      upgrade: { plan: 'pro', url: 'https://example.com/pricing' },
    })
    expect(worked()).toBe(2)
  })

  it('asks for a key, for another one, for money, or says that it may not be', async () => {
    const { gate, issue, clock } = await aTollkeeper()
    const { key } = await issue('registered', { scopes: ['read'] })
    const { ask, worked } = await aProductWith(gate({ scope: 'read' }))
    const scoped = await aProductWith(gate({ scope: 'write' }))
    const featured = await aProductWith(gate({ feature: 'export' }))
    const lifelong = await aProductWith(gate({ dimension: 'exports' }))
    const own = { 'x-api-key': key }
    expect(await ask({})).toMatchObject({ status: 401, body: { code: 'key_missing' } })
    expect(await ask({ 'x-api-key': 'tka_x' })).toMatchObject({ status: 401, body: { code: 'key_unknown' } })
    expect((await ask({ 'x-api-key': 'x'.repeat(300) })).status).toBe(401)
    expect((await ask({ authorization: 'Bearer tka_x' })).headers.get('www-authenticate')).toBe('Bearer')
    expect(await scoped.ask(own)).toMatchObject({ status: 403, body: { code: 'key_scope' } })
    expect(await featured.ask(own)).toMatchObject({ status: 403, body: { code: 'not_entitled' } })
    expect((await lifelong.ask(own)).status).toBe(200)
    expect(await lifelong.ask(own)).toMatchObject({ status: 402, body: { code: 'quota_exceeded' } })
    clock.set(utc('2027-01-31T00:00'))
    expect(await ask(own)).toMatchObject({
      status: 402,
      body: { title: 'Payment Required', code: 'trial_ended' },
    })
    expect(worked()).toBe(0)
  })

  it('counts who has no key by the connection and the browser, then asks to register', async () => {
    const { gate } = await aTollkeeper()
    const { ask } = await aProductWith(gate({ anonymous: 'count' }))
    const visit = (userAgent: string, forwardedFor = '198.51.100.1') =>
      ask({ 'user-agent': userAgent, 'x-forwarded-for': forwardedFor })
    for (const address of ['198.51.100.1', '198.51.100.2']) {
      expect(await visit('one', address)).toMatchObject({ status: 200, body: { plan: 'anonymous' } })
    }
    expect(await visit('one', '198.51.100.3')).toMatchObject({
      status: 402,
      body: { code: 'quota_exceeded', upgrade: { plan: 'registered', url: 'https://example.com/pricing' } },
    })
    expect((await visit('another')).status).toBe(200)
  })

  it('holds a quantity and settles what was used; nothing where it failed', async () => {
    const { gate, issue, used, errors } = await aTollkeeper()
    const { key, subscription } = await issue('pro')
    const options = gate({ dimension: 'minutes', quantity: 4, reserve: { expiresInSeconds: 60 } })
    let left = 0
    const { ask } = await aProductWith(
      {
        ...options,
        client: {
          ...options.client,
          // Seen from outside: settled or released.
          settleReservation: async (...given) => {
            const settled = await options.client.settleReservation!(...given)
            left += 1
            return settled
          },
          releaseReservation: async (...given) => {
            const released = await options.client.releaseReservation!(...given)
            left += 1
            return released
          },
        },
      },
      (admitted) => {
        if (left === 0) admitted?.use('1.25')
        return {}
      },
    )
    const own = { 'x-api-key': key }
    const after = async (count: number) => {
      while (left < count) await new Promise((resolve) => setImmediate(resolve))
      return await used(subscription, 'minutes')
    }
    expect((await ask(own)).status).toBe(200)
    expect(await after(1)).toEqual([1.25])
    expect((await ask(own, '/api/status/500')).status).toBe(500)
    expect(await after(2)).toEqual([1.25])
    expect((await ask(own, '/api/status/404')).status).toBe(404)
    expect(await after(3)).toEqual([5.25])
    // It is a free subscription: nobody pays, and nothing is lost.
    expect(errors).toEqual([])
  })

  it('lets in who has a key while Tollkeeper cannot be asked, if that is wanted', async () => {
    const { app, client, gate, issue, errors } = await aTollkeeper()
    const { key } = await issue('registered')
    const { id: keyId, key: revoked } = await issue('registered')
    await client.revokeKey({ keyId })
    const products = {
      paid: await aProductWith(gate({ anonymous: 'count', timeoutMs: 500 })),
      all: await aProductWith(gate({ anonymous: 'count', timeoutMs: 500, failOpen: 'all' })),
      none: await aProductWith(gate({ timeoutMs: 500, failOpen: 'none' })),
    }
    const forged = `${key.slice(0, -1)}${key.endsWith('0') ? '1' : '0'}`
    expect((await products.paid.ask({ 'x-api-key': revoked })).status).toBe(401)
    await app.close()
    expect(await products.paid.ask({ 'x-api-key': key })).toMatchObject({ status: 200, body: {} })
    expect((await products.paid.ask({ 'x-api-key': revoked })).status).toBe(503)
    const refused = await products.paid.ask({})
    expect(refused).toMatchObject({ status: 503, body: { code: 'gate_unavailable' } })
    expect(refused.headers.get('retry-after')).toBe('5')
    expect((await products.paid.ask({ 'x-api-key': forged })).status).toBe(401)
    expect((await products.all.ask({})).status).toBe(200)
    expect((await products.none.ask({ 'x-api-key': key })).status).toBe(503)
    expect(errors).toHaveLength(5)
  })

  it('counts a request once for each idempotency key, where the product wants it', async () => {
    const { gate, issue, used } = await aTollkeeper()
    const { key, subscription } = await issue('registered')
    const { ask } = await aProductWith(gate({ id: 'idempotency-key' }))
    const once = { 'x-api-key': key, 'idempotency-key': 'order 4711' }
    for (let n = 0; n < 3; n++) expect((await ask(once)).status).toBe(200)
    expect(await used(subscription, 'calls')).toEqual([1])
    expect((await ask(once, '/api/other')).status).toBe(200)
    expect(await used(subscription, 'calls')).toEqual([2])
    expect((await ask({ ...once, 'idempotency-key': 'order 4712' })).status).toBe(429)

    const { key: other, subscription: its } = await issue('registered')
    const plain = await aProductWith(gate())
    for (let n = 0; n < 2; n++) await plain.ask({ ...once, 'x-api-key': other })
    expect(await used(its, 'calls')).toEqual([2])
  })
})
