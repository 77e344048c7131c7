import type { AuditTrail } from './audit/audit-trail.ts'
import type { EntitlementStore } from './entitlements/entitlement-store.ts'
import type { HealthStore } from './health/health-store.ts'
import type { ApiKeyStore } from './keys/api-key.ts'
import type { ServiceKeyStore } from './keys/service-key.ts'
import type { LedgerCopy } from './moving/ledger-copy.ts'
import type { CatalogStore } from './products/catalog-store.ts'
import type { ProductCatalog } from './products/product.ts'
import type { QuotaStore } from './quotas/quota-store.ts'
import type { BuyerStore } from './subscriptions/buyer.ts'
import type { BuyerCaseStore } from './subscriptions/buyer-case.ts'
import type { SubscriptionHistory } from './subscriptions/subscription-history.ts'
import type { SubscriptionStore } from './subscriptions/subscription-store.ts'
import type { Mailbox } from './telling/mail.ts'
import type { OutboxStore } from './telling/outbox-store.ts'
import type { LedgerGuard } from './usage/ledger-guard.ts'
import type { UsageAccounts } from './usage/usage-accounts.ts'
import type { UsageStore } from './usage/usage-store.ts'
import type { VisitorStore } from './visitors/visitor.ts'
import type { WorkLeases } from './work-leases.ts'

export type LedgerMode = 'simulated' | 'shadow' | 'live'

/**
 * Every port on one open store, whose tables are of this version.
 *
 * A step that others get in the way of is run again: a function that decides within it may be asked more than once, and
 * its last answer is what counts.
 */
export interface Stores {
  readonly usage: UsageStore
  readonly usageAccounts: UsageAccounts
  readonly subscriptions: SubscriptionStore
  readonly history: SubscriptionHistory
  readonly buyers: BuyerStore
  readonly cases: BuyerCaseStore
  readonly entitlements: EntitlementStore
  readonly outbox: OutboxStore
  /** Mail of simulated mode. */
  readonly mailbox: Mailbox
  readonly keys: ServiceKeyStore
  readonly apiKeys: ApiKeyStore
  /** Products and plans, and how they came to be what they are. */
  readonly catalogStore: CatalogStore
  readonly audit: AuditTrail
  readonly quotas: QuotaStore
  readonly visitors: VisitorStore
  /** How endpoints are, and were. */
  readonly health: HealthStore
  readonly leases: WorkLeases
  /**
   * During an upgrade a later version may run on the same store: fails once it has taken something away.
   *
   * @throws {DomainError} `ledger.too_new`
   */
  checkLevel(): Promise<void>
  /** Names of the migrations that ran when it was opened. */
  readonly migrated: readonly string[]
  /** What a person should know of where it is, before real usage stands on it. */
  readonly warnings: readonly string[]
  /**
   * A ledger is simulated, shadow or live for good, and of one seller's account: pretend and real usage never mix.
   *
   * @throws {DomainError} `ledger.mode_mismatch`
   */
  claimLedger(wanted: { readonly mode: LedgerMode; readonly accountId: string | undefined }): Promise<void>
  /**
   * A dimension keeps its smallest unit and its way of adding up: what was counted in cents cannot go on in dollars, and
   * a month's unique users would be billed again as a day's.
   *
   * @throws {DomainError} `ledger.dimension_changed`
   */
  checkDimensions(catalog: ProductCatalog): Promise<void>
  /** Sees whether this ledger was restored or copied. Only of a ledger that is claimed. */
  guardLedger(now: number): Promise<LedgerGuard>
  /**
   * A random key of this ledger for one purpose, made when it is first asked for and the same ever after, in every process.
   *
   * @param bytes - its length; of an existing one it changes nothing
   */
  secret(name: string, bytes: number): Promise<Uint8Array>
  /** Moves it to another store, or from one. Works before `claimLedger`, too. */
  readonly copy: LedgerCopy
  close(): Promise<void>
}
