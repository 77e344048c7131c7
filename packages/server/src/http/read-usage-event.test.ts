import fc from 'fast-check'
import { Compile } from 'typebox/compile'
import { describe, expect, it } from 'vitest'
import { readJson } from '../domain/usage/read-json.ts'
import { readTime } from '../domain/usage/read-time.ts'
import { idOf, readCloudEvent, readUsageEvent } from '../domain/usage/read-usage-event.ts'
import { UsageEventBody } from './schemas.ts'

const EVENT = {
  dimension: 'records_processed',
  quantity: 1000,
  usageTime: '2026-11-21T07:00:00Z',
  correlationId: 'batch-run-123',
}
const CLOUD_EVENT = {
  specversion: '1.0',
  id: 'batch-run-123',
  source: '/importer',
  type: 'records_processed',
  time: '2026-11-21T07:00:00Z',
  subject: 'tenant-a',
  data: { quantity: 1000, anything: ['of', 'theirs'] },
}

describe('an event', () => {
  it('is read as seed 000 writes it', () => {
    expect(readUsageEvent(EVENT)).toMatchObject({
      dimension: 'records_processed',
      quantity: 1000,
      time: Date.UTC(2026, 10, 21, 7),
      id: 'batch-run-123',
      reference: {},
    })
  })

  it.each([
    [{ tenantId: 't' }, { tenantId: 't' }],
    [{ subscriptionId: 's' }, { subscriptionId: 's' }],
    [{ licenseArn: 'l' }, { licenseArn: 'l' }],
    [{ customerAWSAccountId: '111122223333' }, { customerAwsAccountId: '111122223333' }],
    [{ customerIdentifier: 'c' }, { customerIdentifier: 'c' }],
  ])('names its buyer by %j', (given, reference) => {
    expect(readUsageEvent({ ...EVENT, ...given })).toMatchObject({ reference })
  })

  it.each([
    ['dimension', { dimension: '' }],
    ['dimension', { dimension: 5 }],
    ['dimension', { dimension: 'a\u0000b' }],
    ['correlationId', { correlationId: 'x'.repeat(256) }],
    ['correlationId', { correlationId: '\ud800' }],
    ['usageTime', { usageTime: '2026-11-21T07:00:00' }],
    ['usageTime', { usageTime: 1_763_708_400 }],
    ['quantity', { quantity: null }],
    ['quantity', { quantity: true }],
    ['quantity', { quantity: '1'.repeat(41) }],
    ['tags', { tags: [] }],
    ['tags', { tags: { team: 5 } }],
    ['customerAWSAccountId', { customerAWSAccountId: 111122223333 }],
    ['tenantId', { subscriptionId: 's', tenantId: 't' }],
    ['tenantID', { tenantID: 't' }],
  ])('with a wrong %s is refused by that name', (field, given) => {
    expect(readUsageEvent({ ...EVENT, ...given })).toMatchObject({ field })
  })

  it('takes nothing from a prototype that the body brings', () => {
    const text = JSON.stringify({ ...EVENT }).replace('{', '{"__proto__":{"tenantId":"t"},')
    expect(readUsageEvent(JSON.parse(text))).toMatchObject({ field: '__proto__' })
  })

  it.each(['dimension', 'correlationId', 'usageTime'])('needs %s', (field) => {
    expect(readUsageEvent({ ...EVENT, [field]: undefined })).toMatchObject({ field })
    const { [field as keyof typeof EVENT]: _, ...rest } = EVENT
    expect(readUsageEvent(rest)).toMatchObject({ field })
  })

  it('is one exactly where the published schema says so', () => {
    const schema = Compile(UsageEventBody)
    const text = fc.oneof(fc.string(), fc.constantFrom('x', '', 'a\u0000', '\ud800', 'é', 'x'.repeat(256)))
    const field = fc.oneof(text, fc.integer(), fc.constantFrom<unknown>(null, true, [], {}, { a: 'b' }))
    const event = fc.record(
      {
        dimension: fc.oneof({ weight: 9, arbitrary: fc.constant('requests') }, field),
        correlationId: fc.oneof({ weight: 9, arbitrary: fc.constant('id') }, field),
        usageTime: fc.oneof({ weight: 9, arbitrary: fc.constant('2026-11-21T07:00:00Z') }, text),
        quantity: fc.oneof(fc.nat(), fc.constantFrom<unknown>('12', '1.5', null, true)),
        product: field,
        source: field,
        value: field,
        tags: fc.oneof(fc.constant({ team: 'blue' }), field),
        tenantId: field,
        surprise: field,
      },
      { requiredKeys: ['dimension', 'correlationId', 'usageTime'] },
    )
    fc.assert(
      fc.property(event, (given) => {
        // A format is not checked by a compiled schema; the reader's clock face is tested on its own.
        const bySchema = schema.Check(given) && readTime(given.usageTime) !== undefined
        expect('reason' in readUsageEvent(given)).toBe(!bySchema)
      }),
      { numRuns: 2_000 },
    )
  })
})

describe('a CloudEvent', () => {
  it('names dimension by its type and the buyer by its subject', () => {
    expect(readCloudEvent(CLOUD_EVENT)).toMatchObject({
      id: 'batch-run-123',
      source: '/importer',
      dimension: 'records_processed',
      reference: { tenantId: 'tenant-a' },
      quantity: 1000,
    })
  })

  it('may say both in its data, which then holds', () => {
    const data = { dimension: 'scans', quantity: '5', customerIdentifier: 'ifAPi5AcF3', product: 'acme' }
    expect(readCloudEvent({ ...CLOUD_EVENT, data })).toMatchObject({
      dimension: 'scans',
      reference: { customerIdentifier: 'ifAPi5AcF3' },
      product: 'acme',
      quantity: '5',
    })
  })

  it('needs no data where nothing is to be said', () => {
    const { data: _, ...event } = CLOUD_EVENT
    expect(readCloudEvent(event)).toMatchObject({ quantity: undefined })
  })

  it.each([
    ['specversion', { specversion: '0.3' }],
    ['id', { id: '' }],
    ['source', { source: undefined }],
    ['type', { type: 7 }],
    ['time', { time: undefined }],
    ['subject', { subject: 4 }],
    ['data', { data: 'text' }],
    ['data_base64', { data_base64: 'AA==' }],
    ['data.quantity', { data: { quantity: {} } }],
    ['data.licenseArn', { data: { licenseArn: 'l', tenantId: 't' } }],
    ['data.tags', { data: { tags: 'team' } }],
  ])('with a wrong %s is refused by that name', (field, given) => {
    expect(readCloudEvent({ ...CLOUD_EVENT, ...given })).toMatchObject({ field })
  })
})

describe('a body', () => {
  const read = (text: string) => readJson(Buffer.from(text))

  it('keeps numbers of up to 15 digits', () => {
    expect(read('[999999999999999, 0.123456789012345, 1e3, -12.5]')).toEqual([
      999_999_999_999_999, 0.123456789012345, 1000, -12.5,
    ])
  })

  it.each(['9999999999999999', '0.12345678901234567', '1.0000000000000000001', '12345678901234567e-5'])(
    'does not round %s',
    (number) => {
      expect(read(`{"quantity": ${number}}`)).toEqual({ quantity: Number.NaN })
      expect(read(`{"quantity": "${number}"}`)).toEqual({ quantity: number })
    },
  )

  it('is refused where it is not UTF-8: its repair would make two ids one', () => {
    const broken = Buffer.concat([Buffer.from('{"correlationId":"'), Buffer.from([0xff]), Buffer.from('"}')])
    expect(() => readJson(broken)).toThrow('UTF-8')
  })

  it('is refused where it is not JSON, however deep', () => {
    for (const text of ['', '{', 'nope', '{"a":1,}', '['.repeat(100_000)])
      expect(() => read(text)).toThrow('JSON')
  })
})

it('an unreadable event is found again by what it calls itself', () => {
  expect([idOf({ correlationId: 'a' }), idOf({ id: 'b' }), idOf({ id: 5 }), idOf(null)]).toEqual([
    'a',
    'b',
    '',
    '',
  ])
})
