import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Subscription } from '../../domain/subscriptions/subscription.ts'
import type { IngestOutcome, UsageReport } from '../../domain/usage/ingest-usage.ts'
import { aDimension, aProduct, utc } from './fixtures.ts'
import { type Stores, startLedger } from './ledger-harness.ts'

/** One process's stores on a ledger that starts empty: equal ones are the same ledger. */
type OpenNode = (ledger: symbol) => Promise<Stores>

export const EVERY_KIND = aProduct({
  dimensions: [
    aDimension({ key: 'requests' }),
    aDimension({ key: 'users', aggregation: 'unique', per: 'month' }),
    aDimension({ key: 'storage', aggregation: 'max', per: 'month' }),
    aDimension({ key: 'odometer', aggregation: 'total' }),
  ],
})

export type IngestNode = Awaited<ReturnType<typeof startNodes>>[number]

/** Nodes on one ledger: processes share nothing but that, and neither do these. */
async function startNodes(open: OpenNode, count: number, now: number) {
  const ledger = Symbol('ledger')
  const nodes = []
  for (let index = 0; index < count; index++) {
    // No two clocks agree to the millisecond.
    nodes.push(await startLedger(() => open(ledger), EVERY_KIND, now + index))
  }
  return nodes
}

/**
 * What every store that several processes share promises of usage that all of them take in at once.
 *
 * @param load - how many random lives, and how many reports of each buyer and dimension in each of their rounds
 */
export function ingestAtOnceContract(
  name: string,
  open: OpenNode,
  load: { readonly runs: number; readonly reports: number },
): void {
  describe(`${name}: usage that several nodes take in`, () => {
    it('counts an id once that all of them are told at once, and new meters too', async () => {
      const nodes = await startNodes(open, 3, utc('2026-11-21T10:30'))
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
          await liveThrough(await startNodes(open, 3, utc('2026-11-21T10:50')), seed, load.reports)
        }),
        { numRuns: load.runs, endOnFailure: true },
      )
    })
  })
}

const ROUNDS = ['10:50', '11:01', '11:05', '11:16', '11:21', '12:16'].map((time) => utc(`2026-11-21T${time}`))

/**
 * Rounds of reports, each told to two of three nodes at the same time, in batches of any size, while hours close, one
 * subscription ends and another is renewed. What was to be counted is added up apart, from what the nodes answered.
 */
async function liveThrough(nodes: readonly IngestNode[], seed: number, count: number): Promise<void> {
  const random = aRandom(seed)
  const [first] = nodes
  const stays = await first!.subscribe()
  const leaves = await first!.subscribe()
  const renewed = await first!.subscribe({ tenantId: `renewed-${seed}` })
  let heir: Subscription | undefined
  const told = new Map<string, { report: UsageReport; outcomes: IngestOutcome[] }>()
  for (const [round, now] of ROUNDS.entries()) {
    for (const { clock } of nodes) clock.set(now)
    const reports = [stays, leaves, renewed].flatMap((buyer) => someUse(buyer, round, count, now, random))
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
    for (const { key } of EVERY_KIND.dimensions) {
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

export function anEvent(
  buyer: Subscription,
  dimension: string,
  id: string,
  time: number,
  values: Partial<UsageReport> = { quantity: 1 },
): UsageReport {
  return { reference: { subscriptionId: buyer.id }, dimension, id, time, ...values }
}

/** Of the last 20 minutes, some of it in the hour before. */
function someUse(
  buyer: Subscription,
  round: number,
  count: number,
  now: number,
  random: () => number,
): UsageReport[] {
  const ago = () => now - Math.floor(random() * 20 * 60_000)
  return Array.from({ length: count }, (_, index) => {
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
