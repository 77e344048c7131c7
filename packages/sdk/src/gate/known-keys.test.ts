import { expect, it } from 'vitest'
import { createKnownKeys, type KeyUse } from './known-keys.ts'

const MINUTE_MS = 60_000

function calls(fingerprint: string, more: Partial<KeyUse> = {}): KeyUse {
  return { fingerprint, dimension: 'calls', ...more }
}

it('keeps ten thousand of each kind, and those that were heard of last', () => {
  const known = createKnownKeys(() => 0)
  known.note(calls('first'), { allowed: true })
  known.note(calls('refused'), { allowed: false, reason: 'key_revoked' })
  for (let n = 0; n < 9_999; n++) known.note(calls(`strange ${n}`), { allowed: false, reason: 'key_unknown' })
  expect([known.isRefused('refused'), known.takeUnasked(calls('first'), 1)]).toEqual([true, true])
  known.note(calls('one more'), { allowed: false, reason: 'rate_limited' })
  expect([known.isRefused('refused'), known.isRefused('one more')]).toEqual([false, true])
  expect(known.takeUnasked(calls('first'), 1)).toBe(true)
  for (let n = 0; n < 10_000; n++) known.note(calls(`good ${n}`), { allowed: true })
  expect(known.takeUnasked(calls('first'), 1)).toBe(false)
})

it('believes the last that it heard', () => {
  const known = createKnownKeys(() => 0)
  const key = calls('key')
  known.note(key, { allowed: false, reason: 'suspended' })
  known.note(key, { allowed: true, remaining: 'unlimited' })
  expect([known.isRefused('key'), known.takeUnasked(key, '1.5')]).toEqual([false, true])
  known.note(key, { allowed: false, reason: 'key_scope' })
  expect([known.isRefused('key'), known.takeUnasked(key, 1)]).toEqual([false, false])
})

it('knows a key only for what it was let in for, but refuses it for all', () => {
  const known = createKnownKeys(() => 0)
  const read = calls('key', { scope: 'read' })
  known.note(read, { allowed: true })
  for (const other of [
    {},
    { scope: 'write' },
    { scope: 'read', feature: 'export' },
    { dimension: 'exports' },
  ])
    expect(known.takeUnasked(calls('key', other), 1)).toBe(false)
  known.note(calls('key', { scope: 'write' }), { allowed: false, reason: 'key_scope' })
  expect(known.takeUnasked(read, 1)).toBe(true)
  known.note(calls('key', { scope: 'write' }), { allowed: false, reason: 'key_revoked' })
  expect(known.takeUnasked(read, 1)).toBe(false)
})

it('gives no more of a dimension than the plan had, whatever the answers in between say', () => {
  let counted = 0
  let uncounted = 0
  const known = createKnownKeys(() => 0)
  for (let n = 0; n < 3_000; n++) {
    const use = calls('key', { scope: n % 2 === 0 ? 'read' : 'write' })
    if (counted < 1_000) {
      counted += 1
      known.note(use, { allowed: true, remaining: 1_000 - counted })
    } else known.note(use, { allowed: false, reason: 'quota_exceeded', remaining: 0 })
    if (known.takeUnasked(use, 1)) uncounted += 1
  }
  // As many as were counted by then: after 500 of each nothing was left.
  expect([counted, uncounted]).toEqual([1_000, 500])
})

it('forgets what was taken after fifteen minutes', () => {
  let now = 0
  const known = createKnownKeys(() => now)
  const key = calls('key')
  known.note(key, { allowed: true, remaining: 3 })
  expect(known.takeUnasked(key, 1)).toBe(true)
  now = 5 * MINUTE_MS
  expect(known.takeUnasked(key, 2)).toBe(true)
  known.note(key, { allowed: true, remaining: 3 })
  expect(known.takeUnasked(key, 1)).toBe(false)
  now = 15 * MINUTE_MS
  expect([known.takeUnasked(key, 2), known.takeUnasked(key, 1)]).toEqual([false, true])
  known.note(key, { allowed: true, remaining: 3 })
  now = 20 * MINUTE_MS
  expect([known.takeUnasked(key, 2), known.takeUnasked(key, 1)]).toEqual([true, false])
})

it.each([-5, '-5', Number.NaN, Number.POSITIVE_INFINITY, 'x', ''])(
  'takes no quantity such as %s',
  (quantity) => {
    const known = createKnownKeys(() => 0)
    const key = calls('key')
    known.note(key, { allowed: true, remaining: 1 })
    expect(known.takeUnasked(key, quantity)).toBe(false)
    expect([known.takeUnasked(key, 1), known.takeUnasked(key, 1)]).toEqual([true, false])
  },
)
