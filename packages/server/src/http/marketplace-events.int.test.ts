import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { aCustomer, anAgreement } from '../domain/subscriptions/marketplace.fixture.ts'
import type { MarketplaceEvent } from '../domain/subscriptions/marketplace-event.ts'
import { createReceiveEvent } from '../domain/subscriptions/receive-event.ts'
import { createSqlBuyerCaseStore } from '../storage/sql/buyer-case-store.ts'
import { migrate } from '../storage/sql/migrations.ts'
import { openSqlite } from '../storage/sql/sqlite.ts'
import { anApp, NOW, PRODUCTS } from './app.fixture.ts'

const [ACME, OTHER] = PRODUCTS
const agreement = anAgreement({ id: 'agmt-1', productCode: ACME.productCode, endsAt: NOW + 1_000 })
const customer = aCustomer('theirs', OTHER.productCode)
const notice: MarketplaceEvent = {
  id: 'notice-1',
  channel: 'eventbridge',
  kind: 'notice',
  name: 'Disbursement Paused',
  occurredAt: NOW,
  payload: '{"detail-type":"Disbursement Paused"}',
}

let seller: Awaited<ReturnType<typeof anApp>>
let receive: ReturnType<typeof createReceiveEvent>
let close: () => Promise<void>
beforeEach(async () => {
  const database = openSqlite(':memory:')
  await migrate(database)
  const cases = createSqlBuyerCaseStore(database)
  seller = await anApp({ cases })
  receive = createReceiveEvent({ cases, catalog: seller.deps.catalog, clock: seller.clock })
  for (const event of [agreement.created(), agreement.granted(), customer.success(NOW), notice])
    await receive(event)
  for (const id of ['bad-1', 'bad-2'])
    await cases.reject({
      id,
      channel: 'sns',
      reason: 'the message is not JSON',
      receivedAt: NOW,
      payload: 'hello',
    })
  close = async () => {
    await seller.close()
    database.close()
  }
})
afterEach(() => close())

async function get(url: string, secret = seller.secret) {
  const response = await seller.app.inject({ url, headers: { authorization: `Bearer ${secret}` } })
  return { status: response.statusCode, body: response.json() }
}
const namesOf = async (query: string, secret?: string) =>
  (await get(`/marketplace/events${query}`, secret)).body.items.map(({ name }: { name: string }) => name)

describe('GET /marketplace/events', () => {
  it('shows what AWS told, newest first, with all that it said', async () => {
    const { status, body } = await get('/marketplace/events')
    expect(status).toBe(200)
    expect(body.items).toHaveLength(4)
    expect(body.items[0]).toEqual({
      id: 'notice-1',
      channel: 'eventbridge',
      kind: 'notice',
      name: 'Disbursement Paused',
      state: 'kept',
      occurredAt: '2026-11-21T07:30:00.000Z',
      receivedAt: '2026-11-21T07:30:00.000Z',
      payload: '{"detail-type":"Disbursement Paused"}',
    })
    expect(body.items[3]).toMatchObject({
      kind: 'agreement_created',
      state: 'waiting',
      agreementId: 'agmt-1',
      agreementStatus: 'ACTIVE',
      intent: 'NEW',
      customerAWSAccountId: '111122223333',
      endsAt: '2026-11-21T07:30:01.000Z',
    })
  })

  it('is cut down to a state, a kind or a product', async () => {
    expect(await namesOf('?state=kept')).toEqual(['Disbursement Paused'])
    expect(await namesOf('?kind=access_granted')).toEqual([
      'subscribe-success',
      'License Updated - Manufacturer',
    ])
    // The agreement's first event did not say of which product it is; the license did.
    expect(await namesOf('?product=acme')).toEqual([
      'License Updated - Manufacturer',
      'Purchase Agreement Created - Proposer',
    ])
    expect(await namesOf('?product=other&state=waiting&kind=access_granted')).toEqual(['subscribe-success'])
    expect(await namesOf('?state=followed')).toEqual([])
  })

  it('comes in pages', async () => {
    const names: string[] = []
    let cursor = ''
    do {
      const { body } = await get(`/marketplace/events?limit=3${cursor && `&cursor=${cursor}`}`)
      names.push(...body.items.map(({ name }: { name: string }) => name))
      cursor = body.next ?? ''
    } while (cursor !== '')
    expect(names).toEqual(await namesOf(''))
  })

  it.each(['?state=known', '?kind=access', '?limit=0', '?cursor=x', '?stat=kept'])(
    'refuses %s',
    async (query) => {
      expect((await get(`/marketplace/events${query}`)).status).toBe(400)
    },
  )

  it('shows the key of one product what is of that product only', async () => {
    const { secret } = await seller.aKey(['usage:read'], 'acme')
    expect(await namesOf('', secret)).toEqual([
      'License Updated - Manufacturer',
      'Purchase Agreement Created - Proposer',
    ])
    expect((await get('/marketplace/events?product=other', secret)).status).toBe(404)
  })

  it('shows a payload as it came, however deep it is', async () => {
    const deep = '['.repeat(10_000)
    await receive({ ...notice, id: 'deep', payload: `{"x":${deep}${']'.repeat(10_000)}}` })
    expect((await get('/marketplace/events?limit=1')).body.items[0].payload).toContain(deep)
  })
})

describe('GET /marketplace/events/rejected', () => {
  it('shows what could not be taken, and why', async () => {
    const { status, body } = await get('/marketplace/events/rejected?limit=1')
    expect(status).toBe(200)
    expect(body.items).toEqual([
      {
        id: 'bad-2',
        channel: 'sns',
        reason: 'the message is not JSON',
        receivedAt: '2026-11-21T07:30:00.000Z',
        payload: 'hello',
      },
    ])
  })

  it('is not for the key of one product: what cannot be read does not say whose it is', async () => {
    const { secret } = await seller.aKey(['usage:read'], 'acme')
    expect(await get('/marketplace/events/rejected', secret)).toMatchObject({
      status: 403,
      body: { code: 'key.bound_to_product' },
    })
  })
})

describe('GET /marketplace/agreements/unattached', () => {
  it('shows agreements that nobody has registered for', async () => {
    const { status, body } = await get('/marketplace/agreements/unattached')
    expect(status).toBe(200)
    expect(body.items).toEqual([
      {
        key: `legacy:${OTHER.productCode}:theirs`,
        product: 'other',
        productCode: OTHER.productCode,
        customerIdentifier: 'theirs',
        accessFrom: '2026-11-21T07:30:00.000Z',
      },
      expect.objectContaining({
        key: 'agmt-1',
        product: 'acme',
        licenseArn: agreement.licenseArn,
        customerAWSAccountId: '111122223333',
        endsAt: '2026-11-21T07:30:01.000Z',
      }),
    ])
  })

  it('of one product, for a key that is bound to it', async () => {
    const { secret } = await seller.aKey(['usage:read'], 'acme')
    const { body } = await get('/marketplace/agreements/unattached?limit=1', secret)
    expect(body.items.map(({ key }: { key: string }) => key)).toEqual(['agmt-1'])
    expect((await get('/marketplace/agreements/unattached?product=other', secret)).status).toBe(404)
  })
})
