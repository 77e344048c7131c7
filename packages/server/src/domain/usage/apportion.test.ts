import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { apportion, foldTagSets, splitUnits } from './apportion.ts'
import { AWS_RULES } from './aws-rules.ts'
import { tagSetKey, UNTAGGED } from './tags.ts'

const sum = (parts: Iterable<bigint>) => [...parts].reduce((a, b) => a + b, 0n)
const key = fc.constantFrom<string[]>('', '[["a","1"]]', '[["a","2"]]', '[["b","1"]]', '[["c","1"]]')
const weights = fc
  .array(fc.tuple(key, fc.bigInt(0n, 10n ** 15n)), { minLength: 1 })
  .map((entries) => new Map(entries))

describe('apportioning', () => {
  it('gives all of it away, nobody more than one from the exact share, whatever the order', () => {
    fc.assert(
      fc.property(fc.bigInt(0n, 10n ** 15n), weights, (total, map) => {
        const parts = apportion(total, map)
        expect(sum(parts.values())).toBe(total)
        expect(apportion(total, new Map([...map].reverse()))).toEqual(new Map([...parts]))
        const all = sum(map.values())
        if (all === 0n) return
        for (const [name, part] of parts) {
          const distance = part * all - total * map.get(name)!
          expect(distance < all && distance > -all).toBe(true)
        }
      }),
    )
  })
})

describe('splitting units among tags', () => {
  it('adds up to the units, with debts, carried remainders and more than AWS takes', () => {
    fc.assert(
      fc.property(
        fc
          .array(fc.tuple(key, fc.bigInt(-5_000n, 10n ** 15n)), { minLength: 1 })
          .map((entries) => new Map(entries)),
        fc.constantFrom(1n, 7n, 1000n),
        fc.bigInt(0n, AWS_RULES.quantityMax),
        (available, unitBase, wanted) => {
          const all = sum(available.values())
          const most = all <= 0n ? 0n : all / unitBase
          const units = wanted < most ? wanted : most
          const parts = splitUnits(units, unitBase, available)
          expect(sum(parts.values())).toBe(units)
          for (const part of parts.values()) expect(part >= 0n).toBe(true)
          expect(splitUnits(units, unitBase, new Map([...available].reverse()))).toEqual(parts)
        },
      ),
    )
  })

  it('gives each its whole units, and the next one to the largest remainder, ties by tag', () => {
    const available = new Map([
      ['b', 1500n],
      ['a', 500n],
      ['c', 1000n],
    ])
    expect(splitUnits(3n, 1000n, available)).toEqual(
      new Map([
        ['a', 1n],
        ['b', 1n],
        ['c', 1n],
      ]),
    )
  })

  it('splits far more than AWS takes in one hour without counting it out one by one', () => {
    const parts = splitUnits(
      AWS_RULES.quantityMax,
      1n,
      new Map([
        ['a', 10n ** 15n],
        ['b', 10n ** 15n],
      ]),
    )
    expect(sum(parts.values())).toBe(AWS_RULES.quantityMax)
  })
})

describe('folding tag sets', () => {
  it('keeps 2,500 with the untagged one, the largest, and loses nothing', () => {
    const sets = new Map(
      Array.from({ length: 3_000 }, (_, index) => [tagSetKey([['n', String(index)]]), BigInt(index + 1)]),
    )
    const folded = foldTagSets(sets, AWS_RULES.allocationsMax, 900_000)
    expect(folded.size).toBe(2_500)
    expect(sum(folded.values())).toBe(sum(sets.values()))
    expect(folded.get(UNTAGGED)).toBe(sum(Array.from({ length: 501 }, (_, index) => BigInt(index + 1))))
  })

  it('keeps a record within its bytes', () => {
    const sets = new Map(Array.from({ length: 50 }, (_, index) => [tagSetKey([['n', String(index)]]), 1n]))
    const folded = foldTagSets(sets, AWS_RULES.allocationsMax, 500)
    expect(folded.size).toBeLessThan(10)
    expect(sum(folded.values())).toBe(50n)
  })
})
