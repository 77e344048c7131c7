import { describe, expect, it } from 'vitest'
import { decideSuccessor } from '../../domain/subscriptions/decide.ts'
import { aCustomer, anAgreement } from '../../domain/subscriptions/marketplace.fixture.ts'
import { aProduct, utc } from './fixtures.ts'
import type { OpenStores } from './open-stores.ts'
import { ACCOUNT, DAY, HOUR, MINUTE, startSeller } from './seller-harness.ts'

export function hardOrderCases(name: string, open: OpenStores): void {
  describe(`${name}: news in any order`, () => {
    it('goes on where a declared subscription’s agreement is renewed', async () => {
      const { subscribe, receive, clock, all, use } = await startSeller(open)
      const old = anAgreement({ id: 'agmt-old', acceptedAt: utc('2026-01-01T00:00') })
      // As `declareConfiguration` does: License Updated was long before our time.
      await subscribe({
        licenseArn: old.licenseArn,
        customerAwsAccountId: ACCOUNT,
        agreementId: 'agmt-old',
        tenantId: 'acme',
        accessStart: utc('2026-01-01T00:00'),
      })
      clock.set(utc('2026-11-21T12:01'))
      await receive(old.ended(utc('2026-11-21T12:00'), 'RENEWED'))
      await receive(old.withdrawn(utc('2026-11-21T12:00:31')))
      clock.set(utc('2026-11-21T12:10'))
      expect({ statuses: (await all()).map(({ status }) => status), used: (await use(1)).status }).toEqual({
        statuses: ['superseded', 'active'],
        used: 'accepted',
      })
    })

    it('follows an agreement by the id that a subscription was declared with', async () => {
      const { subscribe, receive, clock, all } = await startSeller(open)
      const old = anAgreement({ id: 'agmt-old', acceptedAt: utc('2026-01-01T00:00') })
      await subscribe({
        licenseArn: old.licenseArn,
        customerAwsAccountId: ACCOUNT,
        agreementId: 'agmt-old',
        accessStart: utc('2026-01-01T00:00'),
      })
      clock.set(utc('2026-11-21T12:01'))
      // Agreement events name no product (facts 8.2): the declaration does.
      const { state } = await receive(old.ended(utc('2026-11-21T12:00'), 'CANCELLED'))
      expect({ state, ended: (await all())[0]!.accessEnd !== undefined }).toEqual({
        state: 'followed',
        ended: true,
      })
    })

    it('says goodbye to a declared subscription', async () => {
      const { subscribe, receive, clock, all, told, lookAfter } = await startSeller(
        open,
        aProduct({ metering: 'legacy' }),
      )
      const customer = aCustomer()
      const { id } = await subscribe({
        licenseArn: undefined,
        customerIdentifier: customer.customerIdentifier,
        accessStart: utc('2026-01-01T00:00'),
      })
      await receive(customer.pending(clock.now()))
      clock.set(clock.now() + 2 * HOUR)
      await lookAfter()
      expect({ status: (await all())[0]!.status, told: await told(id) }).toEqual({
        status: 'cancelled',
        told: ['subscription.cancelling', 'subscription.ended'],
      })
    })

    it('lets in whose second card was taken before they registered', async () => {
      const { register, receive, clock, all } = await startSeller(open, aProduct({ metering: 'legacy' }))
      const customer = aCustomer()
      const failedAt = clock.now()
      const paidAt = failedAt + 5 * MINUTE
      clock.set(paidAt + 20_000)
      await register({ customerIdentifier: customer.customerIdentifier })
      clock.set(paidAt + 40_000)
      // In AWS's own order.
      await receive(customer.fail(failedAt))
      await receive(customer.success(paidAt))
      expect((await all()).at(-1)!.status).toBe('active')
    })

    it('lets in whose license was granted anew before they registered, in any order', async () => {
      const { register, receive, clock, all } = await startSeller(open, aProduct(), utc('2026-11-21T12:00'))
      const agreement = anAgreement({ acceptedAt: utc('2026-11-21T11:30') })
      await register(agreement)
      await receive(agreement.withdrawn(utc('2026-11-21T11:40')))
      await receive(agreement.granted())
      await receive(agreement.granted(utc('2026-11-21T11:50')))
      clock.set(utc('2026-11-21T12:10'))
      const again = await register(agreement).then(
        ({ status }) => status,
        (error) => error.code,
      )
      expect({ last: (await all()).at(-1)!.status, again }).toEqual({ last: 'active', again: 'active' })
    })

    it('goes on where a buyer let in by entitlement is renewed', async () => {
      const { decideGrant } = await import('../../domain/subscriptions/decide.ts')
      const w = await startSeller(open)
      const old = anAgreement({ id: 'agmt-old', acceptedAt: utc('2026-11-21T10:00') })
      const { id } = await w.register(old)
      await w.cases.settleOf(
        id,
        (c) => decideGrant(c, id, { at: w.clock.now() }, w.clock.now()),
        'aws',
        w.clock.now(),
      )
      w.clock.set(utc('2026-11-21T12:00'))
      await w.receive({
        ...old.ended(w.clock.now(), 'RENEWED'),
        licenseArn: old.licenseArn,
        productCode: aProduct().productCode,
      })
      w.clock.set(utc('2026-11-21T12:10'))
      expect({
        statuses: (await w.all()).map(({ status }) => status),
        used: (await w.use(1)).status,
      }).toEqual({
        statuses: ['superseded', 'active'],
        used: 'accepted',
      })
    })

    it('goes on where such a buyer’s license is then deprovisioned', async () => {
      const { decideGrant } = await import('../../domain/subscriptions/decide.ts')
      const w = await startSeller(open)
      const old = anAgreement({ id: 'agmt-old', acceptedAt: utc('2026-11-21T10:00') })
      const { id } = await w.register(old)
      await w.cases.settleOf(
        id,
        (c) => decideGrant(c, id, { at: w.clock.now() }, w.clock.now()),
        'aws',
        w.clock.now(),
      )
      w.clock.set(utc('2026-11-21T12:00'))
      await w.receive({
        ...old.ended(w.clock.now(), 'RENEWED'),
        licenseArn: old.licenseArn,
        productCode: aProduct().productCode,
      })
      await w.receive(old.withdrawn(w.clock.now() + 31_000))
      w.clock.set(utc('2026-11-21T12:10'))
      expect({
        statuses: (await w.all()).map(({ status }) => status),
        used: (await w.use(1)).status,
      }).toEqual({
        statuses: ['superseded', 'active'],
        used: 'accepted',
      })
    })

    it('ends access where what replaced an agreement was cancelled before it began', async () => {
      const { register, receive, clock, use, runUntil, all, units, cases } = await startSeller(open)
      const old = anAgreement({ id: 'agmt-old', acceptedAt: utc('2026-11-21T10:00') })
      const next = anAgreement({
        id: 'agmt-next',
        acceptedAt: utc('2026-11-21T12:00'),
        intent: 'REPLACE',
        previousAgreementId: 'agmt-old',
      })
      const { id } = await register(old)
      await receive(old.created())
      await receive(old.granted())
      clock.set(utc('2026-11-21T12:01'))
      await receive(old.ended(utc('2026-11-21T12:00'), 'REPLACED'))
      await receive(old.withdrawn(utc('2026-11-21T12:00:31')))
      await receive(next.created())
      await receive(next.ended(utc('2026-11-21T12:00:40'), 'CANCELLED'))
      await runUntil(clock.now() + 3 * HOUR)
      await use(1000)
      await runUntil(clock.now() + 3 * DAY, HOUR)
      const chosen = await cases
        .settleOf(id, (c) => decideSuccessor(c, id, 'agmt-next', clock.now()), 'cli', clock.now())
        .then(
          () => 'taken',
          (error) => error.message,
        )
      expect({
        live: (await all()).filter(({ status }) => status === 'active').length,
        chosen,
        units: await units(),
      }).toMatchObject({ live: 0 })
    })
  })
}
