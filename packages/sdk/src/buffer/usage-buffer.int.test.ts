import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { anApp } from '../../../server/src/http/app.fixture.ts'
import { createHttpApp } from '../../../server/src/http/app.ts'
import { aDimension, aProduct, aSubscription } from '../../../server/src/storage/contract/fixtures.ts'
import { createClient } from '../client/create-client.ts'
import { systemClock } from '../clock.ts'
import { fileJournal } from '../journal/file-journal.ts'
import type { RefusedUsage } from './buffered-event.ts'
import { createUsageBuffer } from './usage-buffer.ts'

it('reports each event once to the real server, over restarts of it and of the product', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'tollkeeper-buffer-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  const path = join(folder, 'usage.ndjson')
  const product = aProduct({ dimensions: [aDimension({ key: 'bytes', aggregation: 'sum' })] })
  const { app, deps, clock, aKey, close } = await anApp({ products: [product] })
  onTestFinished(close)
  const { secret } = await aKey(['usage:write'])
  const { subscription } = await deps.subscriptions.create(aSubscription({ product: product.id }), 'test')
  const url = await app.listen({ port: 0, host: '127.0.0.1' })
  const refused: RefusedUsage[] = []
  let failures = 0
  const aBuffer = () =>
    createUsageBuffer({
      client: createClient({ url, key: secret }),
      journal: fileJournal({ path }),
      onRefused: (all) => void refused.push(...all),
      onError: () => {
        failures += 1
      },
      intervalMs: 1,
      batchEventsMax: 50,
      clock: { now: () => clock.now(), sleep: systemClock.sleep },
    })
  const use = { dimension: 'bytes', subscriptionId: subscription.id, quantity: 3 }
  const buffer = await aBuffer()
  const ids = await Promise.all(Array.from({ length: 400 }, () => buffer.add(use)))
  await app.close()
  ids.push(...(await Promise.all(Array.from({ length: 200 }, () => buffer.add(use)))))
  await buffer.add({ ...use, dimension: 'unknown' })
  const failed = failures
  while (failures === failed) await new Promise((resolve) => setImmediate(resolve))
  // The product goes, with what it could not send, and comes again; so does the server.
  expect((await buffer.close({ timeoutMs: 1 })).length).toBeGreaterThan(200)
  const again = await createHttpApp(deps)
  onTestFinished(() => again.close())
  await again.listen({ port: Number(new URL(url).port), host: '127.0.0.1' })
  const next = await aBuffer()
  expect(next.pending).toBeGreaterThan(200)
  expect(await next.close()).toEqual([])
  expect(new Set(ids).size).toBe(600)
  const { items } = await deps.usage.listBuckets({ limit: 10 })
  expect(items).toMatchObject([{ dimension: 'bytes', quantity: 1_800n, events: 600 }])
  expect(refused).toMatchObject([{ event: { dimension: 'unknown' }, outcome: { status: 'refused' } }])
})
