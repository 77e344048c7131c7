import { describe, expect, it } from 'vitest'
import { PLAIN_PLAN, type Plan } from '../plans/plan.ts'
import { grantedPlan } from './take-answer.ts'

const aPlan = (id: string, grantedBy: string, values: Partial<Plan> = {}): Plan => ({
  ...PLAIN_PLAN,
  id,
  title: id,
  grantedBy,
  ...values,
})
const granted = (...dimensions: readonly string[]) =>
  dimensions.map((dimension) => ({
    dimension,
    value: { kind: 'boolean', value: true } as const,
    expiresAt: undefined,
  }))

describe('the plan that a contract grants', () => {
  // Retired ones come first in a product.
  const plans = [
    aPlan('pro', 'pro', { isRetired: true }),
    aPlan('pro-2027', 'pro'),
    aPlan('enterprise', 'enterprise'),
  ]

  it('stays the retired one of whoever is on it, and is the new one for everybody else', () => {
    expect(grantedPlan({ plans }, granted('pro'), 'pro')).toBe('pro')
    expect(grantedPlan({ plans }, granted('pro'), undefined)).toBe('pro-2027')
    expect(grantedPlan({ plans }, granted('pro'), 'enterprise')).toBe('pro-2027')
  })

  it('stays while its successor is made before it is retired itself', () => {
    const both = [aPlan('pro', 'pro'), aPlan('pro-2027', 'pro')]
    expect(grantedPlan({ plans: both }, granted('pro'), 'pro')).toBe('pro')
    expect(grantedPlan({ plans: both }, granted('pro'), undefined)).toBe('pro-2027')
  })

  it('stays the retired one where nothing took its place, until AWS grants something else', () => {
    const ladder = [
      aPlan('pro', 'pro', { isRetired: true }),
      aPlan('team', 'seats'),
      aPlan('enterprise', 'enterprise'),
    ]
    const asked = (held: string, now: readonly string[], before: readonly string[]) =>
      grantedPlan({ plans: ladder }, granted(...now), held, granted(...before))
    expect(asked('pro', ['seats', 'pro'], ['seats', 'pro'])).toBe('pro')
    expect(asked('pro', ['seats', 'pro'], [])).toBe('pro')
    expect(asked('team', ['seats', 'pro'], ['seats'])).toBe('team')
    expect(asked('pro', ['seats', 'pro', 'enterprise'], ['seats', 'pro'])).toBe('enterprise')
    expect(asked('pro', ['seats'], ['seats', 'pro'])).toBe('team')
  })

  it('follows the contract to another entitlement, and ends with the one that granted it', () => {
    expect(grantedPlan({ plans }, granted('pro', 'enterprise'), 'pro', granted('pro'))).toBe('enterprise')
    expect(grantedPlan({ plans }, granted('pro', 'enterprise'), 'pro-2027')).toBe('enterprise')
    expect(grantedPlan({ plans }, granted('enterprise'), 'pro')).toBe('enterprise')
    expect(grantedPlan({ plans }, granted('seats'), 'pro')).toBeUndefined()
  })

  it('is never one that no entitlement grants', () => {
    const free: Plan = { ...PLAIN_PLAN, id: 'free', title: 'Free' }
    expect(grantedPlan({ plans: [free, ...plans] }, granted('seats'), 'free')).toBeUndefined()
    expect(grantedPlan({ plans: [free, ...plans] }, granted('pro'), 'free')).toBe('pro-2027')
  })
})
