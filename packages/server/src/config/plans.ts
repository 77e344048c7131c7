import type { Plan } from '../domain/plans/plan.ts'
import type { PlanSection } from './schema.ts'

export function toPlan(section: PlanSection): Plan {
  return {
    id: section.id,
    title: section.title ?? section.id,
    audience: section.audience,
    grantedBy: section.grantedBy,
    trial: section.trial,
    price: section.price,
    upgradeTo: section.upgradeTo,
    features: section.features,
    limits: section.limits.map(({ dimension, quantity, window, onExceed }) => ({
      dimension,
      quantity: quantity === 'unlimited' ? quantity : Number(quantity),
      window,
      onExceed,
    })),
    included: section.included.map(({ dimension, units, reset, per }) => ({
      dimension,
      units: BigInt(units),
      per,
      reset,
    })),
    isRetired: false,
  }
}
