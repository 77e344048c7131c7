import { describe, expect, it } from 'vitest'
import { readAnyTime, sniffIdentifier } from './read-values.ts'

const TIME = Date.parse('2025-11-20T10:27:51.636Z')

describe('a time', () => {
  it.each([
    ['seconds', '1763634471', TIME - 636],
    ['seconds with a fraction', '1763634471.636', TIME],
    ['milliseconds', '1763634471636', TIME],
    ['milliseconds as a number', 1763634471636, TIME],
    ['microseconds', '1763634471636562', TIME],
    ['nanoseconds', '1763634471636562122', TIME],
    ['ISO 8601', '2025-11-20T10:27:51.636Z', TIME],
    ['ISO 8601 of Python, without a zone', '2025-11-20T10:27:51.636562', TIME],
    ['a zone without a colon', '2025-11-20T11:27:51.636+0100', TIME],
    ['a space between', '2025-11-20 10:27:51.636', TIME],
    ['a day', '2025-11-20', Date.parse('2025-11-20T00:00:00Z')],
  ])('is read from %s', (_, value, time) => {
    expect(readAnyTime(value)).toBe(time)
  })

  it.each(['113123', 'yesterday', '', '99999999999999999999999', '2025-02-30', 5, null, {}])(
    'is not read from %j',
    (value) => {
      expect(readAnyTime(value)).toBeUndefined()
    },
  )
})

describe('what `customerIdentifier` holds', () => {
  const tail = 'l-9d01d15f86334a8894365cd7350556ff'
  it.each([
    [`arn:aws:license-manager::294406891311:license:${tail}`, 'license'],
    [`aws:license-manager:us-east-1:294406891311:license/${tail}`, 'license'],
    [tail, 'license'],
    ['123456789012', 'account'],
    ['ifAPi5AcF3', 'customer'],
  ])('is told by its form: %s', (text, kind) => {
    expect(sniffIdentifier(text)).toEqual({ kind, value: text })
  })

  it.each([
    '12345678901',
    '0',
    'arn:aws:iam::123456789012:user/a',
    'arn:aws:license-manager::1:license:',
    'a b',
    '',
  ])('is not guessed at: %j', (text) => {
    expect(sniffIdentifier(text)).toBeUndefined()
  })
})
