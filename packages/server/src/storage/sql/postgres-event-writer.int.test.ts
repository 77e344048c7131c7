import { describe, expect, it, onTestFinished } from 'vitest'
import { utc } from '../contract/fixtures.ts'
import { anEvent, EVERY_KIND, ingestAtOnceContract } from '../contract/ingest-at-once.contract.ts'
import { startLedger } from '../contract/ledger-harness.ts'
import { usePostgres } from './postgres.fixture.ts'
import { startCuttingProxy } from './postgres-proxy.fixture.ts'
import { openPostgresStores } from './postgres-stores.ts'

const postgres = usePostgres()

ingestAtOnceContract('PostgreSQL', postgres.openStores, { runs: 2, reports: 25 })

/** A node: processes share nothing but the database, and neither do these. */
async function aNode(url: string, now: number) {
  return startLedger(
    async () => {
      const stores = await openPostgresStores(url)
      onTestFinished(() => stores.close())
      return stores
    },
    EVERY_KIND,
    now,
  )
}

type Node = Awaited<ReturnType<typeof aNode>>

async function someNodes(count: number, now = utc('2026-11-21T10:30')): Promise<Node[]> {
  const url = await postgres.createLedger()
  // No two clocks agree to the millisecond.
  return Promise.all(Array.from({ length: count }, (_, index) => aNode(url, now + index)))
}

it('looks events up by their keys for as long as it runs, though it planned to while there were none', async () => {
  const url = await postgres.createLedger()
  const stores = await openPostgresStores(url)
  const node = await startLedger(async () => stores, EVERY_KIND)
  const buyer = await node.subscribe()
  const groups = 20
  for (let batch = 0; batch < groups; batch++)
    await node.ingest(
      Array.from({ length: 50 }, (_, index) =>
        anEvent(buyer, 'requests', `${batch}-${index}`, node.clock.now()),
      ),
    )
  // The server counts what a session did when it ends.
  await stores.close()
  const { pool } = await postgres.open(url)
  const { rows } = await pool.query<{ seq_scan: bigint }>(
    `SELECT seq_scan FROM pg_stat_user_tables WHERE relname IN ('usage_event', 'bucket')`,
  )
  // Not one for each group; what else there is in a ledger may read a small table as it likes.
  expect(rows).toHaveLength(2)
  for (const { seq_scan } of rows) expect(Number(seq_scan)).toBeLessThan(groups / 2)
})

describe('a connection that is lost', () => {
  it.each(['request', 'answer'] as const)(
    'while a commit’s %s is on its way: counts once, and tells what was recorded',
    async (cut) => {
      const proxy = await startCuttingProxy(await postgres.createLedger())
      onTestFinished(() => proxy.stop())
      const node = await aNode(proxy.url, utc('2026-11-21T10:30'))
      const buyer = await node.subscribe()
      await node.report(buyer, 'before', 1)
      const late = anEvent(buyer, 'requests', 'late', utc('2026-11-19T10:00'), { quantity: 2 })
      const call = [anEvent(buyer, 'requests', 'a', node.clock.now()), late]
      proxy.cutNext(cut)
      const outcomes = await node.ingest([...call, call[1]!])
      expect(outcomes.map(({ status }) => status)).toEqual(['accepted', 'late', 'duplicate'])
      expect(proxy.cuts()).toBe(1)
      expect((await node.ingest(call)).map(({ status }) => status)).toEqual(['duplicate', 'duplicate'])
      expect(await node.audit()).toMatchObject({ balanced: true })
    },
  )

  it('again and again, between nodes that take the same in: counts once', async () => {
    const nodes = await someNodes(2)
    const { pool } = await postgres.open(postgres.server().url('postgres'))
    const buyer = await nodes[0]!.subscribe()
    const reports = Array.from({ length: 300 }, (_, index) =>
      anEvent(buyer, 'users', `u${index}`, nodes[0]!.clock.now(), { value: `user-${index % 100}` }),
    )
    let isDone = false
    const cutting = (async () => {
      for (let cuts = 0; cuts < 20 && !isDone; cuts++) {
        await pool.query(
          `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE state <> 'idle' AND pid <> pg_backend_pid() AND application_name = 'tollkeeper' AND query LIKE '%unnest%'`,
        )
      }
    })()
    const statuses = new Map<string, string[]>()
    await Promise.all(
      nodes.map(async ({ ingest }) => {
        for (let at = 0; at < reports.length; at += 30) {
          const batch = reports.slice(at, at + 30)
          for (const [index, { status }] of (await ingest(batch)).entries())
            statuses.set(batch[index]!.id!, [...(statuses.get(batch[index]!.id!) ?? []), status])
        }
      }),
    )
    isDone = true
    await cutting
    for (const of of statuses.values()) expect(of.sort()).toEqual(['accepted', 'duplicate'])
    const { items } = await nodes[0]!.usage.listBuckets({ limit: 5 })
    expect(items).toMatchObject([{ quantity: 100n, events: 300 }])
    expect(await nodes[1]!.audit()).toMatchObject({ balanced: true })
  })
})
