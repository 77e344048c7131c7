import { beforeEach, describe, expect, it } from 'vitest'
import type { ProductCatalog } from '../../domain/products/product.ts'
import { createProductCatalog } from '../../domain/products/product.ts'
import type { BuyerCaseStore } from '../../domain/subscriptions/buyer-case.ts'
import { decideSuccessor } from '../../domain/subscriptions/decide.ts'
import { lookAfterSubscriptions } from '../../domain/subscriptions/look-after.ts'
import { aCustomer, anAgreement } from '../../domain/subscriptions/marketplace.fixture.ts'
import type { MarketplaceEvent } from '../../domain/subscriptions/marketplace-event.ts'
import { createReceiveEvent, type ReceiveEvent } from '../../domain/subscriptions/receive-event.ts'
import { createRegisterBuyer } from '../../domain/subscriptions/register-buyer.ts'
import type { Subscription } from '../../domain/subscriptions/subscription.ts'
import type { SubscriptionStore } from '../../domain/subscriptions/subscription-store.ts'
import type { UsageStore } from '../../domain/usage/usage-store.ts'
import { aClock, aProduct, utc } from './fixtures.ts'

export interface LifecycleStores {
  readonly cases: BuyerCaseStore
  readonly subscriptions: SubscriptionStore
  readonly usage: UsageStore
}

const NOON = utc('2026-11-21T12:00')
const MINUTE = 60_000
const HOUR = 3_600_000

/**
 * What subscriptions make of AWS's notifications, on any store.
 *
 * @param ordersMax - of the orders in which a renewal may be told, so many; fewer where a step takes long
 */
export function lifecycleContract(name: string, open: () => Promise<LifecycleStores>, ordersMax = 24): void {
  describe(`${name}: the life of a subscription`, () => {
    let stores: LifecycleStores
    let clock: ReturnType<typeof aClock>
    let catalog: ProductCatalog
    let receive: ReceiveEvent

    beforeEach(async () => {
      stores = await open()
      clock = aClock(NOON)
      catalog = createProductCatalog([aProduct(), aProduct({ ...LEGACY })])
      receive = createReceiveEvent({ cases: stores.cases, catalog, clock })
    })

    const at = (ms: number) => {
      clock.set(ms)
      return ms
    }
    const lookAfter = (now: number) => lookAfterSubscriptions({ ...stores, catalog }, now)
    const all = async () => (await stores.subscriptions.list({ limit: 100 })).toReversed()
    const register = async (who: {
      licenseArn?: string
      account?: string
      customer?: string
    }): Promise<Subscription> => {
      const product = who.customer === undefined ? aProduct() : aProduct({ ...LEGACY })
      const registerBuyer = createRegisterBuyer({
        metering: {
          resolveCustomer: async () => ({
            productCode: product.productCode,
            customerAwsAccountId: who.account ?? '111122223333',
            licenseArn: who.licenseArn,
            customerIdentifier: who.customer,
          }),
        },
        cases: stores.cases,
        catalog,
        clock,
      })
      return (await registerBuyer(product.listing, 'token')).subscription
    }
    const alarms = async () =>
      (await stores.usage.listAlarms(100)).map(({ kind, subject }) => ({ kind, subject }))

    it('starts access when AWS says so, from the agreement’s own start', async () => {
      const agreement = anAgreement({ acceptedAt: NOON - 90_000 })
      const { id } = await register(agreement)
      // Which product it is for, only the license event says.
      expect((await receive(agreement.created())).state).toBe('waiting')
      expect(await stores.subscriptions.get(id)).toMatchObject({ status: 'pending' })
      await receive(agreement.granted())
      expect(await stores.subscriptions.get(id)).toMatchObject({
        status: 'active',
        grantedAt: NOON - 18_000,
        accessStart: NOON - 90_000,
        agreementId: agreement.agreementId,
      })
    })

    it('takes a notification once', async () => {
      const agreement = anAgreement({ acceptedAt: NOON - 90_000 })
      await register(agreement)
      expect((await receive(agreement.granted())).state).toBe('followed')
      expect((await receive(agreement.granted())).state).toBe('known')
    })

    it('keeps what came before the registration, and follows it then', async () => {
      const agreement = anAgreement({ acceptedAt: NOON - 10 * MINUTE })
      for (const event of [agreement.granted(), agreement.created()])
        expect((await receive(event)).state).toBe('waiting')
      expect((await stores.cases.listUnattached(10)).map(({ key }) => key)).toEqual([agreement.agreementId])
      expect(await register(agreement)).toMatchObject({ status: 'active', accessStart: NOON - 10 * MINUTE })
      expect(await stores.cases.listUnattached(10)).toEqual([])
      const { items } = await stores.cases.listEvents({ limit: 10 })
      expect(items.map(({ state }) => state)).toEqual(['followed', 'followed'])
    })

    it('an agreement that ends before it is licensed has failed', async () => {
      const agreement = anAgreement({ acceptedAt: NOON - MINUTE })
      const { id } = await register(agreement)
      await receive(asAgreementApiSays(agreement.ended(NOON), agreement))
      expect(await stores.subscriptions.get(id)).toMatchObject({ status: 'failed' })
    })

    it('a future-dated agreement waits for its day', async () => {
      const agreement = anAgreement({ acceptedAt: NOON })
      const { id } = await register(agreement)
      await receive({ ...asAgreementApiSays(agreement.created(NOON), agreement), startsAt: NOON + 24 * HOUR })
      expect(await stores.subscriptions.get(id)).toMatchObject({
        status: 'pending',
        accessStart: NOON + 24 * HOUR,
      })
      at(NOON + 24 * HOUR + 30 * MINUTE)
      await lookAfter(clock.now())
      expect(await alarms()).toEqual([])
      await receive(agreement.granted(NOON + 24 * HOUR + MINUTE))
      expect(await stores.subscriptions.get(id)).toMatchObject({
        status: 'active',
        accessStart: NOON + 24 * HOUR,
      })
    })

    it('says when AWS’s word is overdue, and takes it back when it comes', async () => {
      const agreement = anAgreement({ acceptedAt: NOON })
      const { id } = await register(agreement)
      at(NOON + 2 * HOUR)
      await lookAfter(clock.now())
      expect(await alarms()).toEqual([{ kind: 'access_overdue', subject: id }])
      await receive(agreement.granted(NOON + 2 * HOUR))
      expect(await alarms()).toEqual([])
    })

    it('ends with the first word, has an hour from the last, and then is cancelled', async () => {
      const agreement = anAgreement({ acceptedAt: NOON - 10 * MINUTE })
      const { id } = await register(agreement)
      await receive(agreement.granted())
      await receive(agreement.ended(at(NOON + MINUTE)))
      expect(await stores.subscriptions.get(id)).toMatchObject({
        status: 'cancelling',
        accessEnd: NOON + MINUTE,
        finalWindowEnd: NOON + MINUTE + HOUR,
      })
      await receive(agreement.withdrawn(at(NOON + 2 * MINUTE)))
      expect(await stores.subscriptions.get(id)).toMatchObject({
        accessEnd: NOON + MINUTE,
        finalWindowEnd: NOON + 2 * MINUTE + HOUR,
      })
      await lookAfter(at(NOON + MINUTE + HOUR))
      expect(await stores.subscriptions.get(id)).toMatchObject({ status: 'cancelling' })
      await lookAfter(at(NOON + 2 * MINUTE + HOUR))
      expect(await stores.subscriptions.get(id)).toMatchObject({ status: 'cancelled' })
    })

    it('whose term ran out is expired', async () => {
      const agreement = anAgreement({ acceptedAt: NOON - HOUR, endsAt: NOON })
      const { id } = await register(agreement)
      await receive(agreement.created())
      await receive(agreement.granted())
      expect(await stores.subscriptions.get(id)).toMatchObject({ termEnd: NOON })
      await receive(agreement.ended(at(NOON + 1000), 'EXPIRED'))
      await lookAfter(at(NOON + 2 * HOUR))
      expect(await stores.subscriptions.get(id)).toMatchObject({ status: 'expired' })
    })

    it('keeps two agreements of one account apart', async () => {
      const one = anAgreement({ id: 'agmt-1', acceptedAt: NOON - HOUR })
      const two = anAgreement({ id: 'agmt-2', acceptedAt: NOON - HOUR })
      const first = await register(one)
      const second = await register(two)
      for (const event of [one.granted(), two.granted()]) await receive(event)
      await receive(one.ended(NOON))
      expect(await stores.subscriptions.get(first.id)).toMatchObject({ status: 'cancelling' })
      expect(await stores.subscriptions.get(second.id)).toMatchObject({
        status: 'active',
        buyer: first.buyer,
      })
    })

    describe('renewed', () => {
      const old = anAgreement({ id: 'agmt-old', acceptedAt: NOON - 30 * MINUTE })
      const renewal = (values: { previousAgreementId?: string } = {}) =>
        anAgreement({ id: 'agmt-new', acceptedAt: NOON + 10 * MINUTE, intent: 'RENEW', ...values })

      async function aBuyer(): Promise<Subscription> {
        const { id } = await register(old)
        await receive(old.granted())
        await stores.subscriptions.change(id, () => ({ tenantId: 'acme', plan: 'pro' }), 'test', NOON)
        return stores.subscriptions.get(id)
      }

      async function expectRenewed(before: Subscription): Promise<Subscription> {
        const rows = await all()
        expect(rows).toHaveLength(2)
        const after = rows.find(({ id }) => id !== before.id)!
        expect(await stores.subscriptions.get(before.id)).toMatchObject({
          status: 'superseded',
          successor: after.id,
        })
        expect(after).toMatchObject({
          status: 'active',
          licenseArn: renewal().licenseArn,
          agreementId: 'agmt-new',
          tenantId: 'acme',
          plan: 'pro',
          buyer: before.buyer,
          accessStart: NOON + 10 * MINUTE,
        })
        return after
      }

      it.each([
        ['with the old agreement named', 'agmt-old'],
        ['by account and product', undefined],
      ])(
        'goes on without a registration, %s, in whatever order it is told',
        async (_, previousAgreementId) => {
          const orders = permutations(['created', 'granted', 'ended', 'withdrawn'] as const)
          const every = Math.ceil(orders.length / ordersMax)
          for (const order of orders.filter((_, index) => index % every === 0)) {
            stores = await open()
            receive = createReceiveEvent({ cases: stores.cases, catalog, clock })
            at(NOON)
            const before = await aBuyer()
            at(NOON + 12 * MINUTE)
            const after = renewal({ ...(previousAgreementId && { previousAgreementId }) })
            const told: Record<(typeof order)[number], MarketplaceEvent> = {
              created: after.created(),
              granted: after.granted(),
              ended: old.ended(NOON + 10 * MINUTE, 'RENEWED'),
              withdrawn: old.withdrawn(NOON + 10 * MINUTE + 31_000),
            }
            for (const what of order) await receive(told[what])
            // Where AWS does not name the old agreement, its word of others may still be on its way.
            if (previousAgreementId === undefined) await lookAfter(at(NOON + 25 * MINUTE))
            await expectRenewed(before)
            for (const what of order) await receive({ ...told[what], id: `again ${told[what].id}` })
            await expectRenewed(before)
          }
        },
      )

      it('goes on while AWS has not said under which agreement', async () => {
        const before = await aBuyer()
        await receive(old.ended(at(NOON + 10 * MINUTE), 'REPLACED'))
        const rows = await all()
        expect(rows.at(-1)).toMatchObject({ status: 'active', tenantId: 'acme', licenseArn: undefined })
        expect(await stores.subscriptions.get(before.id)).toMatchObject({ successor: rows.at(-1)!.id })
        await lookAfter(at(NOON + 2 * HOUR))
        expect(await alarms()).toEqual([{ kind: 'successor_unclear', subject: rows.at(-1)!.id }])
        const late = renewal()
        for (const event of [late.created(), late.granted()]) await receive(event)
        expect(await stores.subscriptions.get(rows.at(-1)!.id)).toMatchObject({ licenseArn: late.licenseArn })
        expect(await alarms()).toEqual([])
      })

      it('registered anew under its new agreement is one subscription all the same', async () => {
        const before = await aBuyer()
        const after = renewal()
        await receive(after.created(at(NOON + 10 * MINUTE)))
        await receive(after.granted(at(NOON + 11 * MINUTE)))
        const registered = await register(after)
        await receive(old.ended(at(NOON + 12 * MINUTE), 'RENEWED'))
        await lookAfter(at(NOON + 25 * MINUTE))
        expect(await stores.subscriptions.get(before.id)).toMatchObject({
          status: 'superseded',
          successor: registered.id,
        })
        expect(await stores.subscriptions.get(registered.id)).toMatchObject({
          tenantId: 'acme',
          status: 'active',
        })
      })

      it('with several that could be its successor waits for a person, and access goes on', async () => {
        const before = await aBuyer()
        const other = anAgreement({ id: 'agmt-else', acceptedAt: NOON + 5 * MINUTE, intent: 'RENEW' })
        for (const event of [other.created(), other.granted(), renewal().created(), renewal().granted()])
          await receive(event)
        await receive(old.ended(at(NOON + 12 * MINUTE), 'RENEWED'))
        await lookAfter(at(NOON + 25 * MINUTE))
        const placeholder = (await all()).at(-1)!
        expect(placeholder).toMatchObject({ status: 'active', licenseArn: undefined })
        expect(await alarms()).toEqual([{ kind: 'successor_unclear', subject: before.id }])
        await stores.cases.settleOf(
          before.id,
          (buyerCase) => decideSuccessor(buyerCase, before.id, 'agmt-new', clock.now()),
          'cli:test',
          clock.now(),
        )
        expect(await stores.subscriptions.get(placeholder.id)).toMatchObject({
          licenseArn: renewal().licenseArn,
        })
        expect(await alarms()).toEqual([])
      })

      it('a second agreement that was simply bought is no successor', async () => {
        const before = await aBuyer()
        const second = anAgreement({ id: 'agmt-second', acceptedAt: NOON + 5 * MINUTE })
        for (const event of [second.created(), second.granted()]) await receive(event)
        await receive(old.ended(at(NOON + 12 * MINUTE), 'RENEWED'))
        const successor = (await stores.subscriptions.get(before.id)).successor!
        expect(await stores.subscriptions.get(successor)).toMatchObject({ licenseArn: undefined })
      })
    })

    describe('of a legacy product', () => {
      const customer = aCustomer('ifAPi5AcF3', LEGACY.productCode)

      it('starts, ends and comes back as another subscription of the same buyer', async () => {
        const first = await register({ customer: customer.customerIdentifier })
        await receive(customer.success(NOON))
        expect(await stores.subscriptions.get(first.id)).toMatchObject({
          status: 'active',
          accessStart: NOON,
        })
        await receive(customer.pending(at(NOON + 10 * MINUTE)))
        expect(await stores.subscriptions.get(first.id)).toMatchObject({ status: 'cancelling' })
        await receive(customer.success(at(NOON + 20 * MINUTE)))
        const rows = await all()
        expect(rows).toHaveLength(2)
        expect(rows[1]).toMatchObject({
          status: 'active',
          buyer: first.buyer,
          accessStart: NOON + 20 * MINUTE,
        })
      })

      it('comes to the same whichever of its beginning and its end is told first', async () => {
        const told = [customer.success(NOON + MINUTE / 2), customer.pending(NOON + 5 * MINUTE)]
        const outcomes: unknown[] = []
        for (const events of [told, told.toReversed()]) {
          stores = await open()
          receive = createReceiveEvent({ cases: stores.cases, catalog, clock })
          at(NOON + MINUTE)
          const { id } = await register({ customer: customer.customerIdentifier })
          at(NOON + 6 * MINUTE)
          for (const event of events) await receive(event)
          const { status, accessStart, accessEnd, finalWindowEnd, grantedAt } =
            await stores.subscriptions.get(id)
          outcomes.push({ status, accessStart, accessEnd, finalWindowEnd, grantedAt })
        }
        expect(outcomes[1]).toEqual(outcomes[0])
        expect(outcomes[0]).toMatchObject({ status: 'cancelling', accessStart: NOON + MINUTE / 2 })
      })

      it('payment fails: it has failed; a later success is a new one', async () => {
        await receive(customer.fail(NOON - MINUTE))
        const failed = await register({ customer: customer.customerIdentifier })
        expect(failed.status).toBe('failed')
        await receive(customer.success(at(NOON + HOUR)))
        expect((await all()).map(({ status }) => status)).toEqual(['failed', 'active'])
      })

      it('who was back before we heard of the leaving was never away', async () => {
        const { id } = await register({ customer: customer.customerIdentifier })
        await receive(customer.success(NOON))
        at(NOON + HOUR)
        await receive(customer.success(NOON + 20 * MINUTE))
        await receive(customer.pending(NOON + 10 * MINUTE))
        expect(await all()).toHaveLength(1)
        expect(await stores.subscriptions.get(id)).toMatchObject({ status: 'active', accessEnd: undefined })
      })
    })

    it('keeps what it does not know, and shows it', async () => {
      const strange: MarketplaceEvent = {
        id: 'x',
        channel: 'eventbridge',
        kind: 'unknown',
        name: 'Something New - Manufacturer',
        occurredAt: NOON,
        payload: '{"detail-type":"Something New - Manufacturer"}',
      }
      expect((await receive(strange)).state).toBe('kept')
      const { items } = await stores.cases.listEvents({ kind: 'unknown', limit: 10 })
      expect(items[0]).toMatchObject({ state: 'kept', event: strange })
    })

    it('of a product that configuration learns of later is found then', async () => {
      const agreement = anAgreement({ productCode: 'a0product0of0the0future00', acceptedAt: NOON - HOUR })
      await receive(agreement.granted())
      expect((await stores.cases.listUnattached(10))[0]).toMatchObject({ product: undefined })
      expect(await stores.cases.adopt('a0product0of0the0future00', 'demo')).toBe(1)
      expect((await stores.cases.listUnattached(10))[0]).toMatchObject({ product: 'demo' })
    })
  })
}

/** Its answers name product and license, which agreement events do not. */
function asAgreementApiSays(
  event: MarketplaceEvent,
  { licenseArn }: { licenseArn: string },
): MarketplaceEvent {
  return { ...event, channel: 'agreements', licenseArn, productCode: aProduct().productCode }
}

const LEGACY = {
  id: 'old',
  productCode: 'old0code0of0twenty0five00',
  metering: 'legacy',
  listing: 'old',
} as const

function permutations<T>(items: readonly T[]): T[][] {
  if (items.length < 2) return [[...items]]
  return items.flatMap((item, index) =>
    permutations(items.filter((_, position) => position !== index)).map((rest) => [item, ...rest]),
  )
}
