import type { Included, Plan } from '../plans/plan.ts'
import { planAt } from '../plans/plan-version.ts'
import type { Product } from '../products/product.ts'
import type { Subscription } from '../subscriptions/subscription.ts'
import { type Hour, hourEnd, hourStart, monthStart } from '../usage/hour.ts'
import type { ContractHistory } from './contract-history.ts'

/** Units that a contract paid for, as one hour may use them. */
export interface Allowance {
  /** The period that they are for, as a key: what is used up is counted under it. */
  readonly period: string
  /** Billed units for the whole period, as far as it is known in that hour. */
  readonly units: bigint
  /** They depend on what AWS grants, and it has not said yet. */
  readonly isUnread: boolean
}

/**
 * What a contract includes of a metered dimension, as it counts for one hour (contract with consumption).
 *
 * An upgrade raises it from the hour in which it came; what was lowered counts from the next period, since AWS lowers
 * a contract only at its renewal; what was taken away includes nothing from the next hour on.
 *
 * @returns undefined where no plan in force in that hour includes any
 */
export function includedAt(
  product: Pick<Product, 'plans' | 'planVersions' | 'pricing'>,
  dimension: string,
  subscription: Pick<Subscription, 'plan' | 'accessStart'>,
  history: ContractHistory,
  hour: Hour,
): Allowance | undefined {
  if (!mayInclude(product, ({ included }) => included.some((units) => units.dimension === dimension)))
    return undefined
  const start = hourStart(hour)
  const end = hourEnd(hour)
  const includedWhen = (time: number): Included | undefined => {
    const plan = planAt(product, planIdAt(history, subscription, time), time)
    return plan?.included.find((included) => included.dimension === dimension)
  }
  const changes = changesWithin(product, history, end)
  const ofHour = [start, ...changes.filter((time) => time > start)]
  const included = ofHour.map(includedWhen).findLast((found) => found !== undefined)
  const isUnread = !history.isRead && product.pricing === 'contract-with-consumption'
  if (included === undefined) {
    const isPossible = isUnread && subscription.plan === undefined && isGrantable(product, dimension)
    return isPossible ? { period: '', units: 0n, isUnread } : undefined
  }
  const period = includedPeriod(included, subscription, start, history.terms)
  const unitsWhen = (time: number): bigint => {
    const { units = 0n, per } = includedWhen(time) ?? {}
    return per === undefined ? units : units * BigInt(entitledAt(history, per, time))
  }
  let most = 0n
  for (const time of [period.from, ...changes.filter((change) => change > period.from)]) {
    const units = unitsWhen(time)
    // Nothing left when the hour began: what was included before is gone. In the very hour it still counts.
    if (units === 0n && time <= start) most = 0n
    else if (units > most) most = units
  }
  return { period: period.key, units: most, isUnread: isUnread && included.per !== undefined }
}

/** Is it so of any plan, as it is or at any other time? */
export function mayInclude(
  { plans, planVersions }: Pick<Product, 'plans' | 'planVersions'>,
  isIncluding: (plan: Pick<Plan, 'included'>) => boolean,
): boolean {
  return plans.some(isIncluding) || planVersions.some(({ body }) => isIncluding(body))
}

/** Could AWS grant a plan that includes it? */
function isGrantable({ plans }: Pick<Product, 'plans'>, dimension: string): boolean {
  return plans.some(
    ({ grantedBy, included }) =>
      grantedBy !== undefined && included.some((units) => units.dimension === dimension),
  )
}

/** When the plan, what it includes, or an entitlement changed, in order. */
function changesWithin(
  { planVersions }: Pick<Product, 'planVersions'>,
  { plans, entitlements }: ContractHistory,
  before: number,
): number[] {
  const times = new Set([...plans, ...entitlements, ...planVersions].map(({ from }) => from))
  return [...times].filter((time) => time < before).sort((a, b) => a - b)
}

function planIdAt(
  { plans }: ContractHistory,
  { plan }: Pick<Subscription, 'plan'>,
  time: number,
): string | undefined {
  if (plans.length === 0) return plan
  return plans.findLast(({ from }) => from <= time)?.plan
}

function entitledAt({ entitlements }: ContractHistory, dimension: string, time: number): number {
  return entitlements.findLast((period) => period.dimension === dimension && period.from <= time)?.units ?? 0
}

/** The period of a contract's included units that a time lies in: a key, and when it began. */
export function includedPeriod(
  included: Pick<Included, 'reset'>,
  subscription: Pick<Subscription, 'accessStart'>,
  timeMs: number,
  terms: readonly number[] = [],
): { readonly key: string; readonly from: number } {
  switch (included.reset) {
    case 'calendarMonth': {
      const from = monthStart(timeMs)
      return { key: new Date(from).toISOString().slice(0, 7), from }
    }
    case 'anniversary': {
      const from = anniversaryBefore(subscription.accessStart, timeMs)
      return { key: new Date(from).toISOString().slice(0, 10), from }
    }
    case 'term': {
      const from = terms.findLast((begin) => begin <= timeMs)
      return from === undefined
        ? { key: 'term', from: Number.NEGATIVE_INFINITY }
        : { key: `term ${new Date(from).toISOString()}`, from }
    }
  }
}

/** The latest monthly anniversary of `start` at or before `timeMs`; the 31st becomes a short month's last day. */
export function anniversaryBefore(start: number, timeMs: number): number {
  const first = new Date(start)
  const date = new Date(timeMs)
  for (let back = 0; back < 2; back++) {
    const year = date.getUTCFullYear()
    const month = date.getUTCMonth() - back
    const days = new Date(Date.UTC(year, month + 1, 0)).getUTCDate()
    const anniversary = Date.UTC(year, month, Math.min(first.getUTCDate(), days))
    if (anniversary <= timeMs) return anniversary
  }
  return start
}
