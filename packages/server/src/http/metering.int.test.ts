import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { aSubscription, utc } from '../storage/contract/fixtures.ts'
import { AN_HOUR, anApp } from './app.fixture.ts'

let seller: Awaited<ReturnType<typeof anApp>>
beforeAll(async () => {
  seller = await anApp()
})
afterAll(() => seller.close())

let count = 0
function anEvent(given: Readonly<Record<string, unknown>> = {}) {
  return {
    dimension: 'records_processed',
    quantity: 1,
    usageTime: AN_HOUR,
    correlationId: `event-${++count}`,
    tenantId: 'tenant-a',
    ...given,
  }
}

async function post(url: string, payload: string | object, contentType = 'application/json') {
  const response = await seller.app.inject({
    method: 'POST',
    url,
    headers: { ...seller.auth, 'content-type': contentType },
    payload: typeof payload === 'string' ? payload : JSON.stringify(payload),
  })
  return { status: response.statusCode, type: response.headers['content-type'], body: response.json() }
}

async function billed(dimension: string, subscription = seller.subscription.id): Promise<string> {
  const url = `/usage/buckets?subscription=${subscription}&dimension=${dimension}`
  const { items } = (await seller.app.inject({ url, headers: seller.auth })).json()
  return items[0]?.quantity ?? '0'
}

describe('POST /meter', () => {
  it('takes the body of seed 000 and answers as it says', async () => {
    const alone = await anApp()
    const response = await alone.app.inject({
      method: 'POST',
      url: '/meter',
      headers: { ...alone.auth, 'content-type': 'application/json' },
      payload: `{
  "dimension": "records_processed",
  "quantity": 1000,
  "usageTime": "2026-11-21T07:00:00Z",
  "correlationId": "batch-run-123"
}`,
    })
    expect(response.statusCode).toBe(200)
    expect(response.json()).toEqual({
      meteringRecordId: expect.stringMatching(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/),
      status: 'accepted',
    })
    await alone.close()
  })

  it('counts a repeat once and gives it the same record id', async () => {
    const before = Number(await billed('records_processed'))
    const event = anEvent({ quantity: 7 })
    const first = await post('/meter', event)
    const again = await post('/meter', event)
    expect(again).toEqual({ ...first, body: { ...first.body, status: 'duplicate' } })
    expect(Number(await billed('records_processed'))).toBe(before + 7)
  })

  it.each([
    ['another quantity for the same id', { correlationId: 'same', quantity: 2 }, 409, 'usage.conflict'],
    ['an unknown dimension', { dimension: 'nope' }, 422, 'usage.dimension_unknown'],
    ['an unknown product', { product: 'nope' }, 422, 'usage.product_unknown'],
    ['an unknown buyer', { tenantId: 'nobody' }, 422, 'usage.subscription_unknown'],
    ['a time too far back', { usageTime: '2026-11-01T00:00:00Z' }, 400, 'usage.time_too_old'],
    ['a time ahead', { usageTime: '2026-11-21T07:36:00Z' }, 400, 'usage.time_ahead'],
    ['a quantity that would be rounded', { quantity: 0.5 }, 400, 'usage.invalid'],
    ['a negative quantity', { quantity: -1 }, 400, 'usage.invalid'],
    ['a body that is no event', [], 400, 'request.invalid'],
  ])('refuses %s', async (_, given, status, code) => {
    await post('/meter', anEvent({ correlationId: 'same', quantity: 1 }))
    const response = await post('/meter', Array.isArray(given) ? given : anEvent(given))
    expect(response).toMatchObject({
      status,
      type: 'application/problem+json; charset=utf-8',
      body: { status, code },
    })
  })

  it('does not bill the neighbour of a number with too many digits', async () => {
    const event = JSON.stringify(anEvent({ quantity: 0 })).replace(
      '"quantity":0',
      '"quantity":9007199254740993',
    )
    const response = await post('/meter', event)
    expect(response.status).toBe(400)
    expect(response.body.detail).toContain('decimal string')
  })

  it('names the field that is wrong', async () => {
    const { body } = await post('/meter', anEvent({ usageTime: 'yesterday' }))
    expect(body.errors).toEqual([{ field: 'usageTime', reason: expect.stringContaining('RFC 3339') }])
  })

  it('lists what an ambiguous name fits, by id and license tail only', async () => {
    const account = '999900001111'
    const twins = [1, 2].map((number) =>
      aSubscription({ product: 'acme', tenantId: `twin-${number}`, customerAwsAccountId: account }),
    )
    for (const twin of twins) await seller.deps.subscriptions.create(twin, 'system')
    const { status, body } = await post(
      '/meter',
      anEvent({ tenantId: undefined, customerAWSAccountId: account }),
    )
    expect(status).toBe(409)
    expect(body.code).toBe('usage.subscription_ambiguous')
    const ids = body.candidates.map((candidate: { subscriptionId: string }) => candidate.subscriptionId)
    expect(ids.sort()).toEqual(twins.map((twin) => twin.id).sort())
    for (const candidate of body.candidates) {
      expect(Object.keys(candidate).sort()).toEqual(['license', 'subscriptionId'])
      expect(candidate.license).toMatch(/^l-[0-9a-f]+$/)
    }
  })

  it('says that a subscription has ended', async () => {
    const ended = aSubscription({
      product: 'acme',
      tenantId: 'gone',
      status: 'cancelled',
      accessEnd: utc('2026-11-20T00:00'),
      finalWindowEnd: utc('2026-11-20T01:00'),
    })
    await seller.deps.subscriptions.create(ended, 'system')
    const { status, body } = await post('/meter', anEvent({ tenantId: 'gone' }))
    expect([status, body.code]).toEqual([410, 'usage.subscription_ended'])
  })
})

describe('POST /usage', () => {
  it.each([
    ['a JSON array', 'application/json', (events: object[]) => JSON.stringify(events)],
    ['an envelope', 'application/json', (events: object[]) => JSON.stringify({ events })],
    [
      'lines',
      'application/x-ndjson',
      (events: object[]) => `${events.map((event) => JSON.stringify(event)).join('\n')}\n\n`,
    ],
    [
      'lines of Windows',
      'application/x-ndjson',
      (events: object[]) => events.map((event) => JSON.stringify(event)).join('\r\n'),
    ],
    [
      'a content type with a charset',
      'application/json; charset=utf-8',
      (events: object[]) => JSON.stringify(events),
    ],
  ])('takes %s, with one outcome for each event in order', async (_, contentType, write) => {
    const [good, bad, ugly] = [anEvent(), anEvent({ quantity: [] }), anEvent({ dimension: 'nope' })]
    const { status, body } = await post('/usage', write([good, bad, good, ugly]), contentType)
    expect(status).toBe(200)
    expect(body.outcomes).toMatchObject([
      { id: good.correlationId, status: 'accepted', meteringRecordId: expect.any(String) },
      {
        id: bad.correlationId,
        status: 'refused',
        code: 'invalid',
        reason: expect.stringMatching(/^quantity /),
      },
      { id: good.correlationId, status: 'duplicate' },
      { id: ugly.correlationId, status: 'refused', code: 'dimension_unknown' },
    ])
  })

  it('takes CloudEvents, single and in batches', async () => {
    const event = (id: string) => ({
      specversion: '1.0',
      id,
      source: '/importer',
      type: 'records_processed',
      time: AN_HOUR,
      subject: 'tenant-a',
      data: { quantity: 2 },
    })
    const one = await post('/usage', event('ce-1'), 'application/cloudevents+json')
    expect(one.body.outcomes).toMatchObject([{ id: 'ce-1', status: 'accepted' }])
    const batch = [event('ce-1'), event('ce-2'), { ...event('ce-3'), source: undefined }]
    const many = await post('/usage', batch, 'application/cloudevents-batch+json')
    expect(many.body.outcomes).toMatchObject([
      { id: 'ce-1', status: 'duplicate' },
      { id: 'ce-2', status: 'accepted' },
      { id: 'ce-3', status: 'refused', reason: expect.stringMatching(/^source /) },
    ])
  })

  it('refuses a broken line alone', async () => {
    const good = anEvent()
    const { status, body } = await post('/usage', `{"broken\n${JSON.stringify(good)}`, 'application/x-ndjson')
    expect(status).toBe(200)
    expect(body.outcomes).toMatchObject([
      { id: '', status: 'refused', code: 'invalid', reason: 'the line is not JSON' },
      { id: good.correlationId, status: 'accepted' },
    ])
  })

  it('answers an empty batch with no outcome', async () => {
    expect(await post('/usage', [])).toMatchObject({ status: 200, body: { outcomes: [] } })
  })

  it.each([
    ['a broken array', 'application/json', (good: string) => `[${good},`, 400],
    ['one event alone', 'application/json', (good: string) => good, 400],
    [
      'events beside something else',
      'application/json',
      (good: string) => `{"events":[${good}],"more":1}`,
      400,
    ],
    ['no array of CloudEvents', 'application/cloudevents-batch+json', (good: string) => good, 400],
    ['nothing', 'application/json', () => '', 400],
    ['another content type', 'text/csv', (good: string) => `[${good}]`, 415],
    ['too many events', 'application/json', (good: string) => `[${Array(1001).fill(good).join(',')}]`, 413],
    ['too many lines', 'application/x-ndjson', (good: string) => `${good}\n`.repeat(1001), 413],
    ['too large a body', 'application/json', (good: string) => `[${good}${' '.repeat(1_048_576)}]`, 413],
  ])('writes nothing of %s', async (_, contentType, write, status) => {
    const before = await billed('records_processed')
    const response = await post('/usage', write(JSON.stringify(anEvent())), contentType)
    expect(response).toMatchObject({ status, type: 'application/problem+json; charset=utf-8' })
    expect(await billed('records_processed')).toBe(before)
  })
})

describe('POST /marketplace/subscriptions/:id/meter', () => {
  const SEED_001 = {
    totalScans: 50,
    totalUsers: 10,
    totalFindings: 125,
    storageUsedGB: 25,
    apiCalls: 1000,
    aiChatSessions: 25,
  }
  const DIMENSIONS = ['scans', 'users', 'findings', 'storage-gb', 'api-calls', 'ai-sessions']

  it('takes the metrics of seed 001, and the same totals again bill nothing more', async () => {
    const alone = await anApp()
    const track = (payload: object) =>
      alone.app.inject({
        method: 'POST',
        url: `/marketplace/subscriptions/${alone.subscription.id}/meter`,
        headers: alone.auth,
        payload,
      })
    const first = await track(SEED_001)
    expect(first.statusCode).toBe(200)
    expect(first.json().outcomes).toMatchObject(
      Object.keys(SEED_001).map((metric, index) => ({
        metric,
        dimension: DIMENSIONS[index],
        status: 'accepted',
      })),
    )
    alone.clock.set(alone.clock.now() + 60_000)
    await track(SEED_001)
    alone.clock.set(alone.clock.now() + 60_000)
    await track({ totalScans: 58, storageUsedGB: 20 })
    const { items } = (await alone.app.inject({ url: '/usage/buckets', headers: alone.auth })).json()
    const quantities = Object.fromEntries(
      items.map((bucket: { dimension: string; quantity: string }) => [bucket.dimension, bucket.quantity]),
    )
    expect(quantities).toEqual({
      scans: '58',
      users: '10',
      findings: '125',
      'storage-gb': '25',
      'api-calls': '1000',
      'ai-sessions': '25',
    })
    await alone.close()
  })

  it('keeps two subscriptions apart that report the same total at the same time', async () => {
    const twins = [1, 2].map((number) => aSubscription({ product: 'acme', tenantId: `total-${number}` }))
    for (const twin of twins) {
      await seller.deps.subscriptions.create(twin, 'system')
      const { body } = await post(`/marketplace/subscriptions/${twin.id}/meter`, {
        totalScans: 50,
        time: AN_HOUR,
      })
      expect(body.outcomes).toMatchObject([{ status: 'accepted' }])
    }
    for (const twin of twins) expect(await billed('scans', twin.id)).toBe('50')
  })

  it('asks for an id where a metric adds up', async () => {
    const url = `/marketplace/subscriptions/${seller.subscription.id}/meter`
    const without = await post(url, { records_processed: 5 })
    expect(without.body.outcomes).toMatchObject([{ status: 'refused', code: 'invalid' }])
    const body = { records_processed: 5, correlationId: 'tracked-1', time: AN_HOUR }
    expect((await post(url, body)).body.outcomes).toMatchObject([{ status: 'accepted' }])
    expect((await post(url, body)).body.outcomes).toMatchObject([{ status: 'duplicate' }])
  })

  it.each([
    ['an id without a time', { records_processed: 5, correlationId: 'a' }],
    ['a time without a zone', { totalScans: 5, time: '2026-11-21T07:00:00' }],
    ['a list', [1]],
  ])('refuses %s whole', async (_, payload) => {
    expect(await post(`/marketplace/subscriptions/${seller.subscription.id}/meter`, payload)).toMatchObject({
      status: 400,
      body: { code: 'request.invalid' },
    })
  })

  it('refuses a metric alone', async () => {
    const { status, body } = await post(`/marketplace/subscriptions/${seller.subscription.id}/meter`, {
      totalScans: 'many',
      nothingOfOurs: 1,
      totalUsers: 3,
      apiCalls: null,
    })
    expect(status).toBe(200)
    expect(body.outcomes.map((outcome: { status: string }) => outcome.status)).toEqual([
      'refused',
      'refused',
      'accepted',
      'refused',
    ])
  })
})
