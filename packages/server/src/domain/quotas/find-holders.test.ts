import { describe, expect, it } from 'vitest'
import { aClock, aProduct, aSubscription, utc } from '../../storage/contract/fixtures.ts'
import { createCheckAccess } from '../entitlements/check-access.ts'
import { PLAIN_PLAN } from '../plans/plan.ts'
import { createProductCatalog } from '../products/product.ts'
import type { Visitor } from '../visitors/visitor.ts'
import { createFindHolders } from './find-holders.ts'

const NOW = utc('2026-11-21T10:30')

function start() {
  const product = aProduct({
    plans: [{ ...PLAIN_PLAN, id: 'anonymous', title: 'Anonymous', audience: 'anonymous' }],
  })
  const catalog = createProductCatalog([product])
  const subscription = aSubscription({ channel: 'free', buyer: 'buy_ada', tenantId: 'ada' })
  const reads: string[] = []
  const checkAccess = createCheckAccess({
    subscriptions: {
      findMatching: async (_product, reference) => {
        reads.push(...Object.keys(reference))
        return [subscription]
      },
      get: async () => subscription,
    },
    entitlements: {
      findServing: async () => undefined,
      epochs: async () => ({ subscriptions: 1, readings: 1 }),
    },
    catalog,
  })
  const visitor: Visitor = {
    id: 'vis_ada',
    product: product.id,
    firstSeenAt: NOW,
    seenAt: NOW,
    conversion: { buyer: 'buy_ada', subscription: subscription.id, at: NOW },
  }
  const find = createFindHolders({
    checkAccess,
    verifyKey: async () => {
      throw new Error('nobody shows a key')
    },
    findVisitor: async () => ({ status: 'known', visitor }),
    catalog,
    clock: aClock(NOW),
  })
  return { find, reads }
}

describe('whether a buyer came through AWS', () => {
  it('is read once, and then known for as long as no subscription changes', async () => {
    const { find, reads } = start()
    const reference = { tenantId: 'ada' }
    const [first, second] = [await find({ reference }), await find({ reference: { ...reference } })]
    expect(second.holders[0]).toBe(first.holders[0])
    expect(reads).toEqual(['tenantId', 'buyerId'])
    await find({ reference: { buyerId: 'buy_ada' } })
    for (let n = 0; n < 10; n++) await find({ reference: { buyerId: 'buy_ada' } })
    // It is found by its buyer, and once more by what the answer is about.
    expect(reads).toEqual(['tenantId', 'buyerId', 'buyerId', 'buyerId'])
  })

  it('is read once of a visitor, for as long as it is known without a look', async () => {
    const { find, reads } = start()
    for (let n = 0; n < 10; n++) await find({ visitor: { ip: '192.0.2.1' } }, 'consume')
    expect(reads).toEqual(['buyerId', 'buyerId'])
  })
})
