import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { probeEndpoints } from '../domain/health/probe-endpoints.ts'
import { declareProducts } from '../domain/products/declare-products.ts'
import { DOMAIN_EVENT_TYPES } from '../domain/telling/domain-event.ts'
import { createHealthProbe } from '../sinks/health-probe.ts'
import { aProduct } from '../storage/contract/fixtures.ts'
import { anEndpoint } from '../storage/contract/health-store.contract.ts'
import { createSqlCatalogStore } from '../storage/sql/catalog-store.ts'
import { createSqlHealthStore } from '../storage/sql/health-store.ts'
import { anApp, NOW } from './app.fixture.ts'

const MINUTE = 60_000
const HOUR = 3_600_000

let status = 200
const server = createServer((_, response) => {
  response.writeHead(status).end(JSON.stringify({ status: 'failing', checks: { database: 'failing' } }))
})
let healthUrl: string
let seller: Awaited<ReturnType<typeof anApp>>
const DECLARED = anEndpoint({ id: 'declared', healthUrl: undefined })
const SHOP = aProduct({ id: 'shop', endpoints: [DECLARED] })

beforeAll(async () => {
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening))
  healthUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}/health`
})
beforeEach(async () => {
  await seller?.close()
  seller = await anApp({ products: [SHOP] })
  await declareProducts(createSqlCatalogStore(seller.database), [SHOP], NOW)
  await seller.deps.catalog.refresh()
  status = 200
})
afterAll(async () => {
  await seller.close()
  server.closeAllConnections()
  await new Promise((closed) => server.close(closed))
})

async function ask(method: 'GET' | 'POST' | 'PUT' | 'DELETE', url: string, payload?: object) {
  const { auth: headers } = seller
  const response = await seller.app.inject({ method, url, headers, ...(payload && { payload }) })
  return { status: response.statusCode, body: response.json() }
}

/** One round of the job, by the app's clock. */
async function round(after = MINUTE): Promise<number> {
  seller.clock.set(seller.clock.now() + after)
  return probeEndpoints(
    {
      health: createSqlHealthStore(seller.database),
      catalog: seller.deps.catalog,
      probe: createHealthProbe({ policyOf: () => 'loopback', userAgent: 'test' }),
      clock: seller.clock,
    },
    new AbortController().signal,
  )
}

describe('endpoints', () => {
  it('are registered, changed, listed beside declared ones, and removed; what is the same changes nothing', async () => {
    const url = 'https://api.example.com/v1?tenant=a'
    expect(await ask('PUT', '/products/shop/endpoints/api', { url, healthUrl })).toMatchObject({
      status: 201,
      body: { id: 'api', url, healthUrl, everySeconds: 60, timeoutSeconds: 5, downAfter: 3, origin: 'api' },
    })
    const same = await ask('GET', '/products/shop/endpoints/api')
    expect(await ask('PUT', '/products/shop/endpoints/api', same.body)).toEqual(same)
    expect(await ask('PUT', '/products/shop/endpoints/api', { url, everySeconds: 30 })).toMatchObject({
      status: 200,
      body: { everySeconds: 30 },
    })
    const listed = (await ask('GET', '/products/shop/endpoints')).body.items
    expect(listed.map(({ id, origin }: { id: string; origin: string }) => [id, origin])).toEqual([
      ['declared', 'config'],
      ['api', 'api'],
    ])
    expect((await ask('GET', '/products/shop')).body.endpoints).toEqual(listed)
    // A restart with the same configuration keeps it.
    await declareProducts(createSqlCatalogStore(seller.database), [SHOP], NOW + HOUR)
    await seller.deps.catalog.refresh()
    expect((await ask('GET', '/products/shop/endpoints')).body.items).toEqual(listed)
    expect((await ask('GET', '/products/shop/history')).body.items).toHaveLength(3)
    expect(await ask('DELETE', '/products/shop/endpoints/api')).toMatchObject({
      status: 200,
      body: { id: 'api' },
    })
    expect((await ask('GET', '/products/shop/endpoints/api')).body.code).toBe('endpoint.not_found')
    expect(await ask('DELETE', '/products/shop/endpoints/api')).toMatchObject({
      status: 404,
      body: { code: 'endpoint.not_found' },
    })
    expect((await ask('GET', '/audit?subject=shop')).body.items).toMatchObject([
      { action: 'product.change', after: { endpoints: [{ id: 'declared' }] } },
      { action: 'product.change' },
      { action: 'product.change', before: { endpoints: [{ id: 'declared' }] } },
      { action: 'product.create', actor: 'config' },
    ])
  })

  it('that are declared are changed there alone', async () => {
    for (const answer of [
      await ask('PUT', '/products/shop/endpoints/declared', { url: 'https://other.example.com/' }),
      await ask('DELETE', '/products/shop/endpoints/declared'),
    ])
      expect(answer).toMatchObject({ status: 409, body: { code: 'endpoint.declared' } })
  })

  it('stay as they are when a product is changed without them, and lead nowhere inside', async () => {
    await ask('POST', '/products', { id: 'made', productCode: 'made0code0of0twenty0five0' })
    await ask('PUT', '/products/made/endpoints/api', { url: 'https://api.example.com/' })
    const body = { productCode: 'made0code0of0twenty0five0', title: 'Made' }
    expect((await ask('PUT', '/products/made', body)).body.endpoints).toMatchObject([{ id: 'api' }])
    const endpoints = [{ id: 'eu', url: 'https://eu.example.com/', origin: 'config' }]
    expect((await ask('PUT', '/products/made', { ...body, endpoints })).body.endpoints).toMatchObject([
      { id: 'eu', origin: 'api' },
    ])
    for (const [given, detail] of [
      [{}, 'url is missing'],
      [{ url: 'ftp://a' }, 'url must be'],
      [{ url: 'https://me:pw@a.example/' }, 'url must be'],
      [{ url: 'https://a.example/', allowPrivate: true }, 'allowPrivate must be left out'],
      [{ url: 'https://a.example/', everySeconds: 1 }, 'everySeconds must be'],
    ] as const) {
      const answer = await ask('PUT', '/products/made/endpoints/bad', given)
      expect([answer.status, answer.body.code]).toEqual([400, 'request.invalid'])
      expect(answer.body.detail).toContain(detail)
    }
    const inside = [{ ...endpoints[0], allowPrivate: true }]
    expect((await ask('PUT', '/products/made', { ...body, endpoints: inside })).body.detail).toContain(
      'allowPrivate must be left out',
    )
  })
})

describe('health', () => {
  it('is asked as often as registered, told when it changes, and shown with its history', async () => {
    await ask('PUT', '/products/shop/endpoints/api', { url: 'https://api.example.com/', healthUrl })
    expect((await ask('GET', '/products/shop/health')).body.items).toMatchObject([
      { endpoint: 'declared', state: 'unknown', uptime: { '24h': { up: 0, down: 0 } } },
      { endpoint: 'api', state: 'unknown', failures: 0 },
    ])
    expect(await round()).toBe(1)
    expect(await round(MINUTE - 1)).toBe(0)
    status = 503
    for (let n = 0; n < 3; n++) expect(await round()).toBe(1)
    const down = (await ask('GET', '/products/shop/health')).body.items[1]
    expect(down).toMatchObject({
      endpoint: 'api',
      state: 'down',
      since: new Date(seller.clock.now()).toISOString(),
      failures: 3,
      reason: 'HTTP 503: database failing',
      uptime: { '24h': { up: 1, down: 3, percent: 25 } },
      changes: [{ state: 'down' }, { state: 'up' }],
    })
    expect(await seller.deps.usage.listAlarms(10)).toMatchObject([
      { kind: 'endpoint_down', subject: 'shop/api', message: expect.stringContaining('docs/health.md') },
    ])
    status = 200
    await round(HOUR)
    expect((await ask('GET', '/products/shop/health')).body.items[1]).toMatchObject({ state: 'up' })
    const first = await ask('GET', '/products/shop/health/history?limit=1&endpoint=api')
    expect(first.body.items).toMatchObject([{ endpoint: 'api', up: 1, down: 0, maxMs: expect.any(Number) }])
    const { next } = first.body
    const second = await ask('GET', `/products/shop/health/history?limit=1&endpoint=api&cursor=${next}`)
    expect(second.body).toMatchObject({
      items: [{ hour: new Date(NOW - (NOW % HOUR)).toISOString(), up: 1, down: 3 }],
    })
    expect(second.body.next).toBeUndefined()
    expect((await ask('GET', '/products/shop/health/history?from=2027-01-01T00:00:00Z')).body.items).toEqual(
      [],
    )
  })

  it('that changes again and again within an hour is told each time, and marked as such', async () => {
    const { outbox } = seller.deps
    const sink = { name: 'all', types: DOMAIN_EVENT_TYPES, product: undefined }
    await outbox.register([sink], NOW)
    await ask('PUT', '/products/shop/endpoints/api', { url: healthUrl, healthUrl, downAfter: 1 })
    for (const next of [500, 200, 500, 200]) {
      status = next
      await round()
    }
    while (await outbox.fanOut([sink], NOW, 100));
    const { items } = await outbox.list({ sink: 'all', limit: 10 })
    const events = await Promise.all(items.toReversed().map(({ event }) => outbox.getEvent(event)))
    const told = events.filter(({ type }) => type.startsWith('endpoint.'))
    expect(told.map(({ type, data }) => [type, data.repeated])).toEqual([
      ['endpoint.down', undefined],
      ['endpoint.up', undefined],
      ['endpoint.down', true],
      ['endpoint.up', true],
    ])
  })

  it('of an endpoint that is gone is asked no more, and raises no alarm', async () => {
    await ask('PUT', '/products/shop/endpoints/api', { url: healthUrl, healthUrl, downAfter: 1 })
    status = 500
    await round()
    expect(await seller.deps.usage.listAlarms(10)).toHaveLength(1)
    await ask('DELETE', '/products/shop/endpoints/api')
    expect(await round()).toBe(0)
    expect(await seller.deps.usage.listAlarms(10)).toEqual([])
    expect((await ask('GET', '/products/shop/health/history')).body.items).toHaveLength(1)
  })
})
