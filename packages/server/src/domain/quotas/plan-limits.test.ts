import { expect, it } from 'vitest'
import { utc } from '../../storage/contract/fixtures.ts'
import { PLAIN_PLAN } from '../plans/plan.ts'
import { limitsOf } from './plan-limits.ts'

const ANCHOR = utc('2026-11-21T10:30')
const DAY_OF_ANCHOR = utc('2026-11-21T00:00')
const MINUTE = 60_000
const NOTHING: ReadonlySet<string> = new Set()
const calls = { key: 'calls', scale: 0, isMetered: false, isSold: false }

it('keeps limits for as long as none of their windows ends, and not a moment longer', () => {
  const plan = {
    ...PLAIN_PLAN,
    id: 'pro',
    title: 'Pro',
    limits: [
      { dimension: 'calls', quantity: 10, window: 'minute', onExceed: 'block' },
      { dimension: 'calls', quantity: 100, window: 'month', onExceed: 'block' },
      { dimension: 'exports', quantity: 1, window: 'lifetime', onExceed: 'block' },
    ],
  } as const
  const holder = { plan, anchor: ANCHOR, canBeBilled: true, granted: NOTHING }
  const at = (time: number, key = 'calls') => limitsOf(holder, { ...calls, key }, time)!
  const first = at(ANCHOR + 10)
  expect(first.map(({ start }) => start)).toEqual([ANCHOR, DAY_OF_ANCHOR])
  expect(at(ANCHOR + MINUTE - 1)).toBe(first)
  expect(at(ANCHOR + MINUTE).map(({ start }) => start)).toEqual([ANCHOR + MINUTE, DAY_OF_ANCHOR])
  // A clock that went back finds the window that it is in again.
  expect(at(ANCHOR + 10)).toEqual(first)
  expect(at(ANCHOR - 1)[0]!.start).toBe(ANCHOR - MINUTE)
  expect(at(utc('2026-12-21T00:00')).map(({ start }) => start)).toEqual([
    utc('2026-12-21T00:00'),
    utc('2026-12-21T00:00'),
  ])
  expect(at(ANCHOR, 'exports')).toMatchObject([{ start: 0, max: 1 }])
})
