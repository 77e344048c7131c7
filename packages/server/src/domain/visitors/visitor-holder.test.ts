import { expect, it } from 'vitest'
import { aProduct } from '../../storage/contract/fixtures.ts'
import { PLAIN_PLAN, type Plan } from '../plans/plan.ts'
import { visitorHolder } from './visitor-holder.ts'

const NOW = Date.parse('2026-11-21T10:30Z')
const aPlan = (id: string, values: Partial<Plan>): Plan => ({ ...PLAIN_PLAN, id, title: id, ...values })
const planOf = (...plans: readonly Plan[]) => visitorHolder(aProduct({ plans }), undefined, NOW).plan?.id

it('a visitor gets the plan that took the place of a retired one, and none where none did', () => {
  // Retired ones come first in a product.
  const retired = aPlan('anonymous', { audience: 'anonymous', isRetired: true })
  expect(planOf(retired, aPlan('anonymous-2', { audience: 'anonymous' }))).toBe('anonymous-2')
  expect(planOf(retired, aPlan('free', { audience: 'registered' }))).toBeUndefined()
})
