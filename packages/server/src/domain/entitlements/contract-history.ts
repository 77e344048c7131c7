import type { EntitlementPeriod } from './entitlement.ts'

/** Which plan held from a time on. */
export interface PlanPeriod {
  /** Undefined: none. */
  readonly plan: string | undefined
  /** ms; 0: as far back as it goes. */
  readonly from: number
}

/** What a subscription's contract was through time: an hour is closed by what held then, however late it is closed. */
export interface ContractHistory {
  /** False until AWS has granted something for the first time. */
  readonly isRead: boolean
  /** In order of `from`. */
  readonly entitlements: readonly EntitlementPeriod[]
  /** In order of `from`; empty where the subscription's plan has always been the one that it is now. */
  readonly plans: readonly PlanPeriod[]
  /** When a later term followed an earlier one, ms, in order. */
  readonly terms: readonly number[]
}

export const NO_HISTORY_YET: ContractHistory = { isRead: false, entitlements: [], plans: [], terms: [] }
