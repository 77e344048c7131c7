import type { Product, ProductCatalog } from '../products/product.ts'
import type { UsageStore } from '../usage/usage-store.ts'
import {
  type AgreementFilter,
  type AgreementService,
  type AgreementSummary,
  isNotPermitted,
} from './agreement-service.ts'
import type { BuyerCaseStore } from './buyer-case.ts'
import { eventsFromAgreement, eventsOfCustomer, isEnded, trialEvent } from './events-from-agreement.ts'
import type { EventState, MarketplaceEvent } from './marketplace-event.ts'
import type { ReceiveEvent } from './receive-event.ts'
import { isLive, type Subscription } from './subscription.ts'
import type { SubscriptionStore } from './subscription-store.ts'

/** Something that AWS knew and we did not. */
export interface Learned {
  readonly agreementId: string
  readonly status: string
  readonly kind: MarketplaceEvent['kind']
  readonly state: EventState
  /** Those that follow it. */
  readonly subscriptions: readonly string[]
}

/** What a look at AWS's agreements came to. */
export interface SyncReport {
  /** Agreements that AWS showed. */
  readonly agreements: number
  /** Of products that this configuration does not have, or whose `productId` it does not say. */
  readonly foreign: number
  readonly learned: readonly Learned[]
  /** AWS does not permit it: what to do. Nothing else follows, notifications serve as before. */
  readonly notPermitted: string | undefined
}

export interface SyncDeps {
  readonly agreements: AgreementService
  readonly receive: ReceiveEvent
  readonly catalog: ProductCatalog
  readonly subscriptions: Pick<SubscriptionStore, 'findMatching'>
  readonly cases: Pick<BuyerCaseStore, 'listPending'>
  readonly usage: Pick<UsageStore, 'raise' | 'clearAlarm'>
}

const HOUR_MS = 3_600_000
/** AWS's word of a registration is due within a minute or two; then we ask. */
const PENDING_AFTER_MS = 5 * 60_000
/** In one look. */
const PENDING_MAX = 50
/** Looked through for those whose turn it is: buyers who never come back must not stand before those who wait. */
const WAITING_MAX = 5_000
/** Asked about again after this long, and twice as long each time. */
const PENDING_AGAIN_MS = 5 * 60_000
/** The first look of a process: a queue keeps what it was sent for 14 days, so older news were heard. */
const FIRST_LOOK_MS = 14 * 24 * HOUR_MS
/** A start has enough to do without a look at everything. */
const FIRST_AFTER_MS = 60_000
/** After AWS did not answer. */
const RETRY_MS = 5 * 60_000
/** A change that AWS shows late is not missed. */
const OVERLAP_MS = HOUR_MS
const ALARM = { kind: 'notifications', subject: 'agreements' } as const

/**
 * Heals notifications that never came: asks AWS which agreements changed, and takes what it says as if it had been
 * notified. Harmless to run again: what is known is known by its id.
 *
 * @param since - changes after this time, ms; undefined: all agreements
 * @param options.product - only of this product
 * @throws {DomainError} `marketplace.unavailable` where AWS does not answer
 */
export async function syncAgreements(
  deps: SyncDeps,
  since: number | undefined,
  now: number,
  options: { readonly product?: Product | undefined; readonly signal?: AbortSignal | undefined } = {},
): Promise<SyncReport> {
  const { product, signal } = options
  return look(deps, now, signal, (reader) =>
    reader.search({ updatedAfter: since, productId: product?.productId }, product),
  )
}

/** Looks at AWS's agreements hourly, and more often where a registration waits for AWS's word. */
export interface AgreementSync {
  /** Does what is due; undefined where nothing is. */
  run(now: number, signal?: AbortSignal): Promise<SyncReport | undefined>
}

export function createAgreementSync(
  deps: SyncDeps,
  options: { readonly everyMs?: number; readonly firstAfterMs?: number } = {},
): AgreementSync {
  const { everyMs = HOUR_MS, firstAfterMs = FIRST_AFTER_MS } = options
  let begunAt: number | undefined
  let lookedAt: number | undefined
  let isDenied = false
  let notBefore = Number.NEGATIVE_INFINITY
  const asked = new Map<string, { at: number; times: number }>()

  /** Registrations that wait, and whose turn it is. */
  async function waiting(now: number): Promise<readonly Subscription[]> {
    const pending = await deps.cases.listPending(now - PENDING_AFTER_MS, WAITING_MAX)
    const ids = new Set(pending.map(({ id }) => id))
    for (const id of asked.keys()) if (!ids.has(id)) asked.delete(id)
    const due = pending.filter(({ id, channel }) => {
      const before = asked.get(id)
      return (
        channel === 'aws' &&
        (before === undefined || now >= before.at + Math.min(PENDING_AGAIN_MS * 2 ** before.times, everyMs))
      )
    })
    const askedAt = ({ id }: Subscription) => asked.get(id)?.at ?? Number.NEGATIVE_INFINITY
    const turn = due.sort((a, b) => askedAt(a) - askedAt(b)).slice(0, PENDING_MAX)
    for (const { id } of turn) asked.set(id, { at: now, times: (asked.get(id)?.times ?? -1) + 1 })
    return turn
  }

  return {
    async run(now, signal) {
      if (now < notBefore) return undefined
      begunAt ??= now
      const isDue = now >= (lookedAt === undefined ? begunAt + firstAfterMs : lookedAt + everyMs)
      const pending = await waiting(now)
      if (!isDue && pending.length === 0) return undefined
      const since = (lookedAt ?? now - FIRST_LOOK_MS) - OVERLAP_MS
      notBefore = now + RETRY_MS
      const report = await look(deps, now, signal, async (reader) => {
        for (const subscription of pending) await reader.searchOf(subscription)
        if (isDue) await reader.search({ updatedAfter: since }, undefined)
      })
      if (report.notPermitted === undefined) {
        isDenied = false
        notBefore = now
        if (isDue) lookedAt = now
        return report
      }
      if (!isDenied) await deps.usage.raise({ ...ALARM, message: report.notPermitted, at: now })
      isDenied = true
      // Until a person mends the role there is nothing to be had: one question an hour.
      notBefore = now + everyMs
      return report
    },
  }
}

interface Reader {
  /** @param product - undefined: of whichever AWS names */
  search(filter: AgreementFilter, product: Product | undefined): Promise<void>
  searchOf(subscription: Subscription): Promise<void>
}

async function look(
  deps: SyncDeps,
  now: number,
  signal: AbortSignal | undefined,
  work: (reader: Reader) => Promise<void>,
): Promise<SyncReport> {
  const learned: Learned[] = []
  const seen = { agreements: 0, foreign: 0 }
  const chains = new Map<string, readonly AgreementSummary[]>()
  const customers = new Set<string>()
  let mayReadTerms = true

  async function all(filter: AgreementFilter): Promise<AgreementSummary[]> {
    const found: AgreementSummary[] = []
    for await (const page of deps.agreements.searchAgreements(filter, signal)) found.push(...page)
    return found
  }

  async function take(agreement: AgreementSummary, events: readonly MarketplaceEvent[]): Promise<void> {
    for (const event of events) {
      const { state, subscriptions } = await deps.receive(event)
      if (state === 'known') continue
      const { agreementId, status } = agreement
      learned.push({ agreementId, status, kind: event.kind, state, subscriptions })
    }
  }

  async function takeLicensed(agreement: AgreementSummary, product: Product): Promise<void> {
    const [licenseArn] = agreement.licenseArns
    const ofLicense =
      licenseArn === undefined ? [] : await deps.subscriptions.findMatching(product.id, { licenseArn })
    const own = ofLicense.filter(
      ({ agreementId }) => agreementId === undefined || agreementId === agreement.agreementId,
    )
    // Whoever never registered for it will not any more: nothing would follow.
    if (isEnded(agreement) && own.length === 0) return
    const isFollowed = own.some(
      ({ agreementId, status }) => agreementId === agreement.agreementId && status !== 'pending',
    )
    const previous = isFollowed ? undefined : await previousOf(agreement)
    await take(
      agreement,
      eventsFromAgreement(agreement, {
        productCode: product.productCode,
        now,
        knownEnd: knownEndOf(own),
        previousAgreementId: previous?.agreementId,
      }),
    )
    if (agreement.status === 'ACTIVE') await takeTrial(agreement, product)
  }

  /** No notification says whether an agreement is a trial: its terms do. Asked once for each that is followed. */
  async function takeTrial(agreement: AgreementSummary, product: Product): Promise<void> {
    const { agreementId, licenseArns, updatedAt } = agreement
    const [licenseArn] = licenseArns
    if (licenseArn === undefined || !mayReadTerms) return
    const own = await deps.subscriptions.findMatching(product.id, { licenseArn })
    const asks = own.some(
      (one) => isLive(one) && one.agreementId === agreementId && one.freeTrial === undefined,
    )
    if (!asks) return
    try {
      const { freeTrial } = await deps.agreements.getAgreementTerms(agreementId, signal)
      const { productCode } = product
      const occurredAt = updatedAt ?? now
      await take(agreement, [trialEvent(agreement, { freeTrial, productCode, occurredAt })])
    } catch (error) {
      // It is for people to see; access does not depend on it.
      if (!isNotPermitted(error)) throw error
      mayReadTerms = false
    }
  }

  /** The agreement whose place it took: the one before it in its chain, if that gave way. */
  async function previousOf(agreement: AgreementSummary): Promise<AgreementSummary | undefined> {
    const { agreementId, initialAgreementId } = agreement
    if (initialAgreementId === undefined || initialAgreementId === agreementId) return undefined
    const chain = chains.get(initialAgreementId) ?? (await all({ initialAgreementId }))
    chains.set(initialAgreementId, chain)
    const start = startOf(agreement)
    const before = chain
      .filter((other) => other.agreementId !== agreementId && startOf(other) < start)
      .sort((a, b) => startOf(a) - startOf(b))
      .at(-1)
    return before !== undefined && isEnded(before) ? before : undefined
  }

  /** AWS names the account alone: its agreements of one product are one customer's. */
  async function takeLegacy(agreement: AgreementSummary, product: Product): Promise<void> {
    const { customerAwsAccountId } = agreement
    const key = JSON.stringify([product.id, customerAwsAccountId])
    if (customerAwsAccountId === undefined || customers.has(key)) return
    customers.add(key)
    const own = await deps.subscriptions.findMatching(product.id, { customerAwsAccountId })
    const named = new Set(own.flatMap(({ customerIdentifier }) => customerIdentifier ?? []))
    const [customerIdentifier] = named
    if (named.size !== 1 || customerIdentifier === undefined) return
    if (!own.some((subscription) => isLive(subscription))) return
    const agreements = await all({ customerAwsAccountId, productId: product.productId })
    const { productCode } = product
    await take(
      agreement,
      eventsOfCustomer(agreements, { productCode, customerIdentifier, now, knownEnd: knownEndOf(own) }),
    )
  }

  async function productOf(agreement: AgreementSummary): Promise<Product | undefined> {
    const product = deps.catalog
      .list()
      .find(({ productId }) => productId !== undefined && agreement.productIds.includes(productId))
    const [licenseArn] = agreement.licenseArns
    if (product !== undefined || licenseArn === undefined) return product
    const [known] = await deps.subscriptions.findMatching(undefined, { licenseArn })
    return known && deps.catalog.find(known.product)
  }

  async function takeAgreement(agreement: AgreementSummary, asked: Product | undefined): Promise<void> {
    seen.agreements++
    const product = asked ?? (await productOf(agreement))
    if (product === undefined) seen.foreign++
    else if (product.metering === 'legacy') await takeLegacy(agreement, product)
    else await takeLicensed(agreement, product)
  }

  const reader: Reader = {
    async search(filter, product) {
      for await (const page of deps.agreements.searchAgreements(filter, signal))
        for (const agreement of page) await takeAgreement(agreement, product)
    },
    async searchOf({ product: id, licenseArn, customerAwsAccountId }) {
      const product = deps.catalog.find(id)
      if (product === undefined) return
      const { productId } = product
      if (licenseArn !== undefined) await reader.search({ licenseArn }, product)
      else if (customerAwsAccountId !== undefined && productId !== undefined)
        await reader.search({ customerAwsAccountId, productId }, product)
    },
  }
  try {
    await work(reader)
    await deps.usage.clearAlarm(ALARM.kind, ALARM.subject)
    return { ...seen, learned, notPermitted: undefined }
  } catch (error) {
    if (!isNotPermitted(error)) throw error
    const message = error instanceof Error ? error.message : String(error)
    return { ...seen, learned, notPermitted: `notifications that get lost are not healed: ${message}` }
  }
}

/** When its buyer's access ended, as we know it; undefined while one of them lives. */
function knownEndOf(own: readonly Subscription[]): number | undefined {
  if (own.length === 0 || own.some(({ accessEnd }) => accessEnd === undefined)) return undefined
  return Math.max(...own.map(({ accessEnd }) => accessEnd!))
}

function startOf({ startsAt, acceptedAt }: AgreementSummary): number {
  return startsAt ?? acceptedAt ?? 0
}
