import { describe, expect, it } from 'vitest'
import { callerOf } from './caller-address.ts'
import { createFailedAttempts } from './failed-attempts.ts'
import { createRateLimiter } from './rate-limiter.ts'

const SECOND = 1_000
const MINUTE = 60_000

describe('a rate limiter', () => {
  const aLimiter = (callersMax = 100) => createRateLimiter({ windowMs: 5 * SECOND, callersMax })

  it('lets a whole window through at once, then as much as flows back, and counts no refusal', () => {
    const limiter = aLimiter()
    const taken = (now: number) => {
      let count = 0
      while (limiter.take('a', 35, now) >= 0) count++
      return count
    }
    expect(taken(0)).toBe(35)
    expect(limiter.take('a', 35, 0)).toBeCloseTo(-5_000 / 35)
    expect(taken(SECOND)).toBe(7)
    expect(taken(SECOND)).toBe(0)
    // However long it was quiet, no more than a window.
    expect(taken(1_000 * SECOND)).toBe(35)
  })

  it('takes back what was counted', () => {
    const limiter = aLimiter()
    limiter.giveBack('a', 2, 0)
    for (let n = 0; n < 10; n++) {
      expect(limiter.take('a', 2, 0)).toBe(2_500)
      limiter.giveBack('a', 2, 0)
    }
    for (let n = 0; n < 2; n++) expect(limiter.take('a', 2, 0)).toBeGreaterThanOrEqual(0)
    expect(limiter.take('a', 2, 0)).toBeLessThan(0)
  })

  it('keeps each caller apart, and so many at most', () => {
    const limiter = aLimiter(10)
    limiter.take('spent', 1, 0)
    expect(limiter.take('another', 1, 0)).toBe(0)
    for (let n = 0; n < 1_000; n++) limiter.take(`stranger-${n}`, 1_000_000, n)
    expect(limiter.tracked()).toBe(10)
    // Strangers, whom nothing is held against, made room for one another.
    expect(limiter.take('spent', 1, SECOND)).toBe(-4_000)
  })
})

describe('failed attempts', () => {
  const attempts = () =>
    createFailedAttempts({ perMinuteMax: 3, waitMs: MINUTE, waitMaxMs: 4 * MINUTE, callersMax: 100 })
  const fail = (counter: ReturnType<typeof attempts>, now: number) =>
    [1, 2, 3, 4].map(() => counter.fail('a', now)).at(-1)

  it('wait twice as long each time, up to a bound, and start anew after quiet', () => {
    const counter = attempts()
    expect([1, 2, 3].map(() => counter.fail('a', 0))).toEqual([0, 0, 0])
    expect(counter.fail('a', 0)).toBe(MINUTE)
    // What comes within the wait makes it no longer.
    expect(counter.fail('a', MINUTE / 2)).toBe(MINUTE / 2)
    expect(fail(counter, MINUTE)).toBe(2 * MINUTE)
    expect(fail(counter, 3 * MINUTE)).toBe(4 * MINUTE)
    expect(fail(counter, 7 * MINUTE)).toBe(4 * MINUTE)
    expect(fail(counter, 16 * MINUTE)).toBe(MINUTE)
  })

  it('are forgiven where there are few a minute, and nobody pays for another', () => {
    const counter = attempts()
    for (let minute = 0; minute < 10; minute++)
      for (let n = 0; n < 3; n++) expect(counter.fail('a', minute * MINUTE)).toBe(0)
    fail(counter, 10 * MINUTE)
    expect(counter.fail('b', 10 * MINUTE)).toBe(0)
  })
})

it.each([
  ['192.0.2.7', '192.0.2.7'],
  ['::ffff:192.0.2.7', '192.0.2.7'],
  ['::FFFF:c000:0207', '192.0.2.7'],
  ['2001:db8:1:2:3:4:5:6', '20010db800010002/64'],
  ['2001:0DB8:1:2::', '20010db800010002/64'],
  ['2001:db8:1:3::1', '20010db800010003/64'],
  ['2001:db8::1', '20010db800000000/64'],
  ['::1', '0000000000000000/64'],
  ['fe80::1%eth0', 'fe80000000000000/64'],
  ['64:ff9b::192.0.2.7', '192.0.2.7'],
  // Some balancers name the port.
  ['198.51.100.4:50123', '198.51.100.4'],
  ['[2001:db8::1]:50123', '20010db800000000/64'],
  ['[2001:db8:0:1::1]', '20010db800000001/64'],
  ['[::ffff:192.0.2.7]:1', '192.0.2.7'],
  ['198.51.100.4:port', 'none'],
  ['[198.51.100.4', 'none'],
  ['<script>', 'none'],
  ['', 'none'],
])('counts %s as %s', (address, caller) => {
  expect(callerOf(address)).toBe(caller)
})
