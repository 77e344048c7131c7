import { describe, expect, it } from 'vitest'
import { type Included, PLAIN_PLAN, type Plan } from '../../domain/plans/plan.ts'
import type { Product } from '../../domain/products/product.ts'
import type { Subscription } from '../../domain/subscriptions/subscription.ts'
import { aContract, type ContractStores, nameOf, seats, startContracts } from './contract-harness.ts'
import { aDimension, utc } from './fixtures.ts'

const MINUTE = 60_000
const HOUR = 3_600_000

const aPlan = (included: Partial<Included> = {}, values: Partial<Plan> = {}): Plan => ({
  id: 'pro',
  title: 'Pro',
  ...PLAIN_PLAN,
  included: [{ dimension: 'requests', units: 10n, per: undefined, reset: 'calendarMonth', ...included }],
  ...values,
})
const PER_SEAT: Partial<Included> = { units: 1n, per: 'seats' }

/** What is billed beside a contract: only what exceeds it, in the order of hours, on every store. */
export function consumptionContract(name: string, open: () => Promise<ContractStores>): void {
  const start = async (product: Product = aContract({ plans: [aPlan()] }), now?: number) => {
    const contracts = await startContracts(open, product, now)
    const { usage, audit, report, clock, close, records } = contracts
    let number = 0
    const balances = async () => {
      const found: Record<string, bigint>[] = []
      await usage.audit((page) => void found.push(...page.map((meter) => meter.balances)))
      return found[0]!
    }
    return {
      ...contracts,
      balances,
      /** So much is used now, and the hour is closed after it. */
      useHour: async (buyer: Subscription, quantity: number) => {
        await report(buyer, `use-${++number}`, quantity)
        clock.set(Math.floor(clock.now() / HOUR) * HOUR + HOUR + 20 * MINUTE)
        await close()
      },
      billed: async () => (await records()).map(({ quantity }) => quantity).toReversed(),
      checkBooks: async () => expect(await audit()).toMatchObject({ balanced: true, discrepancies: [] }),
    }
  }

  describe(`${name}: contract with consumption`, () => {
    it('uses included units up in hour order before it bills', async () => {
      const { subscribe, useHour, billed, balances, checkBooks } = await start()
      const buyer = await subscribe({ plan: 'pro' })
      await useHour(buyer, 8)
      await useHour(buyer, 5)
      await useHour(buyer, 2)
      expect(await billed()).toEqual([3, 2])
      expect(await balances()).toMatchObject({ included: 10n })
      await checkBooks()
    })

    it('waits with an hour for the hours before it', async () => {
      const { subscribe, useHour, clock, close, billed, balances } = await start(
        aContract({ plans: [aPlan({ reset: 'term' })] }),
        utc('2026-11-30T23:30'),
      )
      const buyer = await subscribe({ plan: 'pro' })
      await useHour(buyer, 8)
      // A month's last hours stay open until 03:00; what comes after them could be closed before.
      await useHour(buyer, 9)
      expect(await balances()).toMatchObject({ open: 17n })
      clock.set(utc('2026-12-01T03:00'))
      await close()
      expect(await billed()).toEqual([7])
      expect(await balances()).toMatchObject({ included: 10n })
    })

    it('includes so many for each entitled unit; an upgrade counts from the hour it came in', async () => {
      const { subscribe, grant, refresh, report, clock, useHour, billed, close, balances, checkBooks } =
        await start(aContract({ plans: [aPlan({ ...PER_SEAT, units: 2n })] }))
      const buyer = await subscribe({ plan: 'pro' })
      grant(nameOf(buyer), seats(5))
      await refresh(buyer.id)
      await useHour(buyer, 12)
      expect(await billed()).toEqual([2])
      await report(buyer, 'before', 3)
      clock.set(clock.now() + 20 * MINUTE)
      grant(nameOf(buyer), seats(9))
      await refresh(buyer.id)
      await useHour(buyer, 4)
      // 18 are included by now: 10 are used up, 7 of this hour are left to take 8.
      expect(await billed()).toEqual([2])
      await useHour(buyer, 4)
      expect(await billed()).toEqual([2, 3])
      await close()
      expect(await balances()).toMatchObject({ included: 18n })
      await checkBooks()
    })

    it('counts an hour by what held in it, however late it is closed', async () => {
      const { subscribe, grant, refresh, report, clock, close, billed } = await start(
        aContract({ plans: [aPlan(PER_SEAT)] }),
      )
      const buyer = await subscribe({ plan: 'pro' })
      grant(nameOf(buyer), seats(5))
      await refresh(buyer.id)
      await report(buyer, 'a', 8)
      clock.set(clock.now() + HOUR)
      grant(nameOf(buyer), seats(100))
      await refresh(buyer.id)
      await report(buyer, 'b', 8)
      clock.set(clock.now() + 2 * HOUR)
      await close()
      expect(await billed()).toEqual([3])
    })

    it('counts what was lowered from the next period on, and what was taken away from the next hour on', async () => {
      const { subscribe, grant, refresh, clock, useHour, billed } = await start(
        aContract({ plans: [aPlan(PER_SEAT)] }),
        utc('2026-11-21T10:30'),
      )
      const buyer = await subscribe({ plan: 'pro' })
      grant(nameOf(buyer), seats(10))
      await refresh(buyer.id)
      await useHour(buyer, 4)
      grant(nameOf(buyer), seats(2))
      await refresh(buyer.id)
      await useHour(buyer, 7)
      expect(await billed()).toEqual([1])
      clock.set(utc('2026-12-05T10:30'))
      await useHour(buyer, 3)
      expect(await billed()).toEqual([1, 1])
      clock.set(utc('2027-01-05T10:30'))
      grant(nameOf(buyer), { ...seats(1), dimension: 'other' })
      await refresh(buyer.id)
      await useHour(buyer, 1)
      expect(await billed()).toEqual([1, 1])
      await useHour(buyer, 1)
      expect(await billed()).toEqual([1, 1, 1])
    })

    it.each([
      ['calendarMonth', '2026-12-01T00:30'],
      ['anniversary', '2026-12-15T00:30'],
    ] as const)('starts anew by %s', async (reset, next) => {
      const { subscribe, clock, useHour, close, billed, balances } = await start(
        aContract({ plans: [aPlan({ reset })] }),
      )
      const buyer = await subscribe({ plan: 'pro', accessStart: utc('2026-10-15T09:30') })
      await useHour(buyer, 11)
      clock.set(utc(next) - HOUR)
      await useHour(buyer, 1)
      clock.set(utc(next))
      await useHour(buyer, 11)
      // A month's last hours stay open until 03:00, and the first of the next wait for them.
      clock.set(utc(next) + 3 * HOUR)
      await close()
      expect(await billed()).toEqual([1, 1, 1])
      expect(await balances()).toMatchObject({ included: 20n })
    })

    it('starts anew with each term of the contract, and only then', async () => {
      const { subscribe, grant, refresh, clock, useHour, billed } = await start(
        aContract({ plans: [aPlan({ reset: 'term' })] }),
      )
      const buyer = await subscribe({ plan: 'pro' })
      grant(nameOf(buyer), seats(1, utc('2027-11-01T00:00')))
      await refresh(buyer.id)
      await useHour(buyer, 11)
      clock.set(utc('2027-10-20T10:30'))
      await useHour(buyer, 2)
      // AWS moves the date some time before or after it has passed.
      grant(nameOf(buyer), seats(1, utc('2028-11-01T00:00')))
      await refresh(buyer.id)
      await useHour(buyer, 3)
      expect(await billed()).toEqual([1, 2, 3])
      clock.set(utc('2027-11-05T10:30'))
      await useHour(buyer, 12)
      expect(await billed()).toEqual([1, 2, 3, 2])
    })

    it('counts a late event in the hour that takes it', async () => {
      const { subscribe, report, clock, useHour, billed, balances } = await start(
        undefined,
        utc('2026-11-30T20:30'),
      )
      const buyer = await subscribe({ plan: 'pro' })
      await useHour(buyer, 9)
      clock.set(utc('2026-12-01T05:30'))
      await useHour(buyer, 9)
      // Used in November, of which one unit was left; but November is sealed.
      expect(await report(buyer, 'late', 3, { time: utc('2026-11-30T20:40') })).toMatchObject({
        status: 'late',
      })
      await useHour(buyer, 0)
      expect(await billed()).toEqual([2])
      expect(await balances()).toMatchObject({ included: 19n })
    })

    it('counts by the plan that held in the hour', async () => {
      const plans = [aPlan(), aPlan({ units: 30n }, { id: 'enterprise' })]
      const { subscribe, subscriptions, report, clock, close, billed } = await start(aContract({ plans }))
      const buyer = await subscribe({ plan: 'pro' })
      await report(buyer, 'a', 15)
      clock.set(clock.now() + HOUR)
      await subscriptions.change(buyer.id, () => ({ plan: 'enterprise' }), 'person', clock.now())
      await report(buyer, 'b', 15)
      clock.set(clock.now() + 2 * HOUR)
      await close()
      expect(await billed()).toEqual([5])
    })

    it('waits for AWS’s first word on what is included, and bills in full at AWS’s deadline', async () => {
      const { subscribe, grant, refresh, trouble, report, clock, close, billed, usage, balances } =
        await start(aContract({ plans: [aPlan(PER_SEAT)] }))
      const [heard, unheard] = [await subscribe({ plan: 'pro' }), await subscribe({ plan: 'pro' })]
      trouble.isDown = true
      for (const buyer of [heard, unheard]) {
        await refresh(buyer.id)
        await report(buyer, `use-${buyer.id}`, 8)
      }
      clock.set(utc('2026-11-21T20:00'))
      await close()
      expect(await billed()).toEqual([])
      expect((await usage.listAlarms(10)).map(({ kind, subject }) => [kind, subject])).toEqual(
        expect.arrayContaining([
          ['unconfigured', heard.id],
          ['unconfigured', unheard.id],
        ]),
      )
      trouble.isDown = false
      grant(nameOf(heard), seats(6))
      await refresh(heard.id)
      await close()
      // What AWS says first holds for what was used before it was asked.
      expect(await billed()).toEqual([2])
      expect(await balances()).toMatchObject({ included: 6n })
      expect((await usage.listAlarms(10)).map(({ subject }) => subject)).toEqual([unheard.id])
      clock.set(utc('2026-11-22T08:31'))
      await close()
      expect(await billed()).toEqual([2, 8])
    })

    it('does not bill before it is known which plan was bought', async () => {
      const plans = [aPlan({}, { grantedBy: 'pro' }), aPlan({ units: 3n }, { id: 'base', grantedBy: 'base' })]
      const { subscribe, grant, refresh, clock, close, useHour, billed } = await start(aContract({ plans }))
      const buyer = await subscribe()
      await useHour(buyer, 8)
      expect(await billed()).toEqual([])
      clock.set(clock.now() + HOUR)
      grant(nameOf(buyer), { ...seats(1), dimension: 'base' })
      await refresh(buyer.id)
      await close()
      expect(await billed()).toEqual([5])
    })
  })

  describe(`${name}: what AWS is not told of`, () => {
    const reportingZeros = [aDimension({ reportZero: true, holdAbove: { units: 5n } })]

    it('is counted, and all of it included, of a pure contract', async () => {
      const { subscribe, useHour, silence, submit, aws, balances, usage, checkBooks } = await start(
        aContract({ pricing: 'contract', dimensions: reportingZeros }),
      )
      const buyer = await subscribe()
      await useHour(buyer, 8)
      await silence()
      await submit()
      expect(aws.calls).toEqual([])
      expect(await balances()).toMatchObject({ measured: -8n, included: 8n, open: 0n, held: 0n })
      expect((await usage.listRecords({ limit: 10 })).items).toEqual([])
      expect(await usage.listAlarms(10)).toEqual([])
      await checkBooks()
    })

    it('is counted, and all of it included, of what was not bought at AWS', async () => {
      const { subscribe, useHour, silence, submit, aws, balances, usage, end, clock, close, checkBooks } =
        await start(aContract({ pricing: 'usage', dimensions: reportingZeros }))
      const nobody = { licenseArn: undefined, customerAwsAccountId: undefined }
      const buyer = await subscribe({ channel: 'direct', ...nobody })
      await useHour(buyer, 8)
      await useHour(buyer, 3)
      await end(buyer, clock.now())
      clock.set(clock.now() + 2 * HOUR)
      await close()
      await silence()
      await submit()
      expect(aws.calls).toEqual([])
      expect(await balances()).toMatchObject({ measured: -11n, included: 11n, open: 0n, forgiven: 0n })
      expect(await usage.listAlarms(10)).toEqual([])
      await checkBooks()
    })

    it('includes what was carried while it was metered', async () => {
      const dimensions = [aDimension({ unitSize: 1000n })]
      const metered = aContract({ pricing: 'usage', dimensions })
      const { subscribe, useHour, configure, balances, billed, checkBooks } = await start(metered)
      const buyer = await subscribe()
      await useHour(buyer, 1700)
      expect(await balances()).toMatchObject({ carry: 700n })
      configure({ ...metered, pricing: 'contract' })
      await useHour(buyer, 500)
      expect(await balances()).toMatchObject({ carry: 0n, included: 1200n })
      expect(await billed()).toEqual([1])
      await checkBooks()
    })
  })
}
