import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { aSubscription, utc } from '../contract/fixtures.ts'
import { startLedger } from '../contract/ledger-harness.ts'
import { migrate } from './migrations.ts'
import { openSqlite, type SqliteDatabase } from './sqlite.ts'
import { createSqliteUsageStore } from './sqlite-stores.ts'
import { createSqlSubscriptionStore } from './subscription-store.ts'

// A ledger in a file, and somebody else who locks it.

let folder: string
let database: SqliteDatabase
let other: SqliteDatabase

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'ledger-'))
  database = openSqlite(join(folder, 'ledger.db'))
  await migrate(database)
  other = openSqlite(join(folder, 'ledger.db'))
})

afterEach(() => {
  vi.restoreAllMocks()
  database.close()
  other.close()
  rmSync(folder, { recursive: true })
})

function open() {
  const stores = {
    usage: createSqliteUsageStore(database),
    subscriptions: createSqlSubscriptionStore(database),
  }
  return startLedger(async () => stores)
}

/** Fifteen seconds of patience pass in less than one. */
function hurry() {
  const real = performance.now.bind(performance)
  vi.spyOn(performance, 'now').mockImplementation(() => real() * 20)
}

it('tells every caller that a ledger is locked, all of them within one wait', async () => {
  const { subscribe, report } = await open()
  const buyer = await subscribe()
  await report(buyer, 'first', 1)
  hurry()
  other.handle.exec('BEGIN IMMEDIATE')
  const startedAt = performance.now()
  const calls = Array.from({ length: 6 }, (_, index) => report(buyer, `e${index}`, 1))
  const later = new Promise((resolve) => setTimeout(resolve, 200)).then(() => report(buyer, 'later', 1))
  for (const call of await Promise.allSettled([...calls, later]))
    expect(call).toMatchObject({ status: 'rejected', reason: { code: 'ledger.busy' } })
  expect((performance.now() - startedAt) / 1000).toBeLessThan(25)
  other.handle.exec('ROLLBACK')
  expect(await report(buyer, 'e1', 1)).toMatchObject({ status: 'accepted' })
})

it('takes no more calls than it can hold while the ledger is locked, and says so at once', async () => {
  const { subscribe, report, usage } = await open()
  const buyer = await subscribe()
  await report(buyer, 'first', 1)
  hurry()
  other.handle.exec('BEGIN IMMEDIATE')
  const epoch = await usage.epoch()
  const calls: Promise<unknown>[] = []
  for (let index = 0; index < 12_000; index++) {
    calls.push(usage.record([], utc('2026-11-21T10:30'), epoch))
    if (index === 0) await new Promise((resolve) => setTimeout(resolve, 5))
  }
  const settled = Promise.allSettled(calls)
  await expect(calls.at(-1)).rejects.toThrow('more usage waits than the ledger can take in')
  await settled
  other.handle.exec('ROLLBACK')
})

it('reads while the ledger is locked and somebody waits to write', async () => {
  const { subscribe, report, usage } = await open()
  const buyer = await subscribe()
  await report(buyer, 'first', 1)
  other.handle.exec('BEGIN IMMEDIATE')
  let isWritten = false
  const write = report(buyer, 'second', 2).then(() => {
    isWritten = true
  })
  await new Promise((resolve) => setTimeout(resolve, 20))
  expect((await usage.listBuckets({ limit: 1 })).items).toMatchObject([{ quantity: 1n }])
  expect(isWritten).toBe(false)
  other.handle.exec('ROLLBACK')
  await write
  expect((await usage.listBuckets({ limit: 1 })).items).toMatchObject([{ quantity: 3n }])
})

it('reads of one moment what it reads in several statements', async () => {
  await database.read(async (sql) => {
    const count = () => sql.get('SELECT COUNT(*) AS n FROM subscription')
    expect(await count()).toEqual({ n: 0n })
    await createSqlSubscriptionStore(other).create(aSubscription(), 'test')
    expect(await count()).toEqual({ n: 0n })
  })
  expect(await database.read((sql) => sql.get('SELECT COUNT(*) AS n FROM subscription'))).toEqual({ n: 1n })
})

it('never keeps a look-up of before a change for one of after it', async () => {
  const subscriptions = createSqlSubscriptionStore(database)
  const { subscription } = await subscriptions.create(aSubscription(), 'test')
  const find = () => subscriptions.findMatching('demo', { tenantId: subscription.tenantId! })
  const found: Promise<unknown>[] = []
  // Looked up in the midst of the step that changes it.
  await database.transaction(async (sql) => {
    await sql.run(`UPDATE ledger SET value = CAST(CAST(value AS INTEGER) + 1 AS TEXT) WHERE name = 'epoch'`)
    await sql.run(`UPDATE subscription SET status = 'suspended' WHERE id = ?`, subscription.id)
    found.push(find())
    for (let turn = 0; turn < 50; turn++) await Promise.resolve()
  })
  expect(await found[0]).toMatchObject([{ status: 'active' }])
  expect(await find()).toMatchObject([{ status: 'suspended' }])
})
