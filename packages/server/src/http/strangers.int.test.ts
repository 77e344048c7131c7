import type { InjectOptions } from 'fastify'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { generateSecret, KEY_SCOPES, type KeyScope } from '../domain/keys/service-key.ts'
import { closeDueBuckets } from '../domain/usage/close-due-buckets.ts'
import { aSubscription } from '../storage/contract/fixtures.ts'
import { AN_HOUR, anApp, NOW } from './app.fixture.ts'
import type { Access } from './authenticate.ts'

/**
 * Every route with who may call it, written down a second time: a new route fails here until somebody has thought
 * about who is a stranger to it.
 */
const ROUTES: Readonly<Record<string, Access>> = {
  'POST /meter': 'usage:write',
  'POST /usage': 'usage:write',
  'POST /marketplace/subscriptions/:subscriptionId/meter': 'usage:write',
  'GET /usage/buckets': 'usage:read',
  'GET /usage/records': 'usage:read',
  'GET /usage/records/:recordId': 'usage:read',
  'GET /usage/records/:recordId/attempts': 'usage:read',
  'GET /usage/status': 'usage:read',
  'GET /marketplace/subscriptions': 'usage:read',
  'GET /marketplace/subscriptions/:subscriptionId': 'usage:read',
  'GET /marketplace/events': 'usage:read',
  'GET /marketplace/events/rejected': 'usage:read',
  'GET /marketplace/agreements/unattached': 'usage:read',
  'POST /marketplace/webhook': 'public',
  'GET /marketplace/subscriptions/:subscriptionId/entitlements': 'usage:read',
  'GET /entitlements/check': 'access:check',
  'POST /quota/validate': 'access:check',
  'GET /quota': 'access:check',
  'POST /quota/conversions': 'subscriptions:write',
  'POST /quota/reservations': 'access:check',
  'POST /quota/reservations/:reservationId/settle': 'access:check',
  'POST /quota/reservations/:reservationId/release': 'access:check',
  'GET /deliveries': 'usage:read',
  'POST /deliveries/:eventId/replay': 'subscriptions:write',
  'GET /marketplace/subscriptions/:subscriptionId/history': 'usage:read',
  'GET /marketplace/subscriptions/:subscriptionId/usage': 'usage:read',
  'POST /marketplace/subscriptions': 'subscriptions:write',
  'PUT /marketplace/subscriptions/:subscriptionId': 'subscriptions:write',
  'DELETE /marketplace/subscriptions/:subscriptionId': 'subscriptions:write',
  'GET /buyers': 'usage:read',
  'GET /buyers/:buyerId': 'usage:read',
  'GET /buyers/:buyerId/export': 'subscriptions:write',
  'POST /buyers/:buyerId/erase': 'subscriptions:write',
  'POST /keys': 'keys:write',
  'GET /keys': 'keys:write',
  'GET /keys/:keyId': 'keys:write',
  'POST /keys/:keyId/rotate': 'keys:write',
  'DELETE /keys/:keyId': 'keys:write',
  'GET /products': 'usage:read',
  'GET /products/:product': 'usage:read',
  'GET /products/:product/history': 'usage:read',
  'POST /products': 'products:write',
  'PUT /products/:product': 'products:write',
  'GET /products/:product/plans': 'usage:read',
  'GET /products/:product/plans/:plan': 'usage:read',
  'PUT /products/:product/plans/:plan': 'products:write',
  'GET /products/:product/plans/:plan/history': 'usage:read',
  'DELETE /products/:product/plans/:plan': 'products:write',
  'GET /products/:product/endpoints': 'usage:read',
  'GET /products/:product/endpoints/:endpoint': 'usage:read',
  'PUT /products/:product/endpoints/:endpoint': 'products:write',
  'DELETE /products/:product/endpoints/:endpoint': 'products:write',
  'GET /products/:product/health': 'usage:read',
  'GET /products/:product/health/history': 'usage:read',
  'GET /audit': 'admin',
  'GET /metrics': 'loopback',
  'GET /mailbox': 'loopback',
  'GET /mailbox/:id': 'loopback',
  'GET /marketplace/register/:listing': 'public',
  'POST /marketplace/register/:listing': 'public',
  'GET /l/:listing': 'public',
  'POST /l/:listing': 'public',
  'GET /health': 'public',
  'GET /ready': 'public',
  'GET /openapi.json': 'public',
  'GET /': 'public',
  'GET /docs': 'public',
  'GET /docs/js/scalar.js': 'public',
}

const SCOPES: readonly KeyScope[] = [
  'usage:write',
  'usage:read',
  'access:check',
  'subscriptions:write',
  'keys:write',
  'products:write',
  'admin',
]
/** Scopes that let in what another one names. */
const INCLUDED: Partial<Record<Access, readonly KeyScope[]>> = {
  'access:check': ['usage:write', 'usage:read'],
}
const guarded = Object.entries(ROUTES).filter(([, access]) => access !== 'public' && access !== 'loopback')

let seller: Awaited<ReturnType<typeof anApp>>
/** What is another product's: a stranger must not be able to tell that it exists. */
let theirs: {
  subscription: string
  record: string
  buyer: string
  key: string
  product: string
  reservation: string
}

beforeAll(async () => {
  seller = await anApp()
  theirs = await anotherProductsUsage(seller.deps)
})
afterAll(() => seller.close())

/** A request that would do something, had its caller the right. */
function aRequest(
  route: string,
  headers: Readonly<Record<string, string>>,
  remoteAddress?: string,
): InjectOptions {
  const [method, pattern] = route.split(' ')
  const url = pattern!
    .replace(':subscriptionId', theirs.subscription)
    .replace(':recordId', theirs.record)
    .replace(':eventId', 'evt_theirs')
    .replace(':buyerId', theirs.buyer)
    .replace(':keyId', theirs.key)
    .replace(':product', theirs.product)
    .replace(':plan', 'their-plan')
    .replace(':endpoint', 'their-endpoint')
    .replace(':reservationId', theirs.reservation)
    .replace(/\/quota$/, `/quota?subscriptionId=${theirs.subscription}`)
    .replace(':listing', 'acme')
    .replace('/check', `/check?subscriptionId=${theirs.subscription}`)
  const bodies: Readonly<Record<string, object>> = {
    'POST /meter': anEvent(),
    'POST /usage': [anEvent()],
    'POST /marketplace/subscriptions/:subscriptionId/meter': { totalScans: 1 },
    'POST /marketplace/subscriptions': { channel: 'free', tenantId: 'their-next', buyer: theirs.buyer },
    'PUT /marketplace/subscriptions/:subscriptionId': { tenantId: 'taken' },
    'DELETE /marketplace/subscriptions/:subscriptionId': { reasonCode: 'OTHER' },
    'POST /buyers/:buyerId/erase': {},
    'POST /quota/validate': { subscriptionId: theirs.subscription, dimension: 'requests' },
    'POST /quota/conversions': { visitor: { ip: '192.0.2.1' }, subscriptionId: theirs.subscription },
    'POST /quota/reservations': {
      subscriptionId: theirs.subscription,
      dimension: 'requests',
      id: `stranger-${++count}`,
    },
    'POST /quota/reservations/:reservationId/settle': { quantity: 1 },
    'POST /keys': { buyerId: theirs.buyer },
    'POST /products': { id: 'stranger', productCode: 'stranger0code' },
    'PUT /products/:product': { productCode: 'stranger0code' },
    'PUT /products/:product/plans/:plan': { title: 'Taken' },
    'PUT /products/:product/endpoints/:endpoint': { url: 'https://stranger.example.com/' },
    'POST /keys/:keyId/rotate': { overlapSeconds: 0 },
  }
  const payload = bodies[route]
  return {
    method: method as NonNullable<InjectOptions['method']>,
    url,
    headers: { ...headers },
    ...(payload && { payload }),
    ...(remoteAddress !== undefined && { remoteAddress }),
  }
}

let count = 0
function anEvent() {
  return {
    dimension: 'requests',
    quantity: 1,
    usageTime: AN_HOUR,
    correlationId: `stranger-${++count}`,
    subscriptionId: theirs.subscription,
  }
}

it('every route is known here, and as guarded as it is meant to be', () => {
  const routes = seller.app.routeTable
    .filter((route) => route.method !== 'HEAD')
    .map((route) => [`${route.method} ${route.url}`, route.access])
  expect(Object.fromEntries(routes)).toEqual(ROUTES)
  for (const head of seller.app.routeTable.filter((route) => route.method === 'HEAD')) {
    expect(head.access).toBe(ROUTES[`GET ${head.url}`])
  }
})

describe.each(guarded)('%s', (route, access) => {
  it('is closed to who shows no key, or none of ours', async () => {
    const strangers: readonly Record<string, string>[] = [
      {},
      { authorization: '' },
      { authorization: 'Bearer' },
      { authorization: 'Bearer tk_' },
      { authorization: `Bearer ${seller.secret.slice(0, -1)}` },
      { authorization: `Bearer ${seller.secret}x` },
      { authorization: `Bearer ${generateSecret()}` },
      { authorization: `Basic ${Buffer.from(`key:${seller.secret}`).toString('base64')}` },
      { authorization: seller.secret },
      { 'x-api-key': seller.secret },
      { cookie: `authorization=${seller.secret}` },
      { authorization: 'Bearer null' },
    ]
    for (const headers of strangers) {
      // Each from an address of its own: else the later ones are only told to wait.
      const response = await seller.app.inject(
        aRequest(route, headers, `10.0.${count++ % 250}.${count % 250}`),
      )
      expect(response.statusCode, JSON.stringify(headers)).toBe(401)
      expect(response.json().code).toBe('key.unknown')
      expect(response.payload).not.toContain(seller.secret)
    }
  })

  it('is closed to a key that was revoked', async () => {
    const { key, secret } = await seller.aKey(SCOPES)
    await seller.deps.keys.revoke(key.id, 'cli:test', NOW)
    const response = await seller.app.inject(
      aRequest(route, { authorization: `Bearer ${secret}` }, `10.1.${count++ % 250}.1`),
    )
    expect(response.statusCode).toBe(401)
  })

  it('is closed to a key without its scope', async () => {
    const others = KEY_SCOPES.filter(
      (scope) => scope !== access && scope !== 'admin' && !INCLUDED[access]?.includes(scope),
    )
    for (const scope of others) {
      const { secret } = await seller.aKey([scope])
      const response = await seller.app.inject(aRequest(route, { authorization: `Bearer ${secret}` }))
      expect([response.statusCode, response.json().code]).toEqual([403, 'key.scope_missing'])
    }
  })

  it('shows and changes nothing of another product', async () => {
    const { secret } = await seller.aKey(SCOPES, 'acme')
    const before = await theirLedger()
    const response = await seller.app.inject(aRequest(route, { authorization: `Bearer ${secret}` }))
    expect(await theirLedger()).toEqual(before)
    for (const hidden of [
      'their-tenant',
      'ada@theirs',
      theirs.record,
      theirs.subscription,
      theirs.buyer,
      theirs.key,
      'other0code0of0twenty0five',
      'Their plan',
      'theirs.example.com',
      theirs.reservation,
    ]) {
      expect(response.payload).not.toContain(hidden)
    }
    // What exists elsewhere is answered in the same words as what exists nowhere.
    const unknown = {
      subscription: 'sub_nowhere',
      record: 'rec_nowhere',
      buyer: 'buy_nowhere',
      key: 'apk_nowhere',
      product: 'nowhere',
      reservation: 'rsv_nowhere',
    }
    const known = theirs
    theirs = unknown
    const nowhere = await seller.app.inject(aRequest(route, { authorization: `Bearer ${secret}` }))
    theirs = known
    expect(anonymous(response)).toEqual(anonymous(nowhere))
  })
})

it.each(['product=other', 'product=other0code0of0twenty0five', 'product=nowhere'])(
  'a list cut down to %s is not found by a key of another product',
  async (query) => {
    const { secret } = await seller.aKey(SCOPES, 'acme')
    const answers = await Promise.all(
      [
        '/usage/buckets',
        '/usage/records',
        '/usage/status',
        '/marketplace/subscriptions',
        '/buyers',
        '/deliveries',
        '/keys',
      ].map((url) =>
        seller.app.inject({ url: `${url}?${query}`, headers: { authorization: `Bearer ${secret}` } }),
      ),
    )
    for (const answer of answers) {
      expect(answer.statusCode).toBe(404)
      expect(answer.json().detail).toBe('no such product here')
    }
  },
)

it('another product’s subscription is not found by any of its names', async () => {
  const { secret } = await seller.aKey(SCOPES, 'acme')
  const their = await seller.deps.subscriptions.get(theirs.subscription)
  for (const query of [
    `buyer=${their.buyer}`,
    `tenantId=${their.tenantId}`,
    `licenseArn=${their.licenseArn}`,
    `customerAWSAccountId=${their.customerAwsAccountId}`,
  ]) {
    const response = await seller.app.inject({
      url: `/marketplace/subscriptions?${query}`,
      headers: { authorization: `Bearer ${secret}` },
    })
    expect(response.json(), query).toEqual({ items: [] })
  }
})

it('a list filtered by another product’s subscription is empty', async () => {
  const { secret } = await seller.aKey(SCOPES, 'acme')
  for (const url of ['/usage/buckets', '/usage/records']) {
    const response = await seller.app.inject({
      url: `${url}?subscription=${theirs.subscription}`,
      headers: { authorization: `Bearer ${secret}` },
    })
    expect(response.json()).toEqual({ items: [] })
  }
})

it('what is public needs no key and no session', async () => {
  for (const [route] of Object.entries(ROUTES).filter(([, access]) => access === 'public')) {
    const { statusCode } = await seller.app.inject(aRequest(route, {}))
    expect([401, 403], route).not.toContain(statusCode)
  }
})

function anonymous(response: { statusCode: number; payload: string }) {
  return {
    status: response.statusCode,
    // Ids that the caller sent itself.
    payload: response.payload.replaceAll(/stranger-\d+/g, 'stranger'),
  }
}

async function theirLedger() {
  const { items } = await seller.deps.usage.listBuckets({ product: 'other', limit: 100 })
  return [
    items,
    await seller.deps.usage.listRecords({ product: 'other', limit: 100 }),
    await seller.deps.subscriptions.list({ product: 'other', limit: 100 }),
    await seller.deps.buyers.list({ product: 'other', limit: 100 }),
    await seller.deps.buyers.listContacts('buy_theirs'),
    await seller.deps.apiKeys.list({ product: 'other' }, { limit: 100 }),
    seller.deps.catalog.find('other'),
    seller.deps.catalog.list().length,
    await seller.deps.quota.describe({ reference: { subscriptionId: 'sub_theirs' }, dimension: 'requests' }),
    seller.database.handle.prepare('SELECT * FROM quota_reservation').all(),
  ]
}

/** A subscription of the other product with an open hour and a sealed record. */
async function anotherProductsUsage(deps: Awaited<ReturnType<typeof anApp>>['deps']) {
  const subscription = aSubscription({
    id: 'sub_theirs',
    buyer: 'buy_theirs',
    product: 'other',
    tenantId: 'their-tenant',
  })
  await deps.subscriptions.create(subscription, 'system')
  const contact = { email: 'ada@theirs.example', name: 'Ada', company: undefined, phone: undefined }
  await deps.buyers.putContact(subscription.buyer, { ...contact, registeredAt: NOW }, 'system')
  const time = NOW - 3_600_000
  const [outcome] = await deps.ingest([
    {
      product: 'other',
      reference: { subscriptionId: subscription.id },
      dimension: 'requests',
      id: 'theirs',
      time,
      quantity: 5,
    },
  ])
  expect(outcome?.status).toBe('accepted')
  await closeDueBuckets(deps, NOW)
  const { items } = await deps.usage.listRecords({ product: 'other', limit: 1 })
  const { key } = await deps.apiKeys.issue(
    {
      product: 'other',
      reference: { buyerId: subscription.buyer },
      user: 'their-user',
      name: undefined,
      scopes: [],
      expiresAt: undefined,
    },
    'system',
  )
  const given = { id: 'their-plan', body: { title: 'Their plan' }, from: undefined }
  await deps.manageProducts.putPlan('other', given, 'system')
  const endpoint = { id: 'their-endpoint', body: { url: 'https://theirs.example.com/' } }
  await deps.manageProducts.putEndpoint('other', endpoint, 'system')
  const { reservation } = await deps.quota.reserve({
    reference: { subscriptionId: subscription.id },
    dimension: 'requests',
    id: 'theirs',
    forMs: 3_600_000,
  })
  return {
    subscription: subscription.id,
    record: items[0]!.id,
    buyer: subscription.buyer,
    key: key.id,
    product: 'other',
    reservation: reservation!.id,
  }
}
