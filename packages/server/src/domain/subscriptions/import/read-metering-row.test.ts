import { describe, expect, it } from 'vitest'
import { readMeteringRow } from './read-metering-row.ts'

const CUSTOMER = 'ifAPi5AcF3'
const row = (attributes: Record<string, unknown>) =>
  readMeteringRow({
    where: 'row 1',
    attributes: {
      customerIdentifier: CUSTOMER,
      create_timestamp: '1763634471636',
      dimension_usage: [{ dimension: 'users', value: '3' }],
      ...attributes,
    },
  })
const result = (Quantity: number, Status = 'Success', Dimension = 'users') => ({
  UsageRecord: { Timestamp: '2025-11-20T11:00:00.000Z', CustomerIdentifier: CUSTOMER, Dimension, Quantity },
  MeteringRecordId: 'id',
  Status,
})
const answered = (Results: unknown[], UnprocessedRecords: unknown[] = [], metering_failed = false) =>
  row({ metering_failed, metering_response: JSON.stringify({ Results, UnprocessedRecords }) })

describe('the fate of a row', () => {
  it('is pending where the sample never sent it', () => {
    expect(row({ metering_pending: 'true' })).toMatchObject({
      fate: 'pending',
      identity: { customerIdentifier: CUSTOMER },
      time: 1763634471636,
      usage: [{ dimension: 'users', quantity: '3' }],
    })
  })

  it('is taken where AWS answered all of it with success, be it added up with other rows', () => {
    expect(answered([result(3)])).toMatchObject({ fate: 'taken', sentAt: Date.parse('2025-11-20T11:00:00Z') })
    expect(answered([result(10)])).toMatchObject({ fate: 'taken' })
    const twice = JSON.stringify(JSON.stringify({ Results: [result(3)] }))
    expect(row({ metering_failed: false, metering_response: twice })).toMatchObject({ fate: 'taken' })
  })

  it.each([
    [
      'an answer of failure',
      answered([result(3, 'DuplicateRecord')], [], true),
      'users was answered DuplicateRecord',
    ],
    ['an unknown status', answered([result(3, 'Perhaps')]), 'users was answered Perhaps'],
    ['less than the row says', answered([result(2)]), 'AWS took 2 of 3'],
    ['another dimension only', answered([result(3, 'Success', 'seats')]), 'users is not in AWS'],
    ['unprocessed records', answered([], [{ Dimension: 'users', Quantity: 3 }]), 'left unprocessed'],
    ['success marked as failed', answered([result(3)], [], true), 'marked as failed'],
    [
      'an error, encoded twice',
      row({
        metering_failed: true,
        metering_response: JSON.stringify(JSON.stringify({ code: 'ThrottlingException' })),
      }),
      'answered ThrottlingException',
    ],
    [
      'an answer that is cut',
      row({ metering_failed: false, metering_response: '{"Results":[' }),
      'cannot be read',
    ],
    ['no answer', row({}), 'has no answer'],
    ['a failure without an answer', row({ metering_failed: true }), 'has no answer'],
    ['a mark and an answer', row({ metering_pending: 'true', metering_response: '{}' }), 'at once'],
    ['a mark and a failure', row({ metering_pending: 'true', metering_failed: true }), 'at once'],
    ['a mark that its publisher leaves standing', row({ meteringPending: 'true' }), 'leaves standing'],
  ])('is unknown with %s', (_, read, reason) => {
    expect(read).toMatchObject({ fate: 'unknown', reason: expect.stringContaining(reason) })
  })

  it.each([
    [{ customerIdentifier: 'a b' }, 'names no buyer'],
    [{ create_timestamp: '113123' }, 'no time that can be read (create_timestamp 113123)'],
    [{ dimension_usage: undefined }, 'no usage'],
    [{ dimension_usage: [{ dimension: 'users', value: '-3' }] }, 'a quantity that is none'],
    [{ dimension_usage: [{ dimension: 'users', value: 1e300 }] }, 'a quantity that is none'],
    [{ dimension_usage: [7] }, 'a quantity that is none'],
  ])('is not read from %j', (attributes, reason) => {
    expect(row(attributes)).toEqual({ where: 'row 1', reason: expect.stringContaining(reason) })
  })

  it('keeps nanoseconds of a key, which tell two rows apart', () => {
    expect(row({ create_timestamp: '1763634471636562122', metering_pending: 'true' })).toMatchObject({
      stamp: '1763634471636562122',
      time: 1763634471636,
    })
  })
})
