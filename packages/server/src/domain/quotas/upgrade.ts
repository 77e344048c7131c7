import type { Plan } from '../plans/plan.ts'
import type { Holder } from './quota-answer.ts'

export interface Upgrade {
  /** Undefined: the product says none. */
  readonly plan: Plan | undefined
  /** Undefined: its seller gave none. */
  readonly url: string | undefined
}

/**
 * Where to get more. Who came through AWS Marketplace is shown no other way to pay (AWS's policy), and gets its address alone.
 *
 * @returns undefined where there is nothing to move up to
 */
export function upgradeOf({ product, plan, paysThroughAws }: Holder): Upgrade | undefined {
  const next = product.plans.find(({ id }) => id === plan?.upgradeTo)
  const { aws, direct } = product.upgradeUrl
  const url = paysThroughAws ? aws : (direct ?? aws)
  return next === undefined && url === undefined ? undefined : { plan: next, url }
}
