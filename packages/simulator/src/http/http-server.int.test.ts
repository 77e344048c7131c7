import { request as httpRequest } from 'node:http'
import { connect } from 'node:net'
import { decode, encode, Tagged } from 'cborg'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Simulator } from '../simulator.ts'
import { aProduct, aRecord, aSimulator, meter, utc } from '../test-values.ts'

let simulator: Simulator
let url: string

beforeEach(async () => {
  simulator = await aSimulator({
    products: [
      aProduct({ title: '<b>Bold</b> & "co"' }),
      aProduct({ productCode: 'contract', pricing: 'contract' }),
    ],
  })
  url = (await simulator.listen()).url
})
afterEach(() => simulator.close())

const METER = 'AWSMPMeteringService.BatchMeterUsage'

/** Headers of a signed call; the signature itself is not checked. */
function signed({
  target = METER,
  service = 'aws-marketplace',
  region = 'us-east-1',
  at = Date.now(),
} = {}): Record<string, string> {
  const date = new Date(at).toISOString().replace(/[-:]|\.\d{3}/g, '')
  return {
    'content-type': 'application/x-amz-json-1.1',
    'x-amz-target': target,
    'x-amz-date': date,
    authorization: `AWS4-HMAC-SHA256 Credential=AKID/${date.slice(0, 8)}/${region}/${service}/aws4_request, SignedHeaders=host;x-amz-date, Signature=${'a'.repeat(64)}`,
  }
}

async function post(path: string, body: string | Uint8Array<ArrayBuffer>, headers: Record<string, string>) {
  const response = await fetch(`${url}${path}`, {
    method: 'POST',
    headers,
    body,
    redirect: 'manual',
  })
  return {
    status: response.status,
    headers: response.headers,
    bytes: new Uint8Array(await response.arrayBuffer()),
  }
}

async function postAws(body: unknown, headers: Record<string, string>) {
  const { status, headers: answered, bytes } = await post('/', JSON.stringify(body), headers)
  return { status, headers: answered, body: JSON.parse(Buffer.from(bytes).toString()) }
}

async function control(method: string, path: string, body?: unknown) {
  const headers = body === undefined ? {} : { 'content-type': 'application/json' }
  const response = await fetch(`${url}/_control/${path}`, {
    method,
    headers,
    ...(body !== undefined && { body: JSON.stringify(body) }),
  })
  const text = await response.text()
  return {
    status: response.status,
    type: response.headers.get('content-type'),
    body: text === '' ? undefined : JSON.parse(text),
  }
}

describe('the wire of AWS', () => {
  it('answers with its headers, and the real date whatever the virtual clock says', async () => {
    simulator.clock.set(Date.parse('2031-05-05T00:00:00Z'))
    const { status, headers, body } = await postAws({ UsageRecords: [] }, signed())
    expect([status, body]).toEqual([200, { Results: [], UnprocessedRecords: [] }])
    expect(headers.get('content-type')).toBe('application/x-amz-json-1.1')
    expect(headers.get('x-amzn-requestid')).toMatch(/^[0-9a-f-]{36}$/)
    expect(Math.abs(Date.parse(headers.get('date') ?? '') - Date.now())).toBeLessThan(5_000)
  })

  it('checks scheme, scope and date of the signature', async () => {
    const codes = async (headers: Record<string, string>) =>
      (await postAws({ UsageRecords: [] }, headers)).body.__type
    expect(await codes({ 'x-amz-target': METER })).toBe('MissingAuthenticationTokenException')
    expect(await codes({ ...signed(), authorization: 'Bearer x' })).toBe('IncompleteSignatureException')
    expect(await codes(signed({ service: 'metering' }))).toBe('InvalidSignatureException')
    expect(await codes(signed({ at: Date.now() - 6 * 60_000 }))).toBe('InvalidSignatureException')
    expect(await codes(signed({ at: Date.now() + 6 * 60_000 }))).toBe('InvalidSignatureException')
    expect(
      await codes(signed({ target: 'AWSMPEntitlementService.GetEntitlements', region: 'eu-west-1' })),
    ).toBe('InvalidSignatureException')
    expect(await codes(signed({ target: 'AWSMPMeteringService.Nope' }))).toBe('UnknownOperationException')
    expect(await codes(signed({ target: 'constructor' }))).toBe('UnknownOperationException')
  })

  it('counts usage in the region of the credential scope', async () => {
    const subscription = simulator.marketplace.subscribe({ productCode: 'prodcode1', startAt: utc('00:00') })
    await postAws({ UsageRecords: [aRecord(subscription)] }, signed({ region: 'eu-central-1' }))
    expect(simulator.marketplace.ledger().records).toMatchObject([{ region: 'eu-central-1' }])
  })

  it('speaks CBOR for entitlements, with tagged timestamps, and for errors', async () => {
    const { licenseArn } = simulator.marketplace.subscribe({
      productCode: 'contract',
      quantities: { users: 3 },
    })
    const path = '/service/AWSMPEntitlementService/operation/GetEntitlements'
    const headers = { ...signed(), 'content-type': 'application/cbor', 'smithy-protocol': 'rpc-v2-cbor' }
    const filter = { LICENSE_ARN: [licenseArn], DIMENSION: ['users'] }
    const {
      status,
      headers: answered,
      bytes,
    } = await post(path, new Uint8Array(encode({ ProductCode: 'contract', Filter: filter })), headers)
    expect([status, answered.get('content-type'), answered.get('smithy-protocol')]).toEqual([
      200,
      'application/cbor',
      'rpc-v2-cbor',
    ])
    expect(decode(bytes, { tags: Tagged.preserve(1) })).toMatchObject({
      Entitlements: [
        {
          Value: { IntegerValue: 3 },
          ExpirationDate: { tag: 1, value: Date.parse('2027-11-20T12:30:00Z') / 1000 },
        },
      ],
    })
    const refused = await post(path, new Uint8Array(encode({ ProductCode: 'nope' })), headers)
    expect([refused.status, decode(refused.bytes)]).toMatchObject([
      400,
      { __type: 'InvalidParameterException' },
    ])
    const broken = await post(path, new Uint8Array([0xff, 0x00]), headers)
    expect([broken.status, decode(broken.bytes)]).toMatchObject([400, { __type: 'SerializationException' }])
  })

  it('answers STS who the seller is', async () => {
    const headers = { ...signed({ service: 'sts' }), 'content-type': 'application/x-www-form-urlencoded' }
    const known = await post('/', 'Action=GetCallerIdentity&Version=2011-06-15', headers)
    expect(Buffer.from(known.bytes).toString()).toContain('<Account>111122223333</Account>')
    expect((await post('/', 'Action=AssumeRole', headers)).status).toBe(400)
    expect(
      (
        await post('/', 'Action=GetCallerIdentity', {
          ...headers,
          ...signed(),
          'content-type': headers['content-type'],
        })
      ).status,
    ).toBe(403)
  })
})

it('takes as long as a slow answer was ordered to take', async () => {
  simulator.faults.order({ kind: 'slow', delayMs: 40, times: 1 })
  const startedAt = performance.now()
  expect((await postAws({ UsageRecords: [] }, signed())).status).toBe(200)
  expect(performance.now() - startedAt).toBeGreaterThanOrEqual(38)
})

describe('strangers', () => {
  const raw = (headers: Record<string, string>, method = 'GET', path = '/') =>
    new Promise<number>((resolve, reject) => {
      const sent = httpRequest(`${url}${path}`, { method, headers }, (response) => {
        response.resume()
        resolve(response.statusCode ?? 0)
      })
      sent.on('error', reject).end()
    })

  it('are not answered under a name that is not ours (DNS rebinding)', async () => {
    expect(await raw({ host: 'evil.example' })).toBe(421)
    expect(await raw({ host: '127.0.0.1.evil.example' }, 'GET', '/_control/ledger')).toBe(421)
    expect(await raw({ host: 'localhost:1234' })).toBe(200)
    expect(await raw({ host: '[::1]:1234' })).toBe(200)
  })

  it('change nothing from another site (CSRF), and frame no page', async () => {
    const { id } = simulator.marketplace.subscribe({ productCode: 'prodcode1' })
    const path = `/_control/subscriptions/${id}/cancel`
    expect(await raw({ origin: 'http://evil.example' }, 'POST', path)).toBe(403)
    expect(await raw({ 'sec-fetch-site': 'cross-site' }, 'POST', path)).toBe(403)
    expect(await raw({ origin: 'null' }, 'POST', `/subscriptions/${id}/cancel`)).toBe(403)
    expect(simulator.marketplace.getSubscription(id).state).toBe('licensed')
    const { headers } = await fetch(url)
    expect(headers.get('x-frame-options')).toBe('DENY')
    expect(headers.get('content-security-policy')).toContain("frame-ancestors 'none'")
  })
})

describe('the control API', () => {
  it('reads, advances, sets, stops and starts the clock', async () => {
    expect((await control('GET', 'clock')).body).toMatchObject({
      now: '2026-11-20T12:30:00.000Z',
      running: false,
    })
    expect((await control('POST', 'clock', { advance: '1h30m' })).body.now).toBe('2026-11-20T14:00:00.000Z')
    expect((await control('POST', 'clock', { advance: 1_000 })).body.now).toBe('2026-11-20T14:00:01.000Z')
    expect(
      (await control('POST', 'clock', { set: '2026-11-20T00:00:00Z', running: true })).body.running,
    ).toBe(true)
    for (const wrong of [
      { advance: '-1h' },
      { advance: 'soon' },
      { set: 'x' },
      { running: 1 },
      { jump: 1 },
      { set: 1e15 },
    ]) {
      expect(await control('POST', 'clock', wrong)).toMatchObject({
        status: 400,
        type: 'application/problem+json',
      })
    }
  })

  it('takes a buyer through a subscription', async () => {
    const { status, body } = await control('POST', 'subscriptions', {
      productCode: 'prodcode1',
      accountId: '444455556666',
    })
    expect([status, body.state, body.acceptedAt]).toEqual([201, 'licensed', '2026-11-20T12:30:00.000Z'])
    expect(body).not.toHaveProperty('token')
    const { body: form } = await control('POST', `subscriptions/${body.id}/setup`)
    expect(form).toMatchObject({
      token: expect.any(String),
      fulfillmentUrl: 'http://127.0.0.1:4000/register',
    })
    expect((await control('POST', `subscriptions/${body.id}/suspend`)).body.suspended).toBe(true)
    expect((await control('POST', `subscriptions/${body.id}/resume`)).body.suspended).toBe(false)
    const renewed = await control('POST', `subscriptions/${body.id}/renew`, {})
    expect([renewed.status, renewed.body.intent]).toEqual([201, 'RENEW'])
    expect((await control('POST', `subscriptions/${renewed.body.id}/cancel`)).body.state).toBe('ending')
    expect((await control('GET', 'subscriptions?accountId=444455556666')).body.subscriptions).toHaveLength(2)
    expect((await control('POST', 'subscriptions/nobody/cancel')).status).toBe(404)
    expect((await control('POST', 'subscriptions', { productCode: 'prodcode1', colour: 'red' })).status).toBe(
      400,
    )
  })

  it('pages through the ledger', async () => {
    const subscription = simulator.marketplace.subscribe({ productCode: 'prodcode1', startAt: utc('00:00') })
    await meter(
      simulator,
      [0, 1, 2].map((hour) => aRecord(subscription, { Timestamp: utc('12:00') / 1000 - hour * 3600 })),
    )
    const first = (await control('GET', 'ledger?limit=2')).body
    expect(first).toMatchObject({ total: 3, nextCursor: '2', calls: { BatchMeterUsage: { ok: 1 } } })
    expect(first.records[0]).toMatchObject({
      hourStart: '2026-11-20T12:00:00.000Z',
      quantity: 5,
      dimension: 'api_requests',
    })
    const second = (await control('GET', `ledger?limit=2&cursor=${first.nextCursor}`)).body
    expect([second.records.length, second.nextCursor]).toEqual([1, null])
    expect((await control('GET', 'bill')).body.total).toBe('0.03')
    expect((await control('GET', 'ledger?limit=ten')).status).toBe(400)
  })

  it('orders, lists and withdraws faults, and changes settings', async () => {
    const { status, body } = await control('POST', 'faults', { kind: 'throttle', times: 3 })
    expect([status, body]).toMatchObject([201, { id: 'fault-1', remaining: 3 }])
    expect((await control('GET', 'faults')).body.faults).toHaveLength(1)
    expect((await control('DELETE', 'faults/fault-1')).status).toBe(204)
    expect((await control('DELETE', 'faults/fault-1')).status).toBe(404)
    expect((await control('DELETE', 'faults')).status).toBe(204)
    expect((await control('PATCH', 'settings', { finalWindowMs: 5 })).body.finalWindowMs).toBe(5)
    const refused = await control('PATCH', 'settings', { finalWindowMs: 5, colour: 'red' })
    expect([refused.status, refused.body.detail]).toEqual([
      400,
      expect.stringContaining('unknown setting colour'),
    ])
  })

  it('adds products, shows calls and notifications, and says what it does not have', async () => {
    expect((await control('POST', 'products', aProduct({ productCode: 'third' }))).status).toBe(201)
    expect(
      (await control('POST', 'products', { ...aProduct(), fulfillmentUrl: 'javascript:alert(1)' })).status,
    ).toBe(400)
    expect((await control('GET', 'products')).body.products).toHaveLength(3)
    expect((await control('GET', 'calls')).body).toEqual({ counts: {}, calls: [] })
    expect((await control('GET', 'notifications')).body.notifications).toEqual([])
    expect((await control('GET', 'nope')).status).toBe(404)
    expect((await control('DELETE', 'clock')).status).toBe(405)
    const text = await fetch(`${url}/_control/clock`, {
      method: 'POST',
      body: '{"advance":1}',
      headers: { 'content-type': 'text/plain' },
    })
    expect(text.status).toBe(415)
  })
})

describe('the storefront', () => {
  const FORM = { 'content-type': 'application/x-www-form-urlencoded' }
  const page = async (path: string) => (await fetch(`${url}${path}`)).text()

  it('takes a buyer from Subscribe to Cancel, without scripts', async () => {
    expect(await page('/')).toContain('Subscribe')
    const form = new URLSearchParams({
      productCode: 'prodcode1',
      accountId: '444455556666',
      freeTrial: 'yes',
    })
    const subscribed = await post('/subscribe', form.toString(), FORM)
    expect([subscribed.status, subscribed.headers.get('location')]).toEqual([303, '/subscriptions/sub-1'])
    const html = await page('/subscriptions/sub-1')
    const token = /name="x-amzn-marketplace-token" value="([^"]+)"/.exec(html)?.[1] ?? ''
    expect(html).toContain('action="http://127.0.0.1:4000/register"')
    expect(html).toContain('name="x-amzn-marketplace-offer-type" value="free-trial"')
    const { body } = await postAws(
      { RegistrationToken: token },
      signed({ target: 'AWSMPMeteringService.ResolveCustomer' }),
    )
    expect(body.CustomerAWSAccountId).toBe('444455556666')
    expect((await post('/subscriptions/sub-1/cancel', '', FORM)).status).toBe(303)
    expect(simulator.marketplace.getSubscription('sub-1').state).toBe('ending')
    expect(await page('/subscriptions/sub-1')).not.toContain('x-amzn-marketplace-token')
  })

  it('escapes what others wrote', async () => {
    expect(await page('/')).not.toContain('<b>Bold')
    expect(await page('/')).toContain('&#60;b&#62;Bold&#60;/b&#62; &#38; &#34;co&#34;')
  })

  it('shows accepted usage and the bill, and advances the clock', async () => {
    const subscription = simulator.marketplace.subscribe({ productCode: 'prodcode1', startAt: utc('00:00') })
    await meter(simulator, [aRecord(subscription, { Quantity: 1_234 })])
    expect(await page('/usage')).toContain('$2.468')
    const moved = await post('/clock/advance', 'by=1h&back=/usage', FORM)
    expect([moved.status, moved.headers.get('location')]).toEqual([303, '/usage'])
    expect(simulator.clock.now()).toBe(utc('13:30'))
    expect((await post('/clock/advance', 'by=1h&back=//evil.example', FORM)).headers.get('location')).toBe(
      '/',
    )
  })

  it.each([
    ['/subscribe', 'productCode=nope&accountId=444455556666', 404],
    ['/subscribe', 'productCode=prodcode1&accountId=acme', 400],
    ['/subscribe', 'productCode=contract&accountId=444455556666&quantity.users=-3', 400],
    ['/clock/advance', 'by=never', 400],
    ['/subscriptions/sub-9/cancel', '', 404],
    ['/nowhere', '', 404],
  ])('answers a wrong form %s %s with a page of status %i', async (path, body, status) => {
    const answer = await post(path, body, FORM)
    expect(answer.status).toBe(status)
    expect(Buffer.from(answer.bytes).toString()).toContain('role="alert"')
    expect(simulator.marketplace.listSubscriptions()).toEqual([])
  })
})

describe('whatever it is sent', () => {
  it('never fails, and never takes half of it', async () => {
    const subscription = simulator.marketplace.subscribe({ productCode: 'prodcode1', startAt: utc('00:00') })
    const aField = fc.oneof(
      fc.jsonValue(),
      fc.constantFrom('api_requests', utc('12:00') / 1000, subscription.licenseArn),
    )
    const aRecordOfSorts = fc.oneof(
      fc.jsonValue(),
      fc
        .dictionary(
          fc.constantFrom(
            'Timestamp',
            'Dimension',
            'Quantity',
            'LicenseArn',
            'CustomerAWSAccountId',
            'UsageAllocations',
            '__proto__',
          ),
          aField,
        )
        .map((fields) => ({ ...aRecord(subscription), ...fields })),
    )
    const aBody = fc.oneof(
      fc.string(),
      fc.jsonValue().map((value) => JSON.stringify(value)),
      fc.array(aRecordOfSorts, { maxLength: 4 }).map((UsageRecords) => JSON.stringify({ UsageRecords })),
    )
    const aTarget = fc.constantFrom(
      METER,
      'AWSMPMeteringService.ResolveCustomer',
      'AWSMPEntitlementService.GetEntitlements',
      'AWSMPCommerceService_v20200301.SearchAgreements',
      'AWSMPCommerceService_v20200301.SendAgreementCancellationRequest',
      '',
    )
    const aPath = fc.constantFrom(
      '/',
      '/subscribe',
      '/clock/advance',
      '/_control/clock',
      '/_control/faults',
      '/_control/subscriptions',
      '/_control/products',
      '/_control/subscriptions/sub-1/renew',
      '/_control/subscriptions/sub-1/replace',
      '/_control/subscriptions/sub-1/notify',
      '/subscriptions/sub-1/amend',
      '/cancellation-requests/acr-1/reject',
      '/_control/%zz',
      '/service/AWSMPEntitlementService/operation/GetEntitlements',
    )
    const aType = fc.constantFrom(
      'application/x-amz-json-1.1',
      'application/json',
      'application/x-www-form-urlencoded',
      'application/cbor',
    )
    await fc.assert(
      fc.asyncProperty(aPath, aTarget, aType, aBody, async (path, target, type, body) => {
        simulator.faults.clear()
        const { status } = await post(path, body, { ...signed({ target }), 'content-type': type })
        expect(status).toBeLessThan(500)
      }),
      { numRuns: 600 },
    )
    expect((await fetch(`${url}/health`)).status).toBe(200)
    expect((await fetch(`${url}/usage`)).status).toBe(200)
  })

  it.each([
    'GET / HTTP/1.0\r\n\r\n',
    'GET http://evil.example/ HTTP/1.1\r\nHost: localhost\r\n\r\n',
    'OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n',
    'GET //..//%00?%%% HTTP/1.1\r\nHost: localhost\r\n\r\n',
    'BREW / HTTP/1.1\r\nHost: localhost\r\n\r\n',
    'POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nhalf',
    '\0\0\0',
  ])('survives the bytes %j', async (bytes) => {
    const answer = await new Promise<string>((resolve) => {
      const socket = connect(Number(new URL(url).port), '127.0.0.1', () => socket.end(bytes))
      let text = ''
      socket.on('data', (chunk) => {
        text += chunk
      })
      socket.on('error', () => resolve(text))
      socket.on('close', () => resolve(text))
    })
    expect(answer).not.toMatch(/^HTTP\/1.1 5/)
    expect((await fetch(`${url}/health`)).status).toBe(200)
  })

  it('refuses a body that never ends', async () => {
    const { status } = await post('/', 'x'.repeat(4_000_001), signed())
    expect(status).toBe(413)
  })
})
