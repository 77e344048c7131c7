import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseDimensionPlan } from './dimension-spec.ts'
import type { LogFormat } from './log-reader.ts'
import { createUsageReader, parseTime } from './to-usage-reports.ts'

const DIGEST = '0123456789abcdef0123456789abcdef'

function aReader(options: { format?: LogFormat; dimensions?: string[]; id?: string; time?: string } = {}) {
  const { dimensions = ['requests=count', 'egress=sum:bytes/1000', 'users=unique:user'], ...rest } = options
  const { specs } = parseDimensionPlan({ dimensions })
  const read = createUsageReader({ format: 'ndjson', digest: DIGEST, specs, buyer: 'who', ...rest })
  return (fields: Record<string, string>) => read({ line: 12, fields, truncated: false })
}

const FIELDS = { id: 'e1', who: 'acme', time: '2015-05-17T10:05:03Z', bytes: '0', user: 'jane' }
const TIME = Date.UTC(2015, 4, 17, 10, 5, 3)

describe('a line', () => {
  it('is one report for each dimension, under one id; a quantity of zero is a use too', () => {
    expect(aReader()(FIELDS)).toEqual({
      kind: 'use',
      line: 12,
      buyer: 'acme',
      time: TIME,
      id: 'e1',
      reports: [
        { dimension: 'requests', id: 'e1', time: TIME },
        { dimension: 'egress', id: 'e1', time: TIME, quantity: '0' },
        { dimension: 'users', id: 'e1', time: TIME, value: 'jane' },
      ],
      refused: [],
    })
  })

  it('of an access log has the digest and its number for an id: repeated lines all count', () => {
    expect(aReader({ format: 'combined' })({ ...FIELDS, user: '-' })).toMatchObject({
      id: '0123456789abcdef:12',
    })
    expect(aReader({ format: 'combined', id: 'user' })(FIELDS)).toMatchObject({ id: 'jane' })
  })

  it('of an access log whose buyer is "-" names nobody', () => {
    expect(aReader({ format: 'combined' })({ ...FIELDS, who: '-' })).toMatchObject({
      kind: 'refused',
      value: '-',
    })
    expect(aReader()({ ...FIELDS, who: '-' })).toMatchObject({ kind: 'use', buyer: '-' })
  })

  it('is refused where buyer, id or time cannot be read', () => {
    const reasonOf = (fields: Record<string, string>) => {
      const read = aReader({ dimensions: ['n=count'] })(fields)
      return read.kind === 'refused' ? read.reason : read
    }
    const { who: _who, ...nobody } = FIELDS
    expect(reasonOf(nobody)).toBe('no field "who"')
    expect(reasonOf({ ...FIELDS, who: ' ' })).toBe('field "who" is empty')
    expect(reasonOf({ ...FIELDS, who: 'x'.repeat(257) })).toBe('field "who" is longer than 256 characters')
    expect(reasonOf({ ...FIELDS, id: '' })).toBe('field "id" is empty')
    expect(reasonOf({ ...FIELDS, time: 'noon' })).toBe(
      'time "time" is neither ISO 8601 nor seconds or milliseconds since 1970',
    )
    expect(reasonOf({ ...FIELDS, time: '1970-01-01T00:00:00Z' })).toBe(
      'time "time" is not between 2000 and 2100',
    )
  })

  it('is reported for its other dimensions where one cannot be read', () => {
    const read = aReader()({ ...FIELDS, bytes: 'many' })
    expect(read).toMatchObject({
      reports: [{ dimension: 'requests' }, { dimension: 'users' }],
      refused: [
        { dimension: 'egress', reason: 'field "bytes" is not a number in plain digits', value: 'many' },
      ],
    })
    for (const [bytes, reason] of [
      ['-5', 'field "bytes" is below zero'],
      ['', 'field "bytes" is empty'],
      ['1.5', 'field "bytes": quantity has 1 decimals, the dimension takes 0: it would have to be rounded'],
    ])
      expect(aReader()({ ...FIELDS, bytes: bytes! })).toMatchObject({
        refused: [{ dimension: 'egress', reason }],
      })
  })

  it('of any fields is never an exception', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.constantFrom(...Object.keys(FIELDS)), fc.string()), (fields) => {
        const read = aReader()(fields)
        if (read.kind === 'use') expect(read.reports.length + read.refused.length).toBe(3)
      }),
    )
  })
})

describe('a time', () => {
  it.each([
    '2015-05-17T10:05:03Z',
    '2015-05-17T10:05:03.000999Z',
    '2015-05-17 10:05:03',
    '2015-05-17T12:05:03+02:00',
    '2015-05-17t08:35:03,0 -0130',
    '17/May/2015:10:05:03 +0000',
    '1431857103',
    '1431857103.000',
    '1431857103000',
    '1431857103000000',
    '1431857103000000000',
  ])('%s', (text) => {
    expect(parseTime(text)).toBe(TIME)
  })

  it('may be a day, or lack seconds', () => {
    expect(parseTime('2015-05-17')).toBe(Date.UTC(2015, 4, 17))
    expect(parseTime('2015-05-17T10:05+00')).toBe(Date.UTC(2015, 4, 17, 10, 5))
  })

  it.each([
    '',
    '2015',
    '2015-02-29',
    '2015-05-17T24:00:00Z',
    '2015-05-17T10:05:03+99:00',
    '17.05.2015',
    '99999999999',
  ])('is not %s', (text) => {
    expect(parseTime(text)).toHaveProperty('reason')
  })

  it('is the one that was written, whatever its form', () => {
    const anyTime = fc.integer({ min: Date.UTC(2001, 9, 1), max: Date.UTC(2099, 11, 31) })
    fc.assert(
      fc.property(anyTime, (time) => {
        expect(parseTime(new Date(time).toISOString())).toBe(time)
        expect(parseTime(String(time))).toBe(time)
        expect(parseTime((time / 1000).toFixed(3))).toBe(time)
      }),
    )
  })
})
