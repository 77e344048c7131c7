import { createSimulator, createVirtualClock } from '@tollkeeper/simulator'
import { afterEach, describe, expect, it } from 'vitest'
import { createAwsAgreements } from '../../../marketplace/aws-agreements.ts'
import { aProduct } from '../../../storage/contract/fixtures.ts'
import { createSqlBuyerCaseStore } from '../../../storage/sql/buyer-case-store.ts'
import { createSqlBuyerStore } from '../../../storage/sql/buyer-store.ts'
import { migrate } from '../../../storage/sql/migrations.ts'
import { openSqlite } from '../../../storage/sql/sqlite.ts'
import { createSqliteUsageStore } from '../../../storage/sql/sqlite-stores.ts'
import { createSqlSubscriptionStore } from '../../../storage/sql/subscription-store.ts'
import { createProductCatalog } from '../../products/product.ts'
import { createReceiveEvent } from '../receive-event.ts'
import { syncAgreements } from '../sync-agreements.ts'
import { importAgreements } from './import-agreements.ts'

const NOON = Date.parse('2026-11-20T12:00:00Z')
const MINUTE = 60_000
const HOUR = 60 * MINUTE

const closing: (() => unknown)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})

/** A seller with buyers of years, and an empty ledger. */
async function aSeller() {
  const made = (productCode: string, metering: 'license' | 'legacy') => ({
    productCode,
    productId: `prod-${productCode}`,
    title: productCode,
    metering,
    pricing: 'usage' as const,
    fulfillmentUrl: 'http://127.0.0.1:4000/register',
    dimensions: [{ key: 'requests', price: '1' }],
  })
  const simulator = await createSimulator({
    clock: createVirtualClock({ start: NOON, running: false }),
    products: [made('demo', 'license'), made('old', 'legacy')],
    settings: { throttling: false, licenseDelayMs: 0 },
  })
  closing.push(() => simulator.close())
  const { url } = await simulator.listen()
  const agreements = createAwsAgreements({ mode: 'simulated', endpoint: url, timeoutMs: 5_000, haste: 100 })
  const database = openSqlite(':memory:')
  await migrate(database)
  closing.push(() => {
    agreements.close()
    database.close()
  })
  const cases = createSqlBuyerCaseStore(database)
  const subscriptions = createSqlSubscriptionStore(database)
  const usage = createSqliteUsageStore(database)
  const catalog = createProductCatalog([
    aProduct({ id: 'demo', productCode: 'demo', productId: 'prod-demo', listing: 'demo' }),
    aProduct({ id: 'old', productCode: 'old', productId: 'prod-old', listing: 'old', metering: 'legacy' }),
  ])
  const { clock, marketplace } = simulator
  const receive = createReceiveEvent({
    cases,
    catalog,
    clock: { now: () => clock.now(), sleep: async () => {} },
  })
  const deps = {
    agreements,
    receive,
    cases,
    subscriptions,
    catalog,
    usage,
    buyers: createSqlBuyerStore(database),
    ingest: async () => [],
  }
  return {
    clock,
    marketplace,
    all: () => subscriptions.list({ limit: 100 }),
    unattached: () => cases.listUnattached(100),
    events: async () => (await cases.listEvents({ limit: 100 })).items,
    run: (dryRun = false) =>
      importAgreements(
        deps,
        undefined,
        { dryRun, tell: false, acceptBackMs: HOUR, actor: 'cli:ada' },
        clock.now(),
      ),
    sync: () => syncAgreements(deps, undefined, clock.now()),
  }
}

describe('agreements that AWS knows', () => {
  it('become subscriptions with AWS’s own license, account and times', async () => {
    const { clock, marketplace, run, all } = await aSeller()
    const first = marketplace.subscribe({ productCode: 'demo', accountId: '111111111111' })
    clock.advance(HOUR)
    const second = marketplace.subscribe({ productCode: 'demo', accountId: '111111111111' })
    clock.advance(HOUR)
    const { imported } = await run()
    expect(imported).toHaveLength(2)
    const rows = (await all()).toReversed()
    expect(rows).toMatchObject([
      { licenseArn: first.licenseArn, agreementId: first.agreementId, status: 'active', accessStart: NOON },
      {
        licenseArn: second.licenseArn,
        agreementId: second.agreementId,
        status: 'active',
        accessStart: NOON + HOUR,
      },
    ])
    expect(rows[0]!.buyer).toBe(rows[1]!.buyer)
  })

  it('that ended are history; one that ended just now still has AWS’s hour', async () => {
    const { clock, marketplace, run, all } = await aSeller()
    const gone = marketplace.subscribe({ productCode: 'demo', accountId: '111111111111' })
    const going = marketplace.subscribe({ productCode: 'demo', accountId: '222222222222' })
    clock.advance(HOUR)
    marketplace.cancel(gone.id)
    clock.advance(3 * HOUR)
    marketplace.cancel(going.id)
    clock.advance(10 * MINUTE)
    await run()
    const byAccount = new Map((await all()).map((row) => [row.customerAwsAccountId, row]))
    expect(byAccount.get('111111111111')).toMatchObject({
      status: 'cancelled',
      accessEnd: NOON + HOUR,
      finalWindowEnd: NOON + 2 * HOUR,
    })
    expect(byAccount.get('222222222222')).toMatchObject({
      status: 'cancelling',
      accessEnd: NOON + 4 * HOUR,
      finalWindowEnd: NOON + 5 * HOUR,
    })
  })

  it('that were renewed lead to what renewed them', async () => {
    const { clock, marketplace, run, all } = await aSeller()
    const first = marketplace.subscribe({ productCode: 'demo' })
    clock.advance(24 * HOUR)
    const second = marketplace.renew(first.id)
    clock.advance(24 * HOUR)
    await run()
    const rows = new Map((await all()).map((row) => [row.agreementId, row]))
    const heir = rows.get(second.agreementId)!
    expect(heir).toMatchObject({ status: 'active', licenseArn: second.licenseArn })
    expect(rows.get(first.agreementId)).toMatchObject({ status: 'superseded', successor: heir.id })
  })

  it('are followed from then on: a renewal that comes later finds them', async () => {
    const { clock, marketplace, run, sync, all } = await aSeller()
    const first = marketplace.subscribe({ productCode: 'demo' })
    clock.advance(24 * HOUR)
    await run()
    clock.advance(HOUR)
    const second = marketplace.renew(first.id)
    clock.advance(HOUR)
    await sync()
    const rows = await all()
    expect(rows).toHaveLength(2)
    const old = rows.find(({ agreementId }) => agreementId === first.agreementId)
    const heir = rows.find(({ id }) => id === old?.successor)
    expect(heir).toMatchObject({ status: 'active', licenseArn: second.licenseArn, buyer: old?.buyer })
  })

  it('of legacy products are set aside: AWS does not tell their customers', async () => {
    const { clock, marketplace, run, all } = await aSeller()
    marketplace.subscribe({ productCode: 'old', accountId: '333333333333' })
    clock.advance(HOUR)
    const { problems } = await run()
    expect(problems).toEqual([
      {
        where: expect.stringContaining('agreement agmt-'),
        reason: expect.stringContaining('legacy product'),
      },
    ])
    expect(await all()).toEqual([])
  })

  it('are imported once, however often; dry, not at all', async () => {
    const { clock, marketplace, run, all, events, unattached } = await aSeller()
    const first = marketplace.subscribe({ productCode: 'demo' })
    clock.advance(24 * HOUR)
    marketplace.renew(first.id)
    clock.advance(24 * HOUR)
    expect((await run(true)).imported).toHaveLength(2)
    expect([await all(), await events()]).toEqual([[], []])
    await run()
    const before = [await all(), await events()]
    expect(await run()).toMatchObject({ imported: [], known: 2, differs: [] })
    expect([await all(), await events()]).toEqual(before)
    expect(await unattached()).toEqual([])
  })
})
