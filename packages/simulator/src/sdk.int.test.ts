import {
  GetEntitlementsCommand,
  MarketplaceEntitlementServiceClient,
} from '@aws-sdk/client-marketplace-entitlement-service'
import {
  BatchMeterUsageCommand,
  MarketplaceMeteringClient,
  MeterUsageCommand,
  ResolveCustomerCommand,
} from '@aws-sdk/client-marketplace-metering'
import { afterEach, describe, expect, it } from 'vitest'
import { aProduct, aSimulator, utc } from './test-values.ts'

const credentials = { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'secret' }
const cleanups: (() => Promise<void> | void)[] = []

afterEach(async () => {
  for (const cleanup of cleanups.splice(0)) await cleanup()
})

async function aServedSimulator(options: Parameters<typeof aSimulator>[0] = {}) {
  const simulator = await aSimulator(options)
  cleanups.push(() => simulator.close())
  const { url } = await simulator.listen()
  const configuration = { endpoint: url, region: 'us-east-1', credentials, maxAttempts: 1 }
  const metering = new MarketplaceMeteringClient(configuration)
  const entitlement = new MarketplaceEntitlementServiceClient(configuration)
  cleanups.push(
    () => metering.destroy(),
    () => entitlement.destroy(),
  )
  return { simulator, url, metering, entitlement, configuration }
}

describe('the unmodified AWS SDK, by endpoint alone', () => {
  it('takes a buyer from registration to a billed record', async () => {
    const { simulator, metering } = await aServedSimulator()
    const { token } = simulator.marketplace.subscribe({ productCode: 'prodcode1', accountId: '782858285006' })

    const customer = await metering.send(new ResolveCustomerCommand({ RegistrationToken: token }))
    expect(customer).toMatchObject({ CustomerAWSAccountId: '782858285006', ProductCode: 'prodcode1' })
    expect(customer.CustomerIdentifier).toBeUndefined()
    expect(customer.LicenseArn).toMatch(/^arn:aws:license-manager::\d{12}:license:l-[0-9a-f]{32}$/)

    const answer = await metering.send(
      new BatchMeterUsageCommand({
        UsageRecords: [
          {
            Timestamp: new Date(utc('12:30')),
            CustomerAWSAccountId: customer.CustomerAWSAccountId,
            LicenseArn: customer.LicenseArn,
            Dimension: 'api_requests',
            Quantity: 42,
            UsageAllocations: [
              { AllocatedUsageQuantity: 30, Tags: [{ Key: 'team', Value: 'a' }] },
              { AllocatedUsageQuantity: 12 },
            ],
          },
        ],
      }),
    )
    expect(answer.Results?.[0]).toMatchObject({
      Status: 'Success',
      UsageRecord: { Timestamp: new Date(utc('12:30')), Quantity: 42 },
    })
    expect(answer.UnprocessedRecords).toEqual([])
    expect(answer.$metadata.requestId).toMatch(/^[0-9a-f-]{36}$/)
    expect(simulator.marketplace.bill().total).toBe('0.084')
  })

  it('meets modelled errors as classes of their own', async () => {
    const { metering } = await aServedSimulator()
    const resolve = metering.send(new ResolveCustomerCommand({ RegistrationToken: 'nonsense' }))
    await expect(resolve).rejects.toMatchObject({
      name: 'InvalidTokenException',
      message: 'Registration token is invalid',
      $metadata: { httpStatusCode: 400 },
    })
    const meter = metering.send(
      new MeterUsageCommand({
        ProductCode: 'prodcode1',
        Timestamp: new Date(utc('12:30')),
        UsageDimension: 'api_requests',
      }),
    )
    await expect(meter).rejects.toMatchObject({ name: 'UnknownOperationException' })
  })

  it('reads entitlements with real dates, page by page', async () => {
    const { simulator, entitlement } = await aServedSimulator({
      products: [aProduct({ pricing: 'contract', dimensions: [{ key: 'seats' }, { key: 'sites' }] })],
    })
    const { licenseArn } = simulator.marketplace.subscribe({
      productCode: 'prodcode1',
      quantities: { seats: 25 },
    })
    const request = { ProductCode: 'prodcode1', Filter: { LICENSE_ARN: [licenseArn ?? ''] }, MaxResults: 1 }
    const first = await entitlement.send(new GetEntitlementsCommand(request))
    expect(first.Entitlements).toMatchObject([
      { Dimension: 'seats', Value: { IntegerValue: 25 }, ExpirationDate: new Date('2027-11-20T12:30:00Z') },
    ])
    const second = await entitlement.send(
      new GetEntitlementsCommand({ ...request, NextToken: first.NextToken }),
    )
    expect(second.Entitlements).toMatchObject([{ Dimension: 'sites', Value: { IntegerValue: 1 } }])
    expect(second.NextToken).toBeUndefined()
  })

  it('retries a throttled call until it gets through', async () => {
    const { simulator, configuration } = await aServedSimulator()
    const patient = new MarketplaceMeteringClient({ ...configuration, maxAttempts: 3 })
    cleanups.push(() => patient.destroy())
    const { token } = simulator.marketplace.subscribe({ productCode: 'prodcode1' })
    simulator.faults.order({ kind: 'throttle', times: 2 })
    const { $metadata } = await patient.send(new ResolveCustomerCommand({ RegistrationToken: token }))
    expect($metadata.attempts).toBe(3)
    expect(simulator.marketplace.callCounts()).toEqual({ ResolveCustomer: { ThrottlingException: 2, ok: 1 } })
  })

  it('sees a cut connection as an error of the network, whether the batch was taken or not', async () => {
    const { simulator, metering } = await aServedSimulator()
    const { licenseArn, accountId } = simulator.marketplace.subscribe({ productCode: 'prodcode1' })
    const batch = new BatchMeterUsageCommand({
      UsageRecords: [
        {
          Timestamp: new Date(utc('12:30')),
          CustomerAWSAccountId: accountId,
          LicenseArn: licenseArn,
          Dimension: 'api_requests',
          Quantity: 1,
        },
      ],
    })
    simulator.faults.order({ kind: 'cutBefore', times: 1 })
    await expect(metering.send(batch)).rejects.toMatchObject({ code: 'ECONNRESET' })
    expect(simulator.marketplace.recordCount).toBe(0)
    simulator.faults.order({ kind: 'cutAfter', times: 1 })
    await expect(metering.send(batch)).rejects.toMatchObject({ code: 'ECONNRESET' })
    expect(simulator.marketplace.recordCount).toBe(1)
    const again = await metering.send(batch)
    expect(again.Results?.[0]?.Status).toBe('Success')
    expect(simulator.marketplace.recordCount).toBe(1)
  })

  it('cannot read a truncated body or a page of HTML', async () => {
    const { simulator, metering } = await aServedSimulator()
    const { token } = simulator.marketplace.subscribe({ productCode: 'prodcode1' })
    for (const kind of ['truncatedBody', 'html503'] as const) {
      simulator.faults.order({ kind, times: 1 })
      const resolve = metering.send(new ResolveCustomerCommand({ RegistrationToken: token }))
      await expect(resolve).rejects.toMatchObject({ name: 'SyntaxError' })
    }
  })

  it('is refused with a wrong clock, and told the right time', async () => {
    const { configuration, simulator } = await aServedSimulator()
    const skewed = new MarketplaceMeteringClient({ ...configuration, systemClockOffset: 3_600_000 })
    cleanups.push(() => skewed.destroy())
    const { token } = simulator.marketplace.subscribe({ productCode: 'prodcode1' })
    const resolve = () => skewed.send(new ResolveCustomerCommand({ RegistrationToken: token }))
    await expect(resolve()).rejects.toMatchObject({ name: 'InvalidSignatureException' })
    expect((await resolve()).ProductCode).toBe('prodcode1')
  })
})
