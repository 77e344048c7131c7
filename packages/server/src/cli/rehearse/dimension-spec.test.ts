import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { DomainError } from '../../domain/error.ts'
import { createScaleFinder, parseDimensionPlan } from './dimension-spec.ts'

function dimensionOf(text: string) {
  const { dimension, field } = parseDimensionPlan({ dimensions: [text] }).specs[0]!
  const { key, aggregation, per, unitSize } = dimension
  return { key, aggregation, per, unitSize, field }
}

describe('--dimension', () => {
  it.each([
    [
      'requests=count',
      { key: 'requests', aggregation: 'count', per: 'hour', unitSize: 1n, field: undefined },
    ],
    [
      'requests=count/1000',
      { key: 'requests', aggregation: 'count', per: 'hour', unitSize: 1000n, field: undefined },
    ],
    [
      'egress_mb=sum:bytes/1000000',
      { key: 'egress_mb', aggregation: 'sum', per: 'hour', unitSize: 1_000_000n, field: 'bytes' },
    ],
    ['gb=max:disk.used', { key: 'gb', aggregation: 'max', per: 'month', unitSize: 1n, field: 'disk.used' }],
    [
      'gb=max:disk.used@day/10',
      { key: 'gb', aggregation: 'max', per: 'day', unitSize: 10n, field: 'disk.used' },
    ],
    [
      'users=unique:@user@hour',
      { key: 'users', aggregation: 'unique', per: 'hour', unitSize: 1n, field: '@user' },
    ],
    ['x=sum:a/b/2', { key: 'x', aggregation: 'sum', per: 'hour', unitSize: 2n, field: 'a/b' }],
  ])('%s', (text, expected) => {
    expect(dimensionOf(text)).toEqual(expected)
  })

  it.each([
    ['requests', '--dimension "requests" has no "=": write e.g. --dimension requests=count'],
    ['=count', 'a name is 1 to 100 letters, digits or _ . -'],
    ['a b=count', 'a name is 1 to 100 letters'],
    ['x=avg:bytes', 'after "=" write count, sum:FIELD, max:FIELD or unique:FIELD'],
    ['x=', 'after "=" write count'],
    ['x=count:bytes', 'count takes no field'],
    ['x=sum', 'say which field, e.g. sum:bytes'],
    ['x=sum:/10', 'say which field'],
    ['x=sum:bytes@day', 'only max and unique have a period: leave out @day'],
    ['x=sum:bytes/0', 'a whole number from 1 to 1000000000'],
    ['x=sum:bytes/1e6', 'a whole number from 1 to'],
    ['x=sum:bytes/1000000001', 'a whole number from 1 to'],
  ])('%s is an error of one line that says what to write', (text, message) => {
    expect(() => parseDimensionPlan({ dimensions: [text] })).toThrow(message)
  })

  it('is needed, and each has its own name', () => {
    expect(() => parseDimensionPlan({ dimensions: [] })).toThrow(
      'say what to bill, e.g. --dimension requests=count',
    )
    expect(() => parseDimensionPlan({ dimensions: ['x=count', 'x=sum:a'] })).toThrow(
      '--dimension x is given twice',
    )
  })

  it('of any text is read or a one-line error', () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), (name, value) => {
        try {
          parseDimensionPlan({ dimensions: [`${name}=${value}`], prices: [value], scales: [name] })
        } catch (error) {
          expect(error).toBeInstanceOf(DomainError)
          expect((error as DomainError).message).not.toContain('\n')
        }
      }),
    )
  })
})

describe('--price and --scale', () => {
  it('belong to a dimension', () => {
    const plan = parseDimensionPlan({
      dimensions: ['requests=count', 'gb=max:used'],
      prices: ['requests=0.002'],
      scales: ['gb=2'],
    })
    expect(plan.specs.map(({ dimension }) => [dimension.price, dimension.scale])).toEqual([
      ['0.002', 0],
      [undefined, 2],
    ])
    expect([...plan.openScales]).toEqual([])
  })

  it.each([
    [{ prices: ['0.002'] }, '--price "0.002" has no "=": write e.g. --price x=0.002'],
    [{ prices: ['y=1'] }, '--price "y=1": no such dimension; there is x'],
    [{ prices: ['x=1', 'x=2'] }, '--price x is given twice'],
    [{ prices: ['x=$1'] }, '--price x must be US dollars for one unit in plain digits, e.g. 0.002, not "$1"'],
    [{ prices: ['x=-1'] }, 'must be US dollars'],
    [{ prices: ['x=1e3'] }, 'must be US dollars'],
    [{ scales: ['x=7'] }, '--scale x must be 0 to 6 decimals'],
    [{ scales: ['x=4'] }, '--scale x=4 is too fine for its unit of 1000000: at most 3'],
  ])('%j is an error of one line', (options, message) => {
    expect(() => parseDimensionPlan({ dimensions: ['x=sum:a/1000000'], ...options })).toThrow(message)
  })

  it('has no use where whole things are counted', () => {
    expect(() => parseDimensionPlan({ dimensions: ['x=count'], scales: ['x=1'] })).toThrow(
      'counts whole things',
    )
  })
})

describe('a scale that is not said', () => {
  it('is as fine as the finest value of the log', () => {
    const finder = createScaleFinder(parseDimensionPlan({ dimensions: ['gb=sum:used', 'n=count'] }))
    for (const used of ['1', '2.50', '1e-3', 'none']) finder.see({ used })
    finder.see({})
    expect(finder.specs().map(({ dimension }) => dimension.scale)).toEqual([3, 0])
  })

  it('is no finer than the ledger and its unit allow', () => {
    const finder = createScaleFinder(parseDimensionPlan({ dimensions: ['a=sum:v', 'b=sum:v/1000000'] }))
    finder.see({ v: '0.123456789' })
    expect(finder.specs().map(({ dimension }) => dimension.scale)).toEqual([6, 3])
  })
})
