import { describe, expect, it } from 'vitest'
import { createCheckAccess } from '../../domain/entitlements/check-access.ts'
import type { AgreementFilter } from '../../domain/subscriptions/agreement-service.ts'
import { decideSuccessor } from '../../domain/subscriptions/decide.ts'
import { aCustomer, anAgreement, licenseArn } from '../../domain/subscriptions/marketplace.fixture.ts'
import { createAgreementSync } from '../../domain/subscriptions/sync-agreements.ts'
import { aContract, nameOf, seats } from './contract-harness.ts'
import { aProduct, utc } from './fixtures.ts'
import type { OpenStores } from './open-stores.ts'
import { DAY, MINUTE, startSeller } from './seller-harness.ts'

export function hardFollowingCases(name: string, open: OpenStores): void {
  describe(`${name}: which subscription follows which agreement, in hard cases`, () => {
    it('takes the alarm about a successor back once a registered one took the place', async () => {
      const { register, receive, clock, lookAfter, alarms, all } = await startSeller(open)
      const old = anAgreement({ id: 'agmt-old', acceptedAt: utc('2026-11-21T10:00') })
      const next = anAgreement({ id: 'agmt-new', acceptedAt: utc('2026-11-21T12:00'), intent: 'REPLACE' })
      await register(old)
      await receive(old.granted())
      clock.set(utc('2026-11-21T12:01'))
      await receive(old.ended(utc('2026-11-21T12:00'), 'REPLACED'))
      clock.set(utc('2026-11-21T14:00'))
      await lookAfter()
      await register(next)
      await receive(next.created())
      await receive(next.granted())
      clock.set(utc('2026-11-22T14:00'))
      await lookAfter()
      expect((await all()).map(({ status }) => status)).toEqual(['superseded', 'superseded', 'active'])
      expect(await alarms()).toEqual([])
    })

    it('tells a renewal once, though its heir never has a license', async () => {
      const { register, receive, clock, told } = await startSeller(open, aProduct({ productId: 'prod-demo' }))
      const old = anAgreement({ id: 'agmt-old', acceptedAt: utc('2026-11-21T10:00') })
      const { id } = await register(old)
      await receive(old.granted())
      clock.set(utc('2026-11-21T12:00'))
      const next = anAgreement({
        id: 'agmt-next',
        acceptedAt: clock.now(),
        intent: 'REPLACE',
        previousAgreementId: 'agmt-old',
      })
      await receive({ ...next.created(clock.now()), productId: 'prod-demo' })
      await receive(next.ended(clock.now(), 'CANCELLED'))
      for (let i = 1; i <= 5; i++) await receive(anAgreement({ id: `agmt-${i}` }).granted(clock.now() + i))
      expect((await told(id)).filter((type) => type === 'subscription.renewed').length).toBeLessThan(2)
    })

    it('refuses a successor that AWS has not granted', async () => {
      const { register, receive, clock, cases } = await startSeller(
        open,
        aProduct({ productId: 'prod-demo' }),
      )
      const old = anAgreement({ id: 'agmt-old', acceptedAt: utc('2026-11-21T10:00') })
      const { id } = await register(old)
      await receive(old.granted())
      clock.set(utc('2026-11-21T12:00'))
      await receive(old.ended(clock.now(), 'REPLACED'))
      const next = anAgreement({ id: 'agmt-next', acceptedAt: clock.now(), intent: 'NEW' })
      await receive({ ...next.created(clock.now()), productId: 'prod-demo' })
      const answer = await cases
        .settleOf(id, (c) => decideSuccessor(c, id, 'agmt-next', clock.now()), 'cli', clock.now())
        .then(
          () => 'taken',
          (error) => error.constructor.name,
        )
      expect(answer).not.toBe('TypeError')
    })

    it('starts access soon though the process died while AWS answered', async () => {
      const ledger = await startSeller(open, aContract())
      const { register, grant, clock, statusOf, refreshDue, cases } = ledger
      const license = licenseArn('x')
      const { id } = await register({ licenseArn: license })
      grant(nameOf({ licenseArn: license }), seats(5))
      const { settleOf } = cases
      cases.settleOf = async () => {
        throw new Error('killed')
      }
      await expect(ledger.refresh(id)).rejects.toThrow('killed')
      cases.settleOf = settleOf
      for (let i = 0; i < 5; i++) {
        clock.set(clock.now() + 6 * MINUTE)
        await refreshDue()
      }
      expect(await statusOf(id)).toBe('active')
    })

    it('asks AWS about a registration that waits behind many that were abandoned', async () => {
      const { register, clock, receive, catalog, subscriptions, cases, usage } = await startSeller(
        open,
        aProduct({ productId: 'prod-demo' }),
      )
      for (let i = 0; i < 50; i++)
        await register({ licenseArn: licenseArn(`gone-${i}`), account: String(i).padStart(12, '9') })
      clock.set(clock.now() + DAY)
      await register({ licenseArn: licenseArn('pays') })
      const searched: (string | undefined)[] = []
      const sync = createAgreementSync({
        agreements: {
          searchAgreements: async function* (filter: AgreementFilter) {
            searched.push(filter.licenseArn)
            yield []
          },
        } as never,
        receive,
        catalog,
        subscriptions,
        cases,
        usage,
      })
      for (let i = 0; i < 24 * 20 && !searched.includes(licenseArn('pays')); i++) {
        clock.set(clock.now() + 3 * MINUTE)
        await sync.run(clock.now())
      }
      expect(searched).toContain(licenseArn('pays'))
    })

    it('a failed payment is one failed subscription, however often the buyer tries to set up', async () => {
      const { register, receive, clock, all } = await startSeller(open, aProduct({ metering: 'legacy' }))
      const customer = aCustomer()
      await receive(customer.fail(clock.now()))
      for (let i = 0; i < 20; i++) {
        clock.set(clock.now() + 1000)
        await register({ customerIdentifier: customer.customerIdentifier })
      }
      expect((await all()).length).toBeLessThan(3)
    })

    it('answers a gateway by tenant while a second agreement of it waits', async () => {
      const { register, receive, clock, subscriptions, entitlements, catalog } = await startSeller(open)
      const paid = anAgreement({ id: 'agmt-paid', acceptedAt: utc('2026-11-21T10:00') })
      const { id } = await register(paid)
      await receive(paid.granted())
      const other = await register({ licenseArn: licenseArn('other') })
      for (const name of [id, other.id])
        await subscriptions.change(name, () => ({ tenantId: 'acme' }), 'test', clock.now())
      const check = createCheckAccess({ subscriptions, entitlements, catalog })
      const { access } = await check({ reference: { tenantId: 'acme' } })
      expect(access.refusal).toBeUndefined()
    })

    it('finds whose license it is though another account accepted the agreement', async () => {
      const { register, receive, statusOf } = await startSeller(open)
      // Resolved for the account that uses it, accepted by the organisation’s payer, which bought for itself as well.
      const used = anAgreement({
        id: 'agmt-used',
        acceptedAt: utc('2026-11-21T10:00'),
        account: '999900009999',
      })
      await register({ licenseArn: licenseArn('payers-own'), account: '999900009999' })
      const { id } = await register({ licenseArn: used.licenseArn, account: '111122223333' })
      await receive(used.granted())
      expect(await statusOf(id)).toBe('active')
    })

    it('never says to deprovision a tenant that is back', async () => {
      const { register, receive, clock, subscriptions, lookAfter, events } = await startSeller(open)
      const agreement = anAgreement({ acceptedAt: utc('2026-11-21T10:00') })
      const { id } = await register(agreement)
      await receive(agreement.granted())
      await subscriptions.change(id, () => ({ tenantId: 'acme' }), 'test', clock.now())
      clock.set(utc('2026-11-21T12:00'))
      await receive(agreement.withdrawn(clock.now()))
      clock.set(utc('2026-11-21T12:01'))
      await receive(agreement.granted(clock.now()))
      clock.set(utc('2026-11-21T14:00'))
      await lookAfter()
      const told = (await events()).map(
        ({ type, data }) => `${type} ${(data.subscription as { tenantId?: string }).tenantId}`,
      )
      // The last word about the tenant is that it is over.
      expect(told.at(-1)).not.toBe('subscription.ended acme')
    })

    it('takes usage of the running term while the next one is registered early', async () => {
      const { register, receive, clock, use } = await startSeller(open, aProduct({ productId: 'prod-demo' }))
      const old = anAgreement({ id: 'agmt-old', acceptedAt: utc('2026-11-21T10:00') })
      await register(old)
      await receive(old.granted())
      const next = anAgreement({
        id: 'agmt-next',
        acceptedAt: clock.now(),
        intent: 'RENEW',
        previousAgreementId: 'agmt-old',
      })
      await receive({
        ...next.created(clock.now()),
        productId: 'prod-demo',
        startsAt: utc('2026-12-21T00:00'),
      })
      await register(next)
      clock.set(utc('2026-11-25T10:00'))
      expect((await use(1)).status).toBe('accepted')
    })

    it('takes usage while the successor is not known and the buyer registers', async () => {
      const { register, receive, clock, use } = await startSeller(open)
      const old = anAgreement({ id: 'agmt-old', acceptedAt: utc('2026-11-21T10:00') })
      await register(old)
      await receive(old.granted())
      clock.set(utc('2026-11-21T12:01'))
      await receive(old.ended(utc('2026-11-21T12:00'), 'REPLACED'))
      await register({ licenseArn: licenseArn('new') })
      clock.set(utc('2026-11-21T12:10'))
      expect((await use(1)).status).toBe('accepted')
    })
  })
}
