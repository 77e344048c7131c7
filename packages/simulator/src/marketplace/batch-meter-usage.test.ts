import { describe, expect, it } from 'vitest'
import { aProduct, aRecord, aSimulator, meter, statuses, utc } from '../test-values.ts'
import type { Settings } from './settings.ts'

/** A buyer whose agreement began at midnight, at 12:30. */
async function aBuyer(settings: Partial<Settings> = {}, product = aProduct()) {
  const simulator = await aSimulator({ settings, products: [product] })
  const subscription = simulator.marketplace.subscribe({
    productCode: product.productCode,
    startAt: utc('00:00'),
  })
  const send = (...records: unknown[]) => statuses(simulator, records)
  return { simulator, subscription, send, marketplace: simulator.marketplace }
}

const aLegacyProduct = () => aProduct({ productCode: 'legacycode', metering: 'legacy' })

describe('a batch that fails leaves no trace', () => {
  const poisons: [string, Record<string, unknown>, string][] = [
    ['a dimension nobody defined', { Dimension: 'nope' }, 'InvalidUsageDimensionException'],
    ['a dimension in another case', { Dimension: 'API_requests' }, 'InvalidUsageDimensionException'],
    [
      'usage older than 24 hours',
      { Timestamp: (utc('12:30') - 86_400_001) / 1000 },
      'TimestampOutOfBoundsException',
    ],
    [
      'usage more than 5 minutes ahead',
      { Timestamp: (utc('12:35') + 1) / 1000 },
      'TimestampOutOfBoundsException',
    ],
    ['a license that is none', { LicenseArn: 'l-123' }, 'InvalidLicenseException'],
    ['a license of another account', { CustomerAWSAccountId: '999999999999' }, 'InvalidLicenseException'],
    [
      'no account beside the license',
      { CustomerAWSAccountId: undefined },
      'InvalidCustomerIdentifierException',
    ],
    ['an account that is no number', { CustomerAWSAccountId: 'acme' }, 'ValidationException'],
    ['no license and no product code', { LicenseArn: undefined }, 'InvalidProductCodeException'],
    ['both ways to name a customer', { CustomerIdentifier: 'abc' }, 'InvalidCustomerIdentifierException'],
    ['a fraction', { Quantity: 1.5 }, 'SerializationException'],
    ['a quantity as text', { Quantity: '5' }, 'SerializationException'],
    ['less than nothing', { Quantity: -1 }, 'ValidationException'],
    ['a quantity past 2^31 - 1', { Quantity: 2_147_483_648 }, 'ValidationException'],
    ['no dimension', { Dimension: undefined }, 'ValidationException'],
    ['no timestamp', { Timestamp: undefined }, 'ValidationException'],
    ['a timestamp as text', { Timestamp: '2026-11-20T12:00:00Z' }, 'SerializationException'],
    [
      'allocations that do not add up',
      { UsageAllocations: [allocation(4, 'a')] },
      'InvalidUsageAllocationsException',
    ],
    [
      'two allocations with one tag set',
      { UsageAllocations: [allocation(2, 'a'), allocation(3, 'a')] },
      'InvalidUsageAllocationsException',
    ],
    [
      'two untagged allocations',
      { UsageAllocations: [allocation(2), allocation(3)] },
      'InvalidUsageAllocationsException',
    ],
    ['no allocation in the list', { UsageAllocations: [] }, 'ValidationException'],
    ['a tag with a letter AWS refuses', { UsageAllocations: [allocation(5, 'ä')] }, 'InvalidTagException'],
    [
      'a tag value of 257 characters',
      { UsageAllocations: [allocation(5, 'a'.repeat(257))] },
      'InvalidTagException',
    ],
    ['six tags', { UsageAllocations: [{ AllocatedUsageQuantity: 5, Tags: tags(6) }] }, 'InvalidTagException'],
    [
      'six tag keys over several allocations',
      { Quantity: 6, UsageAllocations: tags(6).map((tag) => ({ AllocatedUsageQuantity: 1, Tags: [tag] })) },
      'InvalidTagException',
    ],
    [
      'a tag key twice',
      { UsageAllocations: [{ AllocatedUsageQuantity: 5, Tags: [...tags(1), ...tags(1)] }] },
      'InvalidTagException',
    ],
  ]

  it.each(poisons)('%s', async (_name, poison, code) => {
    const { simulator, subscription, marketplace } = await aBuyer()
    const good = aRecord(subscription)
    const { status, body } = await meter(simulator, [
      good,
      aRecord(subscription, { Dimension: 'users', ...poison }),
    ])
    expect([status, body.__type]).toEqual([400, code])
    expect(marketplace.recordCount).toBe(0)
    expect(await statuses(simulator, [{ ...good, Quantity: 6 }])).toEqual(['Success'])
  })

  it('26 records, with the error that the setting names', async () => {
    const { simulator, subscription, marketplace } = await aBuyer({
      tooManyRecordsError: 'InvalidParameterException',
    })
    const records = Array.from({ length: 26 }, () => aRecord(subscription))
    expect((await meter(simulator, records)).body.__type).toBe('InvalidParameterException')
    expect(marketplace.recordCount).toBe(0)
    expect(await statuses(simulator, records.slice(1))).toHaveLength(25)
  })

  it('a body that is not smaller than 1 MB', async () => {
    const { simulator, subscription } = await aBuyer({ tooLargeError: 'RequestTooLargeException' })
    const padding = 'x'.repeat(
      1_000_000 - JSON.stringify({ UsageRecords: [aRecord(subscription)], Padding: '' }).length,
    )
    const over = await meter(simulator, [aRecord(subscription)], { Padding: padding })
    expect(over.body.__type).toBe('RequestTooLargeException')
    expect((await meter(simulator, [aRecord(subscription)], { Padding: padding.slice(1) })).status).toBe(200)
  })

  it('licenses of two products in one call', async () => {
    const { simulator, subscription, marketplace } = await aBuyer()
    marketplace.addProduct(aProduct({ productCode: 'other' }))
    const other = marketplace.subscribe({ productCode: 'other', startAt: utc('00:00') })
    const { body } = await meter(simulator, [aRecord(subscription), aRecord(other)])
    expect(body.__type).toBe('InvalidLicenseException')
    expect(marketplace.recordCount).toBe(0)
  })

  it('a region that has no metering service', async () => {
    const { simulator, subscription } = await aBuyer()
    expect((await meter(simulator, [aRecord(subscription)], {}, 'mars-north-1')).body.__type).toBe(
      'DisabledApiException',
    )
  })

  it('a product code nobody has, even without records', async () => {
    const { simulator } = await aBuyer()
    expect((await meter(simulator, [], { ProductCode: 'nope' })).body.__type).toBe(
      'InvalidProductCodeException',
    )
    expect((await meter(simulator, [])).body).toEqual({ Results: [], UnprocessedRecords: [] })
  })

  it('a dimension that is only entitled, never metered', async () => {
    const product = aProduct({ pricing: 'contract', dimensions: [{ key: 'api_requests' }] })
    const { simulator, subscription } = await aBuyer({}, product)
    expect((await meter(simulator, [aRecord(subscription)])).body.__type).toBe(
      'InvalidUsageDimensionException',
    )
  })
})

describe('when usage is taken', () => {
  it('takes usage of exactly 24 hours ago', async () => {
    const { simulator, subscription, send } = await aBuyer()
    simulator.clock.advance(86_400_000 - 30 * 60_000)
    expect(await send(aRecord(subscription))).toEqual(['Success'])
  })

  it('takes last month until 06:00 UTC on the 1st, and not a moment longer', async () => {
    const { simulator, subscription, send } = await aBuyer()
    const lastHour = aRecord(subscription, { Timestamp: Date.parse('2026-11-30T23:00:00Z') / 1000 })
    simulator.clock.set(Date.parse('2026-12-01T05:59:59.999Z'))
    expect(await send(lastHour)).toEqual(['Success'])
    simulator.clock.advance(1)
    await expect(send(lastHour)).rejects.toThrow('TimestampOutOfBoundsException')
    expect(await send({ ...lastHour, Timestamp: Date.parse('2026-12-01T00:00:00Z') / 1000 })).toEqual([
      'Success',
    ])
  })

  it('refuses usage before the agreement began, but not within its first second', async () => {
    const { simulator } = await aBuyer()
    simulator.clock.advance(700)
    const subscription = simulator.marketplace.subscribe({ productCode: 'prodcode1' })
    const at = (time: string) => aRecord(subscription, { Timestamp: utc(time) / 1000 })
    await expect(statuses(simulator, [at('12:29:59')])).rejects.toThrow('TimestampOutOfBoundsException')
    expect(await statuses(simulator, [at('12:30')])).toEqual(['Success'])
    simulator.marketplace.updateSettings({ usageBeforeAgreement: 'accept' })
    expect(await statuses(simulator, [at('11:59:59')])).toEqual(['Success'])
  })

  it('takes future usage where the setting says so', async () => {
    const { subscription, send } = await aBuyer({ futureTimestamps: 'accept' })
    expect(await send(aRecord(subscription, { Timestamp: utc('18:00') / 1000 }))).toEqual(['Success'])
  })
})

describe('deduplication on the hour', () => {
  it('takes the first quantity of an hour, and gives its id to each that follows', async () => {
    const { simulator, subscription, marketplace } = await aBuyer()
    const first = await meter(simulator, [aRecord(subscription)])
    const again = await meter(simulator, [aRecord(subscription, { Timestamp: utc('12:29') / 1000 })])
    const other = await meter(simulator, [aRecord(subscription, { Quantity: 9 })])
    const [id] = marketplace.ledger().records.map((record) => record.meteringRecordId)
    expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
    expect(first.body.Results[0]).toMatchObject({ Status: 'Success', MeteringRecordId: id })
    expect(again.body.Results[0]).toMatchObject({ Status: 'Success', MeteringRecordId: id })
    expect(other.body.Results[0]).toMatchObject({
      Status: 'DuplicateRecord',
      MeteringRecordId: id,
      UsageRecord: { Quantity: 9 },
    })
    expect(marketplace.ledger().records.map((record) => record.quantity)).toEqual([5])
  })

  it('counts the next hour, another dimension and another agreement of the buyer apart', async () => {
    const { subscription, send, marketplace } = await aBuyer()
    const second = marketplace.subscribe({ productCode: 'prodcode1', startAt: utc('00:00') })
    expect(second.accountId).toBe(subscription.accountId)
    await send(aRecord(subscription), aRecord(subscription, { Dimension: 'users' }), aRecord(second))
    await send(aRecord(subscription, { Timestamp: utc('11:59') / 1000 }))
    expect(marketplace.recordCount).toBe(4)
  })

  it('judges records of one batch one after the other', async () => {
    const { subscription, send, marketplace } = await aBuyer()
    const record = aRecord(subscription)
    expect(await send(record, { ...record, Quantity: 6 }, record)).toEqual([
      'Success',
      'DuplicateRecord',
      'Success',
    ])
    expect(marketplace.recordCount).toBe(1)
  })

  it('takes a zero, once', async () => {
    const { subscription, send } = await aBuyer()
    expect(await send(aRecord(subscription, { Quantity: undefined }))).toEqual(['Success'])
    expect(await send(aRecord(subscription, { Quantity: 0 }))).toEqual(['Success'])
    expect(await send(aRecord(subscription, { Quantity: 1 }))).toEqual(['DuplicateRecord'])
  })

  it('bills one hour twice when it is sent to two regions, unless told otherwise', async () => {
    const { simulator, subscription, marketplace } = await aBuyer()
    await meter(simulator, [aRecord(subscription)], {}, 'us-east-1')
    expect(await statuses(simulator, [aRecord(subscription, { Quantity: 6 })], {}, 'eu-west-1')).toEqual([
      'Success',
    ])
    expect(marketplace.bill().lines).toMatchObject([{ units: '11', records: 2 }])
    marketplace.updateSettings({ regionalDedup: false })
    const users = aRecord(subscription, { Dimension: 'users' })
    await meter(simulator, [users], {}, 'us-east-1')
    expect(await statuses(simulator, [{ ...users, Quantity: 6 }], {}, 'eu-west-1')).toEqual([
      'DuplicateRecord',
    ])
  })

  it('compares licenses by their tail', async () => {
    const { subscription, send } = await aBuyer()
    const tail = subscription.licenseArn?.split(':').at(-1)
    const spelled = aRecord(subscription, {
      LicenseArn: `arn:aws:license-manager:us-east-1:294406891311:license/${tail}`,
      Quantity: 6,
    })
    expect(await send(aRecord(subscription))).toEqual(['Success'])
    expect(await send(spelled)).toEqual(['DuplicateRecord'])
  })

  it('answers an identical resend as the setting says', async () => {
    const { subscription, send } = await aBuyer({ identicalResend: 'duplicateRecord' })
    expect(await send(aRecord(subscription))).toEqual(['Success'])
    expect(await send(aRecord(subscription))).toEqual(['DuplicateRecord'])
  })

  it('calls a resend identical when its split is the same in any order, and not when it differs', async () => {
    const { subscription, send } = await aBuyer()
    const split = (...lines: unknown[]) => aRecord(subscription, { UsageAllocations: lines })
    expect(await send(split(allocation(2, 'a'), allocation(3, 'b')))).toEqual(['Success'])
    expect(await send(split(allocation(3, 'b'), allocation(2, 'a')))).toEqual(['Success'])
    expect(await send(split(allocation(2, 'b'), allocation(3, 'a')))).toEqual(['DuplicateRecord'])
    expect(await send(aRecord(subscription))).toEqual(['DuplicateRecord'])
  })
})

describe('buyers AWS does not know', () => {
  const stranger = 'arn:aws:license-manager::294406891311:license:l-00000000000000000000000000000000'

  it('get a verdict of their own, and the rest of the batch is taken', async () => {
    const { simulator, subscription } = await aBuyer()
    const { body } = await meter(simulator, [
      aRecord(subscription, { LicenseArn: stranger }),
      aRecord(subscription),
    ])
    expect(body.Results).toMatchObject([{ Status: 'CustomerNotSubscribed' }, { Status: 'Success' }])
    expect(body.Results[0]).not.toHaveProperty('MeteringRecordId')
  })

  it('fail the request where the setting says so', async () => {
    const { simulator, subscription } = await aBuyer({ unknownCustomer: 'exception' })
    expect((await meter(simulator, [aRecord(subscription, { LicenseArn: stranger })])).body.__type).toBe(
      'InvalidLicenseException',
    )
    const legacy = await aBuyer({ unknownCustomer: 'exception' }, aLegacyProduct())
    const record = { ...aRecord(legacy.subscription), CustomerIdentifier: 'nobody' }
    const { body } = await meter(legacy.simulator, [record], { ProductCode: 'legacycode' })
    expect(body.__type).toBe('InvalidCustomerIdentifierException')
  })

  it('get a MeteringRecordId where the setting says so', async () => {
    const { simulator, subscription } = await aBuyer({ meteringRecordIdWhenNotSubscribed: true })
    const { body } = await meter(simulator, [aRecord(subscription, { LicenseArn: stranger })])
    expect(body.Results[0].MeteringRecordId).toMatch(/^[0-9a-f-]{36}$/)
  })
})

describe('legacy metering', () => {
  const legacy = { ProductCode: 'legacycode' }

  it('knows one customer by identifier and by account, and deduplicates across both', async () => {
    const { simulator, subscription } = await aBuyer({}, aLegacyProduct())
    expect(subscription.licenseArn).toBeUndefined()
    const { CustomerIdentifier, ...rest } = aRecord(subscription)
    expect(CustomerIdentifier).toMatch(/^[A-Za-z0-9]{10}$/)
    expect(await statuses(simulator, [{ ...rest, CustomerIdentifier }], legacy)).toEqual(['Success'])
    const byAccount = { ...rest, CustomerAWSAccountId: subscription.accountId, Quantity: 6 }
    expect(await statuses(simulator, [byAccount], legacy)).toEqual(['DuplicateRecord'])
  })

  it('refuses identifiers and accounts mixed in one request', async () => {
    const { simulator, subscription } = await aBuyer({}, aLegacyProduct())
    const { CustomerIdentifier, ...rest } = aRecord(subscription)
    const records = [
      { ...rest, CustomerIdentifier },
      { ...rest, CustomerAWSAccountId: subscription.accountId },
    ]
    expect((await meter(simulator, records, legacy)).body.__type).toBe('InvalidCustomerIdentifierException')
  })

  it('still deduplicates a buyer who left and came back within the hour', async () => {
    const { simulator, subscription, marketplace } = await aBuyer({}, aLegacyProduct())
    expect(await statuses(simulator, [aRecord(subscription)], legacy)).toEqual(['Success'])
    marketplace.cancel(subscription.id)
    const back = marketplace.subscribe({ productCode: 'legacycode' })
    expect(back.customerIdentifier).toBe(subscription.customerIdentifier)
    const record = aRecord(back, { Timestamp: utc('12:30') / 1000, Quantity: 7 })
    expect(await statuses(simulator, [record], legacy)).toEqual(['DuplicateRecord'])
  })

  it('refuses a product code for a product that is metered by license', async () => {
    const { simulator, subscription } = await aBuyer()
    const { LicenseArn: _, ...record } = aRecord(subscription)
    const { body } = await meter(simulator, [record], { ProductCode: 'prodcode1' })
    expect(body.__type).toBe('InvalidProductCodeException')
  })

  it('refuses product code and license together, or lets the license decide', async () => {
    const { simulator, subscription, marketplace } = await aBuyer()
    const both = () => meter(simulator, [aRecord(subscription)], { ProductCode: 'prodcode1' })
    expect((await both()).body.__type).toBe('InvalidLicenseException')
    marketplace.updateSettings({ productCodeWithLicense: 'accept' })
    expect((await both()).body.Results[0].Status).toBe('Success')
  })
})

it('answers in the shapes of the golden sample', async () => {
  const { simulator, subscription } = await aBuyer()
  await meter(simulator, [aRecord(subscription, { Dimension: 'users' })])
  const records = [
    aRecord(subscription, { Timestamp: 1_795_176_000.1239, Unknown: 1 }),
    aRecord(subscription, { Dimension: 'users', Quantity: 9 }),
  ]
  const { body } = await meter(simulator, records)
  expect(body).toEqual({
    Results: [
      {
        UsageRecord: {
          Timestamp: 1_795_176_000.123,
          CustomerAWSAccountId: subscription.accountId,
          LicenseArn: subscription.licenseArn,
          Dimension: 'api_requests',
          Quantity: 5,
        },
        MeteringRecordId: expect.any(String),
        Status: 'Success',
      },
      {
        UsageRecord: expect.objectContaining({ Dimension: 'users', Quantity: 9 }),
        MeteringRecordId: expect.any(String),
        Status: 'DuplicateRecord',
      },
    ],
    UnprocessedRecords: [],
  })
})

function allocation(quantity: number, value?: string) {
  return {
    AllocatedUsageQuantity: quantity,
    ...(value !== undefined && { Tags: [{ Key: 'team', Value: value }] }),
  }
}

function tags(count: number) {
  return Array.from({ length: count }, (_, index) => ({ Key: `key${index}`, Value: 'v' }))
}
