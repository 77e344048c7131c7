import { describe, expect, it } from 'vitest'
import { aClock } from '../../storage/contract/fixtures.ts'
import { createSqlBuyerCaseStore } from '../../storage/sql/buyer-case-store.ts'
import { createSqlBuyerStore } from '../../storage/sql/buyer-store.ts'
import { migrate } from '../../storage/sql/migrations.ts'
import { openSqlite } from '../../storage/sql/sqlite.ts'
import { createSqlSubscriptionStore } from '../../storage/sql/subscription-store.ts'
import { createProductCatalog, type Product, USAGE_PRODUCT } from '../products/product.ts'
import type { ResolvedCustomer } from '../usage/metering-service.ts'
import type { MarketplaceEvent } from './marketplace-event.ts'
import { createReceiveEvent } from './receive-event.ts'
import { createCompleteRegistration, createRegisterBuyer } from './register-buyer.ts'
import { licenseTail } from './subscription.ts'

const NOW = Date.UTC(2026, 10, 21, 7, 30)
const LICENSE = 'arn:aws:license-manager::294406891311:license:l-0123456789abcdef0123456789abcdef'

describe('registration of a buyer', () => {
  it('creates a subscription of the listing’s product that waits for AWS’s word', async () => {
    const { register, rows } = await aSeller(aCustomer())
    const { subscription, created } = await register('acme', 'token')
    expect(created).toBe(true)
    expect(subscription).toMatchObject({
      product: 'acme',
      status: 'pending',
      licenseArn: LICENSE,
      customerAwsAccountId: '111122223333',
      accessStart: NOW,
    })
    expect(await rows()).toEqual([subscription])
  })

  it('starts access at once where AWS said so before', async () => {
    const { register, receive } = await aSeller(aCustomer())
    expect(await receive(granted({ at: NOW - 21_000 }))).toMatchObject({ state: 'waiting' })
    const { subscription } = await register('acme', 'token')
    expect(subscription).toMatchObject({ status: 'active', grantedAt: NOW - 21_000, agreementId: 'agmt-1' })
  })

  it('keeps the token nowhere', async () => {
    const { register, rows } = await aSeller(aCustomer())
    const result = await register('acme', 'very-secret-token')
    expect(JSON.stringify([result, await rows()])).not.toContain('very-secret-token')
  })

  it('again, or by another user of the buyer, is not an error', async () => {
    const { register, rows, complete, buyers } = await aSeller(aCustomer())
    const first = await register('acme', 'token of one user')
    const second = await register('acme', 'token of another')
    expect(second).toEqual({ subscription: first.subscription, created: false })
    expect(await rows()).toHaveLength(1)
    for (const email of ['one@example.com', 'other@example.com', 'one@example.com'])
      await complete(second.subscription.id, { ...NOBODY, email })
    const contacts = await buyers.listContacts(first.subscription.buyer)
    expect(contacts.map(({ email }) => email).sort()).toEqual(['one@example.com', 'other@example.com'])
  })

  it('knows a license however AWS writes it', async () => {
    const { register, rows, customer } = await aSeller(aCustomer())
    await register('acme', 'token')
    customer.licenseArn = `aws:license-manager:us-east-1:294406891311:license/${licenseTail(LICENSE)}`
    expect((await register('acme', 'token')).created).toBe(false)
    expect(await rows()).toHaveLength(1)
  })

  it('keeps two agreements of one account apart, as one buyer’s', async () => {
    const { register, rows, customer } = await aSeller(aCustomer())
    const first = await register('acme', 'token')
    customer.licenseArn = `${LICENSE.slice(0, -1)}0`
    const second = await register('acme', 'token')
    expect(second.created).toBe(true)
    expect(second.subscription.buyer).toBe(first.subscription.buyer)
    expect(await rows()).toHaveLength(2)
  })

  it('refuses a token for another product of the same seller', async () => {
    const { register, rows } = await aSeller(aCustomer({ productCode: 'code-of-a-cheaper-product' }))
    await expect(register('acme', 'token')).rejects.toMatchObject({ code: 'registration.wrong_product' })
    expect(await rows()).toEqual([])
  })

  it('refuses an unknown listing before it asks AWS', async () => {
    const { register, asked } = await aSeller(aCustomer())
    await expect(register('other', 'token')).rejects.toMatchObject({ code: 'product.not_found' })
    expect(asked()).toBe(0)
  })

  it('does not revive a license that ended', async () => {
    const { register, rows, receive } = await aSeller(aCustomer())
    await register('acme', 'token')
    await receive(granted({ at: NOW - 60_000 }))
    await receive({
      ...granted({ at: NOW }),
      id: 'over',
      kind: 'agreement_ended',
      agreementStatus: 'CANCELLED',
    })
    await expect(register('acme', 'token')).rejects.toMatchObject({ code: 'subscription.ended' })
    expect(await rows()).toHaveLength(1)
  })

  it('of a legacy customer who is back waits for AWS’s new word', async () => {
    const legacy = aCustomer({ licenseArn: undefined, customerIdentifier: 'ifAPi5AcF3' })
    const { register, receive, clock } = await aSeller(legacy, { ...aProduct(), metering: 'legacy' })
    const sns = (id: string, kind: MarketplaceEvent['kind'], at: number) =>
      receive({
        ...granted({ at }),
        id,
        kind,
        agreementId: undefined,
        licenseArn: undefined,
        customerIdentifier: 'ifAPi5AcF3',
      })
    const first = await register('acme', 'token')
    await sns('1', 'access_granted', NOW)
    clock.set(NOW + 60_000)
    await sns('2', 'access_withdrawn', NOW + 60_000)
    clock.set(NOW + 120_000)
    const again = await register('acme', 'token')
    expect(again).toMatchObject({
      created: true,
      subscription: { status: 'pending', buyer: first.subscription.buyer },
    })
    await sns('3', 'access_granted', NOW + 130_000)
    expect((await register('acme', 'token')).subscription).toMatchObject({
      id: again.subscription.id,
      status: 'active',
      accessStart: NOW + 130_000,
    })
  })

  it('does not take an answer that names nobody', async () => {
    const { register, rows } = await aSeller(
      aCustomer({ licenseArn: undefined, customerAwsAccountId: undefined }),
    )
    await expect(register('acme', 'token')).rejects.toMatchObject({ code: 'marketplace.unavailable' })
    expect(await rows()).toEqual([])
  })
})

const NOBODY = { name: undefined, company: undefined, phone: undefined, registeredAt: NOW }

function granted({ at }: { at: number }): MarketplaceEvent {
  return {
    id: `granted-${at}`,
    channel: 'eventbridge',
    kind: 'access_granted',
    name: 'License Updated - Manufacturer',
    occurredAt: at,
    agreementId: 'agmt-1',
    productCode: 'acme-code',
    licenseArn: LICENSE,
    customerAwsAccountId: '111122223333',
    payload: '{}',
  }
}

type Writable<T> = { -readonly [K in keyof T]: T[K] }

function aCustomer(given: Partial<ResolvedCustomer> = {}): Writable<ResolvedCustomer> {
  return {
    productCode: 'acme-code',
    customerAwsAccountId: '111122223333',
    customerIdentifier: undefined,
    licenseArn: LICENSE,
    ...given,
  }
}

async function aSeller(customer: Writable<ResolvedCustomer>, product = aProduct()) {
  const database = openSqlite(':memory:')
  await migrate(database)
  const cases = createSqlBuyerCaseStore(database)
  const subscriptions = createSqlSubscriptionStore(database)
  const catalog = createProductCatalog([product])
  const clock = aClock(NOW)
  let asked = 0
  const register = createRegisterBuyer({
    metering: {
      resolveCustomer: async () => {
        asked++
        return { ...customer }
      },
    },
    cases,
    catalog,
    clock,
  })
  return {
    register,
    complete: createCompleteRegistration({ cases, clock }),
    receive: createReceiveEvent({ cases, catalog, clock }),
    subscriptions,
    buyers: createSqlBuyerStore(database),
    rows: () => subscriptions.list({ limit: 100 }),
    customer,
    clock,
    asked: () => asked,
  }
}

function aProduct(): Product {
  return {
    id: 'acme',
    title: 'Acme',
    ...USAGE_PRODUCT,
    productCode: 'acme-code',
    metering: 'license',
    region: 'us-east-1',
    listing: 'acme',
    graceMs: 900_000,
    goodbyeSettleMs: 600_000,
    dimensions: [],
    plans: [],
  }
}
