import fc from 'fast-check'
import { expect, it } from 'vitest'
import { parseQuantity } from '../../../server/src/domain/usage/quantity.ts'
import { excessOf, quantityText } from './quantity.ts'

it.each([
  Number.NaN,
  Number.POSITIVE_INFINITY,
  -1,
  77 / 60,
  1.1 * 3,
  0.1 + 0.2,
  1e21,
  1e-7,
  '',
  '-1',
  '1e3',
  '1,5',
  '01',
  '.5',
  '1234567890.1234567',
])('takes no %s', (quantity) => {
  expect(() => quantityText(quantity)).toThrow(RangeError)
})

it('refuses nothing that Tollkeeper takes, and takes nothing that it never takes', () => {
  const quantities = fc.oneof(
    fc.double({ noNaN: true, min: -10, max: 1e16 }),
    fc.integer({ min: 0, max: 1_000_000 }).map((n) => n / 1_000),
    fc.stringMatching(/^\d{0,17}\.?\d{0,17}$/),
  )
  const takes = (quantity: number | string) => {
    try {
      return quantityText(quantity) !== undefined
    } catch {
      return false
    }
  }
  fc.assert(
    fc.property(quantities, (quantity) => {
      const isTaken = [0, 3, 6, 9, 12, 15].some((scale) => typeof parseQuantity(quantity, scale) === 'number')
      if (isTaken) expect(takes(quantity), String(quantity)).toBe(true)
      if (typeof quantity === 'number' && quantity < 0) expect(takes(quantity)).toBe(Object.is(quantity, -0))
    }),
    { numRuns: 2_000 },
  )
})

it.each([
  [2, 1, '1'],
  ['1.25', '1.2', '0.05'],
  [10.5, '0.5', '10'],
  ['12', 2.000001, '9.999999'],
  [1, 1, undefined],
  ['1.0', 1, undefined],
  [0, 1, undefined],
] as const)('says how much %s is more than %s', (used, held, excess) => {
  expect(excessOf(used, held)).toBe(excess)
})
