import type { Plan } from '../../domain/plans/plan.ts'
import { table } from '../output.ts'

/** Plans as they are now, for people. */
export function plansTable(plans: readonly Plan[]): string {
  return table(
    ['plan', 'title', 'for', 'price', 'limits', 'trial', 'leads to', ''],
    plans.map(({ id, title, audience, price, limits, trial, upgradeTo, isRetired }) => [
      id,
      title,
      audience,
      priceText(price),
      limitsText(limits),
      trialText(trial),
      upgradeTo ?? '',
      isRetired ? 'retired' : '',
    ]),
  )
}

export function priceText(price: Plan['price']): string {
  if (price === undefined) return ''
  return price === 'custom' ? price : `${price.amount} ${price.currency}/${price.per}`
}

export function limitsText(limits: Plan['limits']): string {
  return limits.map(({ dimension, quantity, window }) => `${quantity} ${dimension}/${window}`).join(', ')
}

export function trialText(trial: Plan['trial']): string {
  return trial === undefined ? '' : `${trial.days} days`
}
