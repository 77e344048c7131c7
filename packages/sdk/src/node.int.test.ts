import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { expect, it, onTestFinished } from 'vitest'

it('sends what is in the buffer when the process is told to end, and ends by that signal', async () => {
  const bodies: string[] = []
  const server = createServer(async (request, response) => {
    let body = ''
    for await (const chunk of request) body += chunk
    bodies.push(body)
    const [{ correlationId }] = JSON.parse(body)
    response.setHeader('content-type', 'application/json')
    response.end(JSON.stringify({ outcomes: [{ id: correlationId, status: 'accepted' }] }))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const child = spawn(process.execPath, [join(import.meta.dirname, 'signalled.fixture.ts'), url], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  const { value: id } = await lines.next()
  expect(bodies).toEqual([])
  child.kill('SIGTERM')
  expect((await lines.next()).value).toBe('closing')
  const [code, signal] = await once(child, 'exit')
  expect({ code, signal }).toEqual({ code: null, signal: 'SIGTERM' })
  expect(bodies.map((body) => JSON.parse(body)[0].correlationId)).toEqual([id])
})
