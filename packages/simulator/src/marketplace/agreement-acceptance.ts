import type { AcceptedTerms, Buyer } from './agreement-order.ts'
import { hasContract, type SimulatedProduct } from './product.ts'
import type { MarketplaceContext } from './state.ts'
import type { ChannelPartner, SubscriptionEnd, SubscriptionRecord, Term } from './subscription.ts'

export interface Acceptance {
  readonly product: SimulatedProduct
  readonly buyer: Buyer
  readonly terms: AcceptedTerms
  readonly at: number
  readonly partner?: string
  readonly paymentFails?: boolean
}

/** Most times that a chain of agreements renews by itself: AWS's renewal terms have such a limit too. */
export const RENEWALS_MAX = 120
/** How long after the successor's events those of the one before come, where they come second. */
const SECOND_MS = 1_000

/** A new agreement's record. */
export function acceptNew(context: MarketplaceContext, acceptance: Acceptance): SubscriptionRecord {
  const { settings } = context.state
  const { at, terms, product, partner } = acceptance
  return {
    ...identityOf(context, acceptance),
    intent: 'NEW',
    ...(partner !== undefined && { channelPartner: partnerOf(context, partner, product.productCode) }),
    ...bodyOf(context, acceptance),
    createdEventAt: at + settings.createdDelayMs,
    licensedAt: terms.startAt + settings.licenseDelayMs,
    ...(acceptance.paymentFails === true && { paymentFails: true }),
  }
}

/**
 * An agreement that takes the place of another, at the same instant. Which of the two is told of first is a
 * setting. Where license (by setting) or customer identifier (legacy) stay, nothing is deprovisioned: the old
 * agreement grants until the new one does.
 *
 * @param isAutomatic - the term's end made it
 * @returns both records, as they are after it
 */
export function succeed(
  context: MarketplaceContext,
  previous: SubscriptionRecord,
  { intent, isAutomatic }: { intent: 'RENEW' | 'REPLACE'; isAutomatic: boolean },
  acceptance: Acceptance,
): { previous: SubscriptionRecord; successor: SubscriptionRecord } {
  const { settings } = context.state
  const { at } = acceptance
  const fresh = identityOf(context, acceptance)
  const keepsLicense = settings.licenseOnRenewal === 'kept' && previous.licenseArn !== undefined
  const isHandover = keepsLicense || previous.licenseArn === undefined

  const reason = intent === 'RENEW' ? 'RENEWED' : 'REPLACED'
  let ending = endAt(context, at, reason)
  const from = settings.successionOrder === 'oldFirst' ? ending.deprovisionedAt : at
  const createdEventAt = from + settings.createdDelayMs
  const licensedAt = from + settings.licenseDelayMs
  if (settings.successionOrder === 'newFirst') {
    const endedEventAt = Math.max(createdEventAt, licensedAt) + SECOND_MS
    ending = { ...endAt(context, endedEventAt, reason), endedAt: at, endedEventAt }
  }
  if (isHandover) {
    const deprovisionedAt = Math.max(ending.deprovisionedAt, licensedAt)
    ending = {
      ...ending,
      deprovisionedAt,
      closedAt: deprovisionedAt + settings.finalWindowMs,
      isHandover: true,
    }
  }

  const renewals = (previous.renewals ?? 0) + (isAutomatic ? 1 : 0)
  const successor: SubscriptionRecord = {
    ...fresh,
    // A renewal is from the same offer; a replacement is an offer of its own, made for this agreement.
    offerId:
      intent === 'RENEW'
        ? previous.offerId
        : context.identifiers.offerId(`replacing ${previous.agreementId}`),
    ...(keepsLicense && { licenseArn: previous.licenseArn }),
    intent,
    previousAgreementId: previous.agreementId,
    initialAgreementId: previous.initialAgreementId ?? previous.agreementId,
    ...(isAutomatic && { isAutomatic }),
    ...(renewals > 0 && { renewals }),
    ...(previous.channelPartner !== undefined && { channelPartner: previous.channelPartner }),
    ...bodyOf(context, acceptance, renewals),
    createdEventAt,
    licensedAt,
    suspended: previous.suspended,
  }
  return { previous: { ...previous, end: ending, succeededBy: successor.id }, successor }
}

/**
 * What a change at an instant leaves of an agreement that has renewed by itself since, the clock having been put back
 * to before: the agreement without its successor, and each agreement of that chain, void. Time will make it anew.
 *
 * @returns the record first
 */
export function undoRenewals(
  { state }: MarketplaceContext,
  record: SubscriptionRecord,
  at: number,
): [SubscriptionRecord, ...SubscriptionRecord[]] {
  const undone: SubscriptionRecord[] = []
  let next = state.subscriptions.find(record.succeededBy ?? '')
  if (next?.isAutomatic !== true || next.acceptedAt <= at) return [record]
  for (; next !== undefined; next = state.subscriptions.find(next.succeededBy ?? '')) {
    undone.push({ ...next, isVoid: true })
  }
  const { succeededBy: _, ...rest } = record
  return [rest, ...undone]
}

/** The instants that follow from an agreement's end. */
export function endAt(
  { state }: MarketplaceContext,
  endedAt: number,
  reason: SubscriptionEnd['reason'],
): SubscriptionEnd {
  const deprovisionedAt = endedAt + state.settings.deprovisionDelayMs
  return { reason, endedAt, deprovisionedAt, closedAt: deprovisionedAt + state.settings.finalWindowMs }
}

/** The end that the terms themselves bring, if nothing else does before. */
export function endOfTerm(context: MarketplaceContext, term: Term | undefined): SubscriptionEnd | undefined {
  return term && endAt(context, term.endsAt, term.autoRenew ? 'RENEWED' : 'EXPIRED')
}

function identityOf({ identifiers, state }: MarketplaceContext, { product, buyer, terms }: Acceptance) {
  const number = state.subscriptions.size + 1
  const name = `${product.productCode} ${number}`
  return {
    id: `sub-${number}`,
    productCode: product.productCode,
    accountId: buyer.accountId,
    buyerName: buyer.buyerName,
    agreementId: identifiers.agreementId(name),
    offerId: identifiers.offerId(terms.freeTrial ? `${product.productCode} trial` : product.productCode),
    ...(product.metering === 'license'
      ? { licenseArn: identifiers.licenseArn(name) }
      : { customerIdentifier: identifiers.customerIdentifier(buyer.accountId, product.productCode) }),
  }
}

function bodyOf(context: MarketplaceContext, { terms, at }: Acceptance, renewals = 0) {
  const { length, startAt } = terms
  const term = length && {
    endsAt: 'months' in length ? addMonths(startAt, length.months) : startAt + length.days * 86_400_000,
    length,
    autoRenew: terms.autoRenew && renewals < RENEWALS_MAX,
  }
  const end = endOfTerm(context, term)
  return {
    freeTrial: terms.freeTrial,
    ...(term !== undefined && { term }),
    quantities: terms.quantities,
    acceptedAt: at,
    startAt,
    ...(end !== undefined && { end }),
    suspended: false,
  }
}

function partnerOf(
  { identifiers }: MarketplaceContext,
  accountId: string,
  productCode: string,
): ChannelPartner {
  const resaleAuthorizationId = identifiers.resaleAuthorizationId(`${accountId} ${productCode}`)
  return { accountId, resaleAuthorizationId }
}

/** The terms on which an agreement renews by itself: its own, from the instant at which it ends. */
export function renewedTerms(
  product: SimulatedProduct,
  previous: SubscriptionRecord,
  at: number,
): AcceptedTerms {
  return {
    quantities: previous.quantities,
    startAt: at,
    freeTrial: false,
    ...(hasContract(product) && { length: previous.term?.length ?? { months: 12 } }),
    autoRenew: true,
  }
}

/** The same day and time so many months on, or the last day of that month. */
function addMonths(epochMs: number, months: number): number {
  const date = new Date(epochMs)
  const day = date.getUTCDate()
  date.setUTCDate(1)
  date.setUTCMonth(date.getUTCMonth() + months)
  const lastDay = new Date(Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + 1, 0)).getUTCDate()
  date.setUTCDate(Math.min(day, lastDay))
  return date.getTime()
}
