import { describe, expect, it } from 'vitest'
import { createProductCatalog, type Product, USAGE_PRODUCT } from '../products/product.ts'
import type { ResolvedCustomer } from '../usage/metering-service.ts'
import { createRegisterBuyer } from './register-buyer.ts'
import { isLive, licenseTail, type Subscription } from './subscription.ts'
import type { SubscriptionStore } from './subscription-store.ts'

const NOW = Date.UTC(2026, 10, 21, 7, 30)
const LICENSE = 'arn:aws:license-manager::294406891311:license:l-0123456789abcdef0123456789abcdef'

describe('registration of a buyer', () => {
  it('creates a subscription of the listing’s product, from now on', async () => {
    const { register, rows } = aSeller(aCustomer())
    const { subscription, created } = await register('acme', 'token')
    expect(created).toBe(true)
    expect(subscription).toMatchObject({
      product: 'acme',
      status: 'active',
      licenseArn: LICENSE,
      customerAwsAccountId: '111122223333',
      accessStart: NOW,
    })
    expect(rows).toEqual([subscription])
  })

  it('keeps the token nowhere', async () => {
    const { register, rows } = aSeller(aCustomer())
    const result = await register('acme', 'very-secret-token')
    expect(JSON.stringify([result, rows])).not.toContain('very-secret-token')
  })

  it('again, or by another user of the buyer, is not an error', async () => {
    const { register, rows } = aSeller(aCustomer())
    const first = await register('acme', 'token of one user')
    const second = await register('acme', 'token of another')
    expect(second).toEqual({ subscription: first.subscription, created: false })
    expect(rows).toHaveLength(1)
  })

  it('knows a license however AWS writes it', async () => {
    const { register, rows, customer } = aSeller(aCustomer())
    await register('acme', 'token')
    customer.licenseArn = `aws:license-manager:us-east-1:294406891311:license/${licenseTail(LICENSE)}`
    expect((await register('acme', 'token')).created).toBe(false)
    expect(rows).toHaveLength(1)
  })

  it('refuses a token for another product of the same seller', async () => {
    const { register, rows } = aSeller(aCustomer({ productCode: 'code-of-a-cheaper-product' }))
    await expect(register('acme', 'token')).rejects.toMatchObject({ code: 'registration.wrong_product' })
    expect(rows).toEqual([])
  })

  it('refuses an unknown listing before it asks AWS', async () => {
    const { register, asked } = aSeller(aCustomer())
    await expect(register('other', 'token')).rejects.toMatchObject({ code: 'product.not_found' })
    expect(asked()).toBe(0)
  })

  it('does not revive a license that ended', async () => {
    const { register, rows } = aSeller(aCustomer())
    await register('acme', 'token')
    rows[0] = { ...rows[0]!, status: 'cancelled', accessEnd: NOW }
    await expect(register('acme', 'token')).rejects.toMatchObject({ code: 'subscription.ended' })
    expect(rows).toHaveLength(1)
  })

  it('follows a renewal to the subscription that lives', async () => {
    const { register, rows } = aSeller(aCustomer())
    const { subscription } = await register('acme', 'token')
    rows[0] = { ...subscription, status: 'superseded', accessEnd: NOW, successor: 'sub_renewed' }
    rows.push({ ...subscription, id: 'sub_renewed', licenseArn: `${LICENSE}9` })
    expect((await register('acme', 'token')).subscription.id).toBe('sub_renewed')
  })

  it('does not take an answer that names nobody', async () => {
    const { register, rows } = aSeller(aCustomer({ licenseArn: undefined, customerAwsAccountId: undefined }))
    await expect(register('acme', 'token')).rejects.toMatchObject({ code: 'marketplace.unavailable' })
    expect(rows).toEqual([])
  })
})

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

function aSeller(customer: Writable<ResolvedCustomer>) {
  const rows: Subscription[] = []
  let asked = 0
  const register = createRegisterBuyer({
    metering: {
      resolveCustomer: async () => {
        asked++
        return { ...customer }
      },
    },
    subscriptions: rowsStore(rows),
    catalog: createProductCatalog([aProduct()]),
    clock: { now: () => NOW, sleep: async () => {} },
  })
  return { register, rows, customer, asked: () => asked }
}

/** The port over an array: what registration needs of it. */
function rowsStore(rows: Subscription[]): SubscriptionStore {
  const sameLicense = (row: Subscription, arn: string) =>
    row.licenseArn !== undefined && licenseTail(row.licenseArn) === licenseTail(arn)
  return {
    get: async (id) => rows.find((row) => row.id === id)!,
    findMatching: async (product, { licenseArn }) =>
      rows.filter(
        (row) => row.product === product && (licenseArn === undefined || sameLicense(row, licenseArn)),
      ),
    list: async () => rows,
    create: async (subscription) => {
      const same = rows.find((row) => isLive(row) && sameLicense(row, subscription.licenseArn ?? ''))
      if (same !== undefined) return { subscription: same, created: false }
      rows.push(subscription)
      return { subscription, created: true }
    },
    change: async () => {
      throw new Error('registration changes nothing')
    },
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
