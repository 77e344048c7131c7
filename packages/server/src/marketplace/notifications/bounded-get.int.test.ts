import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, expect, it } from 'vitest'
import { createBoundedGet } from './bounded-get.ts'

const closing: (() => void)[] = []
afterEach(() => {
  for (const close of closing.splice(0)) close()
})

async function aServer(listener: RequestListener): Promise<URL> {
  const server = createServer(listener).listen(0, '127.0.0.1')
  closing.push(() => {
    server.closeAllConnections()
    server.close()
  })
  await once(server, 'listening')
  return new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/a.pem`)
}

it('brings what is there, with its status', async () => {
  const url = await aServer((request, response) => {
    response.statusCode = request.url === '/a.pem' ? 200 : 404
    response.end('text ä')
  })
  const get = createBoundedGet()
  expect(await get(url)).toEqual({ kind: 'answered', status: 200, body: 'text ä' })
  expect(await get(new URL('/other', url))).toMatchObject({ status: 404 })
})

it('follows no redirect', async () => {
  const asked: (string | undefined)[] = []
  const url = await aServer((request, response) => {
    asked.push(request.url)
    response.writeHead(302, { location: '/elsewhere' }).end()
  })
  expect(await createBoundedGet()(url)).toMatchObject({ kind: 'answered', status: 302 })
  expect(asked).toEqual(['/a.pem'])
})

it('reads no more than it may', async () => {
  const url = await aServer((_, response) => response.end('x'.repeat(1_001)))
  expect(await createBoundedGet({ bytesMax: 1_000 })(url)).toMatchObject({ kind: 'failed' })
  expect(await createBoundedGet({ bytesMax: 1_001 })(url)).toMatchObject({ kind: 'answered' })
})

it('does not wait for ever, neither for an answer nor for its end', async () => {
  const silent = await aServer(() => {})
  const slow = await aServer((_, response) => void response.write('x'))
  const get = createBoundedGet({ timeoutMs: 50 })
  expect(await get(silent)).toEqual({ kind: 'failed', reason: 'no answer within 50 ms' })
  expect(await get(slow)).toEqual({ kind: 'failed', reason: 'no answer within 50 ms' })
})

it('says why there was no answer', async () => {
  const url = await aServer(() => {})
  for (const close of closing.splice(0)) close()
  expect(await createBoundedGet()(url)).toEqual({ kind: 'failed', reason: 'ECONNREFUSED' })
})
