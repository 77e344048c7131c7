import { expect, it } from 'vitest'
import { limitsAt } from '../../domain/quotas/quota.ts'
import { eventKey } from '../../domain/usage/ingest-usage.ts'
import { utc } from '../contract/fixtures.ts'
import { migrate } from './migrations.ts'
import { createSqlQuotaStore } from './quota-store.ts'
import { openSqlite } from './sqlite.ts'

const NOW = utc('2026-11-21T10:30')
const DAY = 86_400_000

it('forgets what is over, and nothing that still counts', async () => {
  const database = openSqlite(':memory:')
  await migrate(database)
  const quotas = createSqlQuotaStore(database)
  const limits = limitsAt(
    [
      { window: 'day', max: 100, blocks: true },
      { window: 'lifetime', max: 100, blocks: true },
    ],
    NOW,
    NOW,
  )
  const asked = { dimension: 'calls', gate: { holder: 'sub_1', limits } }
  const admit = (id: string, at: number) =>
    quotas.admit({ ...asked, key: eventKey('demo', 'calls', 'sub_1', id), quantity: 1 }, at)
  const reserve = (id: string) =>
    quotas.reserve(
      { ...asked, key: eventKey('demo', 'calls', 'sub_1', id), quantity: 1 },
      { id, product: 'demo', createdAt: NOW, expiresAt: NOW + 1_000 },
    )
  await admit('old', NOW)
  await admit('new', NOW + 3 * DAY)
  await reserve('released')
  await reserve('held')
  await quotas.release('released', NOW)

  expect(await quotas.purge(NOW + 2 * DAY, 2)).toBeGreaterThan(0)
  while ((await quotas.purge(NOW + 2 * DAY, 2)) > 0);
  // The day is over, the lifetime is not.
  const keys = limits.map(({ window, start }) => ({ holder: 'sub_1', dimension: 'calls', window, start }))
  expect(await quotas.read(keys)).toEqual([
    { used: 0, held: 0 },
    { used: 2, held: 1 },
  ])
  expect(await quotas.findReservation('released')).toBeUndefined()
  expect(await quotas.findReservation('held')).toMatchObject({ state: 'held' })
  expect(await admit('new', NOW + 3 * DAY)).toMatchObject({ status: 'repeated' })
  expect(await admit('old', NOW + 3 * DAY)).toMatchObject({ status: 'admitted' })
  database.close()
})
