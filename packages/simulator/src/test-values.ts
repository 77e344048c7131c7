import { createVirtualClock } from './clock/virtual-clock.ts'
import type { Operation } from './faults/faults.ts'
import type { SimulatedProduct } from './marketplace/product.ts'
import type { Subscription } from './marketplace/subscription.ts'
import { createSimulator, type Simulator, type SimulatorOptions } from './simulator.ts'

/** A time of 20 November 2026, the day on which most tests play: `utc('12:00')`. */
export function utc(time: string): number {
  return Date.parse(`2026-11-20T${time.length === 5 ? `${time}:00` : time}Z`)
}

export function aProduct(overrides: Partial<SimulatedProduct> = {}): SimulatedProduct {
  return {
    productCode: 'prodcode1',
    title: 'Test product',
    metering: 'license',
    pricing: 'usage',
    fulfillmentUrl: 'http://127.0.0.1:4000/register',
    dimensions: [
      { key: 'api_requests', price: '0.002' },
      { key: 'users', price: '4' },
    ],
    ...overrides,
  }
}

/** A simulator at 12:30, with a frozen clock, no quotas, and licenses that are there at once. */
export async function aSimulator(options: SimulatorOptions = {}): Promise<Simulator> {
  return createSimulator({
    clock: createVirtualClock({ start: utc('12:30'), running: false }),
    products: [aProduct()],
    seed: 1,
    ...options,
    settings: { licenseDelayMs: 0, throttling: false, ...options.settings },
  })
}

/** A usage record of the wire, for a license or a legacy subscription. */
export function aRecord(
  subscription: Subscription,
  overrides: Record<string, unknown> = {},
): Record<string, unknown> {
  const { licenseArn, accountId, customerIdentifier } = subscription
  return {
    Timestamp: utc('12:00') / 1000,
    ...(licenseArn !== undefined
      ? { LicenseArn: licenseArn, CustomerAWSAccountId: accountId }
      : { CustomerIdentifier: customerIdentifier }),
    Dimension: 'api_requests',
    Quantity: 5,
    ...overrides,
  }
}

export interface Answered {
  readonly status: number
  // biome-ignore lint/suspicious/noExplicitAny: an answer of the wire, whose shape each test asserts
  readonly body: any
}

/** Calls an operation in process. @throws if the connection was cut */
export async function call(
  simulator: Simulator,
  operation: Operation,
  input: unknown,
  region = 'us-east-1',
): Promise<Answered> {
  const body = typeof input === 'string' ? input : JSON.stringify(input)
  const reply = await simulator.handleAws({ target: `${serviceOf(operation)}.${operation}`, body, region })
  if (reply.kind === 'cut') throw new Error('cut')
  return { status: reply.status, body: JSON.parse(String(reply.body)) }
}

function serviceOf(operation: Operation): string {
  if (operation === 'GetEntitlements') return 'AWSMPEntitlementService'
  if (operation === 'BatchMeterUsage' || operation === 'ResolveCustomer') return 'AWSMPMeteringService'
  return 'AWSMPCommerceService_v20200301'
}

export function meter(
  simulator: Simulator,
  records: readonly unknown[],
  more: Record<string, unknown> = {},
  region?: string,
) {
  return call(simulator, 'BatchMeterUsage', { UsageRecords: records, ...more }, region)
}

/** The statuses of a batch, in order. @throws if the request failed */
export async function statuses(
  simulator: Simulator,
  records: readonly unknown[],
  more = {},
  region?: string,
): Promise<string[]> {
  const { status, body } = await meter(simulator, records, more, region)
  if (status !== 200) throw new Error(`${body.__type}: ${body.message}`)
  return body.Results.map((result: { Status: string }) => result.Status)
}
