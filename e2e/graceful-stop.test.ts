import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { expect, it, onTestFinished } from 'vitest'
import { openSqliteStores } from '../packages/server/src/storage/sql/sqlite-stores.ts'
import { aSeller, sellProduct } from './cluster/seller.ts'
import { ask, eventually, Refusal, type Running, startTollkeeper } from './processes.ts'

const CLIENTS = 6
const HOUR_MS = 3_600_000

it('fails no request, loses no call and keeps no lease when it is told to stop under load', async () => {
  const product = await sellProduct(2, { runs: true })
  const { place, issueKey, audit } = aSeller(product, 'sqlite:./ledger.db', 'server: { drainSeconds: 2 }\n')
  // The other only answers requests: each call to AWS is of the node that is told to stop.
  const nodes = await Promise.all([startNode(), startNode('--no-jobs')])
  const key = await issueKey()
  const [leaver, stayer] = nodes as [Running, Running]
  const isReady = new Map(nodes.map((node) => [node, true]))

  let stopping = false
  let accepted = 0
  let failure: unknown
  const fail = (error: unknown) => {
    failure ??= error
    stopping = true
  }
  const load = [watch(), ...Array.from({ length: CLIENTS }, (_, client) => report(client))].map((work) =>
    work.catch(fail),
  )
  // An hour of the past is due at once: this call to AWS is under way when the node is told to stop.
  product.simulator.faults.order({ kind: 'slow', operation: 'BatchMeterUsage', delayMs: 1_000 })
  await eventually('a call to AWS is under way', async () => product.simulator.faults.hits().slow)
  const halfSent = await sendHalf(leaver)

  const stopped = leaver.stop('SIGTERM')
  leaver.process.kill('SIGTERM')
  const answer = await eventually('it says so', async () => {
    const told = await fetch(`${leaver.ready.url}/ready`)
    return told.status === 503 && told
  })
  expect(await answer.json()).toMatchObject({
    ready: false,
    checks: { server: expect.stringContaining('stops') },
  })
  expect(answer.headers.get('connection')).toBe('close')

  await eventually('it listens no more', () =>
    fetch(`${leaver.ready.url}/health`).then(
      () => false,
      () => true,
    ),
  )
  expect(await halfSent.finish()).toMatch(/^HTTP\/1\.1 200 [\s\S]*"status":"accepted"/)
  await stopped
  expect([leaver.process.exitCode, leaver.output()]).toEqual([0, expect.not.stringContaining('"level":50')])
  const before = accepted
  await eventually('the other goes on', async () => stopping || accepted > before + CLIENTS)
  stopping = true
  await Promise.all(load)
  expect(failure).toBeUndefined()

  const stores = await openSqliteStores(join(place.cwd, 'ledger.db'))
  onTestFinished(() => stores.close())
  // Whoever wants to move the ledger sees that it is in use.
  const sign = await stores.copy.signOfLife()
  await eventually(
    'it says that it has the ledger open',
    async () => (await stores.copy.signOfLife()) !== sign,
  )
  await stayer.stop()
  expect(stayer.process.exitCode).toBe(0)
  expect(await stores.leases.list()).toEqual([])
  const { items } = await stores.usage.listRecords({ limit: 1_000 })
  expect(items.length).toBeGreaterThan(0)
  // Nobody had to ask again: each call was answered, and its answer booked.
  for (const { id, unanswered } of items) expect([id, unanswered]).toEqual([id, 0])
  expect(await audit()).toMatchObject({ balanced: true, discrepancies: [] })

  async function startNode(...options: string[]): Promise<Running> {
    const node = await startTollkeeper(['serve', '--port', '0', '--json', ...options], place)
    onTestFinished(() => node.stop('SIGKILL'))
    return node
  }

  /** A balancer: sends requests to those that say that they are ready. */
  async function watch(): Promise<void> {
    while (!stopping) {
      for (const node of nodes)
        isReady.set(
          node,
          await fetch(`${node.ready.url}/ready`).then(
            ({ ok }) => ok,
            () => false,
          ),
        )
      await pause(50)
    }
  }

  /** Whatever goes wrong here fails the test: a client behind a balancer notices nothing. */
  async function report(client: number): Promise<void> {
    for (let turn = 0; !stopping; turn++) {
      const node = nodes[(client + turn) % 2]!
      if (!isReady.get(node)) continue
      const body = anEvent(`${client}-${turn}`, Date.now() - (turn % 3) * HOUR_MS)
      const { status } = await ask<{ status: string }>(`${node.ready.url}/meter`, { body, key }).catch(
        (error) => {
          // A machine that does too much at once says so; it did not write it.
          if (error instanceof Refusal && error.message.includes('server.overloaded'))
            return { status: 'busy' }
          throw error
        },
      )
      expect(['accepted', 'late', 'busy']).toContain(status)
      if (status === 'busy') await pause(100)
      else accepted++
    }
  }

  function anEvent(correlationId: string, time: number) {
    const { licenseArn, startAt } = product.buyers[accepted % 2]!
    return {
      dimension: 'scans',
      quantity: 3,
      correlationId,
      licenseArn,
      usageTime: new Date(Math.max(time, startAt)).toISOString(),
    }
  }

  /** A request that is half sent when the node is told to stop. */
  async function sendHalf(node: Running) {
    const body = JSON.stringify(anEvent('half', Date.now()))
    const socket = connect(Number(new URL(node.ready.url!).port), '127.0.0.1')
    await once(socket, 'connect')
    socket.write(
      `POST /meter HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer ${key}\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body.slice(0, 20)}`,
    )
    return {
      finish: () => {
        socket.write(body.slice(20))
        return readAll(socket)
      },
    }
  }
})

async function readAll(socket: Socket): Promise<string> {
  let text = ''
  for await (const chunk of socket) text += String(chunk)
  return text
}
