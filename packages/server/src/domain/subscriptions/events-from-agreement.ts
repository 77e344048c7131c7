import type { AgreementSummary } from './agreement-service.ts'
import type { MarketplaceEvent } from './marketplace-event.ts'
import { licenseTail } from './subscription.ts'

/** How long AWS's own notification of a grant may take: captures show 72 seconds. Before, we do not speak for it. */
const GRANT_SETTLES_MS = 5 * 60_000

const ENDED = ['CANCELLED', 'EXPIRED', 'RENEWED', 'REPLACED', 'SUPERSEDED', 'TERMINATED', 'ARCHIVED']

/** Is it over? An agreement that was rolled back never granted anything; a word that nobody knows is not taken for an end. */
export function isEnded({ status }: Pick<AgreementSummary, 'status'>): boolean {
  return ENDED.includes(status) || status === 'ROLLED_BACK'
}

/**
 * When it ended by AWS's own word, ms: its end, or where that lies in the future (cancelled early) its last change.
 * However late we learn of it, AWS's final hour began then.
 */
export function endOf({ endsAt, updatedAt }: AgreementSummary, now: number): number {
  return Math.min(endsAt ?? now, updatedAt ?? now, now)
}

/**
 * What AWS's notifications of an agreement would have said, had they come: its terms, its license, its end. Ids follow
 * from what is said, so that saying it again is known.
 *
 * Access is granted where a license is there, the agreement has begun, and AWS's own word is due.
 *
 * @param context.knownEnd - when we took it to have ended, ms: a later last change of an ended agreement opens no
 *   other final hour
 * @param context.previousAgreementId - the agreement whose place it took, where that is sure
 */
export function eventsFromAgreement(
  agreement: AgreementSummary,
  context: {
    readonly productCode: string
    readonly now: number
    readonly knownEnd?: number | undefined
    readonly previousAgreementId?: string | undefined
  },
): readonly MarketplaceEvent[] {
  const { agreementId, status, updatedAt, startsAt, acceptedAt, endsAt, licenseArns } = agreement
  const { productCode, now, knownEnd, previousAgreementId } = context
  const ended = isEnded(agreement)
  const endedAt = ended ? Math.min(endOf(agreement, now), knownEnd ?? now) : undefined
  const about = {
    channel: 'agreements',
    agreementId,
    agreementStatus: status,
    customerAwsAccountId: agreement.customerAwsAccountId,
    proposerAccountId: agreement.proposerAccountId,
    productCode,
    productId: agreement.productIds[0],
    payload: agreement.payload,
  } as const
  if (status !== 'ACTIVE' && !ended)
    return [
      {
        ...about,
        id: `agreements:${agreementId}:${status}:${updatedAt ?? ''}`,
        kind: 'unknown',
        name: `agreement ${status}`,
        occurredAt: updatedAt ?? now,
      },
    ]

  // Which of several licenses is the subscription's, the notification alone says.
  const license = licenseArns.length === 1 ? licenseArns[0] : undefined
  const begins = Math.max(startsAt ?? acceptedAt ?? now, acceptedAt ?? Number.NEGATIVE_INFINITY)
  const events: MarketplaceEvent[] = [
    {
      ...about,
      id: `agreements:${agreementId}:${status}:${updatedAt ?? ''}`,
      kind: 'agreement_created',
      name: `agreement ${status}`,
      occurredAt: updatedAt ?? acceptedAt ?? now,
      previousAgreementId,
      // Unlike the notification, the answer says whose license it is.
      licenseArn: license,
      startsAt,
      endsAt,
      acceptedAt,
      offerId: agreement.offerId,
    },
  ]
  const mayGrant = status !== 'ROLLED_BACK' && begins <= (endedAt ?? now - GRANT_SETTLES_MS)
  if (license !== undefined && mayGrant) {
    events.push({
      ...about,
      id: `agreements:${agreementId}:granted:${licenseTail(license)}`,
      kind: 'access_granted',
      name: 'license of an agreement',
      occurredAt: begins,
      licenseArn: license,
    })
  }
  if (endedAt !== undefined) {
    events.push({
      ...about,
      id: `agreements:${agreementId}:ended:${status}`,
      kind: 'agreement_ended',
      name: `agreement ${status}`,
      occurredAt: endedAt,
      ...(license !== undefined && { licenseArn: license }),
    })
  }
  return events
}

/** What an agreement's terms say of a trial. */
export function trialEvent(
  agreement: AgreementSummary,
  said: { readonly freeTrial: boolean; readonly productCode: string; readonly occurredAt: number },
): MarketplaceEvent {
  const { agreementId, status, customerAwsAccountId, startsAt, endsAt, payload } = agreement
  return {
    ...said,
    id: `agreements:${agreementId}:trial:${said.freeTrial}`,
    channel: 'agreements',
    kind: 'agreement_amended',
    name: said.freeTrial ? 'free trial term' : 'no free trial term',
    agreementId,
    agreementStatus: status,
    customerAwsAccountId,
    startsAt,
    endsAt,
    payload,
  }
}

/**
 * The same for a customer of a legacy product: AWS names no license, and one account's agreements of one product are
 * one customer's, one after the other.
 *
 * @param agreements - all of the account and product
 */
export function eventsOfCustomer(
  agreements: readonly AgreementSummary[],
  context: {
    readonly productCode: string
    readonly customerIdentifier: string
    readonly now: number
    readonly knownEnd?: number | undefined
  },
): readonly MarketplaceEvent[] {
  const { productCode, customerIdentifier, now, knownEnd } = context
  const begun = agreements.filter(
    ({ status, startsAt, acceptedAt }) =>
      status !== 'ROLLED_BACK' && (startsAt ?? acceptedAt ?? now) <= now - GRANT_SETTLES_MS,
  )
  const running = begun.filter(({ status }) => status === 'ACTIVE')
  const over = begun.filter(isEnded).sort((a, b) => endOf(a, now) - endOf(b, now))
  const latest = running[0] ?? over.at(-1)
  if (latest === undefined) return []
  const about = {
    channel: 'agreements',
    agreementStatus: latest.status,
    customerAwsAccountId: latest.customerAwsAccountId,
    proposerAccountId: latest.proposerAccountId,
    productCode,
    productId: latest.productIds[0],
    customerIdentifier,
    payload: latest.payload,
  } as const
  const granted: MarketplaceEvent = {
    ...about,
    id: `agreements:${latest.agreementId}:granted:${customerIdentifier}`,
    kind: 'access_granted',
    name: `agreement ${latest.status}`,
    occurredAt: latest.startsAt ?? latest.acceptedAt ?? now,
    startsAt: latest.startsAt,
    endsAt: latest.endsAt,
  }
  if (running.length > 0) return [granted]
  return [
    granted,
    {
      ...about,
      id: `agreements:${latest.agreementId}:ended:${customerIdentifier}`,
      kind: 'access_withdrawn',
      name: `agreement ${latest.status}`,
      occurredAt: Math.min(endOf(latest, now), knownEnd ?? now),
    },
  ]
}
