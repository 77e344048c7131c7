import files from 'node:fs/promises'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { scanTable, type TableOptions } from './dynamodb-table.ts'

/** The SDK keeps `readFile` as it finds it when it is first imported: the spy must be there before. */
const reads = vi.spyOn(files, 'readFile')

const closing: (() => void)[] = []
afterEach(() => {
  vi.unstubAllEnvs()
  for (const close of closing.splice(0)) close()
})

type Answer = (response: ServerResponse) => void

/** Answers each call with the next of these; the last one again and again. */
async function aTable(...answers: readonly Answer[]) {
  const calls: { target: string; authorization: string; body: Record<string, unknown> }[] = []
  const server = createServer((request, response) => {
    let body = ''
    request.on('data', (chunk) => {
      body += chunk
    })
    request.on('end', () => {
      const { 'x-amz-target': target, authorization } = request.headers
      calls.push({ target: String(target), authorization: String(authorization), body: JSON.parse(body) })
      answers[Math.min(calls.length, answers.length) - 1]!(response)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  closing.push(() => {
    server.closeAllConnections()
    server.close()
  })
  const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const scan = async (more: Partial<TableOptions> = {}) => {
    const items: unknown[] = []
    const options = {
      mode: 'simulated',
      endpoint,
      table: 'Subscribers',
      region: 'eu-west-1',
      timeoutMs: 5_000,
      haste: 100,
      ...more,
    }
    for await (const page of scanTable(options as TableOptions)) items.push(...page)
    return items
  }
  return { calls, scan }
}

const json =
  (status: number, body: unknown): Answer =>
  (response) =>
    response.writeHead(status, { 'content-type': 'application/x-amz-json-1.0' }).end(JSON.stringify(body))

const item = (id: string) => ({
  customerIdentifier: { S: id },
  create_timestamp: { N: '1763634471636562122' },
})

describe('a table of DynamoDB', () => {
  it('is read to its last page, consistently, without anything of this machine’s', async () => {
    vi.stubEnv('AWS_ACCESS_KEY_ID', 'AKIDREAL')
    vi.stubEnv('AWS_PROFILE', 'does-not-exist')
    vi.stubEnv('AWS_ACCOUNT_ID_ENDPOINT_MODE', 'perhaps')
    vi.stubEnv('AWS_ENDPOINT_DISCOVERY_ENABLED', 'perhaps')
    const { calls, scan } = await aTable(
      json(200, { Items: [item('a'), item('b')], LastEvaluatedKey: item('b') }),
      json(200, { Items: [], LastEvaluatedKey: item('b2') }),
      json(200, { Items: [item('c')] }),
    )
    reads.mockClear()
    expect(await scan()).toEqual([item('a'), item('b'), item('c')])
    expect(reads).not.toHaveBeenCalled()
    expect(calls.map(({ body }) => body.ExclusiveStartKey)).toEqual([undefined, item('b'), item('b2')])
    expect(calls[0]).toMatchObject({
      target: 'DynamoDB_20120810.Scan',
      authorization: expect.stringMatching(/Credential=SIMULATED\/\d{8}\/eu-west-1\/dynamodb\//),
      body: { TableName: 'Subscribers', ConsistentRead: true },
    })
  })

  it('that is busy is waited for', async () => {
    const { scan } = await aTable(
      json(400, { __type: 'com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException' }),
      json(500, { __type: 'InternalServerError' }),
      json(200, { Items: [item('a')] }),
    )
    expect(await scan()).toEqual([item('a')])
  })

  it('that may not be read, or is not there, says so', async () => {
    const { calls, scan } = await aTable(
      json(400, { __type: 'com.amazonaws#AccessDeniedException', message: 'not authorized' }),
      json(400, { __type: 'ResourceNotFoundException', message: 'not found' }),
    )
    await expect(scan()).rejects.toMatchObject({
      code: 'marketplace.unavailable',
      message: expect.stringMatching(/Subscribers in eu-west-1 .*AccessDeniedException.*needs dynamodb:Scan/),
    })
    await expect(scan()).rejects.toThrow('ResourceNotFoundException')
    expect(calls).toHaveLength(2)
  })

  it('is AWS’s in live mode and on this machine in simulated mode', async () => {
    const { calls, scan } = await aTable(json(200, { Items: [] }))
    await expect(scan({ mode: 'live' })).rejects.toThrow('must not be on this machine')
    await expect(scan({ endpoint: 'https://dynamodb.eu-west-1.amazonaws.com' })).rejects.toThrow(
      'must be on this machine',
    )
    await expect(scan({ endpoint: undefined })).rejects.toThrow('needs the simulator')
    expect(calls).toEqual([])
  })
})
