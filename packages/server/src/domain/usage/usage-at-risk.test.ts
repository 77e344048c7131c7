import { expect, it } from 'vitest'
import { aDimension, aProduct } from '../../storage/contract/fixtures.ts'
import { createProductCatalog } from '../products/product.ts'
import { worthAtRisk } from './usage-at-risk.ts'

it('says what unsent usage is worth, exactly, and where no price is known', () => {
  const dimensions = [aDimension({ price: '0.002' }), aDimension({ key: 'unpriced' })]
  const catalog = createProductCatalog([aProduct({ dimensions })])
  const pending = [
    { product: 'demo', dimension: 'requests', units: 9_007_199_254_740_993n },
    { product: 'demo', dimension: 'unpriced', units: 5n },
  ]
  expect(worthAtRisk({ pending }, catalog)).toMatchObject({
    pending: [{ amount: '18014398509481.986' }, { amount: undefined }],
    total: '18014398509481.986',
  })
})
