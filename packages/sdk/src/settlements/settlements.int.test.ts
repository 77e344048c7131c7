import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { expect, it, onTestFinished } from 'vitest'
import { anApp } from '../../../server/src/http/app.fixture.ts'
import { aDimension, aProduct, aSubscription } from '../../../server/src/storage/contract/fixtures.ts'
import { createClient } from '../client/create-client.ts'
import { fileJournal } from '../journal/file-journal.ts'

/** A network that does as it is told: nothing arrives, the answer is lost, or all is well. */
async function aNetworkTo(url: string) {
  const network = { fate: 'nothing arrives', lost: 0, url: '' }
  const server = createServer(async (request, response) => {
    let body = ''
    for await (const chunk of request) body += chunk
    if (network.fate === 'nothing arrives') return
    const { authorization = '' } = request.headers
    const headers = { authorization, 'content-type': 'application/json' }
    const answer = await fetch(url + request.url, { method: 'POST', headers, body })
    const text = await answer.text()
    if (network.fate === 'the answer is lost') {
      network.lost += 1
      response.destroy()
      return
    }
    response.writeHead(answer.status, { 'content-type': 'application/json' })
    response.end(text)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  network.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return network
}

it('bills what was used exactly once, though the process is killed before it is sent, and again before it is answered', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'tollkeeper-settlements-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  const path = join(folder, 'settlements.ndjson')
  const product = aProduct({ dimensions: [aDimension({ key: 'minutes', meteredBy: 'gate', scale: 2 })] })
  const { app, deps, aKey, close } = await anApp({ products: [product] })
  onTestFinished(close)
  const { secret } = await aKey(['access:check'])
  const { subscription } = await deps.subscriptions.create(aSubscription({ product: product.id }), 'test')
  const url = await app.listen({ port: 0, host: '127.0.0.1' })
  const network = await aNetworkTo(url)
  const { reservation } = await createClient({ url, key: secret }).reserveQuota({
    subscriptionId: subscription.id,
    dimension: 'minutes',
    quantity: 4,
    id: 'one use',
  })
  const start = (...more: string[]) => {
    const child = spawn(
      process.execPath,
      [join(import.meta.dirname, 'kill-me.fixture.ts'), network.url, secret, path, ...more],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    )
    onTestFinished(() => void child.kill('SIGKILL'))
    const exited = once(child, 'exit')
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
    const kill = async () => {
      child.kill('SIGKILL')
      await exited
    }
    return { exited, kill, line: async () => (await lines.next()).value }
  }
  const billed = async () => {
    const { items } = await deps.usage.listBuckets({ limit: 10 })
    return items.map(({ quantity, events }) => ({ quantity, events }))
  }

  const first = start(reservation!.id)
  expect(await first.line()).toBe('1 kept')
  await first.kill()
  expect(await billed()).toEqual([])

  network.fate = 'the answer is lost'
  const second = start()
  expect(await second.line()).toBe('1 kept')
  while (network.lost === 0) await new Promise((resolve) => setImmediate(resolve))
  await second.kill()
  expect(await billed()).toEqual([{ quantity: 125n, events: 1 }])

  network.fate = 'all is well'
  const third = start()
  expect([await third.line(), await third.line()]).toEqual(['1 kept', '0 left'])
  expect(await third.exited).toEqual([0, null])
  expect(await billed()).toEqual([{ quantity: 125n, events: 1 }])
  const journal = fileJournal({ path })
  expect(await journal.open()).toEqual([])
  await journal.close()
})
