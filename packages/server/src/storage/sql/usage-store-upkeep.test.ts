import { expect, it } from 'vitest'
import { utc } from '../contract/fixtures.ts'
import { startLedger } from '../contract/ledger-harness.ts'
import { migrate } from './migrations.ts'
import { openSqlite } from './sqlite.ts'
import { createSqliteUsageStore } from './sqlite-stores.ts'
import { createSqlSubscriptionStore } from './subscription-store.ts'

async function open() {
  const database = openSqlite(':memory:')
  await migrate(database)
  return {
    database,
    usage: createSqliteUsageStore(database),
    subscriptions: createSqlSubscriptionStore(database),
  }
}

it('keeps neither the tag shares of closed hours, nor forgotten tag sets, nor a request twice', async () => {
  const stores = await open()
  const { subscribe, report, usage, aws, clock, close, submit } = await startLedger(async () => stores)
  const count = (table: string) =>
    stores.database.handle.prepare(`SELECT COUNT(*) FROM ${table}`).pluck().get() as number
  const buyer = await subscribe()
  await report(buyer, 'a', 1, { tags: { team: 'a' } })
  expect([count('bucket_tag'), count('tag_set')]).toEqual([1, 1])
  clock.set(utc('2026-11-21T11:15'))
  await close()
  expect([count('bucket_tag'), count('tag_set')]).toEqual([0, 1])
  for (let attempt = 0; attempt < 5; attempt++) {
    aws.next.push('lost')
    await submit()
    clock.set(clock.now() + 3_600_000)
  }
  expect([count('attempt'), count('request')]).toEqual([5, 1])
  await usage.purge(clock.now() + 86_400_000)
  expect(count('tag_set')).toBe(0)
})
