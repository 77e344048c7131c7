import type { Clock } from '../clock.ts'
import type { FindHolders, FoundHolders, WhoAsks } from './find-holders.ts'
import type { Leases } from './leases.ts'
import { countedDimension, limitStates, limitsOf } from './plan-limits.ts'
import type { Holder, LimitState } from './quota-answer.ts'
import type { QuotaStore } from './quota-store.ts'

export interface QuotaOverview {
  readonly holder: Holder | undefined
  readonly refusal: NonNullable<FoundHolders['refused']>['reason'] | undefined
  readonly limits: readonly {
    readonly dimension: string
    readonly scale: number
    readonly state: LimitState
  }[]
}

/** How all limits of a plan stand, or those of one dimension. Counts nothing. */
export type DescribeQuota = (
  question: WhoAsks & { readonly dimension?: string | undefined },
) => Promise<QuotaOverview>

export function createDescribeQuota(deps: {
  readonly findHolders: FindHolders
  readonly quotas: Pick<QuotaStore, 'read'>
  readonly leases: Pick<Leases, 'unused'>
  readonly clock: Pick<Clock, 'now'>
}): DescribeQuota {
  return async (question) => {
    const { holders, refused } = await deps.findHolders(question)
    const holder = holders[0] ?? refused?.holder
    if (holder === undefined) return { holder, refusal: refused?.reason, limits: [] }
    const now = deps.clock.now()
    const names =
      question.dimension === undefined
        ? new Set(holder.plan?.limits.map(({ dimension }) => dimension))
        : [question.dimension]
    const counted = [...names].map((name) => {
      const dimension = countedDimension(holder.product, name)
      return { dimension, limits: limitsOf(holder, dimension, now) ?? [] }
    })
    const keys = counted.flatMap(({ dimension, limits }) =>
      limits.map(({ window, start }) => ({ holder: holder.id, dimension: dimension.key, window, start })),
    )
    const counters = keys.length === 0 ? [] : await deps.quotas.read(keys)
    const own = counters.map(({ used, held }, index) => ({
      used: Math.max(0, used - deps.leases.unused(keys[index]!)),
      held,
    }))
    const left = own.values()
    return {
      holder,
      refusal: refused?.reason,
      limits: counted.flatMap(({ dimension: { key, scale }, limits }) => {
        const states = limitStates(
          limits,
          limits.map(() => left.next().value!),
        )
        return states.map((state) => ({ dimension: key, scale, state }))
      }),
    }
  }
}
