import { describe, expect, it } from 'vitest'
import { aCustomer, anAgreement, licenseArn } from '../../domain/subscriptions/marketplace.fixture.ts'
import { aContract, nameOf, seats } from './contract-harness.ts'
import { aProduct, utc } from './fixtures.ts'
import type { OpenStores } from './open-stores.ts'
import { DAY, HOUR, MINUTE, startSeller } from './seller-harness.ts'

export function hardAccessCases(name: string, open: OpenStores): void {
  describe(`${name}: who is let in, in hard cases`, () => {
    it('follows subscribe-success of a legacy customer whose license AWS names too', async () => {
      const { register, receive, clock, subscriptions } = await startSeller(
        open,
        aProduct({ metering: 'legacy' }),
      )
      const customer = aCustomer()
      const { id } = await register({
        customerIdentifier: customer.customerIdentifier,
        licenseArn: licenseArn('x'),
      })
      const { state } = await receive(customer.success(clock.now()))
      expect({ state, status: (await subscriptions.get(id)).status }).toEqual({
        state: 'followed',
        status: 'active',
      })
    })

    it('follows unsubscribe-pending of such a customer', async () => {
      const { register, receive, clock, subscriptions, cases } = await startSeller(
        open,
        aProduct({ metering: 'legacy' }),
      )
      const customer = aCustomer()
      const { id } = await register({
        customerIdentifier: customer.customerIdentifier,
        licenseArn: licenseArn('x'),
      })
      const { decideGrant } = await import('../../domain/subscriptions/decide.ts')
      await cases.settleOf(
        id,
        (c) => decideGrant(c, id, { at: clock.now() }, clock.now()),
        'cli',
        clock.now(),
      )
      clock.set(clock.now() + HOUR)
      await receive(customer.pending(clock.now()))
      await receive(customer.closed(clock.now() + 1))
      expect((await subscriptions.get(id)).status).toBe('cancelling')
    })

    it('goes on under the license that an amendment brings when the one before goes', async () => {
      const { register, receive, clock, all } = await startSeller(open)
      const agreement = anAgreement({ acceptedAt: utc('2026-11-21T10:00') })
      await register(agreement)
      await receive(agreement.created())
      await receive(agreement.granted())
      clock.set(utc('2026-11-21T12:00'))
      const amended = { ...agreement.granted(clock.now()), id: 'lu2', licenseArn: licenseArn('second') }
      await receive(amended)
      await receive(agreement.withdrawn(clock.now() + 1000))
      expect((await all()).filter(({ status }) => status === 'active')).toMatchObject([
        { licenseArn: licenseArn('second') },
      ])
    })

    it('knows a registration under the license that an amendment brought', async () => {
      const { register, receive, clock, subscriptions } = await startSeller(open)
      const agreement = anAgreement({ acceptedAt: utc('2026-11-21T10:00') })
      await register(agreement)
      await receive(agreement.granted())
      clock.set(utc('2026-11-21T12:00'))
      await receive({ ...agreement.granted(clock.now()), id: 'lu2', licenseArn: licenseArn('second') })
      const again = await register({ licenseArn: licenseArn('second') })
      await receive({ ...agreement.granted(clock.now() + 1000), id: 'lu3', licenseArn: licenseArn('second') })
      expect((await subscriptions.get(again.id)).status).toBe('active')
    })

    it('leaves the running agreement alone when its renewal is called off', async () => {
      const { register, receive, clock, subscriptions, all, use } = await startSeller(
        open,
        aProduct({ productId: 'prod-demo' }),
      )
      const old = anAgreement({ id: 'agmt-old', acceptedAt: utc('2026-11-21T10:00') })
      const { id } = await register(old)
      await receive(old.granted())
      clock.set(utc('2026-11-21T12:00'))
      const next = anAgreement({
        id: 'agmt-next',
        acceptedAt: clock.now(),
        intent: 'RENEW',
        previousAgreementId: 'agmt-old',
      })
      // Documented: Created of a renewal names its product.
      await receive({
        ...next.created(clock.now()),
        productId: 'prod-demo',
        startsAt: utc('2026-12-21T00:00'),
      })
      clock.set(utc('2026-11-21T13:00'))
      await receive(next.ended(clock.now(), 'CANCELLED'))
      clock.set(utc('2026-11-21T13:01'))
      expect((await use(1)).status).toBe('accepted')
      expect((await all()).map(({ status }) => status)).toEqual(['active'])
      expect((await subscriptions.get(id)).status).toBe('active')
    })

    it('lets a legacy buyer in again who lets a contract lapse and buys it anew', async () => {
      const { register, receive, clock, subscriptions, all, grant, refreshDue, refresh } = await startSeller(
        open,
        aContract({ pricing: 'contract', metering: 'legacy' }),
      )
      const customer = aCustomer()
      const term = clock.now() + 30 * DAY
      grant(customer.customerIdentifier, seats(5, term))
      const { id } = await register({ customerIdentifier: customer.customerIdentifier })
      await receive(customer.success(clock.now()))
      await refreshDue()
      expect((await subscriptions.get(id)).status).toBe('active')
      // It runs out; AWS says nothing of it but empty answers.
      clock.set(term + MINUTE)
      grant(customer.customerIdentifier)
      for (let i = 0; i < 4; i++) {
        clock.set(clock.now() + 11 * MINUTE)
        await refresh((await all()).at(-1)!.id)
        await refreshDue()
      }
      expect((await subscriptions.get(id)).status).toBe('cancelling')
      // The buyer pays again: AWS says so in every way that it has.
      clock.set(clock.now() + DAY)
      grant(customer.customerIdentifier, seats(5, clock.now() + 30 * DAY))
      await receive(customer.success(clock.now()))
      await receive({
        ...customer.success(clock.now()),
        id: 'eu',
        kind: 'entitlements_changed',
        name: 'entitlement-updated',
      })
      for (let i = 0; i < 4; i++) {
        clock.set(clock.now() + HOUR)
        await refreshDue()
      }
      expect((await all()).map(({ status }) => status)).toContain('active')
    })

    it('does not revoke a contract that an amendment prolonged', async () => {
      const { register, receive, clock, all, grant, refreshDue, refresh } = await startSeller(
        open,
        aContract(),
      )
      const term = utc('2026-11-22T00:00')
      const agreement = anAgreement({ acceptedAt: utc('2026-11-21T10:00'), endsAt: term })
      grant(nameOf(agreement), seats(5, term))
      const { id } = await register(agreement)
      await receive(agreement.created())
      await receive(agreement.granted())
      await refresh(id)
      // It is prolonged by an amendment before its end; entitlements are empty for a quarter of an hour at the turn.
      clock.set(term - HOUR)
      await receive({
        ...agreement.created(clock.now()),
        id: 'amended',
        kind: 'agreement_amended',
        endsAt: term + 365 * DAY,
      })
      clock.set(term + MINUTE)
      grant(nameOf(agreement))
      for (let i = 0; i < 3; i++) {
        await refresh(id)
        await refreshDue()
        clock.set(clock.now() + 6 * MINUTE)
      }
      const afterEmpty = (await all()).map(({ status }) => status)
      grant(nameOf(agreement), seats(5, term + 365 * DAY))
      await receive({ ...agreement.granted(clock.now()), id: 'lu2' })
      clock.set(clock.now() + HOUR)
      await refreshDue()
      const registered = await register(agreement).then(
        ({ status }) => status,
        (error) => error.code,
      )
      expect({ afterEmpty, now: (await all()).map(({ status }) => status), registered }).toEqual({
        afterEmpty: ['active'],
        now: ['active'],
        registered: 'active',
      })
    })

    it('takes a late unsubscribe-success for the cancellation before the buyer was back', async () => {
      const { register, receive, clock, all } = await startSeller(open, aProduct({ metering: 'legacy' }))
      const customer = aCustomer()
      await register({ customerIdentifier: customer.customerIdentifier })
      await receive(customer.success(clock.now()))
      clock.set(utc('2026-11-21T11:00'))
      await receive(customer.pending(clock.now()))
      clock.set(utc('2026-11-21T11:20'))
      await receive(customer.success(clock.now()))
      clock.set(utc('2026-11-21T12:00'))
      await receive(customer.closed(clock.now()))
      expect((await all()).map(({ status }) => status)).toEqual(['cancelling', 'active'])
    })

    it('a second purchase that is never granted makes no usage ambiguous', async () => {
      const { register, receive, clock, use } = await startSeller(open)
      const paid = anAgreement({ id: 'agmt-paid', acceptedAt: utc('2026-11-21T10:00') })
      await register(paid)
      await receive(paid.granted())
      clock.set(utc('2026-11-21T10:10'))
      expect((await use(1)).status).toBe('accepted')
      // Payment of a second one fails: AWS sends nothing more of it.
      await register({ licenseArn: licenseArn('other') })
      clock.set(utc('2026-12-21T10:10'))
      expect(await use(1)).toMatchObject({ status: 'accepted' })
    })
  })
}
