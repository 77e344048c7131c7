import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { closeDueBuckets } from '../domain/usage/close-due-buckets.ts'
import { aSubscription } from '../storage/contract/fixtures.ts'
import { anApp, NOW } from './app.fixture.ts'

let seller: Awaited<ReturnType<typeof anApp>>
let record: string

/** Four hours of usage of two buyers; the ones that are over are sealed, and one call to AWS is on its way. */
beforeAll(async () => {
  seller = await anApp()
  const { deps } = seller
  await deps.subscriptions.create(aSubscription({ product: 'acme', tenantId: 'tenant-b' }), 'system')
  const reports = ['tenant-a', 'tenant-b'].flatMap((tenantId) =>
    [0, 1, 2, 3].map((hoursBack) => ({
      product: 'acme',
      reference: { tenantId },
      dimension: 'records_processed',
      id: `${tenantId}-${hoursBack}`,
      time: NOW - hoursBack * 3_600_000,
      quantity: '1500',
      tags: { team: 'blue' },
    })),
  )
  for (const { status } of await deps.ingest(reports)) expect(status).toBe('accepted')
  await closeDueBuckets(deps, NOW)
  const batch = await deps.usage.claim({
    product: 'acme',
    now: NOW,
    leaseMs: 60_000,
    spacingMs: 100,
    sizeOf: () => 100,
    requestOf: (records) => JSON.stringify({ UsageRecords: records.map(({ quantity }) => quantity) }),
  })
  record = batch!.records[0]!.id
})
afterAll(() => seller.close())

async function get(url: string) {
  const response = await seller.app.inject({ url, headers: seller.auth })
  expect(response.statusCode, url).toBe(200)
  return response.json()
}

async function walk(url: string): Promise<unknown[][]> {
  const pages: unknown[][] = []
  let cursor = ''
  do {
    const page = await get(`${url}${url.includes('?') ? '&' : '?'}limit=3${cursor}`)
    pages.push(page.items)
    cursor = page.next === undefined ? '' : `&cursor=${page.next}`
  } while (cursor !== '' && pages.length < 20)
  return pages
}

describe('a list', () => {
  it.each(['/usage/buckets', '/usage/records', '/audit', '/marketplace/subscriptions'])(
    '%s in pages is the list as a whole',
    async (url) => {
      const whole = (await get(`${url}?limit=500`)).items
      const pages = await walk(url)
      expect(whole.length).toBeGreaterThan(1)
      expect(pages.flat()).toEqual(whole)
      for (const page of pages) expect(page.length).toBeLessThanOrEqual(3)
    },
  )

  it('is cut down by its filters', async () => {
    const mine = await get(`/usage/buckets?subscription=${seller.subscription.id}&status=closed&product=acme`)
    expect(mine.items).toHaveLength(3)
    const early = await get('/usage/buckets?from=2026-11-21T04:00:00Z&to=2026-11-21T06:59:59%2B01:00')
    const hours = new Set(early.items.map((bucket: { hourStart: string }) => bucket.hourStart))
    expect([...hours].sort()).toEqual(['2026-11-21T04:00:00.000Z', '2026-11-21T05:00:00.000Z'])
    expect((await get('/usage/records?state=accepted')).items).toEqual([])
  })
})

describe('the ledger', () => {
  it('shows a bucket in the dimension’s own unit and in base units', async () => {
    const { items } = await get('/usage/buckets?status=open&limit=1')
    expect(items).toEqual([
      {
        product: 'acme',
        subscription: expect.stringMatching(/^sub_/),
        dimension: 'records_processed',
        hourStart: '2026-11-21T07:00:00.000Z',
        status: 'open',
        quantity: '1500',
        baseUnits: '1500',
        unbillableBaseUnits: '0',
        events: 1,
      },
    ])
  })

  it('shows a record as it was frozen', async () => {
    expect(await get(`/usage/records/${record}`)).toMatchObject({
      id: record,
      product: 'acme',
      dimension: 'records_processed',
      identity: { kind: 'license', licenseArn: expect.any(String), customerAWSAccountId: expect.any(String) },
      state: 'sent',
      quantity: 1,
      baseUnitsPerUnit: '1000',
      allocations: [{ quantity: 1, tags: { team: 'blue' } }],
      attempts: 1,
    })
  })

  it('shows each call that carried it', async () => {
    const { items, next } = await get(`/usage/records/${record}/attempts`)
    expect(next).toBeUndefined()
    expect(items).toMatchObject([{ outcome: 'in_flight', records: expect.arrayContaining([record]) }])
    expect(JSON.parse(items[0].request)).toHaveProperty('UsageRecords')
  })

  it('says what is at risk', async () => {
    expect(await get('/usage/status')).toMatchObject({
      mode: 'simulated',
      openBuckets: 2,
      heldBuckets: 0,
      records: { sent: 6, accepted: 0 },
      oldest: { hourStart: '2026-11-21T04:00:00.000Z', timeLeftMs: 20.5 * 3_600_000 },
    })
  })
})
