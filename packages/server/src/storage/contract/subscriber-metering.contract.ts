import { describe, expect, it } from 'vitest'
import type { Product } from '../../domain/products/product.ts'
import type { BuyerCaseStore } from '../../domain/subscriptions/buyer-case.ts'
import { decideSuccessor } from '../../domain/subscriptions/decide.ts'
import { lookAfterSubscriptions } from '../../domain/subscriptions/look-after.ts'
import { aCustomer, anAgreement, aRenewal } from '../../domain/subscriptions/marketplace.fixture.ts'
import { createReceiveEvent } from '../../domain/subscriptions/receive-event.ts'
import { createRegisterBuyer } from '../../domain/subscriptions/register-buyer.ts'
import { aDimension, aProduct, LONG_MS, utc } from './fixtures.ts'
import { type Stores, startLedger } from './ledger-harness.ts'

const MINUTE = 60_000
const ACCOUNT = '111122223333'

/** What AWS's notifications do to what is metered: nothing is lost and nothing is billed to the wrong agreement. */
export function subscriberMeteringContract(
  name: string,
  open: () => Promise<Stores & { readonly cases: BuyerCaseStore }>,
): void {
  const start = async (product: Product = aProduct(), now = utc('2026-11-21T10:05')) => {
    const ledger = await startLedger(open, product, now)
    const { cases, catalog, clock, ingest } = ledger
    let number = 0
    const register = (customer: { licenseArn?: string; customerIdentifier?: string }) =>
      createRegisterBuyer({
        metering: {
          resolveCustomer: async () => ({
            productCode: product.productCode,
            customerAwsAccountId: ACCOUNT,
            licenseArn: customer.licenseArn,
            customerIdentifier: customer.customerIdentifier,
          }),
        },
        cases,
        catalog: { ...catalog, findByListing: () => product },
        clock,
      })('demo', 'token').then(({ subscription }) => subscription)
    return {
      ...ledger,
      register,
      receive: createReceiveEvent({ cases, catalog, clock }),
      /** As a product reports it that knows its buyer by account only. */
      use: async (quantity: number, time = clock.now()) => {
        const [outcome] = await ingest([
          {
            reference: { customerAwsAccountId: ACCOUNT },
            dimension: 'requests',
            id: `use-${++number}`,
            time,
            quantity,
          },
        ])
        return outcome!
      },
      /** Time goes on with the jobs running. */
      runUntil: async (time: number) => {
        while (clock.now() < time) {
          clock.set(Math.min(time, clock.now() + 5 * MINUTE))
          await lookAfterSubscriptions(ledger, clock.now())
          await ledger.close()
          await ledger.submit()
        }
      },
      billed: async () =>
        (await ledger.records())
          .filter(({ state }) => state === 'accepted')
          .map(({ identity, quantity, timestamp }) => ({
            to: identity.kind === 'license' ? identity.licenseArn : identity.customerIdentifier,
            quantity,
            at: new Date(timestamp).toISOString().slice(11, 19),
          }))
          .sort((a, b) => (a.at < b.at ? -1 : 1)),
    }
  }

  describe(`${name}: metering through a life`, () => {
    it(
      'bills a renewed buyer’s usage to each agreement to the unit',
      async () => {
        const { register, receive, use, clock, runUntil, billed, audit } = await start()
        const old = anAgreement({ id: 'agmt-old', acceptedAt: utc('2026-11-21T10:00') })
        const renewal = aRenewal(utc('2026-11-21T11:30'))
        await register(old)
        await receive(old.created())
        await receive(old.granted())
        await use(3)
        await runUntil(utc('2026-11-21T11:29'))
        await use(5)
        clock.set(utc('2026-11-21T11:31'))
        // AWS has renewed it, and we do not know yet.
        await use(7)
        await receive(renewal.created())
        await receive(renewal.granted())
        clock.set(utc('2026-11-21T11:33'))
        await use(11)
        // Buffered by the product since before the renewal.
        await use(13, utc('2026-11-21T11:28'))
        await receive(old.ended(utc('2026-11-21T11:30'), 'RENEWED'))
        await receive(old.withdrawn(utc('2026-11-21T11:30:31')))
        await runUntil(utc('2026-11-21T14:00'))
        expect(await billed()).toEqual([
          { to: old.licenseArn, quantity: 3, at: '10:00:00' },
          { to: old.licenseArn, quantity: 5 + 13, at: '11:00:00' },
          { to: renewal.licenseArn, quantity: 7 + 11, at: '11:30:00' },
        ])
        expect(await audit()).toMatchObject({ balanced: true })
      },
      LONG_MS,
    )

    it(
      'bills what came in while the successor was unknown to the successor',
      async () => {
        const { register, receive, use, clock, runUntil, billed, audit, cases } = await start()
        const old = anAgreement({ id: 'agmt-old', acceptedAt: utc('2026-11-21T10:00') })
        const one = anAgreement({ id: 'agmt-one', acceptedAt: utc('2026-11-21T11:10'), intent: 'RENEW' })
        const two = anAgreement({ id: 'agmt-two', acceptedAt: utc('2026-11-21T11:10'), intent: 'RENEW' })
        const { id } = await register(old)
        await receive(old.granted())
        clock.set(utc('2026-11-21T11:11:20'))
        for (const { created, granted } of [one, two]) {
          await receive(created())
          await receive(granted())
        }
        await receive(old.ended(utc('2026-11-21T11:10'), 'RENEWED'))
        await use(5)
        await runUntil(utc('2026-11-21T15:00'))
        await use(6)
        expect(await billed()).toEqual([])
        await cases.settleOf(
          id,
          (buyerCase) => decideSuccessor(buyerCase, id, 'agmt-two', clock.now()),
          'cli:test',
          clock.now(),
        )
        await runUntil(utc('2026-11-21T17:00'))
        expect(await billed()).toEqual([
          { to: two.licenseArn, quantity: 5, at: '11:10:00' },
          { to: two.licenseArn, quantity: 6, at: '15:00:00' },
        ])
        expect(await audit()).toMatchObject({ balanced: true })
      },
      LONG_MS,
    )

    it('bills usage that came before AWS’s word from the agreement’s start on', async () => {
      const { register, receive, use, runUntil, clock, billed, audit } = await start()
      const agreement = anAgreement({ acceptedAt: utc('2026-11-21T11:20') })
      await register(agreement)
      await use(4)
      clock.set(utc('2026-11-21T11:25'))
      await use(5)
      await receive(agreement.created())
      await receive(agreement.granted())
      await runUntil(utc('2026-11-21T13:00'))
      expect(await billed()).toEqual([{ to: agreement.licenseArn, quantity: 9, at: '11:20:00' }])
      expect(await audit()).toMatchObject({ balanced: true })
    })

    it('sends the last hour within AWS’s hour, then turns usage away and says why', async () => {
      const { register, receive, use, clock, runUntil, billed, subscriptions, aws } = await start()
      const agreement = anAgreement({ acceptedAt: utc('2026-11-21T10:00') })
      const { id } = await register(agreement)
      await receive(agreement.created())
      await receive(agreement.granted())
      await use(2)
      clock.set(utc('2026-11-21T11:20'))
      await use(3)
      clock.set(utc('2026-11-21T11:25'))
      await receive(agreement.ended(utc('2026-11-21T11:21')))
      expect(await use(4, utc('2026-11-21T11:19'))).toMatchObject({ status: 'accepted' })
      expect(await use(9)).toMatchObject({ status: 'refused', code: 'subscription_ended' })
      await runUntil(utc('2026-11-21T11:30'))
      expect(await billed()).toEqual([{ to: agreement.licenseArn, quantity: 2, at: '10:00:00' }])
      await runUntil(utc('2026-11-21T11:35'))
      expect(await billed()).toEqual([
        { to: agreement.licenseArn, quantity: 2, at: '10:00:00' },
        { to: agreement.licenseArn, quantity: 7, at: '11:00:00' },
      ])
      const calls = aws.calls.length
      await runUntil(utc('2026-11-21T12:30'))
      expect(aws.calls).toHaveLength(calls)
      expect(await subscriptions.get(id)).toMatchObject({ status: 'cancelled' })
      expect(await use(1)).toMatchObject({ status: 'refused', code: 'subscription_ended' })
    })

    it('keeps trying the last hour until AWS’s hour is over', async () => {
      const { register, receive, use, clock, runUntil, records, aws } = await start()
      const agreement = anAgreement({ acceptedAt: utc('2026-11-21T10:00') })
      await register(agreement)
      await receive(agreement.granted())
      await use(2)
      await receive(agreement.withdrawn(clock.now()))
      aws.next.push(...Array.from({ length: 4 }, () => 'unprocessed' as const))
      await runUntil(utc('2026-11-21T11:04'))
      expect(await records()).toMatchObject([{ quantity: 2, state: 'accepted' }])
      expect(aws.calls.length).toBe(5)
    })

    it('of a legacy buyer who is back within the hour bills each hour once, the new usage from the next', async () => {
      const { register, receive, use, clock, runUntil, billed, audit } = await start(
        aProduct({ metering: 'legacy' }),
      )
      const customer = aCustomer()
      await register({ customerIdentifier: customer.customerIdentifier })
      await receive(customer.success(clock.now()))
      await use(3)
      clock.set(utc('2026-11-21T10:10'))
      await receive(customer.pending(clock.now()))
      await runUntil(utc('2026-11-21T10:25'))
      await receive(customer.success(clock.now()))
      await use(8)
      await runUntil(utc('2026-11-21T11:20'))
      await use(1)
      await runUntil(utc('2026-11-21T13:00'))
      expect(await billed()).toEqual([
        { to: customer.customerIdentifier, quantity: 3, at: '10:05:00' },
        { to: customer.customerIdentifier, quantity: 9, at: '11:00:00' },
      ])
      expect(await audit()).toMatchObject({ balanced: true })
    })

    it('counts a user of the month once though the agreement was renewed in it', async () => {
      const product = aProduct({
        dimensions: [aDimension({ key: 'users', aggregation: 'unique', per: 'month' })],
      })
      const { register, receive, ingest, clock, runUntil, billed } = await start(product)
      const old = anAgreement({ id: 'agmt-old', acceptedAt: utc('2026-11-21T10:00') })
      const renewal = aRenewal(utc('2026-11-21T10:30'))
      await register(old)
      await receive(old.granted())
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
      clock.set(utc('2026-11-21T10:32'))
      await receive(renewal.created())
      await receive(renewal.granted())
      await visit('2')
      await visit('3')
      await receive(old.ended(utc('2026-11-21T10:30'), 'RENEWED'))
      await runUntil(utc('2026-11-21T12:00'))
      expect(await billed()).toEqual([{ to: old.licenseArn, quantity: 1, at: '10:01:12' }])
    })
  })
}
