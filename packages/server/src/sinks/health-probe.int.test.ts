import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest'
import { anEndpoint } from '../storage/contract/health-store.contract.ts'
import type { AddressPolicy } from './address-policy.ts'
import { createHealthProbe } from './health-probe.ts'

let answer: (request: IncomingMessage, response: ServerResponse) => void
const asked: IncomingMessage[] = []
const server = createServer((request, response) => {
  asked.push(request)
  answer(request, response)
})
let origin: string

beforeAll(async () => {
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening))
  origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
})
beforeEach(() => void asked.splice(0))
afterAll(async () => {
  server.closeAllConnections()
  await new Promise((closed) => server.close(closed))
})

const json = (status: number, body: unknown) => (_: IncomingMessage, response: ServerResponse) => {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
}

function ask(
  healthUrl: string,
  values: {
    policy?: AddressPolicy
    timeoutMs?: number
    resolve?: (name: string) => Promise<{ address: string; family: number }[]>
    signal?: AbortSignal
  } = {},
) {
  const { policy = 'loopback', timeoutMs = 5_000, resolve, signal = new AbortController().signal } = values
  const probe = createHealthProbe({
    policyOf: () => policy,
    userAgent: 'tollkeeper/test',
    ...(resolve && { resolve }),
  })
  return probe({ ...anEndpoint(), healthUrl, timeoutMs }, signal)
}

it('is up with any 2xx, asked once by a GET that shows no key', async () => {
  answer = json(204, undefined)
  expect(await ask(`${origin}/health?deep=1`)).toEqual({ kind: 'up', latencyMs: expect.any(Number) })
  expect(asked.map(({ method, url }) => [method, url])).toEqual([['GET', '/health?deep=1']])
  const { host: _, connection: __, ...headers } = asked[0]!.headers
  expect(headers).toEqual({ accept: 'application/json, */*;q=0.1', 'user-agent': 'tollkeeper/test' })
})

it('names the failing checks of the SDK’s health helper, and quotes nothing else', async () => {
  answer = json(503, {
    status: 'failing',
    checks: { database: 'failing', queue: 'ok', 'a secret <b>': 'failing', cache: 'failing' },
  })
  expect(await ask(origin)).toEqual({ kind: 'failed', reason: 'HTTP 503: database, cache failing' })
  answer = json(503, 'secret')
  expect(await ask(origin)).toEqual({ kind: 'failed', reason: 'HTTP 503' })
  answer = json(404, { checks: { database: 'failing' } })
  expect(await ask(origin)).toEqual({ kind: 'failed', reason: 'HTTP 404' })
})

it('follows redirects on the same host, and no other', async () => {
  answer = (request, response) => {
    if (request.url === '/old') response.writeHead(302, { location: '/new' }).end()
    else if (request.url === '/away') response.writeHead(302, { location: 'http://localhost:1/' }).end()
    else if (request.url === '/round') response.writeHead(302, { location: '/round' }).end()
    else response.writeHead(200).end('ok')
  }
  expect(await ask(`${origin}/old`)).toMatchObject({ kind: 'up' })
  expect(await ask(`${origin}/away`)).toEqual({
    kind: 'failed',
    reason: 'HTTP 302: redirects are followed on the same host only',
  })
  asked.splice(0)
  expect(await ask(`${origin}/round`)).toEqual({ kind: 'failed', reason: 'HTTP 302' })
  expect(asked).toHaveLength(4)
})

it('waits no longer than it is told, and reads no more than it needs', async () => {
  answer = () => {}
  expect(await ask(origin, { timeoutMs: 50 })).toEqual({ kind: 'failed', reason: 'no answer in time' })
  answer = (_, response) => {
    response.writeHead(200)
    const more = () => {
      while (response.write('x'.repeat(10_000)));
    }
    response.on('drain', more)
    more()
  }
  expect(await ask(origin)).toMatchObject({ kind: 'up' })
})

it('says why there was no answer', async () => {
  answer = (request) => request.socket.destroy()
  expect(await ask(origin)).toMatchObject({ kind: 'failed', reason: 'no connection (ECONNRESET)' })
  expect(await ask('http://127.0.0.1:1/')).toEqual({ kind: 'failed', reason: 'connection refused' })
  const resolve = () => Promise.reject(Object.assign(new Error('x'), { code: 'ENOTFOUND' }))
  expect(await ask('https://api.example.com/', { policy: 'public', resolve })).toEqual({
    kind: 'failed',
    reason: 'its name cannot be resolved (ENOTFOUND)',
  })
})

it('knocks at no door inside: neither by address nor by a name that leads there', async () => {
  answer = json(200, {})
  const inside = async () => [{ address: '127.0.0.1', family: 4 }]
  const metadata = async () => [
    { address: '93.184.215.14', family: 4 },
    { address: '169.254.169.254', family: 4 },
  ]
  const url = origin.replace('http:', 'https:')
  for (const [address, values] of [
    [origin, { policy: 'public' }],
    [url, { policy: 'public' }],
    ['https://api.example.com/', { policy: 'public', resolve: inside }],
    ['https://api.example.com/', { policy: 'public', resolve: metadata }],
    ['http://api.example.com/', { policy: 'private', resolve: metadata }],
    ['https://[::ffff:127.0.0.1]/', { policy: 'public' }],
  ] as const)
    expect(await ask(address, values), address).toMatchObject({ kind: 'failed' })
  expect(asked).toEqual([])
})

it('leaves this machine for nobody in simulated mode: what is elsewhere is not known', async () => {
  const looked: string[] = []
  const resolve = async (name: string) => {
    looked.push(name)
    return [{ address: '93.184.215.14', family: 4 }]
  }
  expect(await ask('https://api.example.com/', { resolve })).toMatchObject({ kind: 'skipped' })
  expect(looked).toEqual([])
  expect(await ask('https://localhost/', { resolve })).toMatchObject({ kind: 'skipped' })
})
