import type { Product } from '../../domain/products/product.ts'
import { lookAfterSubscriptions } from '../../domain/subscriptions/look-after.ts'
import { createRegisterBuyer } from '../../domain/subscriptions/register-buyer.ts'
import type { SubscriptionReference } from '../../domain/subscriptions/subscription.ts'
import { startContracts } from './contract-harness.ts'
import { aProduct, utc } from './fixtures.ts'
import { type OpenStores, openTelling } from './open-stores.ts'

export const MINUTE = 60_000
export const HOUR = 3_600_000
export const DAY = 86_400_000
export const ACCOUNT = '111122223333'

/** A whole seller: one product, AWS's notifications, jobs, usage. */
export async function startSeller(
  open: OpenStores,
  product: Product = aProduct(),
  now = utc('2026-11-21T10:05'),
) {
  const ledger = await startContracts(() => openTelling(open), product, now)
  const { cases, catalog, clock, ingest, subscriptions, usage } = ledger
  let number = 0
  const sold = () => catalog.list()[0]!
  const register = async (customer: {
    licenseArn?: string
    customerIdentifier?: string
    account?: string | undefined
  }) => {
    const { subscription } = await createRegisterBuyer({
      metering: {
        resolveCustomer: async () => ({
          productCode: sold().productCode,
          customerAwsAccountId: 'account' in customer ? customer.account : ACCOUNT,
          licenseArn: customer.licenseArn,
          customerIdentifier: customer.customerIdentifier,
        }),
      },
      cases,
      catalog: { ...catalog, findByListing: sold },
      clock,
    })('demo', 'token')
    return subscription
  }
  return {
    ...ledger,
    register,
    all: async () => (await subscriptions.list({ limit: 100 })).toReversed(),
    alarms: async () => (await usage.listAlarms(100)).map(({ kind, subject }) => ({ kind, subject })),
    /** As a product reports it that knows its buyer by account only. */
    use: async (
      quantity: number,
      time = clock.now(),
      reference: SubscriptionReference = { customerAwsAccountId: ACCOUNT },
      id = `use-${++number}`,
    ) => {
      const [outcome] = await ingest([
        { reference, dimension: sold().dimensions[0]!.key, id, time, quantity },
      ])
      return outcome!
    },
    /** Time goes on with the jobs running. */
    runUntil: async (time: number, step = 5 * MINUTE) => {
      while (clock.now() < time) {
        clock.set(Math.min(time, clock.now() + step))
        await lookAfterSubscriptions({ cases, usage, catalog }, clock.now())
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
    units: async () =>
      (await ledger.records())
        .filter(({ state }) => state === 'accepted' || state === 'assumed')
        .reduce((sum, { quantity }) => sum + quantity, 0),
  }
}
