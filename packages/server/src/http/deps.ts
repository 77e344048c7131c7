import type { FastifyBaseLogger } from 'fastify'
import type { AuditTrail } from '../domain/audit/audit-trail.ts'
import type { Clock } from '../domain/clock.ts'
import type { CheckAccess } from '../domain/entitlements/check-access.ts'
import type { EntitlementStore } from '../domain/entitlements/entitlement-store.ts'
import type { HealthStore } from '../domain/health/health-store.ts'
import type { ManageApiKeys } from '../domain/keys/manage-api-keys.ts'
import type { ServiceKeyStore } from '../domain/keys/service-key.ts'
import type { LiveCatalog } from '../domain/products/live-catalog.ts'
import type { ManageProducts } from '../domain/products/manage-products.ts'
import type { QuotaGate } from '../domain/quotas/quota-gate.ts'
import type { BuyerStore } from '../domain/subscriptions/buyer.ts'
import type { BuyerCaseStore } from '../domain/subscriptions/buyer-case.ts'
import type { ManageSubscriptions } from '../domain/subscriptions/manage-subscription.ts'
import type { NotificationIntake } from '../domain/subscriptions/notification-intake.ts'
import type { RefusalLog } from '../domain/subscriptions/refusal-log.ts'
import type { CompleteRegistration, RegisterBuyer } from '../domain/subscriptions/register-buyer.ts'
import type { RegistrationTickets } from '../domain/subscriptions/registration-ticket.ts'
import type { RequestCancellation } from '../domain/subscriptions/request-cancellation.ts'
import type { SubscriptionHistory } from '../domain/subscriptions/subscription-history.ts'
import type { SubscriptionStore } from '../domain/subscriptions/subscription-store.ts'
import type { Mailbox } from '../domain/telling/mail.ts'
import type { OutboxStore } from '../domain/telling/outbox-store.ts'
import type { SinkSpec } from '../domain/telling/sink.ts'
import type { IngestUsage } from '../domain/usage/ingest-usage.ts'
import type { UsageAccounts } from '../domain/usage/usage-accounts.ts'
import type { UsageStore } from '../domain/usage/usage-store.ts'
import type { VisitorGate } from '../domain/visitors/visitor-gate.ts'
import type { RequestLimits } from './limits/request-limits.ts'

/** May this process be sent requests? */
export interface Readiness {
  readonly ready: boolean
  /** What is wrong, in words that anybody may read. */
  readonly checks: Readonly<Record<string, string>>
}

/** All that the HTTP door needs: use cases and ports, picked by `compose/`. */
export interface HttpDeps {
  readonly ingest: IngestUsage
  readonly usage: UsageStore
  readonly usageAccounts: UsageAccounts
  readonly subscriptions: SubscriptionStore
  readonly buyers: BuyerStore
  readonly history: SubscriptionHistory
  readonly manage: ManageSubscriptions
  readonly requestCancellation: RequestCancellation
  readonly register: RegisterBuyer
  readonly completeRegistration: CompleteRegistration
  readonly tickets: RegistrationTickets
  readonly cases: Pick<BuyerCaseStore, 'listEvents' | 'listRejected' | 'listUnattached'>
  readonly notifications: NotificationIntake
  /** Messages that were turned away. */
  readonly refusals: RefusalLog
  /** Who may forward notifications with an HMAC; its clock is the real one, as the relay's is. */
  readonly relay?:
    | { readonly secret: string; readonly toleranceMs: number; readonly clock: Pick<Clock, 'now'> }
    | undefined
  readonly checkAccess: CheckAccess
  readonly quota: Pick<QuotaGate, 'validate' | 'describe' | 'reserve' | 'settle' | 'release'>
  readonly visitors: Pick<VisitorGate, 'convert'>
  readonly entitlements: Pick<EntitlementStore, 'find'>
  /** How often entitlements are read anew, ms. */
  readonly entitlementRefreshMs: number
  readonly outbox: OutboxStore
  /** Who is told what happens. */
  readonly sinks: readonly SinkSpec[]
  readonly mailbox: Mailbox
  readonly keys: ServiceKeyStore
  /** How much one caller may ask. */
  readonly limits: RequestLimits
  /** Of end users. */
  readonly apiKeys: ManageApiKeys
  readonly audit: AuditTrail
  readonly catalog: LiveCatalog
  readonly manageProducts: ManageProducts
  readonly health: Pick<HealthStore, 'list' | 'hours' | 'changes'>
  readonly clock: Clock
  readonly mode: 'simulated' | 'shadow' | 'live'
  readonly metrics: { readonly contentType: string; text(): Promise<string> }
  /** Asked before whatever changes the ledger, but for usage, which asks itself. Throws while it is being moved. */
  readonly mayChange: () => Promise<void>
  readonly ready: () => Promise<Readiness>
  readonly logger: FastifyBaseLogger
  readonly version: string
  /** Paths of listings that take no registrations, with their names where known. */
  readonly closedListings?: ReadonlyMap<string, string | undefined> | undefined
  /** How buyers reach us, where that is another name than requests are sent to. */
  readonly publicUrl?: string | undefined
  /** Where the simulator sells, in simulated mode. */
  readonly storefrontUrl?: string | undefined
  /** Addresses of proxies whose `X-Forwarded-For` is believed. None by default. */
  readonly trustProxy?: readonly string[] | undefined
  /** Log one line for each request. Off by default: it costs a tenth of a small request's time. */
  readonly logRequests?: boolean | undefined
  /** Answer 503 while the event loop lags more than this, ms; 0 never. */
  readonly overloadDelayMs?: number | undefined
}

export const OVERLOAD_DELAY_MS = 1_000
