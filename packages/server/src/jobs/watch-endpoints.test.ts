import { expect, it } from 'vitest'
import type { Probe } from '../domain/health/probe-endpoints.ts'
import { createLiveCatalog } from '../domain/products/live-catalog.ts'
import { createWorkShare } from '../domain/work-share.ts'
import { aClock, aProduct, utc } from '../storage/contract/fixtures.ts'
import { anEndpoint } from '../storage/contract/health-store.contract.ts'
import { createSqlCatalogStore } from '../storage/sql/catalog-store.ts'
import { createSqlHealthStore } from '../storage/sql/health-store.ts'
import { migrate } from '../storage/sql/migrations.ts'
import { openSqlite } from '../storage/sql/sqlite.ts'
import { createSqlWorkLeases } from '../storage/sql/work-leases.ts'
import { createEndpointWatch } from './watch-endpoints.ts'

const ENDPOINTS = 200
const EVERY_MS = 10_000
const GOOD = { kind: 'up', latencyMs: 5 } as const

/** Two nodes on one ledger; of the first, one round is watched. */
async function twoNodes(probe: (other: { takesOver(): Promise<boolean> }) => ReturnType<Probe>) {
  const database = openSqlite(':memory:')
  await migrate(database)
  const clock = aClock(utc('2026-11-21T10:00'))
  const endpoints = Array.from({ length: ENDPOINTS }, (_, index) => anEndpoint({ id: `e${index}` }))
  const [share, others] = ['one', 'two'].map((holder) =>
    createWorkShare({ leases: createSqlWorkLeases(database, 1), holder, clock, everyMs: EVERY_MS }),
  )
  const round = Promise.withResolvers<void>()
  let asked = 0
  const errors: unknown[] = []
  const watch = createEndpointWatch({
    health: createSqlHealthStore(database),
    catalog: createLiveCatalog({
      store: createSqlCatalogStore(database),
      declared: [aProduct({ endpoints })],
      clock,
    }),
    probe: () => {
      asked++
      return probe({ takesOver: () => others!.keeps('health') })
    },
    clock: {
      ...clock,
      sleep: (_, signal) => {
        round.resolve()
        return new Promise((_resolve, reject) => {
          signal!.addEventListener('abort', () => reject(signal!.reason))
        })
      },
    },
    share: share!,
    everyMs: EVERY_MS,
    mayRun: async () => true,
    onError: (error) => void errors.push(error),
  })
  return {
    clock,
    /** @returns how many were asked */
    async round() {
      watch.start()
      await round.promise
      await watch.stop()
      await database.close()
      expect(errors).toEqual([])
      return asked
    },
  }
}

it('stays the one that asks for as long as a round takes', async () => {
  const overtaken: boolean[] = []
  const node = await twoNodes(async ({ takesOver }) => {
    node.clock.set(node.clock.now() + 1_000)
    overtaken.push(await takesOver())
    return GOOD
  })
  expect(await node.round()).toBe(ENDPOINTS)
  expect(overtaken).not.toContain(true)
})

it('leaves the rest of a round to the node that took over', async () => {
  let overtaken = false
  const node = await twoNodes(async ({ takesOver }) => {
    if (!overtaken) {
      node.clock.set(node.clock.now() + 600_000)
      overtaken = await takesOver()
    }
    return GOOD
  })
  // No more than those that were being asked then.
  expect(await node.round()).toBeLessThanOrEqual(16)
  expect(overtaken).toBe(true)
})
