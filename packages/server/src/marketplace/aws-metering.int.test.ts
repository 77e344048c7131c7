import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import files from 'node:fs/promises'
import { createServer, type IncomingHttpHeaders, type Server, type ServerResponse } from 'node:http'
import { type AddressInfo, createServer as createTcpServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { DomainError } from '../domain/error.ts'
import { HOUR_MS } from '../domain/usage/hour.ts'
import type { UsageRecord } from '../domain/usage/usage-record.ts'
import { getAccountId } from './aws-identity.ts'
import { type AwsMetering, createAwsMetering } from './aws-metering.ts'
import { ACCOUNT, aUsageRecord, HOUR, LICENSE } from './usage-record.fixture.ts'

interface Call {
  readonly headers: IncomingHttpHeaders
  readonly body: string
}
type Answer = (response: ServerResponse, call: Call) => void

/** The SDK keeps `readFile` as it finds it when it is first imported: the spy must be there before. */
const reads = vi.spyOn(files, 'readFile')

const closing: (() => Promise<void> | void)[] = []
afterEach(async () => {
  vi.unstubAllEnvs()
  for (const close of closing.splice(0).reverse()) await close()
})

/** A server on this machine that speaks just enough of AWS's wire to answer as it is told. */
async function aServer(answer: Answer): Promise<{ endpoint: string; calls: Call[] }> {
  const calls: Call[] = []
  const server: Server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const call = { headers: request.headers, body: Buffer.concat(chunks).toString() }
      calls.push(call)
      answer(response, call)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  closing.push(() => {
    server.closeAllConnections()
    server.close()
  })
  return { endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, calls }
}

const json = (status: number, body: unknown, headers: Record<string, string> = {}): Answer => {
  const text = typeof body === 'string' ? body : JSON.stringify(body)
  return (response) =>
    response
      .writeHead(status, {
        'content-type': 'application/x-amz-json-1.1',
        'x-amzn-requestid': 'request-1',
        ...headers,
      })
      .end(text)
}

/** AWS takes everything. */
const success: Answer = (response, { body }) => {
  const { UsageRecords } = JSON.parse(body) as { UsageRecords: object[] }
  const Results = UsageRecords.map((UsageRecord, index) => ({
    UsageRecord,
    Status: 'Success',
    MeteringRecordId: `m-${index}`,
  }))
  json(200, { Results, UnprocessedRecords: [] })(response, { headers: {}, body })
}

function metering(endpoint: string, timeoutMs = 5_000): AwsMetering {
  const service = createAwsMetering({ mode: 'simulated', endpoint, timeoutMs })
  closing.push(() => service.close())
  return service
}

async function send(answer: Answer, records: readonly UsageRecord[] = [aUsageRecord()], timeoutMs = 5_000) {
  const { endpoint, calls } = await aServer(answer)
  const result = await metering(endpoint, timeoutMs).batchMeterUsage('us-east-1', records)
  return { result, calls, first: result.answers.get('rec_1') }
}

// First, since the SDK reads some settings once in a process: later tests would find them read.
describe('pretend and real', () => {
  it('never mix: an address that does not fit the mode throws', () => {
    const create = (mode: 'simulated' | 'shadow' | 'live', endpoint?: string) => () =>
      createAwsMetering({ mode, endpoint, timeoutMs: 1_000 })
    expect(create('simulated', 'https://metering.marketplace.us-east-1.amazonaws.com')).toThrow(
      'must be on this machine',
    )
    expect(create('simulated', 'http://0.0.0.0:4010')).toThrow('must be on this machine')
    expect(create('simulated')).toThrow('needs the simulator')
    expect(create('live', 'http://127.0.0.1:4010')).toThrow('must not be on this machine')
    expect(create('live', 'http://localhost:4010')).toThrow('must not be on this machine')
    expect(create('shadow', 'http://[::1]:4010')).toThrow('must not be on this machine')
  })

  it('never mix: simulated mode sends the made-up key and reads nothing of AWS’s environment', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'tollkeeper-aws-'))
    closing.push(() => rmSync(directory, { recursive: true }))
    const file = join(directory, 'credentials')
    writeFileSync(
      file,
      '[default]\naws_access_key_id = AKIDFILE\naws_secret_access_key = file\nregion = eu-west-3\n',
    )
    const ambient = {
      AWS_ACCESS_KEY_ID: 'AKIDREAL',
      AWS_SECRET_ACCESS_KEY: 'real',
      AWS_SESSION_TOKEN: 'token',
      AWS_REGION: 'ap-south-1',
      AWS_PROFILE: 'does-not-exist',
      AWS_CONFIG_FILE: file,
      AWS_SHARED_CREDENTIALS_FILE: file,
      AWS_ENDPOINT_URL: 'https://aws.invalid',
      AWS_ENDPOINT_URL_MARKETPLACE_METERING: 'https://aws.invalid',
      // Each of these would throw if it were read.
      AWS_MAX_ATTEMPTS: 'many',
      AWS_RETRY_MODE: 'never',
      AWS_USE_FIPS_ENDPOINT: 'perhaps',
      AWS_USE_DUALSTACK_ENDPOINT: 'perhaps',
      AWS_DEFAULTS_MODE: 'none',
      AWS_DISABLE_CLOCK_SKEW_CORRECTION: 'perhaps',
    }
    for (const [name, value] of Object.entries(ambient)) vi.stubEnv(name, value)
    reads.mockClear()
    const { calls, first } = await send(success)
    expect(reads).not.toHaveBeenCalled()
    expect(first).toMatchObject({ status: 'Success' })
    expect(calls[0]?.headers.authorization).toMatch(/Credential=SIMULATED\/\d{8}\/us-east-1\//)
    expect(JSON.stringify(calls)).not.toMatch(/AKID|x-amz-security-token/i)
  })

  it('never mix: the environment cannot lead live mode to this machine', async () => {
    const { endpoint, calls } = await aServer(success)
    vi.stubEnv('AWS_ACCESS_KEY_ID', 'AKIDREAL')
    vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'real')
    vi.stubEnv('AWS_ENDPOINT_URL', endpoint)
    const service = createAwsMetering({ mode: 'live', timeoutMs: 5_000 })
    const result = await service.batchMeterUsage('us-east-1', [aUsageRecord()])
    expect(calls).toHaveLength(0)
    expect(result.error).toMatchObject({ code: 'EndpointNotAllowed' })
  })
})

const tagged = aUsageRecord({
  id: 'rec_2',
  dimension: 'gb',
  quantity: 42,
  timestamp: HOUR * HOUR_MS + 1_234_567,
  allocations: [
    {
      quantity: 30,
      tags: [
        ['team', 'a'],
        ['env', 'x/y:z=1@b'],
      ],
    },
    { quantity: 12, tags: [] },
  ],
})

describe('a call', () => {
  it('speaks AWS’s wire: license records carry account and license, and no product code', async () => {
    const { calls, result } = await send(success, [aUsageRecord(), tagged])
    expect(calls).toHaveLength(1)
    expect(calls[0]?.headers).toMatchObject({
      'content-type': 'application/x-amz-json-1.1',
      'x-amz-target': 'AWSMPMeteringService.BatchMeterUsage',
      authorization: expect.stringMatching(
        /Credential=SIMULATED\/\d{8}\/us-east-1\/aws-marketplace\/aws4_request/,
      ),
    })
    const customer = { CustomerAWSAccountId: ACCOUNT, LicenseArn: LICENSE }
    expect(JSON.parse(calls[0]?.body ?? '')).toEqual({
      UsageRecords: [
        { Timestamp: (HOUR * HOUR_MS) / 1000, Dimension: 'api', Quantity: 3, ...customer },
        {
          Timestamp: (HOUR * HOUR_MS + 1_234_567) / 1000,
          Dimension: 'gb',
          Quantity: 42,
          ...customer,
          UsageAllocations: [
            {
              AllocatedUsageQuantity: 30,
              Tags: [
                { Key: 'team', Value: 'a' },
                { Key: 'env', Value: 'x/y:z=1@b' },
              ],
            },
            { AllocatedUsageQuantity: 12 },
          ],
        },
      ],
    })
    expect([...result.answers]).toEqual([
      ['rec_1', { kind: 'result', status: 'Success', meteringRecordId: 'm-0' }],
      ['rec_2', { kind: 'result', status: 'Success', meteringRecordId: 'm-1' }],
    ])
  })

  it('for a legacy product carries its code and the customer', async () => {
    const legacy = aUsageRecord({
      identity: { kind: 'legacy', productCode: 'code', customerIdentifier: 'ifAPi5AcF3' },
    })
    const { calls, first } = await send(success, [legacy])
    expect(JSON.parse(calls[0]?.body ?? '')).toEqual({
      ProductCode: 'code',
      UsageRecords: [
        {
          Timestamp: (HOUR * HOUR_MS) / 1000,
          Dimension: 'api',
          Quantity: 3,
          CustomerIdentifier: 'ifAPi5AcF3',
        },
      ],
    })
    expect(first).toMatchObject({ status: 'Success' })
  })

  it('is shown to the byte, and measured to the byte', async () => {
    const legacy = { kind: 'legacy', productCode: 'code', customerIdentifier: 'ifAPi5AcF3' } as const
    for (const records of [
      [aUsageRecord({ quantity: 0 }), tagged],
      [aUsageRecord({ identity: legacy }), { ...tagged, identity: legacy }],
    ]) {
      const { endpoint, calls } = await aServer(success)
      const service = metering(endpoint)
      await service.batchMeterUsage('us-east-1', records)
      const body = calls[0]?.body ?? ''
      expect(service.requestOf(records)).toBe(body)
      const list = body.slice(body.indexOf('[') + 1, body.lastIndexOf(']'))
      const sizes = records.map((record) => service.sizeOf(record))
      expect(sizes.reduce((sum, size) => sum + size, records.length - 1)).toBe(Buffer.byteLength(list))
    }
  })

  it('goes to the region that it is for', async () => {
    const { endpoint, calls } = await aServer(success)
    const service = metering(endpoint)
    await service.batchMeterUsage('eu-west-1', [aUsageRecord()])
    await service.batchMeterUsage('us-east-1', [aUsageRecord()])
    expect(calls.map(({ headers }) => headers.authorization?.split('/')[2])).toEqual([
      'eu-west-1',
      'us-east-1',
    ])
  })

  it('never mixes products, repeats a key, or carries too many', async () => {
    const { endpoint, calls } = await aServer(success)
    const service = metering(endpoint)
    const legacy = aUsageRecord({
      identity: { kind: 'legacy', productCode: 'code', customerIdentifier: 'c' },
    })
    const many = Array.from({ length: 26 }, (_, index) =>
      aUsageRecord({ id: `rec_${index}`, dimension: `d${index}` }),
    )
    for (const records of [
      [],
      [aUsageRecord(), legacy],
      [aUsageRecord(), aUsageRecord({ id: 'rec_2' })],
      many,
    ]) {
      await expect(service.batchMeterUsage('us-east-1', records)).rejects.toThrow(/a call/)
    }
    expect(calls).toHaveLength(0)
  })
})

describe('an answer', () => {
  it('in which AWS refuses the request is final for that attempt, and is asked for once', async () => {
    for (const code of [
      'ThrottlingException',
      'TimestampOutOfBoundsException',
      'UnrecognizedClientException',
    ]) {
      const { calls, first, result } = await send(json(400, { __type: code, message: 'no' }))
      expect(calls).toHaveLength(1)
      expect(first).toEqual({ kind: 'refused_request', code, message: 'no', alone: true })
      expect(result.error).toEqual({ code, message: 'no' })
    }
  })

  const text = '{"Results":[{"UsageRecord":{"Timestamp":1795212000,"Dimen'
  it.each<[string, Answer]>([
    [
      'an HTML 503',
      json(503, '<html><body>Service Unavailable</body></html>', { 'content-type': 'text/html' }),
    ],
    ['an empty 503', json(503, '')],
    ['an internal error', json(500, { __type: 'InternalServiceErrorException' })],
    ['a success in HTML', json(200, '<html></html>', { 'content-type': 'text/html' })],
    ['a proxy’s 403', json(403, '<html>Forbidden</html>', { 'content-type': 'text/html' })],
    ['JSON that ends early', json(200, text)],
    ['a connection cut before any answer', (response) => response.destroy()],
    [
      'a connection cut within the head',
      (response) => response.socket?.end('HTTP/1.1 200 OK\r\ncontent-length: 100\r\n'),
    ],
    [
      'a connection cut within the body',
      (response) => {
        response.writeHead(200, { 'content-length': '1000' })
        response.write(text, () => response.socket?.destroy())
      },
    ],
    ['something that is not HTTP', (response) => response.socket?.end('SSH-2.0-OpenSSH_9.6\r\n')],
  ])('that is %s leaves doubt, and is asked for once', async (_, answer) => {
    const { calls, first, result } = await send(answer)
    expect(calls).toHaveLength(1)
    expect(first).toMatchObject({ kind: 'unanswered' })
    expect(result.outcome).toBe('unanswered')
    expect(result.error).toBeUndefined()
  })

  it.each<[string, Answer]>([
    ['never comes', () => {}],
    [
      'stops after its head',
      (response) => response.writeHead(200, { 'content-length': '1000' }).flushHeaders(),
    ],
    [
      'drips for ever',
      (response) => {
        response.writeHead(200)
        const drip = setInterval(() => response.write(' '), 20)
        response.on('close', () => clearInterval(drip))
      },
    ],
  ])('that %s ends at the timeout, in doubt', async (_, answer) => {
    const began = performance.now()
    const { first } = await send(answer, [aUsageRecord()], 300)
    expect(first).toEqual({ kind: 'unanswered', reason: 'no answer within 300 ms' })
    expect(performance.now() - began).toBeLessThan(3_000)
  })

  it('is not waited for after the caller stops, and what was sent stays in doubt', async () => {
    const stop = new AbortController()
    const { endpoint, calls } = await aServer(() => stop.abort())
    const result = await metering(endpoint).batchMeterUsage('us-east-1', [aUsageRecord()], stop.signal)
    expect(calls).toHaveLength(1)
    expect(result.answers.get('rec_1')).toMatchObject({ kind: 'unanswered' })
  })

  it('comes on the next call as if nothing had been', async () => {
    const answers: Answer[] = [(response) => response.destroy(), json(503, ''), success]
    const { endpoint } = await aServer((response, call) => answers.shift()?.(response, call))
    const service = metering(endpoint)
    const kinds: (string | undefined)[] = []
    for (let call = 0; call < 3; call++) {
      const result = await service.batchMeterUsage('us-east-1', [aUsageRecord()])
      kinds.push(result.answers.get('rec_1')?.kind)
    }
    expect(kinds).toEqual(['unanswered', 'unanswered', 'result'])
  })
})

describe('what certainly never left', () => {
  it('is a refused connection', async () => {
    const listener = createTcpServer()
    await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve))
    const { port } = listener.address() as AddressInfo
    await new Promise((resolve) => listener.close(resolve))
    for (const host of ['127.0.0.1', 'localhost']) {
      const result = await metering(`http://${host}:${port}`).batchMeterUsage('us-east-1', [aUsageRecord()])
      expect(result.answers.get('rec_1')).toMatchObject({
        kind: 'refused_request',
        code: 'ConnectionRefused',
      })
      expect(result.outcome).toBe('unanswered')
      expect(result.error).toBeUndefined()
    }
  })

  it('is a call that was stopped before it began', async () => {
    const { endpoint, calls } = await aServer(success)
    const result = await metering(endpoint).batchMeterUsage(
      'us-east-1',
      [aUsageRecord()],
      AbortSignal.abort(),
    )
    expect(calls).toHaveLength(0)
    expect(result.answers.get('rec_1')).toMatchObject({ kind: 'refused_request', code: 'Cancelled' })
  })

  it('is not a connection that was made and then reset, even without a word', async () => {
    const server = createTcpServer((socket: Socket) => socket.resetAndDestroy())
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    closing.push(() => void server.close())
    const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    const result = await metering(endpoint).batchMeterUsage('us-east-1', [aUsageRecord()])
    expect(result.answers.get('rec_1')).toMatchObject({ kind: 'unanswered' })
  })

  it('is a call without credentials, which waits for a person', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'tollkeeper-aws-'))
    closing.push(() => rmSync(directory, { recursive: true }))
    for (const name of ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY', 'AWS_SESSION_TOKEN', 'AWS_PROFILE'])
      vi.stubEnv(name, '')
    vi.stubEnv('AWS_CONFIG_FILE', join(directory, 'none'))
    vi.stubEnv('AWS_SHARED_CREDENTIALS_FILE', join(directory, 'none'))
    vi.stubEnv('AWS_EC2_METADATA_DISABLED', 'true')
    reads.mockClear()
    const service = createAwsMetering({
      mode: 'live',
      endpoint: 'https://metering.invalid',
      timeoutMs: 5_000,
    })
    const result = await service.batchMeterUsage('us-east-1', [aUsageRecord()])
    expect(result.answers.get('rec_1')).toMatchObject({
      kind: 'refused_request',
      code: 'CredentialsUnavailable',
    })
    expect(result.error).toMatchObject({ code: 'CredentialsUnavailable' })
    expect(reads).toHaveBeenCalledWith(join(directory, 'none'), 'utf8')
  })

  it('is a host without an address', async () => {
    vi.stubEnv('AWS_ACCESS_KEY_ID', 'AKIDREAL')
    vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'real')
    const service = createAwsMetering({
      mode: 'live',
      endpoint: 'https://metering.invalid',
      timeoutMs: 20_000,
    })
    const result = await service.batchMeterUsage('us-east-1', [aUsageRecord()])
    expect(result.answers.get('rec_1')).toMatchObject({ kind: 'refused_request', code: 'HostNotFound' })
  })

  it('is all usage in shadow mode', async () => {
    const service = createAwsMetering({ mode: 'shadow', timeoutMs: 1_000 })
    const result = await service.batchMeterUsage('us-east-1', [aUsageRecord()])
    expect(result.answers.get('rec_1')).toMatchObject({
      kind: 'refused_request',
      message: 'shadow mode sends no usage',
    })
  })
})

describe('a registration token', () => {
  const resolve = async (answer: Answer) => {
    const { endpoint, calls } = await aServer(answer)
    const customer = await metering(endpoint, 300).resolveCustomer('us-east-1', 'secret-token')
    return { customer, calls }
  }

  it('tells who registers', async () => {
    const { customer, calls } = await resolve(
      json(200, {
        CustomerAWSAccountId: ACCOUNT,
        ProductCode: '74az0btybm649octamy0sktos',
        LicenseArn: LICENSE,
      }),
    )
    expect(customer).toEqual({
      productCode: '74az0btybm649octamy0sktos',
      customerAwsAccountId: ACCOUNT,
      customerIdentifier: undefined,
      licenseArn: LICENSE,
    })
    expect(calls[0]?.headers['x-amz-target']).toBe('AWSMPMeteringService.ResolveCustomer')
    const legacy = await resolve(
      json(200, {
        CustomerIdentifier: 'ifAPi5AcF3',
        CustomerAWSAccountId: '123456789012',
        ProductCode: 'n0',
      }),
    )
    expect(legacy.customer).toMatchObject({ customerIdentifier: 'ifAPi5AcF3', licenseArn: undefined })
  })

  const quoting = 'Registration token secret-token is bad'
  it.each<[string, Answer]>([
    ['registration.token_invalid', json(400, { __type: 'InvalidTokenException', message: quoting })],
    ['registration.token_expired', json(400, { __type: 'ExpiredTokenException', message: quoting })],
    [
      'marketplace.unavailable',
      json(400, {
        __type: 'ExpiredTokenException',
        message: 'The security token included in the request is expired',
      }),
    ],
    ['marketplace.unavailable', json(400, { __type: 'ThrottlingException', message: quoting })],
    ['marketplace.unavailable', json(500, { __type: 'InvalidTokenException', message: quoting })],
    ['marketplace.unavailable', json(503, `<html>${quoting}</html>`)],
    ['marketplace.unavailable', json(200, '{}')],
    ['marketplace.unavailable', (response) => response.destroy()],
    ['marketplace.unavailable', () => {}],
  ])('is never in the error: %s (%#)', async (code, answer) => {
    const error = await resolve(answer).then(
      () => undefined,
      (reason: unknown) => reason,
    )
    expect(error).toBeInstanceOf(DomainError)
    expect(error).toMatchObject({ code })
    const everything = `${(error as Error).stack} ${JSON.stringify(error, Object.getOwnPropertyNames(error))}`
    expect(everything).not.toContain('secret-token')
    expect((error as Error).cause).toBeUndefined()
  })
})

describe('the account behind the credentials', () => {
  it('is told by STS', async () => {
    vi.stubEnv('AWS_ACCESS_KEY_ID', 'AKIDREAL')
    vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'real')
    const xml = (account: string) =>
      `<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult><Arn>arn:aws:iam::${account}:user/a</Arn><UserId>U</UserId><Account>${account}</Account></GetCallerIdentityResult></GetCallerIdentityResponse>`
    const { endpoint } = await aServer(json(200, xml('012345678901'), { 'content-type': 'text/xml' }))
    expect(await getAccountId('us-east-1', { endpoint })).toBe('012345678901')
  })

  it('is a clear error where it cannot be told', async () => {
    vi.stubEnv('AWS_ACCESS_KEY_ID', 'AKIDREAL')
    vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'real')
    const denied =
      '<ErrorResponse><Error><Type>Sender</Type><Code>ExpiredToken</Code><Message>expired</Message></Error></ErrorResponse>'
    const { endpoint } = await aServer(json(403, denied, { 'content-type': 'text/xml' }))
    await expect(getAccountId('us-east-1', { endpoint })).rejects.toMatchObject({
      code: 'marketplace.unavailable',
      message: expect.stringContaining('expired'),
    })
  })
})
