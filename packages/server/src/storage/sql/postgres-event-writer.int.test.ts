import fc from 'fast-check'
import { describe, expect, it, onTestFinished } from 'vitest'
import type { Subscription } from '../../domain/subscriptions/subscription.ts'
import type { IngestOutcome, UsageReport } from '../../domain/usage/ingest-usage.ts'
import { aDimension, aProduct, utc } from '../contract/fixtures.ts'
import { startLedger } from '../contract/ledger-harness.ts'
import { usePostgres } from './postgres.fixture.ts'
import { startCuttingProxy } from './postgres-proxy.fixture.ts'
import { openPostgresStores } from './postgres-stores.ts'

const postgres = usePostgres()

const PRODUCT = aProduct({
  dimensions: [
    aDimension({ key: 'requests' }),
    aDimension({ key: 'users', aggregation: 'unique', per: 'month' }),
    aDimension({ key: 'storage', aggregation: 'max', per: 'month' }),
    aDimension({ key: 'odometer', aggregation: 'total' }),
  ],
})

/** A node: processes share nothing but the database, and neither do these. */
async function aNode(url: string, now: number) {
  return startLedger(
    async () => {
      const stores = await openPostgresStores(url)
      onTestFinished(() => stores.close())
      return stores
    },
    PRODUCT,
    now,
  )
}

type Node = Awaited<ReturnType<typeof aNode>>

async function someNodes(count: number, now = utc('2026-11-21T10:30')): Promise<Node[]> {
  const url = await postgres.createLedger()
  // No two clocks agree to the millisecond.
  return Promise.all(Array.from({ length: count }, (_, index) => aNode(url, now + index)))
}

describe('several nodes on one database', () => {
  it('counts an id once that all of them are told at once, and new meters too', async () => {
    const nodes = await someNodes(3)
    const buyers = await Promise.all([nodes[0]!.subscribe(), nodes[1]!.subscribe()])
    const reports = buyers.flatMap((buyer) =>
      Array.from({ length: 40 }, (_, index) =>
        anEvent(buyer, 'requests', `${buyer.id}-${index}`, nodes[0]!.clock.now()),
      ),
    )
    const outcomes = await Promise.all(nodes.map(({ ingest }) => ingest(reports)))
    for (const [index] of reports.entries()) {
      expect(outcomes.map((of) => of[index]!.status).sort()).toEqual(['accepted', 'duplicate', 'duplicate'])
    }
    const { items } = await nodes[0]!.usage.listBuckets({ limit: 10 })
    expect(items.map(({ quantity, events }) => [quantity, events])).toEqual([
      [40n, 40],
      [40n, 40],
    ])
    expect(await nodes[1]!.audit()).toMatchObject({ balanced: true, meters: 2 })
  })

  it('counts exactly, whatever closes, ends and is renewed meanwhile', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer(), async (seed) => {
        await liveThrough(await someNodes(3, utc('2026-11-21T10:50')), seed)
      }),
      { numRuns: 2, endOnFailure: true },
    )
  })
})

it('looks events up by their keys for as long as it runs, though it planned to while there were none', async () => {
  const url = await postgres.createLedger()
  const stores = await openPostgresStores(url)
  const node = await startLedger(async () => stores, PRODUCT)
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

const ROUNDS = ['10:50', '11:01', '11:05', '11:16', '11:21', '12:16'].map((time) => utc(`2026-11-21T${time}`))

/**
 * Rounds of reports, each told to two of three nodes at the same time, in batches of any size, while hours close, one
 * subscription ends and another is renewed. What was to be counted is added up apart, from what the nodes answered.
 */
async function liveThrough(nodes: readonly Node[], seed: number): Promise<void> {
  const random = aRandom(seed)
  const [first] = nodes
  const stays = await first!.subscribe()
  const leaves = await first!.subscribe()
  const renewed = await first!.subscribe({ tenantId: `renewed-${seed}` })
  let heir: Subscription | undefined
  const told = new Map<string, { report: UsageReport; outcomes: IngestOutcome[] }>()
  for (const [round, now] of ROUNDS.entries()) {
    for (const { clock } of nodes) clock.set(now)
    const reports = [stays, leaves, renewed].flatMap((buyer) => someUse(buyer, round, now, random))
    for (const report of reports) told.set(keyOf(report), { report, outcomes: [] })
    const ingesting = nodes.flatMap((node) =>
      batches(
        reports.filter(() => random() < 0.67),
        random,
      ).map(async (batch) => {
        const outcomes = await node.ingest(batch)
        for (const [index, report] of batch.entries())
          told.get(keyOf(report))!.outcomes.push(outcomes[index]!)
      }),
    )
    const meanwhile: Promise<unknown>[] = [nodes[1]!.close(), nodes[2]!.close(), nodes[1]!.audit()]
    if (round === 2) meanwhile.push(first!.end(leaves, now))
    if (round === 4)
      meanwhile.push(
        first!.subscribe({ tenantId: renewed.tenantId, accessStart: now }).then((successor) => {
          heir = successor
          return first!.end(renewed, now, successor)
        }),
      )
    await Promise.all([...ingesting, ...meanwhile])
    expect(await nodes[2]!.audit()).toMatchObject({ balanced: true })
  }
  const counted = expectedOf([...told.values()])
  for (const [buyer, subscriptions] of [
    [stays, [stays]],
    [leaves, [leaves]],
    [renewed, [renewed, heir!]],
  ] as const) {
    for (const { key } of PRODUCT.dimensions) {
      const buckets = await Promise.all(
        subscriptions.map(({ id }) =>
          first!.usage.listBuckets({ subscription: id, dimension: key, limit: 100 }),
        ),
      )
      const quantity = buckets
        .flatMap(({ items }) => items)
        .reduce((sum, bucket) => sum + bucket.quantity, 0n)
      expect([buyer.id, key, quantity]).toEqual([buyer.id, key, counted(buyer, key)])
    }
  }
}

/** Each id was counted by one node, or by none; what dimensions make of those that were. */
function expectedOf(told: readonly { report: UsageReport; outcomes: readonly IngestOutcome[] }[]) {
  const billed: UsageReport[] = []
  for (const { report, outcomes } of told) {
    if (outcomes.length === 0) continue
    const statuses = outcomes.map(({ status }) => status)
    const counted = statuses.filter((status) => status === 'accepted' || status === 'late').length
    const expected = counted === 1 ? ['accepted', 'late', 'duplicate'] : ['refused']
    expect([report.id, counted, statuses.filter((status) => !expected.includes(status))]).toEqual([
      report.id,
      counted === 1 ? 1 : 0,
      [],
    ])
    if (counted === 1) billed.push(report)
  }
  return (buyer: Subscription, dimension: string): bigint => {
    const of = billed.filter(
      (report) => report.reference.subscriptionId === buyer.id && report.dimension === dimension,
    )
    const quantities = of.map(({ quantity }) => Number(quantity ?? 0))
    if (dimension === 'users') return BigInt(new Set(of.map(({ value }) => value)).size)
    if (dimension === 'requests') return BigInt(quantities.reduce((sum, quantity) => sum + quantity, 0))
    return BigInt(Math.max(0, ...quantities))
  }
}

function anEvent(
  buyer: Subscription,
  dimension: string,
  id: string,
  time: number,
  values: Partial<UsageReport> = { quantity: 1 },
): UsageReport {
  return { reference: { subscriptionId: buyer.id }, dimension, id, time, ...values }
}

/** Of the last 20 minutes, some of it in the hour before. */
function someUse(buyer: Subscription, round: number, now: number, random: () => number): UsageReport[] {
  const ago = () => now - Math.floor(random() * 20 * 60_000)
  return Array.from({ length: 25 }, (_, index) => {
    const id = `${buyer.id}-${round}-${index}`
    return [
      anEvent(buyer, 'requests', id, ago(), { quantity: 1 + Math.floor(random() * 9) }),
      anEvent(buyer, 'users', id, ago(), { value: `user-${Math.floor(random() * 40)}` }),
      anEvent(buyer, 'storage', id, ago(), { quantity: Math.floor(random() * 1_000) }),
      // A total only grows: later ones are larger.
      anEvent(buyer, 'odometer', id, now + index, { quantity: round * 1_000 + index * 10 }),
    ]
  }).flat()
}

function batches<T>(items: readonly T[], random: () => number): T[][] {
  const made: T[][] = []
  for (let at = 0; at < items.length; ) {
    const size = 1 + Math.floor(random() * 40)
    made.push(items.slice(at, at + size))
    at += size
  }
  return made
}

function keyOf({ dimension, id }: UsageReport): string {
  return `${dimension} ${id}`
}

/** mulberry32: the same seed, the same numbers. */
function aRandom(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}
