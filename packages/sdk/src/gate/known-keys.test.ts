import { expect, it } from 'vitest'
import { createKnownKeys } from './known-keys.ts'

it('keeps ten thousand of each kind, and those that were heard of last', () => {
  const known = createKnownKeys(() => 0)
  known.note('first', { allowed: true })
  known.note('refused', { allowed: false, reason: 'key_revoked' })
  for (let n = 0; n < 9_999; n++) known.note(`strange ${n}`, { allowed: false, reason: 'key_unknown' })
  expect([known.isRefused('refused'), known.takeUnasked('first', 1)]).toEqual([true, true])
  known.note('one more', { allowed: false, reason: 'rate_limited' })
  expect([known.isRefused('refused'), known.isRefused('one more')]).toEqual([false, true])
  expect(known.takeUnasked('first', 1)).toBe(true)
})

it('believes the last that it heard', () => {
  const known = createKnownKeys(() => 0)
  known.note('key', { allowed: false, reason: 'suspended' })
  known.note('key', { allowed: true, remaining: 'unlimited' })
  expect([known.isRefused('key'), known.takeUnasked('key', '1.5')]).toEqual([false, true])
  known.note('key', { allowed: false, reason: 'key_scope' })
  expect([known.isRefused('key'), known.takeUnasked('key', 1)]).toEqual([false, false])
})
