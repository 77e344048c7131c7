import { expect, it } from 'vitest'
import { createProductCatalog } from '../../domain/products/product.ts'
import type { AggregationPeriod } from '../../domain/usage/aggregation.ts'
import { aDimension, aProduct } from '../contract/fixtures.ts'
import { startLedger } from '../contract/ledger-harness.ts'
import { checkDimensions } from './ledger-identity.ts'
import { migrate } from './migrations.ts'
import { openSqlite } from './sqlite.ts'
import { createSqliteUsageStore } from './sqlite-stores.ts'
import { createSqlSubscriptionStore } from './subscription-store.ts'

function productOf(aggregation: 'unique' | 'max' | 'sum', per: AggregationPeriod) {
  return aProduct({ dimensions: [aDimension({ key: 'users', aggregation, per })] })
}

/** A ledger that has counted one dimension. */
async function counted(aggregation: 'unique' | 'max' | 'sum') {
  const database = openSqlite(':memory:')
  await migrate(database)
  const stores = {
    usage: createSqliteUsageStore(database),
    subscriptions: createSqlSubscriptionStore(database),
  }
  const { subscribe, report } = await startLedger(async () => stores, productOf(aggregation, 'month'))
  const values = aggregation === 'unique' ? { quantity: undefined, value: 'ada' } : {}
  expect(await report(await subscribe(), 'a', 5, values)).toMatchObject({ status: 'accepted' })
  return database
}

it.each(['unique', 'max'] as const)(
  'refuses to start when a %s dimension is to be taken over another period: the same would be billed again',
  async (aggregation) => {
    const database = await counted(aggregation)
    await checkDimensions(database, createProductCatalog([productOf(aggregation, 'month')]))
    await expect(
      checkDimensions(database, createProductCatalog([productOf(aggregation, 'day')])),
    ).rejects.toThrow('counted with per month, the configuration says day')
  },
)

it('takes no notice of a period where events just add up', async () => {
  const database = await counted('sum')
  await checkDimensions(database, createProductCatalog([productOf('sum', 'day')]))
})
