import fc from 'fast-check'
import type { InjectOptions } from 'fastify'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { DomainError } from '../domain/error.ts'
import { auditUsage } from '../domain/usage/audit-usage.ts'
import { AN_HOUR, anApp } from './app.fixture.ts'

let seller: Awaited<ReturnType<typeof anApp>>
let routes: readonly { readonly method: string; readonly url: string }[]
const refused = () => {
  throw new DomainError('request.invalid', 'as AWS says')
}
beforeAll(async () => {
  seller = await anApp({
    agreements: {
      searchAgreements: refused,
      describeAgreement: refused,
      getAgreementTerms: refused,
      requestCancellation: refused,
      listCancellationRequests: refused,
    },
    resolve: () => {
      throw new DomainError('registration.token_invalid', 'as AWS says')
    },
  })
  routes = seller.app.routeTable
})
afterAll(() => seller.close())

const odd = fc.constantFrom(
  '',
  ' ',
  '\u0000',
  '\ud800',
  '%00',
  '%zz',
  '../..',
  '__proto__',
  'constructor',
  "' OR 1=1 --",
  '😀',
  '9'.repeat(400),
  'null',
  '-1',
  '1e309',
  'NaN',
)
const text = fc.oneof(
  odd,
  fc.string({ unit: 'binary' }),
  fc.constantFrom('acme', 'other', 'sub_1', 'buy_1', 'tenant-a'),
)
const json = fc.oneof(fc.jsonValue({ maxDepth: 4 }), fc.constantFrom<unknown>(null, [], {}, [[]], 0, 'x'))

const FIELDS = [
  'dimension',
  'quantity',
  'usageTime',
  'correlationId',
  'product',
  'source',
  'value',
  'tags',
  'subscriptionId',
  'tenantId',
  'licenseArn',
  'customerAWSAccountId',
  'customerIdentifier',
  'specversion',
  'id',
  'type',
  'time',
  'subject',
  'data',
  'totalScans',
  '__proto__',
  'limits',
  'dimensions',
  'plans',
  'endpoints',
  'url',
  'healthUrl',
  'everySeconds',
  'price',
  'from',
  'events',
  'channel',
  'plan',
  'contact',
  'buyer',
  'status',
  'suspended',
  'successor',
  'reasonCode',
  'description',
  'email',
  'licenseArn',
  'buyerId',
  'user',
  'name',
  'scopes',
  'expiresAt',
  'overlapSeconds',
  'visitor',
  'id',
]
/** Right in most fields, wrong in some: what gets past the first check. */
const nearly = fc
  .record({
    changed: fc.dictionary(fc.constantFrom(...FIELDS), fc.oneof(json, text), { maxKeys: 4 }),
    base: fc.constantFrom(
      {
        dimension: 'records_processed',
        quantity: 1,
        usageTime: AN_HOUR,
        correlationId: 'a',
        tenantId: 'tenant-a',
      },
      { dimension: 'seats', value: 'u', usageTime: AN_HOUR, correlationId: 'b', subscriptionId: 'sub_1' },
      {
        specversion: '1.0',
        id: 'c',
        source: 's',
        type: 'calls',
        time: AN_HOUR,
        subject: 'tenant-a',
        data: { quantity: 1 },
      },
      { totalScans: 1, storageUsedGB: '2.5', time: AN_HOUR },
      { channel: 'free', product: 'acme', tenantId: 'tenant-b', contact: { email: 'a@b.example' } },
      { tenantId: 'tenant-c', status: 'active', suspended: false },
      { reasonCode: 'OTHER', description: 'x' },
      { email: 'a@b.example' },
      { id: 'made', productCode: 'made', dimensions: [{ key: 'x' }], plans: [{ id: 'p', price: 'custom' }] },
      {
        title: 'Team',
        limits: [{ dimension: 'calls', quantity: 5 }],
        features: { sso: true },
        trial: { days: 3 },
      },
      { subscriptionId: 'sub_1', product: 'acme', scopes: ['read'], expiresAt: '2027-01-01T00:00:00Z' },
      { url: 'https://a.example/', healthUrl: 'https://a.example/health', everySeconds: 60 },
      { overlapSeconds: 60, expiresAt: '2027-01-01T00:00:00Z' },
      { visitor: { ip: '192.0.2.1', userAgent: 'x' }, dimension: 'calls', product: 'acme', id: 'd' },
      { visitor: { ip: '2001:db8::1' }, subscriptionId: 'sub_1' },
    ),
  })
  .map(({ base, changed }) => ({ ...base, ...changed }))

const body = fc.oneof(
  fc.constant(''),
  json.map((value) => JSON.stringify(value)),
  nearly.map((event) => JSON.stringify(event)),
  fc.array(fc.oneof(nearly, json), { maxLength: 5 }).map((events) => JSON.stringify(events)),
  fc
    .array(fc.oneof(nearly, json), { maxLength: 5 })
    .map((events) => events.map((event) => JSON.stringify(event)).join('\n')),
  nearly.map((event) => JSON.stringify(event).replace(/\d+/, '123456789012345678901234567890')),
  fc.string({ unit: 'binary' }),
  fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
  text.map((token) => `x-amzn-marketplace-token=${token}`),
)

const contentType = fc.constantFrom(
  undefined,
  'application/json',
  'application/json; charset=utf-16',
  'application/x-ndjson',
  'application/cloudevents+json',
  'application/cloudevents-batch+json',
  'application/x-www-form-urlencoded',
  'text/plain',
  'multipart/form-data; boundary=x',
  'application/',
  ';;',
  'a/b; c="',
)
const query = fc.dictionary(
  fc.constantFrom(
    'product',
    'subscription',
    'dimension',
    'status',
    'state',
    'from',
    'to',
    'limit',
    'cursor',
    'subject',
    'registration',
    'subscriptionId',
    'buyerId',
    'tenantId',
    'licenseArn',
    'customerAWSAccountId',
    'customerIdentifier',
    'feature',
    'x',
    'channel',
    'buyer',
    'tenantId',
    'licenseArn',
    'granularity',
    'reasonCode',
    '__proto__',
  ),
  fc.oneof(
    text,
    fc.constantFrom(
      'open',
      'ready',
      AN_HOUR,
      '10',
      'free',
      'active',
      'hour',
      'OTHER',
      '2026-02-30T00:00:00Z',
      '0000-01-01T00:00:00Z',
      '9999-12-31T23:59:59+23:59',
    ),
  ),
  { maxKeys: 4 },
)

const request = fc.record({
  route: fc.nat(),
  method: fc.constantFrom(undefined, undefined, undefined, 'PUT', 'DELETE', 'PATCH', 'OPTIONS', 'HEAD'),
  segment: text,
  query,
  body,
  contentType,
  address: fc.ipV4(), // each its own: else most would only be told to wait
  withKey: fc.integer({ min: 0, max: 9 }).map((number) => number > 0),
  headers: fc.dictionary(
    fc.constantFrom(
      'accept',
      'x-forwarded-for',
      'x-request-id',
      'content-encoding',
      'expect',
      'origin',
      'if-none-match',
      'idempotency-key',
    ),
    fc.string(),
    { maxKeys: 2 },
  ),
})

function toInject(given: typeof request extends fc.Arbitrary<infer T> ? T : never): InjectOptions {
  const { method, url } = routes[given.route % routes.length]!
  const path = url.replace(/:\w+/g, () => encodeSegment(given.segment))
  const search = new URLSearchParams(given.query).toString()
  const chosen = (given.method ?? method) as NonNullable<InjectOptions['method']>
  const hasBody = chosen !== 'GET' && chosen !== 'HEAD'
  return {
    method: chosen,
    remoteAddress: given.address,
    url: search === '' ? path : `${path}?${search}`,
    headers: {
      ...Object.fromEntries(
        Object.entries(given.headers).map(([name, value]) => [name, value.replace(/[^\x20-\x7e]/g, '')]),
      ),
      ...(given.withKey && seller.auth),
      ...(hasBody && given.contentType !== undefined && { 'content-type': given.contentType }),
    },
    ...(hasBody && { payload: given.body }),
  }
}

function encodeSegment(segment: string): string {
  try {
    return encodeURIComponent(segment)
  } catch {
    return segment.includes('%') ? segment : '%ED%A0%80' // a surrogate, as some clients write it
  }
}

async function checkAnswer(options: InjectOptions) {
  const answer = await seller.app.inject(options)
  const said = `${options.method} ${options.url} -> ${answer.statusCode} ${answer.payload.slice(0, 300)}`
  expect(answer.statusCode, said).toBeLessThan(500)
  if (answer.payload === '' || options.method === 'HEAD') return answer
  const type = String(answer.headers['content-type'])
  if (type.includes('json')) expect(() => JSON.parse(answer.payload), said).not.toThrow()
  if (answer.statusCode >= 400 && !type.includes('html')) {
    expect(type, said).toContain('application/problem+json')
    expect(answer.json(), said).toMatchObject({ status: answer.statusCode, code: expect.any(String) })
  }
  return answer
}

describe('whatever is sent', () => {
  it('is never a server’s error and always an answer that can be read', { timeout: 120_000 }, async () => {
    await fc.assert(
      fc.asyncProperty(request, async (given) => void (await checkAnswer(toInject(given)))),
      { numRuns: 3_000 },
    )
  })

  it('is counted whole or not at all', { timeout: 120_000 }, async () => {
    const batch = fc.array(nearly, { minLength: 1, maxLength: 8 })
    await fc.assert(
      fc.asyncProperty(batch, fc.constantFrom('array', 'lines'), async (events, form) => {
        const before = await eventsCounted()
        const answer = await checkAnswer({
          method: 'POST',
          url: '/usage',
          headers: {
            ...seller.auth,
            'content-type': form === 'array' ? 'application/json' : 'application/x-ndjson',
          },
          payload:
            form === 'array'
              ? JSON.stringify(events)
              : events.map((event) => JSON.stringify(event)).join('\n'),
        })
        const outcomes: { status: string }[] = answer.statusCode === 200 ? answer.json().outcomes : []
        if (answer.statusCode === 200) expect(outcomes).toHaveLength(events.length)
        const counted = outcomes.filter(({ status }) => status === 'accepted' || status === 'late').length
        expect(await eventsCounted()).toBe(before + counted)
      }),
      { numRuns: 300 },
    )
    expect(await auditUsage(seller.deps.usage)).toMatchObject({ balanced: true, discrepancies: [] })
  })
})

async function eventsCounted(): Promise<number> {
  const { items } = await seller.deps.usage.listBuckets({ limit: 500 })
  return items.reduce((sum, bucket) => sum + bucket.events, 0)
}
