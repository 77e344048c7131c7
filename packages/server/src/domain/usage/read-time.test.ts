import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { readTime } from './read-time.ts'

describe('readTime', () => {
  it('reads what Date writes, with and without milliseconds', () => {
    fc.assert(
      fc.property(
        fc.date({
          min: new Date('0000-01-01T00:00:00Z'),
          max: new Date('9999-12-31T23:59:59.999Z'),
          noInvalidDate: true,
        }),
        (date) => {
          expect(readTime(date.toISOString())).toBe(date.getTime())
          const whole = Math.floor(date.getTime() / 1000) * 1000
          expect(readTime(`${date.toISOString().slice(0, 19)}Z`)).toBe(whole)
        },
      ),
    )
  })

  it.each([
    ['2026-11-21T08:30:00+01:30', '2026-11-21T07:00:00.000Z'],
    ['2026-11-20T23:00:00-08:00', '2026-11-21T07:00:00.000Z'],
    ['2026-11-21t07:00:00z', '2026-11-21T07:00:00.000Z'],
    ['2026-11-21T07:00:00.123456789Z', '2026-11-21T07:00:00.123Z'],
    ['2024-02-29T00:00:00Z', '2024-02-29T00:00:00.000Z'],
  ])('reads %s', (text, same) => {
    expect(new Date(readTime(text)!).toISOString()).toBe(same)
  })

  it.each([
    '',
    '2026-11-21',
    '2026-11-21T07:00:00',
    '2026-11-21 07:00:00Z',
    '2026-11-21T07:00Z',
    '2026-11-21T24:00:00Z',
    '2026-11-21T07:00:60Z',
    '2026-02-29T00:00:00Z',
    '2100-02-29T00:00:00Z',
    '2026-13-01T00:00:00Z',
    '2026-00-10T00:00:00Z',
    '2026-11-21T07:00:0xZ',
    '2026/11/21T07:00:00Z',
    '2026-11-21T07:00:00+24:00',
    '2026-11-21T07:00:00+0100',
    ' 2026-11-21T07:00:00Z',
    '1763708400',
  ])('does not read %j', (text) => {
    expect(readTime(text)).toBeUndefined()
  })

  it('takes no text that Date would not', () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$/), (text) => {
        const read = readTime(text)
        if (read !== undefined) expect(new Date(read).toISOString()).toBe(text.replace('Z', '.000Z'))
      }),
    )
  })
})
