import { createSimulator, createVirtualClock } from '@tollkeeper/simulator'
import { afterEach, describe, expect, it } from 'vitest'
import { createAwsAgreements } from '../../marketplace/aws-agreements.ts'
import { createAwsMetering } from '../../marketplace/aws-metering.ts'
import { aProduct } from '../../storage/contract/fixtures.ts'
import { createSqlBuyerCaseStore } from '../../storage/sql/buyer-case-store.ts'
import { migrate } from '../../storage/sql/migrations.ts'
import { openSqlite } from '../../storage/sql/sqlite.ts'
import { createSqliteUsageStore } from '../../storage/sql/sqlite-stores.ts'
import { createSqlSubscriptionStore } from '../../storage/sql/subscription-store.ts'
import { DomainError } from '../error.ts'
import { createProductCatalog } from '../products/product.ts'
import type { AgreementService } from './agreement-service.ts'
import { createReceiveEvent } from './receive-event.ts'
import { createRegisterBuyer } from './register-buyer.ts'
import { createAgreementSync, type SyncDeps, syncAgreements } from './sync-agreements.ts'

const NOON = Date.parse('2026-11-20T12:00:00Z')
const MINUTE = 60_000
const HOUR = 60 * MINUTE

const closing: (() => unknown)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})

/** A seller whose notifications never come: only what is asked of AWS is known. */
async function aDeafSeller() {
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
    products: [made('demo', 'license'), made('old', 'legacy'), made('other', 'license')],
    settings: { throttling: false },
  })
  closing.push(() => simulator.close())
  const { url } = await simulator.listen()
  const aws = { mode: 'simulated', endpoint: url, timeoutMs: 5_000 } as const
  const agreements = createAwsAgreements({ ...aws, haste: 100 })
  const metering = createAwsMetering(aws)
  closing.push(() => {
    agreements.close()
    metering.close()
  })

  const database = openSqlite(':memory:')
  await migrate(database)
  closing.push(() => database.close())
  const cases = createSqlBuyerCaseStore(database)
  const subscriptions = createSqlSubscriptionStore(database)
  const usage = createSqliteUsageStore(database)
  const catalog = createProductCatalog([
    aProduct({ id: 'demo', productCode: 'demo', productId: 'prod-demo', listing: 'demo' }),
    aProduct({ id: 'old', productCode: 'old', productId: 'prod-old', listing: 'old', metering: 'legacy' }),
  ])
  const { clock, marketplace } = simulator
  const time = { now: () => clock.now(), sleep: async () => {} }
  const receive = createReceiveEvent({ cases, catalog, clock: time })
  const deps: SyncDeps = { agreements, receive, catalog, subscriptions, cases, usage }
  const register = createRegisterBuyer({ metering, cases, catalog, clock: time })
  return {
    deps,
    clock,
    marketplace,
    subscriptions,
    usage,
    async buy(productCode: string, accountId?: string, freeTrial = false) {
      const bought = marketplace.subscribe({
        productCode,
        freeTrial,
        ...(accountId !== undefined && { accountId }),
      })
      const token = marketplace.registrationToken(bought.id)
      const { subscription } = await register(productCode, token)
      return { bought, id: subscription.id }
    },
    sync: (since?: number) => syncAgreements(deps, since, clock.now()),
    get: (id: string) => subscriptions.get(id),
  }
}

describe('a notification that never came', () => {
  it('of a grant is healed: access starts with the agreement', async () => {
    const { buy, sync, get, clock } = await aDeafSeller()
    const { id, bought } = await buy('demo')
    clock.advance(2 * MINUTE)
    await sync()
    // AWS's own word may still be on its way.
    expect(await get(id)).toMatchObject({ status: 'pending', agreementId: bought.agreementId })
    clock.advance(4 * MINUTE)
    const { learned } = await sync()
    expect(learned[0]).toMatchObject({ kind: 'access_granted', state: 'followed', subscriptions: [id] })
    expect(await get(id)).toMatchObject({ status: 'active', accessStart: NOON, grantedAt: NOON })
  })

  it('of an end is healed, and AWS’s final hour began when AWS says', async () => {
    const { buy, sync, get, clock, marketplace } = await aDeafSeller()
    const { id, bought } = await buy('demo')
    clock.advance(10 * MINUTE)
    await sync()
    clock.advance(2 * HOUR)
    const endedAt = clock.now()
    marketplace.cancel(bought.id)
    clock.advance(20 * MINUTE)
    await sync()
    expect(await get(id)).toMatchObject({
      status: 'cancelling',
      accessEnd: endedAt,
      finalWindowEnd: endedAt + HOUR,
    })
  })

  it('says nothing of trials: the terms do, and are read once', async () => {
    const { deps, buy, sync, get, clock } = await aDeafSeller()
    const paid = await buy('demo', '111111111111')
    const trial = await buy('demo', '222222222222', true)
    clock.advance(10 * MINUTE)
    let asked = 0
    const { getAgreementTerms } = deps.agreements
    deps.agreements.getAgreementTerms = (...given) => {
      asked++
      return getAgreementTerms(...given)
    }
    await sync()
    expect(await get(paid.id)).toMatchObject({ status: 'active', freeTrial: false })
    expect(await get(trial.id)).toMatchObject({ status: 'active', freeTrial: true })
    await sync()
    expect(asked).toBe(2)
  })

  it('of both is healed at once, days later', async () => {
    const { buy, sync, get, clock, marketplace } = await aDeafSeller()
    const { id, bought } = await buy('demo')
    clock.advance(HOUR)
    const endedAt = clock.now()
    marketplace.cancel(bought.id)
    clock.advance(72 * HOUR)
    await sync()
    expect(await get(id)).toMatchObject({
      status: 'cancelling',
      grantedAt: NOON,
      accessEnd: endedAt,
      finalWindowEnd: endedAt + HOUR,
    })
  })

  it('of a renewal is healed: the buyer goes on under the new license', async () => {
    const { buy, sync, get, clock, marketplace } = await aDeafSeller()
    const { id, bought } = await buy('demo')
    clock.advance(10 * MINUTE)
    await sync()
    clock.advance(HOUR)
    const renewed = marketplace.renew(bought.id)
    clock.advance(10 * MINUTE)
    await sync()
    const before = await get(id)
    expect(before).toMatchObject({ status: 'superseded' })
    expect(await get(before.successor!)).toMatchObject({
      status: 'active',
      buyer: before.buyer,
      licenseArn: renewed.licenseArn,
      agreementId: renewed.agreementId,
    })
  })

  it('of a legacy customer is healed by its account', async () => {
    const { buy, sync, get, clock, marketplace } = await aDeafSeller()
    const { id, bought } = await buy('old', '444455556666')
    clock.advance(10 * MINUTE)
    await sync()
    expect(await get(id)).toMatchObject({ status: 'active', grantedAt: NOON })
    clock.advance(HOUR)
    const endedAt = clock.now()
    marketplace.cancel(bought.id)
    clock.advance(MINUTE)
    await sync()
    expect(await get(id)).toMatchObject({ status: 'cancelling', accessEnd: endedAt })
  })

  it('that is healed again and again changes nothing', async () => {
    const { buy, sync, clock, marketplace, subscriptions } = await aDeafSeller()
    const first = await buy('demo', '111111111111')
    await buy('old', '222222222222')
    clock.advance(10 * MINUTE)
    await sync()
    marketplace.cancel(first.bought.id)
    clock.advance(10 * MINUTE)
    await sync()
    const rows = await subscriptions.list({ limit: 10 })
    const again = await sync()
    expect(again.agreements).toBe(2)
    expect(again.learned).toEqual([])
    expect(await subscriptions.list({ limit: 10 })).toEqual(rows)
  })

  it('of nobody’s business is left alone: an agreement that ended unregistered, another product', async () => {
    const { sync, clock, marketplace } = await aDeafSeller()
    const unused = marketplace.subscribe({ productCode: 'demo' })
    marketplace.subscribe({ productCode: 'other', accountId: '999999999999' })
    clock.advance(HOUR)
    marketplace.cancel(unused.id)
    clock.advance(HOUR)
    expect(await sync()).toMatchObject({ agreements: 2, foreign: 1, learned: [] })
  })
})

describe('looking by itself', () => {
  it('asks hourly, and sooner for a registration that waits', async () => {
    const { deps, buy, get, clock } = await aDeafSeller()
    const sync = createAgreementSync(deps, { firstAfterMs: 0 })
    expect(await sync.run(clock.now())).toMatchObject({ agreements: 0 })
    const { id } = await buy('demo')
    clock.advance(4 * MINUTE)
    expect(await sync.run(clock.now())).toBeUndefined()
    clock.advance(2 * MINUTE)
    expect(await sync.run(clock.now())).toMatchObject({ agreements: 1 })
    expect(await get(id)).toMatchObject({ status: 'active' })
    clock.advance(10 * MINUTE)
    expect(await sync.run(clock.now())).toBeUndefined()
    clock.advance(HOUR)
    expect(await sync.run(clock.now())).toBeDefined()
  })

  it('lets a start begin with other work', async () => {
    const { deps, clock } = await aDeafSeller()
    const sync = createAgreementSync(deps)
    expect(await sync.run(clock.now())).toBeUndefined()
    clock.advance(MINUTE)
    expect(await sync.run(clock.now())).toBeDefined()
  })

  it('asks less and less often for one that AWS says nothing of', async () => {
    const { deps, marketplace, subscriptions, clock } = await aDeafSeller()
    const sync = createAgreementSync(deps, { firstAfterMs: 0 })
    await sync.run(clock.now())
    const { aSubscription } = await import('../../storage/contract/fixtures.ts')
    await subscriptions.create(aSubscription({ status: 'pending', createdAt: clock.now() }), 'test')
    marketplace.subscribe({ productCode: 'other' })
    let asked = 0
    for (let minute = 0; minute < 59; minute++) {
      clock.advance(MINUTE)
      if ((await sync.run(clock.now())) !== undefined) asked++
    }
    // After 5, 10, 20 and 40 minutes.
    expect(asked).toBe(4)
  })

  it('that is not permitted says so once, and goes on when it is', async () => {
    const { deps, clock, usage } = await aDeafSeller()
    const denied: AgreementService = {
      ...deps.agreements,
      // biome-ignore lint/correctness/useYield: it is refused before the first page
      searchAgreements: async function* () {
        throw new DomainError(
          'marketplace.unavailable',
          'AWS does not permit aws-marketplace:SearchAgreements',
          {
            details: { permitted: false },
          },
        )
      },
    }
    let agreements = denied
    const sync = createAgreementSync(
      {
        ...deps,
        get agreements() {
          return agreements
        },
      },
      { firstAfterMs: 0 },
    )
    for (let hour = 0; hour < 5; hour++) {
      expect((await sync.run(clock.now()))?.notPermitted).toContain('aws-marketplace:SearchAgreements')
      expect(await sync.run(clock.now() + MINUTE)).toBeUndefined()
      clock.advance(HOUR)
    }
    expect(await usage.listAlarms(10)).toMatchObject([
      { kind: 'notifications', subject: 'agreements', count: 1 },
    ])
    agreements = deps.agreements
    expect((await sync.run(clock.now()))?.notPermitted).toBeUndefined()
    expect(await usage.listAlarms(10)).toEqual([])
  })
})
