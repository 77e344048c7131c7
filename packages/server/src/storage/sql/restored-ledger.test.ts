import { copyFileSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import type { Dimension } from '../../domain/products/product.ts'
import type { Subscription } from '../../domain/subscriptions/subscription.ts'
import { aDimension, aProduct, utc } from '../contract/fixtures.ts'
import { startLedger } from '../contract/ledger-harness.ts'
import { claimLedger } from './ledger-identity.ts'
import { migrate } from './migrations.ts'
import { openSqlite } from './sqlite.ts'
import { createLedgerGuard } from './sqlite-place.ts'
import { createSqliteUsageStore } from './sqlite-stores.ts'
import { createSqlSubscriptionStore } from './subscription-store.ts'

let directory = ''
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'tollkeeper-restored-'))
})
afterEach(() => rmSync(directory, { recursive: true, force: true }))

/** A ledger with two open hours and a held one, copied while its original goes on to bill them. */
async function aCopy(holdAbove: Dimension['holdAbove'] = { units: 5n }) {
  const product = aProduct({ dimensions: [aDimension(), aDimension({ key: 'held', holdAbove })] })
  const { database, ledger } = await openLedger('ledger.db', product, utc('2026-11-21T09:20'))
  const guard = await createLedgerGuard(database, ledger.clock.now())
  const buyer = await ledger.subscribe()
  await ledger.report(buyer, 'h', 50, { dimension: 'held' })
  ledger.clock.set(utc('2026-11-21T10:16'))
  await ledger.close()
  await ledger.report(buyer, 'a', 100)
  ledger.clock.set(utc('2026-11-21T11:05'))
  await ledger.report(buyer, 'b', 5)
  await guard.beat(ledger.clock.now())
  database.handle.pragma('wal_checkpoint(TRUNCATE)')
  copyFileSync(join(directory, 'ledger.db'), join(directory, 'copy.db'))
  database.close()
  return product
}

async function openLedger(name: string, product: ReturnType<typeof aProduct>, now: number) {
  const database = openSqlite(join(directory, name))
  await migrate(database)
  await claimLedger(database, { mode: 'simulated', accountId: undefined })
  const stores = {
    usage: createSqliteUsageStore(database),
    subscriptions: createSqlSubscriptionStore(database),
  }
  return { database, ledger: await startLedger(async () => stores, product, now) }
}

async function release(database: ReturnType<typeof openSqlite>, now: number): Promise<void> {
  const guard = await createLedgerGuard(database, now)
  expect(guard.waiting()).toBeDefined()
  await guard.release('cli:somebody', now)
}

it('leaves in doubt what the other copy may have sent and AWS takes no more', async () => {
  const product = await aCopy()
  const { database, ledger } = await openLedger('copy.db', product, utc('2026-11-23T12:10'))
  await release(database, ledger.clock.now())
  await ledger.close()
  await ledger.submit()
  ledger.clock.set(utc('2026-11-23T13:20'))
  await ledger.close()
  await ledger.submit()
  expect(ledger.aws.calls).toEqual([])
  expect(
    (await ledger.records()).map(({ dimension, quantity, state }) => [dimension, quantity, state]).sort(),
  ).toEqual([
    ['held', 50, 'in_doubt'],
    ['requests', 100, 'in_doubt'],
    ['requests', 5, 'in_doubt'],
  ])
  const alarms = await ledger.usage.listAlarms(10)
  expect(alarms.filter(({ kind }) => kind === 'in_doubt')).toHaveLength(3)
  expect(await ledger.audit()).toMatchObject({ balanced: true })
  database.close()
})

it('takes the DuplicateRecord of an hour that the other copy sent for its own', async () => {
  const product = await aCopy()
  const { database, ledger } = await openLedger('copy.db', product, utc('2026-11-21T12:30'))
  await release(database, ledger.clock.now())
  await ledger.close()
  ledger.aws.next.push('DuplicateRecord')
  await ledger.submit()
  expect((await ledger.records()).map(({ state }) => state)).toEqual(['assumed', 'assumed'])
  database.close()
})

it('goes on doubting the hours of a restore after a later one', async () => {
  // Nothing is held: what is doubted begins with the oldest hour that is.
  const product = await aCopy({ units: 500n })
  const { database, ledger } = await openLedger('copy.db', product, utc('2026-11-21T12:30'))
  await release(database, ledger.clock.now())
  await ledger.close()
  await ledger.submit()
  ledger.clock.set(utc('2026-11-21T14:10'))
  const guard = await createLedgerGuard(database, ledger.clock.now())
  await guard.beat(ledger.clock.now())
  await guard.hold({ reason: 'restored once more' }, 'cli:somebody', ledger.clock.now())
  await guard.release('cli:somebody', ledger.clock.now())
  // What the lost copy had taken in and billed, reported again.
  const [buyer] = await ledger.subscriptions.list({ limit: 1 })
  await ledger.report(buyer!, 'c', 7, { time: utc('2026-11-21T12:20') })
  ledger.clock.set(utc('2026-11-21T15:30'))
  await ledger.close()
  ledger.aws.next.push('DuplicateRecord')
  await ledger.submit()
  const records = await ledger.records()
  expect(records.find(({ quantity }) => quantity === 7)).toMatchObject({ state: 'assumed' })
  database.close()
})

it('takes in nothing by what was resolved before a copy was seen to be one', async () => {
  const product = await aCopy()
  const { database, ledger } = await openLedger('copy.db', product, utc('2026-11-21T12:30'))
  const [buyer] = await ledger.subscriptions.list({ limit: 1 })
  expect(await ledger.report(buyer!, 'c', 1)).toMatchObject({ status: 'accepted' })
  // A process of its own sees it.
  const guard = await createLedgerGuard(database, ledger.clock.now())
  await expect(ledger.report(buyer!, 'd', 1)).rejects.toMatchObject({ code: 'ledger.waiting_for_release' })
  await guard.release('cli:somebody', ledger.clock.now())
  expect(await ledger.report(buyer!, 'd', 1)).toMatchObject({ status: 'accepted' })
  database.close()
})

it('believes nothing that was resolved on a copy that is lost', async () => {
  const product = await aCopy()
  const { database, ledger } = await openLedger('copy.db', product, utc('2026-11-21T12:30'))
  const at = ledger.clock.now()
  const [{ id, tenantId }] = (await ledger.subscriptions.list({ limit: 1 })) as [Subscription]
  const find = () => ledger.subscriptions.findMatching('demo', { tenantId: tenantId! })
  const epochOf = () => database.get(`SELECT value FROM ledger WHERE name = 'epoch'`)
  const before = await epochOf()
  await ledger.subscriptions.change(id, () => ({ plan: 'lost' }), 'test', at)
  expect(await find()).toMatchObject([{ plan: 'lost' }])
  // Set back beneath a process that goes on.
  await database.transaction(async (sql) => {
    await sql.run(`UPDATE subscription SET plan = NULL`)
    await sql.run(`UPDATE ledger SET value = ? WHERE name = 'epoch'`, before!.value as string)
  })
  await release(database, at)
  const other = createSqlSubscriptionStore(database)
  await other.change(id, () => ({ plan: 'gold' }), 'test', at)
  expect(await find()).toMatchObject([{ plan: 'gold' }])
  database.close()
})
