import { describe, expect, it } from 'vitest'
import {
  awsDeadline,
  closesAt,
  earliestBillableHour,
  holdDeadline,
  lastHour,
  recordTimestamp,
} from './deadlines.ts'
import { hourOf } from './hour.ts'

const utc = (text: string) => Date.parse(`${text}Z`)
const hour = (text: string) => hourOf(utc(text))
const GOING_ON = { accessStart: utc('2026-01-01T00:00'), accessEnd: undefined, finalWindowEnd: undefined }
const RULES = { graceMs: 15 * 60_000, goodbyeSettleMs: 10 * 60_000 }
const ended = (at: string) => ({ ...GOING_ON, accessEnd: utc(at), finalWindowEnd: utc(at) + 3_600_000 })

describe('the time on a record', () => {
  it('is the start of its hour, and never before the agreement', () => {
    expect(recordTimestamp(hour('2026-11-21T10:00'), GOING_ON)).toBe(utc('2026-11-21T10:00'))
    const since = { ...GOING_ON, accessStart: utc('2026-11-21T10:20:30') }
    expect(recordTimestamp(hour('2026-11-21T10:00'), since)).toBe(utc('2026-11-21T10:20:30'))
    expect(recordTimestamp(hour('2026-11-21T11:00'), since)).toBe(utc('2026-11-21T11:00'))
  })
})

describe('AWS takes an hour', () => {
  it('for 24 hours', () => {
    expect(awsDeadline(hour('2026-11-21T10:00'), GOING_ON)).toBe(utc('2026-11-22T10:00'))
  })

  it('of the month before until 06:00 UTC on the 1st, in every year and month', () => {
    expect(awsDeadline(hour('2026-11-30T23:00'), GOING_ON)).toBe(utc('2026-12-01T06:00'))
    expect(awsDeadline(hour('2026-11-30T05:00'), GOING_ON)).toBe(utc('2026-12-01T05:00'))
    expect(awsDeadline(hour('2026-12-31T12:00'), GOING_ON)).toBe(utc('2027-01-01T06:00'))
    expect(awsDeadline(hour('2028-02-29T12:00'), GOING_ON)).toBe(utc('2028-03-01T06:00'))
    // Clocks change on these days, in America and in Europe: UTC does not.
    expect(awsDeadline(hour('2026-03-08T07:00'), GOING_ON)).toBe(utc('2026-03-09T07:00'))
    expect(awsDeadline(hour('2026-10-25T00:00'), GOING_ON)).toBe(utc('2026-10-26T00:00'))
  })

  it('of an ended subscription for its final hour only', () => {
    expect(awsDeadline(hour('2026-11-21T10:00'), ended('2026-11-21T10:30'))).toBe(utc('2026-11-21T11:30'))
  })
})

describe('a bucket closes', () => {
  it('when the grace after its hour is over', () => {
    expect(closesAt(hour('2026-11-21T10:00'), RULES, GOING_ON)).toBe(utc('2026-11-21T11:15'))
    expect(closesAt(hour('2026-11-21T10:00'), { ...RULES, graceMs: 0 }, GOING_ON)).toBe(
      utc('2026-11-21T11:00'),
    )
    const long = { ...RULES, graceMs: 18 * 3_600_000 }
    expect(closesAt(hour('2026-11-21T10:00'), long, GOING_ON)).toBe(utc('2026-11-22T05:00'))
  })

  it('at 03:00 UTC on the 1st for the last hours of a month, and with a long grace 90 minutes before AWS stops', () => {
    expect(closesAt(hour('2026-11-30T23:00'), RULES, GOING_ON)).toBe(utc('2026-12-01T03:00'))
    expect(closesAt(hour('2026-11-30T22:00'), RULES, GOING_ON)).toBe(utc('2026-11-30T23:15'))
    const long = { ...RULES, graceMs: 18 * 3_600_000 }
    expect(closesAt(hour('2026-11-30T20:00'), long, GOING_ON)).toBe(utc('2026-12-01T04:30'))
  })

  it('at once after an end, but the hour in progress when it has settled', () => {
    const bye = ended('2026-11-21T10:30')
    expect(closesAt(hour('2026-11-21T09:00'), RULES, bye)).toBe(utc('2026-11-21T10:30'))
    expect(closesAt(hour('2026-11-21T10:00'), RULES, bye)).toBe(utc('2026-11-21T10:40'))
    const slow = { ...RULES, goodbyeSettleMs: 2 * 3_600_000 }
    expect(closesAt(hour('2026-11-21T10:00'), slow, bye)).toBe(utc('2026-11-21T11:30'))
  })
})

it('decides a held hour an hour before AWS stops, and after an end a quarter of an hour', () => {
  expect(holdDeadline(hour('2026-11-21T10:00'), GOING_ON)).toBe(utc('2026-11-22T09:00'))
  expect(holdDeadline(hour('2026-11-21T10:00'), ended('2026-11-21T10:30'))).toBe(utc('2026-11-21T11:15'))
})

it('knows the last hour of an ended subscription: one that ends on the hour has none of the next', () => {
  expect(lastHour(ended('2026-11-21T10:30'))).toBe(hour('2026-11-21T10:00'))
  expect(lastHour(ended('2026-11-21T10:00'))).toBe(hour('2026-11-21T09:00'))
  expect(lastHour(GOING_ON)).toBe(Number.POSITIVE_INFINITY)
})

it('finds the earliest hour that AWS still takes: inside access and inside its window', () => {
  expect(earliestBillableHour(utc('2026-11-21T12:00'), GOING_ON)).toBe(hour('2026-11-20T14:00'))
  const young = { ...GOING_ON, accessStart: utc('2026-11-21T10:20') }
  expect(earliestBillableHour(utc('2026-11-21T12:00'), young)).toBe(hour('2026-11-21T10:00'))
  expect(earliestBillableHour(utc('2026-12-01T05:00'), GOING_ON)).toBe(hour('2026-12-01T00:00'))
})
