import { expect, it } from 'vitest'
import { paysThroughAws } from './payment-way.ts'
import type { Channel, SubscriptionStatus } from './subscription.ts'

const of = (...subscriptions: readonly (readonly [Channel, SubscriptionStatus])[]) =>
  paysThroughAws(subscriptions.map(([channel, status]) => ({ channel, status })))

it('keeps to AWS whoever came through it, whatever else they have, until they pay directly', () => {
  expect(of(['aws', 'active'])).toBe(true)
  expect(of(['free', 'active'], ['aws', 'active'])).toBe(true)
  expect(of(['direct', 'active'], ['aws', 'pending'])).toBe(true)
  // AWS says no time after which its buyers may be led elsewhere.
  expect(of(['aws', 'cancelled'])).toBe(true)
  expect(of(['free', 'active'], ['aws', 'expired'])).toBe(true)
  expect(of(['direct', 'cancelled'], ['aws', 'expired'])).toBe(true)
  expect(of(['direct', 'active'], ['aws', 'cancelled'])).toBe(false)
  expect(of(['direct', 'active'])).toBe(false)
  expect(of(['free', 'active'])).toBe(false)
  expect(of()).toBe(false)
})
