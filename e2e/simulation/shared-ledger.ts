import type { EntitlementStore } from '../../packages/server/src/domain/entitlements/entitlement-store.ts'
import type { SubscriptionStore } from '../../packages/server/src/domain/subscriptions/subscription-store.ts'
import type { UsageStore } from '../../packages/server/src/domain/usage/usage-store.ts'
import type { Life } from './life.ts'

/** What one process of ours has open. */
export interface MortalStores {
  readonly usage: UsageStore
  readonly subscriptions: SubscriptionStore
  readonly entitlements: EntitlementStore
  close(): Promise<void>
}

/** The ledger that all processes of a run share. */
export interface SharedLedger {
  open(life: Life): Promise<MortalStores>
  remove(): Promise<void>
}
