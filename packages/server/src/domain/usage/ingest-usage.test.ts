import { beforeEach, expect, it } from 'vitest'
import { aClock, aDimension, aProduct, aSubscription, utc } from '../../storage/contract/fixtures.ts'
import { migrate } from '../../storage/sql/migrations.ts'
import { openSqlite } from '../../storage/sql/sqlite.ts'
import { createSqliteUsageStore } from '../../storage/sql/sqlite-stores.ts'
import { createSqlSubscriptionStore } from '../../storage/sql/subscription-store.ts'
import { createProductCatalog } from '../products/product.ts'
import type { SubscriptionStore } from '../subscriptions/subscription-store.ts'
import { createIngestUsage, type IngestUsage, type UsageReport } from './ingest-usage.ts'
import type { UsageStore } from './usage-store.ts'

const NOW = utc('2026-11-21T10:30')
const DAY_MS = 86_400_000

let usage: UsageStore
let subscriptions: SubscriptionStore
let ingest: IngestUsage
/** How often the stores were asked about subscriptions. */
let looks: number

beforeEach(async () => {
  const database = openSqlite(':memory:')
  await migrate(database)
  usage = createSqliteUsageStore(database)
  subscriptions = createSqlSubscriptionStore(database)
  looks = 0
  ingest = createIngestUsage({
    usage: {
      ...usage,
      epoch: () => {
        looks++
        return usage.epoch()
      },
    },
    subscriptions: {
      ...subscriptions,
      findMatching: (product, reference) => {
        looks++
        return subscriptions.findMatching(product, reference)
      },
    },
    catalog: createProductCatalog([aProduct({ dimensions: [aDimension()] })]),
    clock: aClock(NOW),
    limits: { acceptBackMs: 7 * DAY_MS, acceptAheadMs: 300_000 },
  })
})

let count = 0

function aReport(tenantId: string): UsageReport {
  return { reference: { tenantId }, dimension: 'requests', id: `event-${++count}`, time: NOW, quantity: 1 }
}

async function statusOf(tenantId: string): Promise<string | undefined> {
  const [outcome] = await ingest([aReport(tenantId)])
  return outcome?.code ?? outcome?.status
}

it('takes usage of a buyer who was unknown a moment ago', async () => {
  expect(await statusOf('acme')).toBe('subscription_unknown')
  await subscriptions.create(aSubscription({ tenantId: 'acme' }), 'test')
  expect(await statusOf('acme')).toBe('accepted')
})

it('sees at once that a subscription was added that makes a reference ambiguous', async () => {
  await subscriptions.create(aSubscription({ tenantId: 'acme' }), 'test')
  expect(await statusOf('acme')).toBe('accepted')
  await subscriptions.create(aSubscription({ tenantId: 'acme' }), 'test')
  expect(await statusOf('acme')).toBe('subscription_ambiguous')
})

it('sees at once that a subscription has ended', async () => {
  const { subscription } = await subscriptions.create(aSubscription({ tenantId: 'acme' }), 'test')
  expect(await statusOf('acme')).toBe('accepted')
  await subscriptions.change(
    subscription.id,
    () => ({ status: 'cancelling', accessEnd: NOW - 60_000, finalWindowEnd: NOW + 3_540_000 }),
    'test',
    NOW,
  )
  expect(await statusOf('acme')).toBe('subscription_ended')
})

it('tells buyers apart whose names run into each other', async () => {
  await subscriptions.create(aSubscription({ tenantId: 'a' }), 'test')
  expect(await statusOf('a')).toBe('accepted')
  expect(await statusOf('alicenseArn1:b')).toBe('subscription_unknown')
  const [both] = await ingest([{ ...aReport('a'), reference: { tenantId: 'a', licenseArn: 'b' } }])
  expect(both?.code).toBe('subscription_unknown')
})

it('does not ask about a known buyer again while no subscription changes', async () => {
  await subscriptions.create(aSubscription({ tenantId: 'acme' }), 'test')
  expect(await statusOf('acme')).toBe('accepted')
  const before = looks
  for (let repeat = 0; repeat < 10; repeat++) expect(await statusOf('acme')).toBe('accepted')
  expect(looks).toBe(before)
})
