import type { Clock } from '../clock.ts'
import { DomainError } from '../error.ts'
import type { Product, ProductCatalog } from '../products/product.ts'
import type { BuyerCaseStore } from '../subscriptions/buyer-case.ts'
import { decideGrant } from '../subscriptions/decide.ts'
import { isLive, type Subscription } from '../subscriptions/subscription.ts'
import type { UsageStore } from '../usage/usage-store.ts'
import type { EntitledCustomer, EntitlementService } from './entitlement.ts'
import type { EntitlementStore } from './entitlement-store.ts'
import { revokeUnentitled } from './revoke-unentitled.ts'
import { type Answer, takeAnswer } from './take-answer.ts'

/** Claimed at once; as many calls take less than the lease, also where each runs into its timeout. */
const SLICE = 20
const LEASE_MS = 5 * 60_000
/** Slices of a product in one run; what is left is the next run's. */
const SLICES_MAX = 25
/** After so many failures in a row AWS is down, or the ledger busy, and others of this product fare no better: the next run tries again. */
const FAILURES_MAX = 5

export interface RefreshDeps {
  readonly entitlements: EntitlementStore
  readonly service: EntitlementService
  readonly cases: Pick<BuyerCaseStore, 'settleOf'>
  readonly usage: Pick<UsageStore, 'raise' | 'clearAlarm'>
  readonly catalog: ProductCatalog
  readonly clock: Clock
  readonly refreshMs: number
}

/** `skipped`: nothing to ask: no contract, not bought at AWS, ended, or AWS has not named the buyer yet. */
export type RefreshOutcome = 'granted' | 'empty' | 'failed' | 'skipped'

/**
 * Reads what AWS grants a subscription now, keeps it, and lets plan and access follow. Where AWS cannot be asked, the
 * last answer serves on.
 *
 * @param occurredAt - AWS's own time of the event that is the reason to ask, ms: a change counts from then
 * @throws {DomainError} `subscription.not_found`
 */
export type RefreshEntitlements = (
  subscription: string,
  occurredAt?: number,
  signal?: AbortSignal,
) => Promise<RefreshOutcome>

export function createRefreshEntitlements(deps: RefreshDeps): RefreshEntitlements {
  const { entitlements, service, cases, usage, catalog, clock, refreshMs } = deps
  return async (id, occurredAt, signal) => {
    const { subscription, reading } = await entitlements.find(id)
    const product = catalog.find(subscription.product)
    const customer = product && customerOf(product, subscription)
    if (product === undefined || customer === undefined || !isLive(subscription)) return 'skipped'
    const askedAt = clock.now()
    const answer = await ask(service, product, customer, signal)
    if (answer === undefined) return 'skipped'
    // First the access, then the reading: who dies between the two reads it again.
    if (answer.kind === 'answered' && answer.entitlements.length > 0 && subscription.status === 'pending') {
      const now = clock.now()
      await cases.settleOf(id, (buyerCase) => decideGrant(buyerCase, id, { at: askedAt }, now), 'aws', now)
    }
    await entitlements.settle(
      id,
      (state) => takeAnswer(state, answer, { product, askedAt, occurredAt, refreshMs }),
      'aws',
      clock.now(),
    )
    if (answer.kind === 'failed') return 'failed'
    if (answer.entitlements.length === 0) return 'empty'
    // Hours that waited for AWS's first word are closed by it now.
    if (reading?.entitlements.length === 0) await usage.clearAlarm('unconfigured', id)
    return 'granted'
  }
}

/** @returns undefined where we were stopped: AWS is not to blame */
async function ask(
  service: EntitlementService,
  { productCode }: Product,
  customer: EntitledCustomer,
  signal: AbortSignal | undefined,
): Promise<Answer | undefined> {
  try {
    const entitlements = await service.getEntitlements(productCode, customer, signal)
    return { kind: 'answered', entitlements }
  } catch (error) {
    if (signal?.aborted) return undefined
    if (error instanceof DomainError && error.code === 'marketplace.unavailable')
      return { kind: 'failed', failure: error.message }
    throw error
  }
}

/** Only contracts have entitlements. A license tells agreements of one account apart; legacy products know customers. */
function customerOf(
  { pricing, metering }: Product,
  { channel, licenseArn, customerIdentifier, customerAwsAccountId }: Subscription,
): EntitledCustomer | undefined {
  if (pricing === 'usage' || channel !== 'aws') return undefined
  if (metering === 'license') return licenseArn === undefined ? undefined : { licenseArn }
  if (customerIdentifier !== undefined) return { customerIdentifier }
  return customerAwsAccountId === undefined ? undefined : { customerAwsAccountId }
}

/** Reads beside whatever asked for it, one after the other. */
export interface RefreshQueue {
  /** @param occurredAt - as in `RefreshEntitlements` */
  add(subscription: string, occurredAt?: number): void
  /** Takes no more, gives up what waits, and resolves when nothing is under way. */
  stop(): Promise<void>
}

/**
 * For a registration or an event, which do not wait for AWS. What is lost with the process, or fails, is read on
 * schedule: the store has it as due.
 */
export function createRefreshQueue(
  refresh: RefreshEntitlements,
  onError: (error: unknown) => void,
): RefreshQueue {
  const stopping = new AbortController()
  const { signal } = stopping
  const waiting = new Map<string, number | undefined>()
  let running: Promise<void> | undefined

  async function run(): Promise<void> {
    for (const [subscription, occurredAt] of waiting) {
      waiting.delete(subscription)
      if (signal.aborted) continue
      try {
        await refresh(subscription, occurredAt, signal)
      } catch (error) {
        onError(error)
      }
    }
    running = undefined
  }

  return {
    add(subscription, occurredAt) {
      if (signal.aborted) return
      waiting.set(subscription, occurredAt)
      running ??= run()
    },
    async stop() {
      stopping.abort(new Error('stopping'))
      await running
    },
  }
}

export interface RefreshReport {
  readonly read: number
  readonly failed: number
  /** Subscriptions that lost their access. */
  readonly revoked: number
}

/**
 * Reads what is due, and ends the access of those to whom AWS grants nothing any more. Safe in several processes at
 * once and to stop half-way; one that fails stops no other.
 */
export async function refreshDueEntitlements(
  deps: RefreshDeps & { readonly refresh: RefreshEntitlements },
  signal?: AbortSignal,
): Promise<RefreshReport> {
  const report = { read: 0, failed: 0, revoked: 0 }
  for (const product of deps.catalog.list()) {
    if (product.pricing === 'usage') continue
    if (signal?.aborted) break
    await refreshProduct(deps, product, report, signal)
    const { revoked } = await revokeUnentitled(deps, product, deps.clock.now())
    report.revoked += revoked.length
  }
  return report
}

async function refreshProduct(
  { entitlements, clock, refresh }: RefreshDeps & { readonly refresh: RefreshEntitlements },
  product: Product,
  report: { read: number; failed: number },
  signal: AbortSignal | undefined,
): Promise<void> {
  let failures = 0
  for (let slice = 0; slice < SLICES_MAX; slice++) {
    const due = await entitlements.claimDue(product.id, clock.now(), LEASE_MS, SLICE)
    if (due.length === 0) return
    for (const id of due) {
      if (signal?.aborted || failures >= FAILURES_MAX) return
      // One that others keep changing is no reason to leave the rest: where the whole ledger is busy, all fail in a row.
      const outcome = await refresh(id, undefined, signal).catch(() => 'failed' as const)
      failures = outcome === 'failed' ? failures + 1 : 0
      if (outcome === 'failed') report.failed++
      else if (outcome !== 'skipped') report.read++
    }
  }
}
