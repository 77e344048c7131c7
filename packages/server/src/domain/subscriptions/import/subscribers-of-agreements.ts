import type { Product } from '../../products/product.ts'
import { AWS_RULES } from '../../usage/aws-rules.ts'
import type { AgreementSummary } from '../agreement-service.ts'
import { endOf, isEnded } from '../events-from-agreement.ts'
import { licenseTail } from '../subscription.ts'
import type { RowProblem } from './source-row.ts'
import type { Subscriber } from './subscriber.ts'

const GAVE_WAY = ['RENEWED', 'REPLACED', 'SUPERSEDED']

/**
 * Subscribers as AWS itself knows them: license, account and times are AWS's own. Who registered, only the seller
 * knows: another source brings contacts.
 *
 * Of agreements that kept one license, the latest is taken: a license is one subscription.
 *
 * @param agreements - all of the product
 */
export function subscribersOfAgreements(
  agreements: readonly AgreementSummary[],
  product: Product,
  now: number,
): { subscribers: readonly Subscriber[]; problems: readonly RowProblem[] } {
  const problems: RowProblem[] = []
  const latest = new Map<string, AgreementSummary>()
  for (const agreement of agreements) {
    const { agreementId, status, licenseArns, customerAwsAccountId } = agreement
    const where = `agreement ${agreementId}`
    const [licenseArn] = licenseArns
    // It was undone: nobody ever had access by it.
    if (status === 'ROLLED_BACK') continue
    if (status !== 'ACTIVE' && !isEnded(agreement))
      problems.push({ where, reason: `has a status that nobody knows: ${status}` })
    else if (licenseArn === undefined || customerAwsAccountId === undefined)
      problems.push({
        where,
        reason:
          product.metering === 'legacy'
            ? 'is of a legacy product, whose customer identifiers AWS does not tell here: import the old table'
            : 'has no license yet',
      })
    else if (licenseArns.length > 1)
      problems.push({
        where,
        reason: `grants ${licenseArns.length} licenses: declare them in the configuration`,
      })
    else {
      const tail = licenseTail(licenseArn)
      const before = latest.get(tail)
      if (before === undefined || isLater(agreement, before)) latest.set(tail, agreement)
    }
  }
  const taken = [...latest.values()]
  return { subscribers: taken.map((agreement) => toSubscriber(agreement, product, taken, now)), problems }
}

function isLater(a: AgreementSummary, b: AgreementSummary): boolean {
  return isEnded(a) === isEnded(b) ? startOf(a) > startOf(b) : isEnded(b)
}

function toSubscriber(
  agreement: AgreementSummary,
  product: Product,
  all: readonly AgreementSummary[],
  now: number,
): Subscriber {
  const { agreementId, licenseArns, customerAwsAccountId, startsAt, acceptedAt, updatedAt } = agreement
  const startedAt = startsAt ?? acceptedAt
  const endedAt = isEnded(agreement) ? endOf(agreement, now) : undefined
  const isSuperseded = GAVE_WAY.includes(agreement.status)
  return {
    where: `agreement ${agreementId}`,
    product: product.id,
    identity: {
      licenseArn: licenseArns[0],
      customerAwsAccountId,
      customerIdentifier: undefined,
      agreementId,
    },
    state: stateOf(startedAt, endedAt, now),
    ending: isSuperseded ? 'superseded' : agreement.status === 'EXPIRED' ? 'expired' : 'cancelled',
    registeredAt: acceptedAt,
    startedAt,
    endedAt,
    updatedAt,
    termEnd: agreement.endsAt,
    freeTrial: undefined,
    tenantId: undefined,
    plan: undefined,
    contacts: [],
    entitlements: [],
    successorAgreementId: isSuperseded ? successorOf(agreement, all)?.agreementId : undefined,
    notes: [],
  }
}

function stateOf(
  startedAt: number | undefined,
  endedAt: number | undefined,
  now: number,
): Subscriber['state'] {
  if (endedAt !== undefined) return endedAt + AWS_RULES.finalWindowMs > now ? 'leaving' : 'ended'
  return startedAt !== undefined && startedAt > now ? 'pending' : 'active'
}

/** The next agreement of the same chain. */
function successorOf(
  agreement: AgreementSummary,
  all: readonly AgreementSummary[],
): AgreementSummary | undefined {
  const { initialAgreementId, customerAwsAccountId } = agreement
  if (initialAgreementId === undefined) return undefined
  return all
    .filter(
      (other) =>
        other.initialAgreementId === initialAgreementId &&
        other.customerAwsAccountId === customerAwsAccountId &&
        startOf(other) > startOf(agreement),
    )
    .sort((a, b) => startOf(a) - startOf(b))[0]
}

function startOf({ startsAt, acceptedAt }: AgreementSummary): number {
  return startsAt ?? acceptedAt ?? 0
}
