import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { formatBaseUnits, parseQuantity } from './quantity.ts'

describe('a quantity', () => {
  it.each([
    [5, 0, 5],
    [0, 6, 0],
    [1.5, 2, 150],
    [0.000001, 6, 1],
    ['0.000001', 6, 1],
    ['12', 2, 1200],
    ['1.50', 1, 15],
    [999_999_999_999_999, 0, 999_999_999_999_999],
    ['999999999.999999', 6, 999_999_999_999_999],
    [-0, 0, 0],
  ])('%s at scale %s is %s base units', (quantity, scale, base) => {
    expect(parseQuantity(quantity, scale)).toBe(base)
  })

  it.each([
    [1.5, 0],
    ['1.501', 2],
    [-1, 0],
    ['-1', 0],
    [Number.NaN, 0],
    [Number.POSITIVE_INFINITY, 0],
    [1e21, 0],
    [1e-7, 6],
    [2 ** 53, 0],
    ['1000000000000000', 0],
    ['9007199254740993', 0],
    ['1e3', 0],
    ['0x10', 0],
    [' 1', 0],
    ['', 0],
    ['01', 0],
    ['1.', 2],
    ['.5', 2],
    ['١', 0],
  ])('%s at scale %s is refused, never rounded', (quantity, scale) => {
    expect(parseQuantity(quantity, scale)).toEqual({ reason: expect.any(String) })
  })

  it('is read back as it was written, digit by digit', () => {
    fc.assert(
      fc.property(fc.bigInt(0n, 999_999_999_999_999n), fc.integer({ min: 0, max: 6 }), (base, scale) => {
        expect(parseQuantity(formatBaseUnits(base, scale), scale)).toBe(Number(base))
      }),
    )
  })
})
