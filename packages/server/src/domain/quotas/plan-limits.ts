import { DomainError } from '../error.ts'
import { keepOn } from '../kept-on.ts'
import { findDimension, type Product } from '../products/product.ts'
import { parseQuantity } from '../usage/quantity.ts'
import type { CountedLimit, Counter, PlanLimit } from './quota.ts'
import { limitsAt, remainingOf } from './quota.ts'
import type { Holder, LimitState } from './quota-answer.ts'

/** What a quantity is counted in. */
export interface CountedDimension {
  /** Its key: of the product, or a name that only plans know. */
  readonly key: string
  readonly scale: number
  /** Each use is a usage event. */
  readonly isMetered: boolean
  /** Of the product: whoever can be billed for it may use it without a limit. */
  readonly isSold: boolean
}

/** What of a holder its limits are worked out from. */
export type LimitedHolder = Pick<Holder, 'plan' | 'canBeBilled' | 'granted'>

/** @param name - a dimension's key, the platform's name for it, or a name that only plans know */
export function countedDimension(product: Product, name: string): CountedDimension {
  const sold = findDimension(product, name)
  return {
    key: sold?.key ?? name,
    scale: sold?.scale ?? 0,
    isMetered: sold?.meteredBy === 'gate',
    isSold: sold !== undefined,
  }
}

/**
 * In base units; default: 1.
 *
 * @throws {DomainError} `request.invalid`
 */
export function quantityOf(
  { quantity = 1 }: { readonly quantity?: number | string | undefined },
  { scale }: Pick<CountedDimension, 'scale'>,
): number {
  const base = parseQuantity(quantity, scale)
  if (typeof base !== 'number') throw new DomainError('request.invalid', base.reason)
  return base
}

/** Limits of a plan stay the same objects while the plan does: they are worked out once. */
const known = new WeakMap<object, Map<string, readonly PlanLimit[]>>()

/** @returns undefined where the dimension may not be used: no plan names it, no contract grants it, and nobody would pay for it */
export function planLimits(
  { plan, canBeBilled, granted }: LimitedHolder,
  { key, scale, isSold }: CountedDimension,
): readonly PlanLimit[] | undefined {
  const isFree = (isSold && canBeBilled) || granted.has(key)
  if (plan === undefined) return isFree ? [] : undefined
  let byDimension = known.get(plan)
  if (byDimension === undefined) {
    byDimension = new Map()
    known.set(plan, byDimension)
  }
  const name = `${canBeBilled} ${scale} ${key}`
  let limits = byDimension.get(name)
  if (limits === undefined) {
    limits = plan.limits
      .filter(({ dimension }) => dimension === key)
      .map(({ window, quantity, onExceed }) => ({
        window,
        max: quantity === 'unlimited' ? undefined : toBase(quantity, scale),
        // What nobody pays for is not let through, whatever the plan says.
        blocks: !canBeBilled || onExceed === 'block',
      }))
    byDimension.set(name, limits)
  }
  return limits.length > 0 || isFree ? limits : undefined
}

/** A limit has few decimals; its base units are whole. */
function toBase(quantity: number, scale: number): number {
  return Math.min(Number.MAX_SAFE_INTEGER, Math.round(quantity * 10 ** scale))
}

interface Kept {
  readonly limits: readonly CountedLimit[]
  /** It is these limits from here on, ms, */
  readonly from: number
  /** and not any more from here on. */
  readonly until: number
}

/** Windows stay the same for a minute at least: they are worked out once. */
const COUNTED = Symbol('limits by dimension')

/** The same object for the same holder for as long as none of its windows ends: it is looked up by it. */
export function limitsOf(
  holder: LimitedHolder & Pick<Holder, 'anchor'> & { readonly [COUNTED]?: Map<string, Kept> },
  dimension: CountedDimension,
  now: number,
): readonly CountedLimit[] | undefined {
  const kept = holder[COUNTED]?.get(dimension.key)
  if (kept !== undefined && now >= kept.from && now < kept.until) return kept.limits
  const ofPlan = planLimits(holder, dimension)
  if (ofPlan === undefined) return undefined
  const limits = limitsAt(ofPlan, now, holder.anchor)
  const byDimension = holder[COUNTED] ?? keepOn(holder, COUNTED, new Map<string, Kept>())
  byDimension.set(dimension.key, {
    limits,
    // A time before the start of a first month is in it as well: nothing is kept for it.
    from: Math.max(...limits.map(({ start }) => start)),
    until: Math.min(...limits.map(({ end }) => end ?? Number.POSITIVE_INFINITY)),
  })
  return limits
}

export function limitStates(
  limits: readonly CountedLimit[],
  counters: readonly Counter[],
): readonly LimitState[] {
  return limits.map((limit, index) => {
    const counter = counters[index]!
    return {
      window: limit.window,
      max: limit.max,
      onExceed: limit.blocks ? 'block' : 'bill',
      used: counter.used + counter.held,
      held: counter.held,
      remaining: remainingOf(limit, counter),
      startsAt: limit.start,
      resetAt: limit.end,
    }
  })
}
