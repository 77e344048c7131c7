import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { aSubscription } from '../storage/contract/fixtures.ts'
import { anApp, NOW } from './app.fixture.ts'

let seller: Awaited<ReturnType<typeof anApp>>
beforeAll(async () => {
  seller = await anApp()
})
afterAll(() => seller.close())

const DAY = 86_400_000
const iso = (ms: number) => new Date(ms).toISOString()

function ask(method: 'GET' | 'POST' | 'DELETE', url: string, payload?: object) {
  return seller.app.inject({ method, url, headers: seller.auth, ...(payload && { payload }) })
}

async function aKey(order: object = {}) {
  const response = await ask('POST', '/keys', { subscriptionId: seller.subscription.id, ...order })
  expect(response.statusCode).toBe(201)
  return response.json()
}

describe('keys of end users', () => {
  it('are shown once when they are made, and never again', async () => {
    const order = {
      tenantId: 'tenant-a',
      user: 'user-1',
      name: 'CI',
      scopes: ['reports:read'],
      expiresAt: iso(NOW + DAY),
    }
    const response = await ask('POST', '/keys', order)
    expect(response.statusCode).toBe(201)
    expect(response.headers['cache-control']).toBe('no-store')
    const { key, ...shown } = response.json()
    expect(key).toMatch(/^tka_/)
    expect(shown).toEqual({
      id: expect.stringMatching(/^apk_/),
      product: 'acme',
      buyer: seller.subscription.buyer,
      user: 'user-1',
      name: 'CI',
      scopes: ['reports:read'],
      hint: key.slice(43, 47),
      state: 'active',
      createdAt: iso(NOW),
      expiresAt: iso(NOW + DAY),
    })
    const again = await ask('GET', `/keys/${shown.id}`)
    expect(again.json()).toEqual(shown)
    const { items } = (await ask('GET', '/keys?user=user-1')).json()
    expect(items).toEqual([shown])
    expect(seller.logged()).not.toContain(key)
  })

  it('are made once for each request that says which it is: a lost answer makes no second key', async () => {
    const { id } = await aKey({ requestId: 'sign-up-17' })
    const again = await ask('POST', '/keys', {
      subscriptionId: seller.subscription.id,
      requestId: 'sign-up-17',
    })
    expect([again.statusCode, again.json()]).toEqual([
      409,
      expect.objectContaining({
        code: 'key.exists',
        detail: `this requestId made the key ${id} before, whose secret is not shown again: rotate that key to get a secret`,
        details: { key: id },
      }),
    ])
    expect((await ask('POST', `/keys/${id}/rotate`, { overlapSeconds: 0 })).json().key).toMatch(/^tka_/)
  })

  it('are bound to the subscription that named the buyer', async () => {
    const key = await aKey()
    expect(key).toMatchObject({ subscription: seller.subscription.id, scopes: [], state: 'active' })
  })

  it('are rotated with an overlap, and revoked for good', async () => {
    const { id, key } = await aKey({ scopes: ['a'] })
    const rotated = await ask('POST', `/keys/${id}/rotate`, { overlapSeconds: 60 })
    expect(rotated.statusCode).toBe(201)
    const next = rotated.json()
    expect(next.key).not.toBe(key)
    expect(next).toMatchObject({
      scopes: ['a'],
      state: 'active',
      replaces: { id, state: 'replaced', replacedBy: next.id, usableUntil: iso(NOW + 60_000) },
    })
    const twice = await ask('POST', `/keys/${id}/rotate`)
    expect([twice.statusCode, twice.json()]).toEqual([
      409,
      expect.objectContaining({
        code: 'key.not_active',
        details: { state: 'replaced', replacedBy: next.id },
      }),
    ])
    const revoked = await ask('DELETE', `/keys/${next.id}`)
    expect(revoked.json()).toMatchObject({ id: next.id, state: 'revoked', revokedAt: iso(NOW) })
    expect((await ask('DELETE', `/keys/${next.id}`)).json()).toEqual(revoked.json())
    expect((await ask('POST', `/keys/${next.id}/rotate`)).statusCode).toBe(409)
    const byDefault = await ask('POST', `/keys/${(await aKey()).id}/rotate`)
    expect(byDefault.json().replaces.usableUntil).toBe(iso(NOW + DAY))
  })

  it('are listed page by page, newest first', async () => {
    const made: string[] = []
    for (let number = 0; number < 3; number++) {
      seller.clock.set(NOW + number)
      made.unshift((await aKey({ user: 'paged' })).id)
    }
    seller.clock.set(NOW)
    const pages: string[][] = []
    let cursor = ''
    do {
      const { items, next } = (await ask('GET', `/keys?user=paged&limit=2${cursor}`)).json()
      pages.push(items.map(({ id }: { id: string }) => id))
      cursor = next === undefined ? '' : `&cursor=${next}`
    } while (cursor !== '')
    expect(pages).toEqual([made.slice(0, 2), made.slice(2)])
    for (const filter of [
      `subscriptionId=${seller.subscription.id}`,
      `buyerId=${seller.subscription.buyer}`,
      'product=acme',
    ]) {
      const { items } = (await ask('GET', `/keys?${filter}`)).json()
      expect(items.length, filter).toBeGreaterThan(2)
    }
    const open = await ask('GET', '/keys')
    expect([open.statusCode, open.json().detail]).toEqual([
      400,
      'name one of product, buyerId, subscriptionId, user',
    ])
  })

  it('are refused in words that say what is wrong', async () => {
    const twins = ['one', 'two'].map((buyer) =>
      aSubscription({ product: 'acme', tenantId: 'twins', buyer: `buy_twin_${buyer}` }),
    )
    for (const twin of twins) await seller.deps.subscriptions.create(twin, 'test')
    const buyer = { buyerId: seller.subscription.buyer }
    const cases: readonly [order: object, status: number, code: string][] = [
      [{}, 400, 'request.invalid'],
      [{ buyerId: 'buy_nobody' }, 404, 'buyer.not_found'],
      [{ tenantId: 'twins' }, 409, 'subscription.ambiguous'],
      [{ ...buyer, product: 'nowhere' }, 404, 'product.not_found'],
      [{ ...buyer, product: 'other' }, 404, 'buyer.not_found'],
      [{ ...buyer, scopes: ['No Good'] }, 400, 'request.invalid'],
      [{ ...buyer, expiresAt: iso(NOW) }, 400, 'request.invalid'],
      [{ ...buyer, expiresAt: '2027-01-01T00:00:00' }, 400, 'request.invalid'],
      [{ ...buyer, surname: 'x' }, 400, 'request.invalid'],
    ]
    for (const [order, status, code] of cases) {
      const response = await ask('POST', '/keys', order)
      expect([response.statusCode, response.json().code], JSON.stringify(order)).toEqual([status, code])
    }
    const { id } = await aKey()
    for (const overlapSeconds of [-1, 1.5, 30 * 86_400 + 1])
      expect((await ask('POST', `/keys/${id}/rotate`, { overlapSeconds })).statusCode).toBe(400)
    for (const [method, url] of [
      ['GET', '/keys/apk_none'],
      ['DELETE', '/keys/apk_none'],
      ['POST', '/keys/apk_none/rotate'],
    ] as const)
      expect((await ask(method, url)).json().code).toBe('key.not_found')
  })

  it('open no door of ours', async () => {
    const { key } = await aKey()
    const response = await seller.app.inject({
      url: '/keys',
      headers: { authorization: `Bearer ${key}` },
    })
    expect(response.statusCode).toBe(401)
  })
})
