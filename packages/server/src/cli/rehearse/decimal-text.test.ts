import fc from 'fast-check'
import { expect, it } from 'vitest'
import { decimalsOf, plainDecimal } from './decimal-text.ts'

it.each([
  ['0', '0'],
  ['007', '7'],
  ['.5', '0.5'],
  ['5.', '5'],
  [' 1.50 ', '1.5'],
  ['1.2e3', '1200'],
  ['1.23456E+3', '1234.56'],
  ['12e-3', '0.012'],
  ['0e9', '0'],
  ['-0.0', '0'],
  ['9007199254740993', '9007199254740993'],
])('%s is %s', (text, plain) => {
  expect(plainDecimal(text)).toBe(plain)
})

it.each([
  ['-1', 'is below zero'],
  ['', 'is not a number in plain digits'],
  ['.', 'is not a number in plain digits'],
  ['1,5', 'is not a number in plain digits'],
  ['+1', 'is not a number in plain digits'],
  ['0x10', 'is not a number in plain digits'],
  ['1e99', 'has too many digits'],
  ['1'.repeat(41), 'has too many digits'],
])('%s is none', (text, reason) => {
  expect(plainDecimal(text)).toEqual({ reason })
})

it('moves the point and changes nothing else', () => {
  fc.assert(
    fc.property(
      fc.bigInt({ min: 0n, max: 10n ** 18n }),
      fc.integer({ min: -18, max: 18 }),
      (digits, exponent) => {
        const plain = plainDecimal(`${digits}e${exponent}`)
        expect(typeof plain).toBe('string')
        const decimals = decimalsOf(String(plain))
        expect(BigInt(String(plain).replace('.', '')) * 10n ** BigInt(18 - decimals)).toBe(
          digits * 10n ** BigInt(18 + exponent),
        )
      },
    ),
  )
})
