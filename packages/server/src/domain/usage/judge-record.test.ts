import { describe, expect, it } from 'vitest'
import type { Subscription } from '../subscriptions/subscription.ts'
import { judgeAnswer, judgeExpired, retryDelayMs } from './judge-record.ts'
import type { UsageRecord } from './usage-record.ts'
import type { RecordAnswer } from './usage-store.ts'

const NOW = Date.parse('2026-11-21T10:30Z')
const HOUR = Math.floor(NOW / 3_600_000)
const LIVE = { status: 'active', accessStart: 0 } as Subscription
const LEAVING = {
  status: 'cancelling',
  accessStart: 0,
  accessEnd: NOW - 60_000,
  finalWindowEnd: NOW + 3_540_000,
} as Subscription
const GONE = { ...LEAVING, status: 'cancelled', finalWindowEnd: NOW - 1 } as Subscription

const aRecord = (unanswered: number, quantity = 5) =>
  ({ attempts: unanswered + 1, unanswered, quantity, hour: HOUR - 2 }) as UsageRecord
const result = (status: string): RecordAnswer => ({ kind: 'result', status, meteringRecordId: 'aws' })
const refusal = (code: string, alone = true): RecordAnswer => ({
  kind: 'refused_request',
  code,
  message: '',
  alone,
})

describe('an answer, when every attempt before it was answered', () => {
  it.each([
    ['Success', LIVE, 'accepted'],
    ['DuplicateRecord', LIVE, 'conflict'],
    ['CustomerNotSubscribed', LIVE, 'ready'],
    ['CustomerNotSubscribed', LEAVING, 'ready'],
    ['CustomerNotSubscribed', GONE, 'refused'],
  ] as const)('%s makes it %#: %s', (status, subscription, state) => {
    expect(judgeAnswer(aRecord(0), subscription, result(status), NOW)).toMatchObject({ state, unanswered: 0 })
  })

  it('leaves it ready after a refusal of the request, a throttling or no processing', () => {
    for (const answer of [
      refusal('ThrottlingException'),
      refusal('InvalidTagException'),
      { kind: 'unprocessed' } as const,
    ])
      expect(judgeAnswer(aRecord(0), LIVE, answer, NOW)).toMatchObject({
        state: 'ready',
        nextAttemptAt: NOW + 5_000,
      })
  })

  it('carries it on when AWS takes its time no more, but only when it was asked for it alone', () => {
    expect(judgeAnswer(aRecord(0), LIVE, refusal('TimestampOutOfBoundsException'), NOW)).toMatchObject({
      state: 'carried',
      openFrom: HOUR,
    })
    expect(judgeAnswer(aRecord(0), LIVE, refusal('TimestampOutOfBoundsException', false), NOW).state).toBe(
      'ready',
    )
    expect(judgeAnswer(aRecord(0), GONE, refusal('TimestampOutOfBoundsException'), NOW).state).toBe('refused')
  })
})

describe('an answer, once an attempt went unanswered', () => {
  it.each([
    [result('Success'), 'accepted'],
    [result('DuplicateRecord'), 'assumed'],
    [result('CustomerNotSubscribed'), 'sent'],
    [refusal('ThrottlingException'), 'sent'],
    [refusal('TimestampOutOfBoundsException'), 'sent'],
    [refusal('InvalidLicenseException'), 'sent'],
    [{ kind: 'unprocessed' } as const, 'sent'],
    [{ kind: 'unanswered', reason: 'cut' } as const, 'sent'],
  ] as const)('%o: %s, also for a buyer who is gone', (answer, state) => {
    for (const subscription of [LIVE, LEAVING, GONE])
      expect(judgeAnswer(aRecord(1), subscription, answer, NOW).state).toBe(state)
  })
})

describe('a record whose time is over', () => {
  it('is in doubt when an attempt had no answer, whoever the buyer is', () => {
    for (const subscription of [LIVE, GONE])
      expect(judgeExpired(aRecord(1), subscription, NOW).state).toBe('in_doubt')
  })

  it('is carried on when AWS certainly does not have it, and refused when nobody can be billed later', () => {
    expect(judgeExpired(aRecord(0), LIVE, NOW)).toMatchObject({ state: 'carried', openFrom: HOUR })
    expect(judgeExpired(aRecord(0), GONE, NOW).state).toBe('refused')
    expect(judgeExpired(aRecord(0, 0), LIVE, NOW).state).toBe('refused')
  })
})

it('waits twice as long each time, at most ten minutes', () => {
  expect([1, 2, 3, 7, 8, 50].map(retryDelayMs)).toEqual([5_000, 10_000, 20_000, 320_000, 600_000, 600_000])
})

it('tries again sooner when little time is left, so that the last minutes are used', () => {
  const lateRecord = (leftMs: number) =>
    ({ ...aRecord(0), attempts: 9, deadline: NOW + leftMs }) as UsageRecord
  const delays = [86_400_000, 1_200_000, 60_000, 4_000].map((leftMs) => {
    const { nextAttemptAt } = judgeAnswer(lateRecord(leftMs), LIVE, { kind: 'unprocessed' }, NOW)
    return nextAttemptAt! - NOW
  })
  expect(delays).toEqual([600_000, 300_000, 15_000, 5_000])
})

it('names who goes on when the last usage of a renewed agreement is refused', () => {
  const renewed = { ...LEAVING, status: 'superseded', successor: 'sub_heir' } as Subscription
  expect(judgeExpired(aRecord(0), renewed, NOW + 7_200_000)).toMatchObject({
    state: 'refused',
    note: expect.stringContaining('sub_heir'),
  })
})

it('says that another copy may have sent what was never tried here', () => {
  const untried = { ...aRecord(1), attempts: 0 }
  expect(judgeExpired(untried, LIVE, NOW)).toMatchObject({
    state: 'in_doubt',
    note: expect.stringContaining('another copy'),
  })
})
