import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { expect, it, onTestFinished } from 'vitest'

/** Tollkeeper, as far as it is asked. */
async function aTollkeeper() {
  const reported: string[] = []
  const settled: string[] = []
  const server = createServer(async (request, response) => {
    let body = ''
    for await (const chunk of request) body += chunk
    response.setHeader('content-type', 'application/json')
    if (request.url!.startsWith('/quota/reservations/')) {
      settled.push(`${request.url} ${body}`)
      response.end(JSON.stringify({ state: 'settled', settled: true }))
      return
    }
    const events: { correlationId: string }[] = JSON.parse(body)
    reported.push(...events.map(({ correlationId }) => correlationId))
    const outcomes = events.map(({ correlationId: id }) => ({ id, status: 'accepted' }))
    response.end(JSON.stringify({ outcomes }))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  return { reported, settled, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` }
}

/** The product, in a process of its own. */
async function aProduct(tollkeeper: string, role = '') {
  const child: ChildProcess = spawn(
    process.execPath,
    [join(import.meta.dirname, 'signalled.fixture.ts'), tollkeeper, role],
    { stdio: ['pipe', 'pipe', 'inherit'] },
  )
  onTestFinished(() => void child.kill('SIGKILL'))
  const ended = once(child, 'exit')
  const lines = createInterface({ input: child.stdout! })[Symbol.asyncIterator]()
  const line = async () => String((await lines.next()).value)
  const url = `http://127.0.0.1:${await line()}`
  const isOpen = () =>
    fetch(url).then(
      () => true,
      () => false,
    )
  return { child, ended, line, url, isOpen }
}

it.each([
  ['ends by that signal', '', [null, 'SIGTERM']],
  ['ends as the first process of a container', 'first', [143, null]],
])('answers what it was asked, sends what was used, and %s', async (_, role, expected) => {
  const { reported, settled, url } = await aTollkeeper()
  const product = await aProduct(url, role)
  const slow = fetch(`${product.url}/slow`)
  expect(await product.line()).toBe('asked /slow')
  product.child.kill('SIGTERM')
  expect(await product.line()).toBe('closing')
  while (await product.isOpen()) expect(await product.line()).toBe('asked /')
  product.child.stdin!.write('go on\n')
  const response = await slow
  expect([response.status, await response.text()]).toEqual([200, 'done'])
  expect(await product.ended).toEqual(expected)
  expect(reported).toContain('/slow')
  expect(settled[0]).toBe('/quota/reservations/rsv_1/settle {"quantity":1}')
})

it.each([
  ['', [null, 'SIGINT']],
  ['first', [130, null]],
])('ends at once when it is told a second time, whatever still runs (%s)', async (role, expected) => {
  const { url } = await aTollkeeper()
  const product = await aProduct(url, role)
  const slow = fetch(`${product.url}/slow`).catch(() => 'cut off')
  expect(await product.line()).toBe('asked /slow')
  product.child.kill('SIGTERM')
  expect(await product.line()).toBe('closing')
  product.child.kill('SIGINT')
  expect(await product.ended).toEqual(expected)
  expect(await slow).toBe('cut off')
})
