// biome-ignore-all lint/suspicious/noTemplateCurlyInString: `${NAME}` is the configuration's own syntax, and means nothing here
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { PLAIN_PLAN } from '../domain/plans/plan.ts'
import { declareProducts } from '../domain/products/declare-products.ts'
import { createSqlCatalogStore } from '../storage/sql/catalog-store.ts'
import { anApp, NOW, PRODUCTS } from './app.fixture.ts'

const HOUR = 3_600_000
const ACME = {
  ...PRODUCTS[0],
  plans: [
    {
      ...PLAIN_PLAN,
      id: 'pro',
      title: 'Pro',
      price: { amount: '49.00', currency: 'USD', per: 'month' as const },
      limits: [{ dimension: 'calls', quantity: 1000, window: 'month' as const, onExceed: 'bill' as const }],
      included: [
        { dimension: 'records_processed', units: 5n, per: undefined, reset: 'calendarMonth' as const },
      ],
    },
  ],
}
const MADE = {
  id: 'made',
  title: 'Made by the API',
  productCode: 'made0code0of0twenty0five0',
  upgradeUrl: { direct: 'https://made.example/pricing' },
  dimensions: [{ key: 'calls', unitSize: 1000, holdAbove: { times: 20 }, meteredBy: 'gate' }],
  plans: [
    {
      id: 'visitor',
      audience: 'anonymous',
      trial: { days: 15 },
      upgradeTo: 'pro',
      limits: [{ dimension: 'calls', quantity: 10, window: 'lifetime' }],
    },
    { id: 'pro', price: { amount: '9.90', per: 'year' }, features: { sso: true, seats: 5, tier: 'pro' } },
  ],
}

let seller: Awaited<ReturnType<typeof anApp>>
beforeAll(async () => {
  seller = await anApp({ products: [ACME, PRODUCTS[1]] })
  await declareProducts(createSqlCatalogStore(seller.database), [ACME, PRODUCTS[1]], NOW)
  await seller.deps.catalog.refresh()
})
afterAll(() => seller.close())

async function ask(method: 'GET' | 'POST' | 'PUT' | 'DELETE', url: string, payload?: object) {
  const { auth: headers } = seller
  const response = await seller.app.inject({ method, url, headers, ...(payload && { payload }) })
  return { status: response.statusCode, body: response.json(), location: response.headers.location }
}

describe('what configuration declares', () => {
  it('is shown with its plans, as it is written there', async () => {
    const { body } = await ask('GET', '/products')
    expect(body.items.map(({ id, origin }: { id: string; origin: string }) => [id, origin])).toEqual([
      ['acme', 'config'],
      ['other', 'config'],
    ])
    const acme = (await ask('GET', `/products/${ACME.productCode}`)).body
    expect(acme).toMatchObject({
      id: 'acme',
      graceMinutes: 15,
      dimensions: expect.arrayContaining([
        expect.objectContaining({ key: 'records_processed', unitSize: '1000', meteredBy: 'product' }),
      ]),
    })
    expect(acme.plans).toEqual([
      {
        id: 'pro',
        title: 'Pro',
        audience: 'paid',
        price: { amount: '49.00', currency: 'USD', per: 'month' },
        features: {},
        limits: [{ dimension: 'calls', quantity: 1000, window: 'month', onExceed: 'bill' }],
        included: [{ dimension: 'records_processed', units: '5', reset: 'calendarMonth' }],
        version: 1,
        origin: 'config',
        retired: false,
      },
    ])
    expect((await ask('GET', '/products/acme/plans')).body.items).toEqual(acme.plans)
    expect((await ask('GET', '/products/acme/plans/pro')).body).toEqual(acme.plans[0])
  })

  it('is changed there alone: the answer says where', async () => {
    const product = (await ask('GET', '/products/acme')).body
    expect(await ask('PUT', '/products/acme', product)).toMatchObject({
      status: 409,
      body: { code: 'product.declared', details: { declaredIn: 'tollkeeper.yaml' } },
    })
    for (const answer of [
      await ask('PUT', '/products/acme/plans/pro', { title: 'Mine' }),
      await ask('DELETE', '/products/acme/plans/pro'),
    ])
      expect(answer).toMatchObject({
        status: 409,
        body: {
          code: 'plan.declared',
          detail: 'plan pro of acme is declared in tollkeeper.yaml: change it there',
        },
      })
    expect((await ask('GET', '/products/acme/history')).body.items).toMatchObject([
      { version: 1, origin: 'config', actor: 'config' },
    ])
  })
})

describe('a plan of the API', () => {
  it('is made, changed from a time on, listed with its history, and retired', async () => {
    const from = new Date(NOW + HOUR).toISOString()
    expect(
      await ask('PUT', '/products/acme/plans/team', { limits: [{ dimension: 'calls', quantity: 5 }] }),
    ).toMatchObject({
      status: 201,
      body: { version: 1, since: new Date(NOW).toISOString(), origin: 'api', limits: [{ quantity: 5 }] },
    })
    const change = { limits: [{ dimension: 'calls', quantity: 'unlimited' }], from }
    for (const _ of ['once', 'and again'])
      expect(await ask('PUT', '/products/acme/plans/team', change)).toMatchObject({
        status: 200,
        body: { version: 2, since: from },
      })
    const shown = (await ask('GET', '/products/acme/plans/team')).body
    expect(shown).toMatchObject({ version: 1, limits: [{ quantity: 5 }], next: from })
    seller.clock.set(NOW + HOUR)
    expect((await ask('GET', '/products/acme/plans/team')).body).toMatchObject({
      version: 2,
      limits: [{ quantity: 'unlimited' }],
    })
    expect((await ask('DELETE', '/products/acme/plans/team')).body).toMatchObject({
      version: 3,
      retired: true,
    })
    expect((await ask('GET', '/products/acme/plans')).body.items).toMatchObject([
      { id: 'team', retired: true },
      { id: 'pro', retired: false },
    ])
    const { items } = (await ask('GET', '/products/acme/plans/team/history')).body
    expect(items).toMatchObject([
      { version: 1, retired: false, actor: expect.stringMatching(/^key:key_/) },
      { version: 2, since: from },
      { version: 3, retired: true },
    ])
    seller.clock.set(NOW)
  })

  it('holds at once, for features as for limits: also when it was dated ahead', async () => {
    const limit = (quantity: number) => ({ limits: [{ dimension: 'exports', quantity, window: 'lifetime' }] })
    await ask('PUT', '/products/acme/plans/crew', { ...limit(1), features: { sso: false } })
    const opening = { channel: 'direct', product: 'acme', plan: 'crew', tenantId: 'crew' }
    expect((await ask('POST', '/marketplace/subscriptions', opening)).status).toBe(201)
    const validate = async () =>
      (await ask('POST', '/quota/validate', { tenantId: 'crew', product: 'acme', dimension: 'exports' })).body
    const mayUse = async () =>
      (await ask('GET', '/entitlements/check?tenantId=crew&product=acme&feature=sso')).body.allowed
    expect([(await validate()).allowed, (await validate()).allowed, await mayUse()]).toEqual([
      true,
      false,
      false,
    ])
    await ask('PUT', '/products/acme/plans/crew', { ...limit(2), features: { sso: true } })
    expect(await mayUse()).toBe(true)
    expect(await validate()).toMatchObject({ allowed: true, remaining: 0 })

    const from = new Date(NOW + HOUR).toISOString()
    await ask('PUT', '/products/acme/plans/crew', { ...limit(3), features: { sso: false }, from })
    expect([(await validate()).allowed, await mayUse()]).toEqual([false, true])
    seller.clock.set(NOW + HOUR)
    expect([(await validate()).allowed, await mayUse()]).toEqual([true, false])
    seller.clock.set(NOW)
  })

  it('is what was answered when it is sent back', async () => {
    const made = (
      await ask('PUT', '/products/acme/plans/again', MADE.plans[1]!.features ? { features: { a: 1 } } : {})
    ).body
    const { actor: _, at: __, ...plan } = made
    expect(await ask('PUT', '/products/acme/plans/again', plan)).toMatchObject({
      status: 200,
      body: { version: 1 },
    })
  })

  it.each([
    [{ colour: 'red' }, 'colour is not a setting: known here: id, title'],
    [{ id: 'other' }, 'id must be x, as in the address'],
    [{ trial: { days: 0 } }, 'trial.days must be a whole number from 1 to 3650'],
    [{ price: { amount: '1,50' } }, 'price.amount must be an amount in plain decimal digits'],
    [{ limits: [{ quantity: 5 }] }, 'limits[0].dimension is missing'],
    [{ limits: [{ dimension: 'calls', quantity: 1.5 }] }, 'limits[0].quantity must be a whole number'],
    [{ included: [{ dimension: 'call', units: 1 }] }, 'did you mean `calls`?'],
    [{ features: { sso: { nested: true } } }, 'features.sso must be `true`, `false`, a number, or text'],
    [{ upgradeTo: 'nowhere' }, 'upgradeTo must be a plan of this product'],
    [{ grantedBy: 'gold' }, 'names `gold`, which only a contract grants'],
    [{ from: '2020-01-01T00:00:00Z' }, 'from must not be before now'],
    [{ from: '2999-01-01T00:00:00Z' }, 'from must be within five years'],
  ])('%j is refused, and says why', async (body, message) => {
    const answer = await ask('PUT', '/products/acme/plans/x', body)
    expect(answer).toMatchObject({ status: 400, body: { code: 'request.invalid' } })
    expect(answer.body.detail).toContain(message)
    expect((await ask('GET', '/products/acme/plans/x')).body.code).toBe('plan.not_found')
  })
})

describe('a product of the API', () => {
  it('is made in the words of the configuration, and found at once', async () => {
    const made = await ask('POST', '/products', MADE)
    expect(made).toMatchObject({ status: 201, location: '/products/made' })
    expect(made.body).toMatchObject({
      id: 'made',
      origin: 'api',
      listing: 'made',
      region: 'us-east-1',
      upgradeUrl: { direct: 'https://made.example/pricing' },
      dimensions: [{ key: 'calls', unitSize: '1000', holdAbove: { times: 20 }, meteredBy: 'gate' }],
      plans: [
        { id: 'visitor', audience: 'anonymous', trial: { days: 15 }, upgradeTo: 'pro' },
        { id: 'pro', price: { amount: '9.90', currency: 'USD', per: 'year' }, features: { sso: true } },
      ],
    })
    expect((await ask('POST', '/products', MADE)).status).toBe(200)
    expect((await ask('GET', '/products/made')).body).toEqual(made.body)
    expect((await seller.app.inject('/l/made')).statusCode).toBe(200)
    // What is answered may be sent back.
    expect(await ask('PUT', '/products/made', made.body)).toMatchObject({ status: 200, body: made.body })
    expect((await ask('GET', '/products/made/history')).body.items).toHaveLength(1)
  })

  it('stays as it is where it is sent back as it is shown: what is retired, dated ahead, or not there yet', async () => {
    const from = new Date(NOW + HOUR).toISOString()
    const id = 'sent-back'
    const plan = (name: string, values: object = {}) => ({ id: name, ...values })
    await ask('POST', '/products', {
      ...MADE,
      id,
      productCode: id,
      plans: [plan('visitor', { audience: 'anonymous' }), plan('basic'), plan('old'), plan('pro')],
    })
    await ask('DELETE', `/products/${id}/plans/old`)
    await ask('PUT', `/products/${id}/plans/later`, { title: 'Later', from })
    await ask('PUT', `/products/${id}/plans/basic`, { features: { sso: true }, upgradeTo: 'later', from })
    await ask('PUT', `/products/${id}/plans/pro`, { upgradeTo: 'later' })
    const shown = (await ask('GET', `/products/${id}`)).body
    expect(shown.plans).toMatchObject([
      { id: 'old', retired: true },
      { id: 'visitor' },
      { id: 'basic', next: from },
      { id: 'pro', upgradeTo: 'later' },
    ])
    expect(await ask('PUT', `/products/${id}`, shown)).toMatchObject({ status: 200, body: shown })
    for (const [name, versions] of [
      ['old', 2],
      ['visitor', 1],
      ['basic', 2],
      ['pro', 2],
      ['later', 1],
    ] as const)
      expect((await ask('GET', `/products/${id}/plans/${name}/history`)).body.items).toHaveLength(versions)

    // In another order they are what they were, too.
    const turned = { ...shown, plans: shown.plans.toReversed() }
    expect((await ask('PUT', `/products/${id}`, turned)).body.plans).toMatchObject([
      { id: 'old', retired: true },
      { id: 'pro' },
      { id: 'basic', next: from },
      { id: 'visitor' },
    ])
    seller.clock.set(NOW + HOUR)
    expect((await ask('GET', `/products/${id}/plans`)).body.items).toMatchObject([
      { id: 'old', retired: true },
      { id: 'pro' },
      { id: 'basic', features: { sso: true }, upgradeTo: 'later' },
      { id: 'visitor' },
      { id: 'later' },
    ])
    seller.clock.set(NOW)
    // One that is retired is given again by whoever says so, and not by chance.
    const old = shown.plans[0]
    expect(await ask('PUT', `/products/${id}/plans/old`, old)).toMatchObject({ status: 400 })
    expect(await ask('PUT', `/products/${id}/plans/old`, { ...old, retired: false })).toMatchObject({
      status: 200,
      body: { version: 3, retired: false },
    })
  })

  it('keeps its names from keys that are bound to it: buyers of another product may be waiting there', async () => {
    await ask('POST', '/products', { ...MADE, id: 'bound', productCode: 'bound', productId: 'prod-bound' })
    const { secret } = await seller.aKey(['products:write'], 'bound')
    const shown = (await ask('GET', '/products/bound')).body
    const put = async (values: object) => {
      const headers = { authorization: `Bearer ${secret}` }
      const payload = { ...shown, ...values }
      const answer = await seller.app.inject({ method: 'PUT', url: '/products/bound', headers, payload })
      return { status: answer.statusCode, body: answer.json() }
    }
    for (const values of [{ productCode: 'other' }, { productId: 'prod-other' }, { listing: 'other' }])
      expect(await put(values)).toMatchObject({ status: 403, body: { code: 'key.bound_to_product' } })
    const { productId: _, ...nameless } = shown
    expect(await put({ productId: undefined })).toMatchObject({ status: 403 })
    expect((await ask('GET', '/products/bound')).body).toEqual(shown)
    expect(await put({ title: 'Ours', graceMinutes: 20 })).toMatchObject({
      status: 200,
      body: { title: 'Ours', graceMinutes: 20 },
    })
    expect(await ask('PUT', '/products/bound', nameless)).toMatchObject({ status: 200 })
  })

  it('keeps its plans where a change has none, and retires those that a change leaves out', async () => {
    await ask('POST', '/products', MADE)
    const { plans: _, ...without } = MADE
    const changed = await ask('PUT', '/products/made', { ...without, graceMinutes: 30 })
    expect(changed.body).toMatchObject({ graceMinutes: 30, plans: [{ id: 'visitor' }, { id: 'pro' }] })
    const less = await ask('PUT', '/products/made', { ...without, plans: [MADE.plans[1]] })
    expect(less.body.plans).toMatchObject([
      { id: 'visitor', retired: true },
      { id: 'pro', retired: false },
    ])
    expect((await ask('GET', '/products/made/history')).body.items).toMatchObject([
      { version: 1, graceMinutes: 15 },
      { version: 2, graceMinutes: 30 },
      { version: 3, graceMinutes: 15 },
    ])
  })

  it.each([
    [{ ...MADE, id: 'new', productCode: ACME.productCode }, 409, 'the product code'],
    [{ ...MADE, id: 'acme' }, 409, 'product acme is declared in tollkeeper.yaml'],
    [{ id: 'new' }, 400, 'productCode is missing'],
    [{ ...MADE, id: 'a b' }, 400, 'id must be 1 to 64 letters'],
    [{ ...MADE, dimensions: [{ key: 'x' }, { key: 'x' }] }, 400, '`x` is there twice'],
    [
      { ...MADE, title: '${HOME}', id: 'new', productCode: 'new', listing: '${HOME}' },
      400,
      'listing must be',
    ],
  ])('%j is refused: %i', async (body, status, message) => {
    const answer = await ask('POST', '/products', body)
    expect(answer.status).toBe(status)
    expect(answer.body.detail).toContain(message)
  })

  it('is seen by keys of other products neither in lists nor by its name', async () => {
    await ask('POST', '/products', MADE)
    const { secret } = await seller.aKey(['usage:read'], 'acme')
    const headers = { authorization: `Bearer ${secret}` }
    const list = await seller.app.inject({ url: '/products', headers })
    expect(list.json().items.map(({ id }: { id: string }) => id)).toEqual(['acme'])
  })
})
