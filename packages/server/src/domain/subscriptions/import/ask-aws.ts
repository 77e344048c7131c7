import type { AgreementService, AgreementSummary } from '../agreement-service.ts'
import { endOf, isEnded } from '../events-from-agreement.ts'
import type { Incomplete } from './gather-candidates.ts'
import type { Subscriber } from './subscriber.ts'

/**
 * Completes a subscriber whose license or account the source does not know, by AWS's agreements of its account or
 * license. Where several could be meant, none is.
 *
 * @returns the subscriber with AWS's own license, account, agreement and times; or why it cannot be completed
 */
export async function askAws(
  { product, subscriber, reason }: Incomplete,
  agreements: AgreementService,
  now: number,
): Promise<Subscriber | { readonly reason: string }> {
  const { licenseArn, customerAwsAccountId } = subscriber.identity
  const { productId } = product
  if (product.metering !== 'license' || (licenseArn === undefined && customerAwsAccountId === undefined))
    return { reason }
  if (licenseArn === undefined && productId === undefined)
    return { reason: `${reason}; AWS finds it only where product ${product.id} says its productId (prod-…)` }
  const filter = licenseArn === undefined ? { customerAwsAccountId, productId } : { licenseArn }
  const found: AgreementSummary[] = []
  for await (const page of agreements.searchAgreements(filter)) found.push(...page)
  const licensed = found.filter(({ licenseArns }) => licenseArns.length === 1)
  const active = licensed.filter(({ status }) => status === 'ACTIVE')
  const over = licensed.filter(isEnded)
  const fitting = active.length > 0 ? active : over
  const [agreement] = fitting
  if (agreement === undefined) return { reason: 'AWS shows no agreement of it that has a license' }
  if (fitting.length > 1)
    return {
      reason: `AWS has ${fitting.length} ${active.length > 0 ? 'active' : 'ended'} agreements of its account for ${product.id}: import \`agreements\` instead`,
    }
  return complete(subscriber, agreement, now)
}

/** Where the table and AWS differ, AWS is right. */
function complete(subscriber: Subscriber, agreement: AgreementSummary, now: number): Subscriber {
  const endedAt = isEnded(agreement) ? endOf(agreement, now) : undefined
  const startedAt = agreement.startsAt ?? agreement.acceptedAt
  const notes = [...subscriber.notes]
  const livesThere = subscriber.state === 'active' || subscriber.state === 'pending'
  if (livesThere !== (endedAt === undefined))
    notes.push(`AWS says that its agreement is ${agreement.status}, against the table: AWS is right`)
  return {
    ...subscriber,
    identity: {
      ...subscriber.identity,
      licenseArn: agreement.licenseArns[0],
      customerAwsAccountId: agreement.customerAwsAccountId ?? subscriber.identity.customerAwsAccountId,
      agreementId: agreement.agreementId,
    },
    state:
      endedAt === undefined ? (startedAt !== undefined && startedAt > now ? 'pending' : 'active') : 'ended',
    ending: agreement.status === 'EXPIRED' ? 'expired' : subscriber.ending,
    startedAt,
    endedAt,
    termEnd: agreement.endsAt ?? subscriber.termEnd,
    notes,
  }
}
