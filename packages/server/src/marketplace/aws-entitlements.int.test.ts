import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createSimulator } from '@tollkeeper/simulator'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { aClock } from '../storage/contract/fixtures.ts'
import { systemClock } from '../system-clock.ts'
import { type AwsEntitlements, createAwsEntitlements } from './aws-entitlements.ts'

interface Call {
  readonly headers: IncomingHttpHeaders
  readonly body: {
    ProductCode: string
    Filter: Record<string, string[]>
    MaxResults: number
    NextToken?: string
  }
}
type Answer = (response: ServerResponse, call: Call, number: number) => void

const CODE = '74az0btybm649octamy0sktos'
const LICENSE = 'arn:aws:license-manager::294406891311:license:l-9d01d15f86334a8894365cd7350556ff'

const closing: (() => Promise<void> | void)[] = []
afterEach(async () => {
  vi.unstubAllEnvs()
  for (const close of closing.splice(0).reverse()) await close()
})

/** A server on this machine that speaks just enough of AWS's wire to answer as it is told. */
async function aServer(answer: Answer): Promise<{ endpoint: string; calls: Call[] }> {
  const calls: Call[] = []
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const call = { headers: request.headers, body: JSON.parse(Buffer.concat(chunks).toString()) }
      calls.push(call)
      answer(response, call, calls.length)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  closing.push(() => {
    server.closeAllConnections()
    server.close()
  })
  return { endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, calls }
}

const json =
  (status: number, body: unknown): Answer =>
  (response) =>
    response
      .writeHead(status, { 'content-type': 'application/x-amz-json-1.1' })
      .end(typeof body === 'string' ? body : JSON.stringify(body))

function service(endpoint: string, timeoutMs = 5_000): AwsEntitlements {
  // Nobody waits for a turn here.
  const made = createAwsEntitlements({ mode: 'simulated', endpoint, timeoutMs, clock: aClock(0) })
  closing.push(() => made.close())
  return made
}

async function ask(answer: Answer, timeoutMs?: number) {
  const { endpoint, calls } = await aServer(answer)
  const entitlements = await service(endpoint, timeoutMs).getEntitlements(CODE, { licenseArn: LICENSE })
  return { entitlements, calls }
}

const granted = (Dimension: string, Value: object, more: object = {}) => ({
  ProductCode: CODE,
  Dimension,
  Value,
  ...more,
})

// First, since the SDK reads some settings once in a process: later tests would find them read.
describe('pretend and real', () => {
  it('never mix: an address that does not fit the mode throws', () => {
    const create = (mode: 'simulated' | 'shadow' | 'live', endpoint?: string) => () =>
      createAwsEntitlements({ mode, endpoint, timeoutMs: 1_000, clock: systemClock })
    expect(create('simulated', 'https://entitlement.marketplace.us-east-1.amazonaws.com')).toThrow(
      'must be on this machine',
    )
    expect(create('simulated')).toThrow('needs the simulator')
    expect(create('live', 'http://127.0.0.1:4010')).toThrow('must not be on this machine')
    expect(create('shadow', 'http://[::1]:4010')).toThrow('must not be on this machine')
  })

  it('never mix: simulated mode signs with the made-up key, for us-east-1, whatever surrounds it', async () => {
    for (const [name, value] of Object.entries({
      AWS_ACCESS_KEY_ID: 'AKIDREAL',
      AWS_SECRET_ACCESS_KEY: 'real',
      AWS_SESSION_TOKEN: 'token',
      AWS_REGION: 'ap-south-1',
      AWS_PROFILE: 'does-not-exist',
      AWS_ENDPOINT_URL: 'https://aws.invalid',
    }))
      vi.stubEnv(name, value)
    const { calls } = await ask(json(200, { Entitlements: [] }))
    expect(calls[0]?.headers.authorization).toMatch(
      /Credential=SIMULATED\/\d{8}\/us-east-1\/aws-marketplace\//,
    )
    expect(JSON.stringify(calls)).not.toMatch(/AKID|x-amz-security-token/i)
  })

  it('never mix: the environment cannot lead live mode to this machine', async () => {
    const { endpoint, calls } = await aServer(json(200, { Entitlements: [] }))
    vi.stubEnv('AWS_ACCESS_KEY_ID', 'AKIDREAL')
    vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'real')
    vi.stubEnv('AWS_ENDPOINT_URL', endpoint)
    const live = createAwsEntitlements({ mode: 'live', timeoutMs: 5_000, clock: systemClock })
    closing.push(() => live.close())
    await expect(live.getEntitlements(CODE, { licenseArn: LICENSE })).rejects.toThrow('EndpointNotAllowed')
    expect(calls).toEqual([])
  })
})

describe('a question', () => {
  it('names the license, or of a legacy product the customer or the account, and always the product', async () => {
    const { endpoint, calls } = await aServer(json(200, { Entitlements: [] }))
    const entitlements = service(endpoint)
    await entitlements.getEntitlements(CODE, { licenseArn: LICENSE })
    await entitlements.getEntitlements(CODE, { customerIdentifier: 'ifAPi5AcF3' })
    await entitlements.getEntitlements(CODE, { customerAwsAccountId: '123456789012' })
    expect(calls.map(({ body }) => body)).toEqual([
      { ProductCode: CODE, Filter: { LICENSE_ARN: [LICENSE] }, MaxResults: 25 },
      { ProductCode: CODE, Filter: { CUSTOMER_IDENTIFIER: ['ifAPi5AcF3'] }, MaxResults: 25 },
      { ProductCode: CODE, Filter: { CUSTOMER_AWS_ACCOUNT_ID: ['123456789012'] }, MaxResults: 25 },
    ])
  })

  it('keeps to AWS’s rate, however many ask at once, and does not wait for ever when the clock is put back', async () => {
    const { endpoint } = await aServer(json(200, { Entitlements: [] }))
    const start = 1_000_000_000
    const clock = aClock(start)
    const slept: number[] = []
    const paced = createAwsEntitlements({
      mode: 'simulated',
      endpoint,
      timeoutMs: 5_000,
      // Nobody's sleep moves the clock for the others: all ask in the same instant.
      clock: { now: clock.now, sleep: async (ms) => void slept.push(ms) },
    })
    closing.push(() => paced.close())
    const askOnce = () => paced.getEntitlements(CODE, { licenseArn: LICENSE })
    await Promise.all(Array.from({ length: 21 }, askOnce))
    expect(slept).toHaveLength(20)
    expect(Math.max(...slept)).toBeGreaterThan(1_000)
    clock.set(start - 3_600_000)
    slept.length = 0
    await askOnce()
    expect(slept).toEqual([])
  })
})

describe('an answer', () => {
  it('is all pages, also where one is empty and another follows', async () => {
    const pages = [
      { Entitlements: [], NextToken: 'b' },
      { Entitlements: [granted('seats', { IntegerValue: 5 })], NextToken: 'c' },
      { NextToken: 'd' },
      { Entitlements: [granted('pro', { BooleanValue: true })] },
    ]
    const { entitlements, calls } = await ask((response, call, number) =>
      json(200, pages[number - 1])(response, call, number),
    )
    expect(entitlements.map(({ dimension }) => dimension)).toEqual(['seats', 'pro'])
    expect(calls.map(({ body }) => body.NextToken)).toEqual([undefined, 'b', 'c', 'd'])
  })

  it('that repeats itself, or has no end, is none', async () => {
    await expect(ask(json(200, { Entitlements: [], NextToken: 'a' }))).rejects.toMatchObject({
      code: 'marketplace.unavailable',
      message: expect.stringContaining('same page twice'),
    })
    await expect(
      ask((response, call, number) =>
        json(200, { Entitlements: [], NextToken: `page-${number}` })(response, call, number),
      ),
    ).rejects.toThrow('more than 100 pages')
  })

  it('keeps every kind of value, and one that nobody knows as text', async () => {
    const values = [
      { IntegerValue: 5 },
      { DoubleValue: 2.5 },
      { BooleanValue: false },
      { StringValue: 'gold' },
      { ListValue: ['a', 'b'] },
      {},
    ]
    const { entitlements } = await ask(
      json(200, { Entitlements: values.map((value, index) => granted(`d${index}`, value)) }),
    )
    expect(entitlements.map(({ value }) => value)).toEqual([
      { kind: 'integer', value: 5 },
      { kind: 'double', value: 2.5 },
      { kind: 'boolean', value: false },
      { kind: 'string', value: 'gold' },
      { kind: 'string', value: '{"ListValue":["a","b"]}' },
      { kind: 'string', value: '{}' },
    ])
  })

  it('says until when it holds; the year 9999 is no end', async () => {
    const { entitlements } = await ask(
      json(200, {
        Entitlements: [
          granted('a', { IntegerValue: 1 }, { ExpirationDate: 1_795_168_800.5 }),
          granted('b', { IntegerValue: 1 }, { ExpirationDate: Date.UTC(9999, 0, 1) / 1000 }),
          granted('c', { IntegerValue: 1 }),
        ],
      }),
    )
    expect(entitlements.map(({ expiresAt }) => expiresAt)).toEqual([1_795_168_800_500, undefined, undefined])
  })

  it.each<[string, Answer]>([
    ['AWS throttles', json(400, { __type: 'ThrottlingException', message: 'slow down' })],
    ['AWS knows no such product', json(400, { __type: 'InvalidParameterException', message: 'no' })],
    ['AWS fails', json(500, { __type: 'InternalServiceErrorException' })],
    ['a proxy answers', json(200, '<html>')],
    ['the answer has no list', json(200, { Entitlements: 'none' })],
    ['an entitlement has no dimension', json(200, { Entitlements: [{ Value: {} }] })],
    ['the connection is cut', (response) => response.destroy()],
  ])('is never taken for an empty one: %s', async (_, answer) => {
    await expect(ask(answer)).rejects.toMatchObject({ code: 'marketplace.unavailable' })
  })

  it('is waited for no longer than it may take', async () => {
    await expect(ask(() => {}, 50)).rejects.toThrow('no answer within 50 ms')
  })
})

it('reads what the simulated marketplace grants, until it ends', async () => {
  const simulator = await createSimulator({
    products: [
      {
        productCode: CODE,
        title: 'Contract',
        metering: 'license',
        pricing: 'contract',
        fulfillmentUrl: 'http://127.0.0.1:4000/',
        dimensions: [{ key: 'seats' }, { key: 'pro' }],
      },
    ],
    settings: { licenseDelayMs: 0, createdDelayMs: 0, emptyEntitlementPage: true },
  })
  closing.push(() => simulator.close())
  const { url } = await simulator.listen()
  const order = simulator.marketplace.subscribe({
    productCode: CODE,
    accountId: '123456789012',
    buyerName: 'Ada',
    quantities: { seats: 5 },
  })
  const entitlements = service(url)
  const read = () => entitlements.getEntitlements(CODE, { licenseArn: order.licenseArn! })
  expect((await read()).map(({ dimension, value }) => [dimension, value.value])).toEqual([
    ['seats', 5],
    ['pro', 1],
  ])
  simulator.marketplace.cancel(order.id)
  expect(await read()).toEqual([])
})
