import { expect, it } from 'vitest'
import { planFeatures } from './plan-features.ts'

it('reads a plan’s features, and no others', () => {
  const features = planFeatures({ features: { sso: true, export: false, seats: 5, none: 0, region: 'eu' } })
  expect(['sso', 'export', 'seats', 'none', 'region', 'constructor', 'other'].filter(features.has)).toEqual([
    'sso',
    'seats',
    'region',
  ])
  expect([
    features.number('seats'),
    features.number('region'),
    features.text('region'),
    features.text('sso'),
  ]).toEqual([5, undefined, 'eu', undefined])
  expect(planFeatures({}).has('sso')).toBe(false)
})
