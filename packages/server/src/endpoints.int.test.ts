import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { composeEngine, createLogger, type Engine, openLedger } from './compose.ts'
import { sqliteStore } from './config/store.ts'
import { demoConfig } from './config.ts'
import { aProduct } from './storage/contract/fixtures.ts'
import { anEndpoint } from './storage/contract/health-store.contract.ts'
import { systemClock } from './system-clock.ts'

/** What is asked, and not answered. */
const asked: ServerResponse[] = []
const server = createServer((_, response) => void asked.push(response))
let engine: Engine

beforeEach(async () => {
  asked.splice(0)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const healthUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
  const base = demoConfig()
  const ledger = await openLedger(
    {
      ...base,
      store: sqliteStore(':memory:'),
      jobs: { ...base.jobs, intervalMs: 20 },
      products: [aProduct({ endpoints: [anEndpoint({ healthUrl, timeoutMs: 60_000 })] })],
    },
    systemClock,
  )
  engine = await composeEngine(ledger, {
    clock: systemClock,
    logger: createLogger({ log: { level: 'silent' } }),
  })
})
afterEach(async () => {
  await engine.jobs.stop()
  await engine.ledger.close()
  server.closeAllConnections()
  server.close()
  await once(server, 'close')
})

it('are asked beside all other work, which does not wait for them, and by no command that works once', async () => {
  const { jobs, ledger } = engine
  await jobs.runOnce()
  expect(asked).toHaveLength(0)
  jobs.start()
  await expect.poll(() => asked.length).toBe(1)
  const before = jobs.lastRunAt()
  await expect.poll(() => jobs.lastRunAt()).not.toBe(before)
  asked[0]!.end('ok')
  await expect.poll(() => ledger.health.list('demo')).toMatchObject([{ state: 'up' }])
})
