import { describe, expect, it } from 'vitest'
import { PLAIN_PLAN, type Plan } from '../../domain/plans/plan.ts'
import { aCustomer, anAgreement, aRenewal } from '../../domain/subscriptions/marketplace.fixture.ts'
import { aContract } from './contract-harness.ts'
import { aDimension, aProduct, utc } from './fixtures.ts'
import type { OpenStores } from './open-stores.ts'
import { ACCOUNT, HOUR, MINUTE, startSeller } from './seller-harness.ts'

export function hardMeteringCases(name: string, open: OpenStores): void {
  describe(`${name}: what is metered, in hard cases`, () => {
    const withIncluded = (): Plan => ({
      id: 'pro',
      title: 'Pro',
      ...PLAIN_PLAN,
      included: [{ dimension: 'requests', units: 100n, per: undefined, reset: 'calendarMonth' }],
    })

    it('goes on with a running total when a license is withdrawn and granted anew', async () => {
      const product = aProduct({ dimensions: [aDimension({ aggregation: 'total' })] })
      const { register, receive, clock, use, runUntil, units } = await startSeller(open, product)
      const agreement = anAgreement({ acceptedAt: utc('2026-11-21T10:00') })
      await register(agreement)
      await receive(agreement.granted())
      await use(1_000_000)
      await runUntil(utc('2026-11-21T12:00'))
      expect(await units()).toBe(1_000_000)
      await receive(agreement.withdrawn(clock.now()))
      await runUntil(utc('2026-11-21T14:00'))
      await receive(agreement.granted(clock.now()))
      clock.set(clock.now() + MINUTE)
      await use(1_000_010)
      await runUntil(utc('2026-11-21T16:00'))
      expect(await units()).toBe(1_000_010)
    })

    it('goes on with a running total of a legacy customer who left and came back', async () => {
      const product = aProduct({ metering: 'legacy', dimensions: [aDimension({ aggregation: 'total' })] })
      const { register, receive, clock, use, runUntil, units } = await startSeller(open, product)
      const customer = aCustomer()
      await register({ customerIdentifier: customer.customerIdentifier })
      await receive(customer.success(clock.now()))
      await use(1000)
      await runUntil(utc('2026-11-21T12:00'))
      await receive(customer.pending(clock.now()))
      await runUntil(utc('2026-11-21T12:30'))
      await receive(customer.success(clock.now()))
      clock.set(clock.now() + MINUTE)
      await use(1001)
      await runUntil(utc('2026-11-21T16:00'))
      expect(await units()).toBe(1001)
    })

    it('counts a user of the month once though the license was withdrawn and granted anew', async () => {
      const product = aProduct({
        dimensions: [aDimension({ key: 'users', aggregation: 'unique', per: 'month' })],
      })
      const { register, receive, clock, ingest, runUntil, units } = await startSeller(open, product)
      const agreement = anAgreement({ acceptedAt: utc('2026-11-21T10:00') })
      await register(agreement)
      await receive(agreement.granted())
      const visit = (id: string) =>
        ingest([
          {
            reference: { customerAwsAccountId: ACCOUNT },
            dimension: 'users',
            id,
            time: clock.now(),
            value: 'ann',
          },
        ])
      await visit('1')
      await runUntil(utc('2026-11-21T12:00'))
      await receive(agreement.withdrawn(clock.now()))
      await runUntil(utc('2026-11-21T14:00'))
      await receive(agreement.granted(clock.now()))
      clock.set(clock.now() + MINUTE)
      await visit('2')
      await runUntil(utc('2026-11-21T16:00'))
      expect(await units()).toBe(1)
    })

    it('bills what was used since a renewal whose news comes three hours late', async () => {
      const { register, receive, use, runUntil, units, audit, records } = await startSeller(open)
      const old = anAgreement({ id: 'agmt-old', acceptedAt: utc('2026-11-21T10:00') })
      const renewal = aRenewal(utc('2026-11-21T11:00'))
      await register(old)
      await receive(old.granted())
      await use(1)
      for (const hour of ['11:30', '12:30', '13:30']) {
        await runUntil(utc(`2026-11-21T${hour}`))
        await use(100)
      }
      await runUntil(utc('2026-11-21T14:00'))
      // AWS knows the old license no more: what was sent under it since is CustomerNotSubscribed; here nothing was sent yet.
      for (const event of [
        renewal.created(),
        renewal.granted(),
        old.ended(utc('2026-11-21T11:00'), 'RENEWED'),
        old.withdrawn(utc('2026-11-21T11:00:31')),
      ])
        await receive(event)
      await runUntil(utc('2026-11-21T17:00'))
      expect(await audit()).toMatchObject({ balanced: true })
      expect(
        (await records()).filter(({ state }) => state === 'refused').map(({ quantity }) => quantity),
      ).toEqual([])
      expect(await units()).toBe(301)
    })

    it('bills it to the successor where buffered usage came before the news', async () => {
      const { register, receive, clock, use, runUntil, units, alarms } = await startSeller(open)
      const old = anAgreement({ id: 'agmt-old', acceptedAt: utc('2026-11-21T10:00') })
      const renewal = aRenewal(utc('2026-11-21T11:00'))
      await register(old)
      await receive(old.granted())
      await use(1)
      await runUntil(utc('2026-11-21T11:20'))
      clock.set(utc('2026-11-21T14:00'))
      expect((await use(100, utc('2026-11-21T11:30'))).status).toBe('accepted')
      expect((await use(100, utc('2026-11-21T13:30'))).status).toBe('accepted')
      for (const event of [
        renewal.created(),
        renewal.granted(),
        old.ended(utc('2026-11-21T11:00'), 'RENEWED'),
        old.withdrawn(utc('2026-11-21T11:00:31')),
      ])
        await receive(event)
      await runUntil(utc('2026-11-21T17:00'))
      expect({ units: await units(), alarms: await alarms() }).toEqual({ units: 201, alarms: [] })
    })

    it('bills a legacy product’s buyer after a renewal, whose license AWS names too', async () => {
      const { register, receive, clock, use, runUntil, units, alarms, all } = await startSeller(
        open,
        aProduct({ metering: 'legacy' }),
      )
      const old = anAgreement({ id: 'agmt-old', acceptedAt: utc('2026-11-21T10:00') })
      const renewal = aRenewal(utc('2026-11-21T11:00'))
      await register({ customerIdentifier: 'ifAPi5AcF3', licenseArn: old.licenseArn })
      await receive(old.granted())
      await use(1)
      await runUntil(utc('2026-11-21T11:01'))
      for (const event of [
        renewal.created(),
        renewal.granted(),
        old.ended(utc('2026-11-21T11:00'), 'RENEWED'),
      ])
        await receive(event)
      clock.set(utc('2026-11-21T11:10'))
      await use(10)
      await runUntil(utc('2026-11-21T13:00'))
      await runUntil(utc('2026-11-23T12:00'), HOUR)
      expect({
        units: await units(),
        alarms: await alarms(),
        customer: (await all()).at(-1)!.customerIdentifier,
      }).toEqual({
        units: 11,
        alarms: [],
        customer: 'ifAPi5AcF3',
      })
    })

    it('moves a buyer from legacy to license metering as one subscription', async () => {
      const legacy = aProduct({ metering: 'legacy' })
      const { register, receive, clock, use, runUntil, units, alarms, configure, all } = await startSeller(
        open,
        legacy,
      )
      const customer = aCustomer()
      await register({ customerIdentifier: customer.customerIdentifier })
      await receive(customer.success(clock.now()))
      await use(1)
      await runUntil(utc('2026-11-21T12:00'))
      expect(await units()).toBe(1)
      // Cut over at an hour boundary, as AWS asks.
      configure(aProduct({ metering: 'license' }))
      const agreement = anAgreement({ id: 'agmt-moved', acceptedAt: utc('2026-11-21T12:00') })
      await receive(agreement.granted(utc('2026-11-21T12:00')))
      const before = await use(10, clock.now())
      await register({ customerIdentifier: customer.customerIdentifier, licenseArn: agreement.licenseArn })
      const after = await use(10, clock.now() + MINUTE)
      await runUntil(utc('2026-11-23T12:00'), HOUR)
      expect({
        before: before.status,
        after: after.status,
        units: await units(),
        live: (await all()).filter(({ accessEnd }) => accessEnd === undefined).length,
        alarms: await alarms(),
      }).toEqual({ before: 'accepted', after: 'accepted', units: 21, live: 1, alarms: [] })
    })

    it.each([
      ['created, granted', 0],
      ['granted, created', 1],
    ])('bills the first minute whichever is told first: %s', async (_, swap) => {
      const { register, receive, clock, use, runUntil, units } = await startSeller(
        open,
        aProduct(),
        utc('2026-11-21T10:00:30'),
      )
      const agreement = anAgreement({ acceptedAt: utc('2026-11-21T10:00') })
      await register(agreement)
      clock.set(utc('2026-11-21T10:05'))
      const events = [agreement.created(), agreement.granted()]
      for (const event of swap ? events.toReversed() : events) await receive(event)
      // Buffered by the product since the buyer’s first click.
      await use(7, utc('2026-11-21T10:00:40'))
      await runUntil(utc('2026-11-21T12:00'))
      expect(await units()).toBe(7)
    })

    it('two agreements of one account renewed at one time wait for a person in any order', async () => {
      const outcome = async (order: readonly string[]) => {
        const { register, receive, clock, subscriptions, all } = await startSeller(
          open,
          aProduct(),
          utc('2026-11-21T10:30'),
        )
        const a = anAgreement({ id: 'agmt-a', acceptedAt: utc('2026-11-21T10:00') })
        const b = anAgreement({ id: 'agmt-b', acceptedAt: utc('2026-11-21T10:00') })
        const first = await register(a)
        const second = await register(b)
        await receive(a.granted())
        await receive(b.granted())
        await subscriptions.change(first.id, () => ({ tenantId: 'small' }), 'test', clock.now())
        await subscriptions.change(second.id, () => ({ tenantId: 'large' }), 'test', clock.now())
        const at = utc('2026-11-21T12:00')
        const a2 = anAgreement({ id: 'agmt-a2', acceptedAt: at, intent: 'RENEW' })
        const b2 = anAgreement({ id: 'agmt-b2', acceptedAt: at, intent: 'RENEW' })
        clock.set(at + 2 * MINUTE)
        const told = {
          a: [a.ended(at, 'RENEWED')],
          b: [b.ended(at, 'RENEWED')],
          a2: [a2.created(), a2.granted()],
          b2: [b2.created(), b2.granted()],
        }
        for (const what of order) for (const event of told[what as keyof typeof told]) await receive(event)
        return Object.fromEntries(
          (await all())
            .filter(({ status }) => status === 'active')
            .map(({ tenantId, agreementId }) => [tenantId, agreementId]),
        )
      }
      const clear = await outcome(['a', 'b', 'a2', 'b2'])
      const crossed = await outcome(['a', 'b2', 'b', 'a2'])
      expect(clear).not.toEqual({ small: 'agmt-b2', large: 'agmt-a2' })
      expect(crossed).toEqual(clear)
    })

    it('takes no heir that AWS named as another one’s', async () => {
      const { register, receive, clock, subscriptions } = await startSeller(
        open,
        aProduct(),
        utc('2026-11-21T10:30'),
      )
      const ours = anAgreement({ id: 'agmt-ours', acceptedAt: utc('2026-11-21T10:00') })
      const { id } = await register(ours)
      await receive(ours.granted())
      clock.set(utc('2026-11-21T12:02'))
      // Of an agreement from before our time: AWS names it, and it is not ours.
      const other = anAgreement({
        id: 'agmt-other-2',
        acceptedAt: utc('2026-11-21T12:00'),
        intent: 'RENEW',
        previousAgreementId: 'agmt-other-1',
      })
      await receive(other.created())
      await receive(other.granted())
      await receive(ours.ended(utc('2026-11-21T12:00'), 'RENEWED'))
      const heir = await subscriptions.get((await subscriptions.get(id)).successor!)
      expect(heir.agreementId).toBeUndefined()
    })

    it('includes a month’s units once though the license was withdrawn and granted anew', async () => {
      const { register, receive, clock, use, runUntil, units } = await startSeller(
        open,
        aContract({ plans: [withIncluded()] }),
      )
      const agreement = anAgreement({ acceptedAt: utc('2026-11-21T10:00') })
      await register(agreement)
      await receive(agreement.granted())
      await use(100)
      await runUntil(utc('2026-11-21T12:00'))
      await receive(agreement.withdrawn(clock.now()))
      await runUntil(utc('2026-11-21T14:00'))
      await receive(agreement.granted(clock.now()))
      clock.set(clock.now() + MINUTE)
      await use(100)
      await runUntil(utc('2026-11-23T16:00'), HOUR)
      expect(await units()).toBe(100)
    })

    it('includes a month’s units once though the agreement was replaced in it', async () => {
      const { register, receive, clock, use, runUntil, units } = await startSeller(
        open,
        aContract({ plans: [withIncluded()] }),
      )
      const old = anAgreement({ id: 'agmt-old', acceptedAt: utc('2026-11-21T10:00') })
      const next = anAgreement({
        id: 'agmt-new',
        acceptedAt: utc('2026-11-21T12:00'),
        intent: 'REPLACE',
        previousAgreementId: 'agmt-old',
      })
      await register(old)
      await receive(old.granted())
      await use(100)
      await runUntil(utc('2026-11-21T12:02'))
      for (const event of [next.created(), next.granted(), old.ended(utc('2026-11-21T12:00'), 'REPLACED')])
        await receive(event)
      clock.set(clock.now() + MINUTE)
      await use(100)
      await runUntil(utc('2026-11-23T16:00'), HOUR)
      expect(await units()).toBe(100)
    })
  })
}
