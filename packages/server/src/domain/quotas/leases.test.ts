import { expect, it } from 'vitest'
import { utc } from '../../storage/contract/fixtures.ts'
import { migrate } from '../../storage/sql/migrations.ts'
import { createSqlQuotaStore } from '../../storage/sql/quota-store.ts'
import { openSqlite } from '../../storage/sql/sqlite.ts'
import { createLeases, LEASE_MS } from './leases.ts'
import { limitsAt } from './quota.ts'

const NOW = utc('2026-11-21T10:30')

it('counts on in the store where a slice was forgotten between two uses of the same limits', async () => {
  const database = openSqlite(':memory:')
  await migrate(database)
  const quotas = createSqlQuotaStore(database)
  const leases = createLeases(quotas)
  const limits = limitsAt([{ window: 'day', max: 20_000, blocks: true }], NOW, NOW)
  const asked = { holder: 'sub_1', dimension: 'calls', limits }
  const [key] = limits.map(({ window, start }) => ({ holder: 'sub_1', dimension: 'calls', window, start }))

  expect(await leases.consume(asked, 15_000, 1, NOW)).toMatchObject({ isAllowed: true })
  await leases.sweep(NOW + LEASE_MS)
  expect(await leases.consume(asked, 5_000, 1, NOW + LEASE_MS)).toMatchObject({ isAllowed: true })
  expect(await leases.consume(asked, 1, 1, NOW + LEASE_MS)).toMatchObject({ isAllowed: false })
  // What this node holds of a slice it must know of, or it never gives it back.
  await leases.close(NOW + LEASE_MS)
  expect(await quotas.read([key!])).toEqual([{ used: 20_000, held: 0 }])

  const others = { ...asked, holder: 'sub_2' }
  expect(await leases.consume(others, 1, 1, NOW + LEASE_MS)).toMatchObject({ isAllowed: true })
  database.close()
})

it('gives back what is left of a slice that was taken after an earlier one was forgotten', async () => {
  const database = openSqlite(':memory:')
  await migrate(database)
  const quotas = createSqlQuotaStore(database)
  const leases = createLeases(quotas)
  const limits = limitsAt([{ window: 'day', max: 1_000_000, blocks: true }], NOW, NOW)
  const asked = { holder: 'sub_1', dimension: 'calls', limits }
  const key = { holder: 'sub_1', dimension: 'calls', window: 'day', start: limits[0]!.start } as const
  for (const at of [NOW, NOW + LEASE_MS, NOW + 2 * LEASE_MS]) {
    await leases.consume(asked, 1, 1, at)
    expect(leases.unused(key)).toBeGreaterThan(0)
    await leases.sweep(at + LEASE_MS)
  }
  expect(await quotas.read([key])).toEqual([{ used: 3, held: 0 }])
  database.close()
})
