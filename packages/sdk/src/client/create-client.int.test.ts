import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { inspect } from 'node:util'
import { afterEach, describe, expect, it } from 'vitest'
import { type Client, type ClientOptions, createClient } from './create-client.ts'
import { TollkeeperError } from './tollkeeper-error.ts'

const KEY = 'tk_very-secret'
const closing: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const close of closing.splice(0)) await close()
})

interface Request {
  readonly method: string | undefined
  readonly url: string | undefined
  readonly headers: IncomingMessage['headers']
  readonly body: string
}

type Answer = (response: ServerResponse) => void

function json(status: number, body: unknown, headers: Record<string, string> = {}): Answer {
  return (response) => {
    response.writeHead(status, { 'content-type': 'application/json', ...headers })
    response.end(JSON.stringify(body))
  }
}

function problem(status: number, code: string, headers: Record<string, string> = {}): Answer {
  return json(status, { type: 'about:blank', title: 'No', status, detail: 'it does not', code }, headers)
}

const cut: Answer = (response) => response.destroy()
const silent: Answer = () => {}

/** A server that answers as it is told, one answer for each request. */
async function start(answers: Answer[], options: Partial<ClientOptions> = {}) {
  const requests: Request[] = []
  const server = createServer(async (request, response) => {
    let body = ''
    for await (const chunk of request) body += chunk
    const { method, url, headers } = request
    requests.push({ method, url, headers, body })
    const answer = answers.shift() ?? problem(500, 'test.nothing_left')
    answer(response)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  closing.push(async () => {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  })
  const slept: number[] = []
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const client = createClient({
    url,
    key: KEY,
    random: () => 0,
    clock: { now: () => Date.now(), sleep: async (ms) => void slept.push(ms) },
    ...options,
  })
  return { client, requests, slept, url }
}

async function errorOf(call: Promise<unknown>): Promise<TollkeeperError> {
  const error = await call.then(
    () => undefined,
    (error: unknown) => error,
  )
  expect(error).toBeInstanceOf(TollkeeperError)
  return error as TollkeeperError
}

const EVENT = { dimension: 'calls', usageTime: '2026-11-21T10:00:00Z', correlationId: 'one' }
const ANSWER = { allowed: true, dimension: 'calls', quantity: 1, limits: [] }

describe('the client', () => {
  it('asks as the OpenAPI document says', async () => {
    const { client, requests } = await start([
      json(200, ANSWER),
      json(200, { items: [] }),
      json(200, { id: 'rsv/1' }),
      json(201, { id: 'sub_1' }),
    ])
    const heads: (string | null)[] = []
    await client.validateQuota(
      { key: 'tka_x', dimension: 'calls' },
      { onAnswer: ({ headers }) => heads.push(headers.get('content-type')) },
    )
    await client.listUsageRecords({ product: 'a&b', limit: 5 })
    await client.settleReservation({ reservationId: 'rsv/1' }, { quantity: '2.5' })
    await client.createSubscription({ 'idempotency-key': 'once' }, { channel: 'free', product: 'acme' })
    expect(requests).toMatchObject([
      { method: 'POST', url: '/quota/validate', body: '{"key":"tka_x","dimension":"calls"}' },
      { method: 'GET', url: '/usage/records?product=a%26b&limit=5', body: '' },
      { method: 'POST', url: '/quota/reservations/rsv%2F1/settle', body: '{"quantity":"2.5"}' },
      { method: 'POST', url: '/marketplace/subscriptions', headers: { 'idempotency-key': 'once' } },
    ])
    for (const { headers } of requests) expect(headers.authorization).toBe(`Bearer ${KEY}`)
    expect(heads).toEqual(['application/json'])
  })

  it('throws the problem that was answered', async () => {
    const { client } = await start([problem(409, 'quota.id_conflict')])
    const error = await errorOf(client.validateQuota({ dimension: 'calls', id: 'one' }))
    expect(error).toMatchObject({
      status: 409,
      code: 'quota.id_conflict',
      detail: 'it does not',
      operation: 'validateQuota',
      message: 'validateQuota: it does not (409 quota.id_conflict)',
    })
  })

  const repeatable: [string, (client: Client) => Promise<unknown>][] = [
    ['a GET', (client) => client.getUsageStatus()],
    ['a PUT', (client) => client.updateSubscription({ subscriptionId: 'sub_1' }, { plan: 'pro' })],
    ['events, by their ids', (client) => client.reportUsage([EVENT])],
    ['a use with an id', (client) => client.validateQuota({ dimension: 'calls', id: 'one' })],
    ['a look', (client) => client.validateQuota({ dimension: 'calls', mode: 'look' })],
    [
      'what has an idempotency key',
      (client) => client.createSubscription({ 'idempotency-key': 'a' }, { channel: 'free', product: 'acme' }),
    ],
  ]
  it.each(repeatable)('sends again %s, the same bytes', async (_, call) => {
    const { client, requests, slept } = await start([problem(503, 'ledger.busy'), cut, json(200, {})])
    await call(client)
    expect(requests).toHaveLength(3)
    expect(new Set(requests.map(({ body }) => body)).size).toBe(1)
    expect(slept).toEqual([100, 200])
  })

  const single: [string, (client: Client) => Promise<unknown>][] = [
    ['a use without an id', (client) => client.validateQuota({ dimension: 'calls' })],
    ['what makes something new', (client) => client.createKey({ buyerId: 'buy_1' })],
    [
      'a subscription without a key',
      (client) => client.createSubscription({}, { channel: 'free', product: 'acme' }),
    ],
  ]
  it.each(single)('sends once %s', async (_, call) => {
    const { client, requests } = await start([cut])
    expect(await errorOf(call(client))).toMatchObject({ status: 0, code: 'client.unreachable' })
    expect(requests).toHaveLength(1)
  })

  it('does not ask again where the answer would be the same', async () => {
    const { client, requests } = await start([problem(404, 'record.not_found')])
    await errorOf(client.getUsageRecord({ recordId: 'rec_1' }))
    expect(requests).toHaveLength(1)
  })

  it('waits as long as the server asks, but not for ever', async () => {
    const { client, slept } = await start([
      problem(429, 'request.too_many', { 'retry-after': '7' }),
      json(200, {}),
      problem(503, 'server.overloaded', { 'retry-after': '3600' }),
    ])
    await client.getUsageStatus()
    expect(slept).toEqual([7_000])
    expect(await errorOf(client.getUsageStatus())).toMatchObject({ retryAfterMs: 3_600_000 })
    expect(slept).toHaveLength(1)
  })

  it('asks no more where it asked too often, if that is wanted', async () => {
    const { client, slept } = await start([problem(429, 'request.too_many', { 'retry-after': '7' })])
    const error = await errorOf(client.getUsageStatus({}, { retryTooMany: false }))
    expect([error.status, slept]).toEqual([429, []])
  })

  it('ends when nothing is answered in time, or its caller wants no more', async () => {
    const { client, requests } = await start([silent, silent], { timeoutMs: 50 })
    expect(await errorOf(client.getUsageStatus({}, { retries: 0 }))).toMatchObject({ code: 'client.timeout' })
    const ending = new AbortController()
    const call = errorOf(client.getUsageStatus({}, { signal: ending.signal, timeoutMs: 60_000 }))
    while (requests.length < 2) await new Promise((resolve) => setImmediate(resolve))
    ending.abort()
    expect(await call).toMatchObject({ code: 'client.aborted' })
  })

  it('says what else answers there', async () => {
    const html: Answer = (response) => response.writeHead(502).end('<h1>Bad gateway</h1>')
    const moved: Answer = (response) => response.writeHead(302, { location: 'http://127.0.0.1:9/' }).end()
    const { client } = await start([html, html, html, moved, (response) => response.end('hello')])
    expect(await errorOf(client.getUsageStatus())).toMatchObject({
      status: 502,
      code: 'client.unreadable_answer',
    })
    expect((await errorOf(client.getUsageStatus())).message).toContain('redirected')
    expect(await errorOf(client.getUsageStatus())).toMatchObject({ detail: 'the answer is not JSON' })
  })

  it('shows its key nowhere', async () => {
    const { client, url } = await start([problem(401, 'key.unknown'), cut])
    const errors = [
      await errorOf(client.getUsageStatus()),
      await errorOf(client.validateQuota({ dimension: 'calls' })),
    ]
    for (const key of ['tk_very-secret\nx', 'tk_very-secret é', '']) {
      expect(() => createClient({ url, key })).toThrow(TypeError)
      try {
        createClient({ url, key })
      } catch (error) {
        errors.push(error as TollkeeperError)
      }
    }
    expect(() => createClient({ url: 'http://user:very-secret@127.0.0.1', key: KEY })).toThrow(
      /^url: without/,
    )
    expect(() => createClient({ url: 'file:///etc', key: KEY })).toThrow(TypeError)
    expect(inspect([client, errors], { depth: 9, showHidden: true })).not.toContain('very-secret')
  })

  it('asks for no address but that of its operation', async () => {
    const { client, requests } = await start([])
    for (const recordId of ['', '.', '..']) {
      await expect(client.getUsageRecord({ recordId })).rejects.toThrow('recordId is missing')
    }
    expect(requests).toEqual([])
  })
})
