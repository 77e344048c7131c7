import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterEach, expect, it } from 'vitest'
import { aProduct, aSubscription, utc } from '../contract/fixtures.ts'
import { startLedger } from '../contract/ledger-harness.ts'
import { migrate } from './migrations.ts'
import { openSqlite, type SqliteDatabase } from './sqlite.ts'
import { createSqliteUsageStore } from './sqlite-stores.ts'
import { createSqlSubscriptionStore } from './subscription-store.ts'

const folder = mkdtempSync(join(tmpdir(), 'tollkeeper-two-'))
const databases: SqliteDatabase[] = []
afterEach(() => {
  for (const database of databases.splice(0)) database.close()
  rmSync(folder, { recursive: true, force: true })
})

async function open(file: string) {
  const database = openSqlite(file)
  databases.push(database)
  await migrate(database)
  return { usage: createSqliteUsageStore(database), subscriptions: createSqlSubscriptionStore(database) }
}

it('finds a repeat, re-stamped or not, that another process took in', async () => {
  const file = join(folder, 'shared.db')
  const one = await startLedger(() => open(file))
  const other = await startLedger(() => open(file))
  const buyer = await one.subscribe()
  await other.report(buyer, 'warm', 1)
  for (let round = 0; round < 5; round++) {
    const id = `event-${round}`
    const time = utc(`2026-11-1${round + 5}T01:00`)
    expect(await one.report(buyer, id, 3, { time })).toMatchObject({ status: 'late' })
    expect(await other.report(buyer, id, 3, { time })).toMatchObject({ status: 'duplicate' })
    expect(await other.report(buyer, id, 3)).toMatchObject({ status: 'conflict' })
  }
  expect(await one.audit()).toMatchObject({ balanced: true })
})

it('loses and repeats nothing when processes write to one file at once', async () => {
  const file = join(folder, 'busy.db')
  const stores = await open(file)
  const buyer = aSubscription()
  await stores.subscriptions.create(buyer, 'test')
  const source = (path: string) => JSON.stringify(pathToFileURL(join(import.meta.dirname, path)).href)
  const script = join(folder, 'writer.ts')
  writeFileSync(
    script,
    `const { openSqlite } = await import(${source('sqlite.ts')})
     const { createSqliteUsageStore } = await import(${source('sqlite-stores.ts')})
     const { createSqlSubscriptionStore } = await import(${source('subscription-store.ts')})
     const { createIngestUsage } = await import(${source('../../domain/usage/ingest-usage.ts')})
     const { createProductCatalog } = await import(${source('../../domain/products/product.ts')})
     const database = openSqlite(${JSON.stringify(file)})
     const [first, buyer, product] = [Number(process.argv[2]), process.argv[3], JSON.parse(process.argv[4])]
     product.dimensions[0].unitSize = 1n
     const ingest = createIngestUsage({ usage: createSqliteUsageStore(database), subscriptions: createSqlSubscriptionStore(database),
       catalog: createProductCatalog([product]), clock: { now: () => ${utc('2026-11-21T10:30')}, sleep: async () => {} },
       limits: { acceptBackMs: 7 * 86400000, acceptAheadMs: 300000 } })
     const counts = {}
     for (let id = first; id < first + 400; id++) {
       const [{ status }] = await ingest([{ reference: { subscriptionId: buyer }, dimension: 'requests', id: String(id), time: ${utc('2026-11-21T10:00')} + id, quantity: 1 }])
       counts[status] = (counts[status] ?? 0) + 1
     }
     database.close()
     console.log(JSON.stringify(counts))`,
  )
  const product = JSON.stringify(aProduct(), (_, value) =>
    typeof value === 'bigint' ? Number(value) : value,
  )
  const run = (first: number) =>
    new Promise<Record<string, number>>((resolve, reject) => {
      const child = spawn(process.execPath, [script, String(first), buyer.id, product], {
        stdio: ['ignore', 'pipe', 'pipe'],
      })
      let [output, errors] = ['', '']
      child.stdout.on('data', (chunk) => {
        output += chunk
      })
      child.stderr.on('data', (chunk) => {
        errors += chunk
      })
      child.on('close', (code) => (code === 0 ? resolve(JSON.parse(output)) : reject(new Error(errors))))
    })
  // Each id is sent by two of them.
  const counts = await Promise.all([run(0), run(200), run(400), run(0), run(600)])
  const total = (status: string) => counts.reduce((sum, count) => sum + (count[status] ?? 0), 0)
  expect([total('accepted'), total('duplicate')]).toEqual([1000, 1000])
  const { items } = await stores.usage.listBuckets({ limit: 5 })
  expect(items).toMatchObject([{ quantity: 1000n, events: 1000 }])
})

it('lets two processes start on a new file at once', async () => {
  const file = join(folder, 'new.db')
  const stores = await Promise.all([open(file), open(file)])
  expect(await Promise.all(stores.map(({ usage }) => usage.epoch()))).toEqual([0, 0])
})
