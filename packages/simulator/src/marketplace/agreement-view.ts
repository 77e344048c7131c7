import { RENEWALS_MAX } from './agreement-acceptance.ts'
import { hasContract, productIdOf } from './product.ts'
import type { MarketplaceContext } from './state.ts'
import { agreementStatus, type SubscriptionRecord, termEnd } from './subscription.ts'

/** What several operations of the Agreement service say of an agreement. */
export interface EndTimeBehavior {
  readonly type: 'RENEW' | 'EXPIRE'
  readonly reasonCode?: 'ACCEPTOR_RENEW_OPTED_OUT' | 'NO_RENEWAL_TERM' | 'RENEWAL_LIMIT_EXHAUSTED'
}

/** What happens at the end of the term; `undefined` for agreements that are over, or have no end. */
export function endTimeBehavior(record: SubscriptionRecord, now: number): EndTimeBehavior | undefined {
  const { term, freeTrial, renewals = 0 } = record
  if (agreementStatus(record, now) !== 'ACTIVE' || termEnd(record) === undefined) return undefined
  if (term?.autoRenew === true) return { type: 'RENEW' }
  if (freeTrial || term === undefined) return { type: 'EXPIRE', reasonCode: 'NO_RENEWAL_TERM' }
  const isExhausted = renewals >= RENEWALS_MAX
  return { type: 'EXPIRE', reasonCode: isExhausted ? 'RENEWAL_LIMIT_EXHAUSTED' : 'ACCEPTOR_RENEW_OPTED_OUT' }
}

/** When it ended, else when its term does; `undefined` for running pay-as-you-go agreements. */
export function endTimeOf(record: SubscriptionRecord, now: number): number | undefined {
  const { end } = record
  return end !== undefined && now >= end.endedAt ? end.endedAt : termEnd(record)
}

/** When the agreement last changed, up to now. */
export function lastUpdateOf(record: SubscriptionRecord, now: number): number {
  const { acceptedAt, amendments = [], end, paymentFails, licensedAt } = record
  const changes = [
    acceptedAt,
    ...amendments.map(({ at }) => at),
    end?.endedAt ?? acceptedAt,
    paymentFails === true ? licensedAt : acceptedAt,
  ]
  return Math.max(...changes.filter((at) => at <= now))
}

export function initialAgreementId(record: SubscriptionRecord): string {
  return record.initialAgreementId ?? record.agreementId
}

export function partiesOf({ state }: MarketplaceContext, record: SubscriptionRecord) {
  return {
    acceptor: { accountId: record.accountId },
    proposer: { accountId: record.channelPartner?.accountId ?? state.settings.sellerAccountId },
  }
}

export function proposalOf(context: MarketplaceContext, { productCode, offerId }: SubscriptionRecord) {
  return { resources: [resourceOf(context, productCode)], offerId }
}

export function resourceOf({ state, identifiers }: MarketplaceContext, productCode: string) {
  const product = state.products.get(productCode)
  const id = product === undefined ? identifiers.productId(productCode) : productIdOf(product, identifiers)
  return { id, type: 'SaaSProduct' }
}

/** Timestamps of the wire: epoch seconds, with milliseconds as decimals. */
export const toSeconds = (epochMs: number) => epochMs / 1000

export function isContract({ state }: MarketplaceContext, { productCode }: SubscriptionRecord): boolean {
  const product = state.products.get(productCode)
  return product !== undefined && hasContract(product)
}
