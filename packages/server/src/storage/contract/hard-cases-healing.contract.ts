import { describe, expect, it } from 'vitest'
import { createCheckAccess } from '../../domain/entitlements/check-access.ts'
import { createProductCatalog } from '../../domain/products/product.ts'
import { anAgreement, licenseArn } from '../../domain/subscriptions/marketplace.fixture.ts'
import { createReceiveEvent } from '../../domain/subscriptions/receive-event.ts'
import { createRegisterBuyer } from '../../domain/subscriptions/register-buyer.ts'
import { aContract, nameOf, seats } from './contract-harness.ts'
import type { ContractRuns } from './contract-runs.ts'
import { aClock, aProduct, utc } from './fixtures.ts'
import type { OpenStores } from './open-stores.ts'
import { ACCOUNT, HOUR, MINUTE, startSeller } from './seller-harness.ts'

export function hardHealingCases(name: string, open: OpenStores, { pace }: ContractRuns): void {
  describe(`${name}: what heals after trouble`, () => {
    it('goes on under the old subscription’s id when a license is granted anew', async () => {
      const { register, receive, clock, use, subscriptions, entitlements, catalog } = await startSeller(open)
      const agreement = anAgreement({ acceptedAt: utc('2026-11-21T10:00') })
      const { id } = await register(agreement)
      await receive(agreement.granted())
      clock.set(utc('2026-11-21T12:00'))
      await receive(agreement.withdrawn(clock.now()))
      clock.set(utc('2026-11-21T12:30'))
      await receive(agreement.granted(clock.now()))
      clock.set(utc('2026-11-21T13:00'))
      const check = createCheckAccess({ subscriptions, entitlements, catalog })
      const { access } = await check({ reference: { subscriptionId: id } })
      const used = await use(1, clock.now(), { subscriptionId: id })
      expect({ used: used.status, refusal: access.refusal }).toEqual({ used: 'accepted', refusal: undefined })
    })

    it('ends a contract that is truly over after a stop, once the others have recovered', async () => {
      const { subscribe, grant, refresh, refreshDue, clock, alarms, statusOf } = await startSeller(
        open,
        aContract(),
      )
      const buyers: Awaited<ReturnType<typeof subscribe>>[] = []
      for (let i = 0; i < 10; i++) buyers.push(await subscribe())
      const all = async () => {
        await Promise.all(buyers.map(({ id }) => refresh(id)))
        await refreshDue()
      }
      for (const buyer of buyers) grant(nameOf(buyer), seats(1))
      await all()
      // AWS's slip: four of ten.
      for (const buyer of buyers.slice(0, 4)) grant(nameOf(buyer))
      for (let i = 0; i < 3; i++) {
        clock.set(clock.now() + 11 * MINUTE)
        await all()
      }
      expect(await alarms()).toMatchObject([{ kind: 'revocation_stopped' }])
      // It is over; but one of them has really ended.
      for (const buyer of buyers.slice(1, 4)) grant(nameOf(buyer), seats(1))
      for (let hours = 0; hours < 48; hours += pace) {
        clock.set(clock.now() + pace * HOUR)
        await all()
      }
      expect({ alarms: (await alarms()).length, first: await statusOf(buyers[0]!.id) }).toEqual({
        alarms: 0,
        first: 'cancelling',
      })
    })

    it('keeps one subscription of a license that two accounts register', async () => {
      const { register, all } = await startSeller(open)
      const shared = licenseArn('shared')
      await register({ licenseArn: licenseArn('own'), account: '999900009999' })
      await register({ licenseArn: shared, account: ACCOUNT })
      await register({ licenseArn: shared, account: '999900009999' })
      expect((await all()).filter((s) => s.licenseArn === shared && s.accessEnd === undefined)).toHaveLength(
        1,
      )
    })

    it('two processes register one license and hear of it at once: one subscription', async () => {
      const ledger = Symbol('ledger')
      const [first, second] = [await open(ledger), await open(ledger)]
      const clock = aClock(utc('2026-11-21T10:05'))
      const catalog = createProductCatalog([aProduct()])
      const agreement = anAgreement({ acceptedAt: utc('2026-11-21T10:00') })
      const doors = [first, second].map(({ cases }) => {
        return {
          receive: createReceiveEvent({ cases, catalog, clock }),
          register: createRegisterBuyer({
            metering: {
              resolveCustomer: async () => ({
                productCode: aProduct().productCode,
                customerAwsAccountId: ACCOUNT,
                licenseArn: agreement.licenseArn,
                customerIdentifier: undefined,
              }),
            },
            cases,
            catalog,
            clock,
          }),
        }
      })
      await Promise.all(
        doors.flatMap(({ receive, register }) => [
          register('demo', 'token'),
          receive(agreement.granted()),
          receive(agreement.created()),
          register('demo', 'token'),
        ]),
      )
      const rows = await first.subscriptions.list({ limit: 10 })
      expect(rows).toMatchObject([{ status: 'active', accessStart: utc('2026-11-21T10:00') }])
    })

    it('two products of one account do not touch each other', async () => {
      const { cases, subscriptions, clock } = await startSeller(open)
      const products = [
        aProduct(),
        aProduct({ id: 'two', productCode: 'second0code0of0twenty0five', listing: 'two' }),
      ]
      const catalog = createProductCatalog(products)
      const receive = createReceiveEvent({ cases, catalog, clock })
      const one = anAgreement({ id: 'agmt-1', acceptedAt: utc('2026-11-21T10:00') })
      const two = anAgreement({
        id: 'agmt-2',
        acceptedAt: utc('2026-11-21T10:00'),
        productCode: products[1]!.productCode,
      })
      const ids = []
      for (const [index, agreement] of [one, two].entries())
        ids.push(
          (
            await createRegisterBuyer({
              metering: {
                resolveCustomer: async () => ({
                  productCode: products[index]!.productCode,
                  customerAwsAccountId: ACCOUNT,
                  licenseArn: agreement.licenseArn,
                  customerIdentifier: undefined,
                }),
              },
              cases,
              catalog,
              clock,
            })(products[index]!.listing, 'token')
          ).subscription.id,
        )
      for (const event of [
        one.created(),
        two.created(),
        two.granted(),
        one.granted(),
        one.ended(clock.now(), 'RENEWED'),
      ])
        await receive(event)
      expect(await subscriptions.get(ids[0]!)).toMatchObject({ status: 'superseded', product: 'demo' })
      expect(await subscriptions.get(ids[1]!)).toMatchObject({ status: 'active', product: 'two' })
      expect((await subscriptions.get(ids[0]!)).buyer).not.toBe((await subscriptions.get(ids[1]!)).buyer)
    })
  })
}
