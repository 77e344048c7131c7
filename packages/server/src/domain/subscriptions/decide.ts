import { DomainError } from '../error.ts'
import { AWS_RULES } from '../usage/aws-rules.ts'
import { latestSpell } from './agreement.ts'
import type { BuyerCase, CaseChanges } from './buyer-case.ts'
import { draftCase } from './case-draft.ts'
import { join, pairSuccessors, subscriptionOf } from './follow.ts'
import type { Subscription } from './subscription.ts'

/** Decisions on a case that AWS's notifications do not make: a person's, or what entitlements say. All pure. */

/** Access starts: a live entitlement, or a person who knows. Nothing if it has started or ended. */
export function decideGrant(
  buyerCase: BuyerCase,
  id: string,
  grant: { readonly at: number },
  now: number,
): CaseChanges {
  const draft = draftCase(buyerCase, now)
  const subscription = subscriptionIn(buyerCase, id)
  if (subscription.status !== 'pending') return draft.changes()
  draft.patch(id, {
    status: 'active',
    grantedAt: grant.at,
    accessStart: Math.min(grant.at, subscription.accessStart),
  })
  draft.clear({ kind: 'access_overdue', subject: id })
  draft.tell('subscription.activated', id)
  return draft.changes()
}

/** It ends: its goodbye begins. Nothing if it has ended. */
export function decideEnd(
  buyerCase: BuyerCase,
  id: string,
  end: { readonly endedAt: number; readonly reason: string },
  now: number,
): CaseChanges {
  const draft = draftCase(buyerCase, now)
  const subscription = subscriptionIn(buyerCase, id)
  if (subscription.accessEnd !== undefined) return draft.changes()
  for (const kind of ['successor_unclear', 'access_overdue'] as const) draft.clear({ kind, subject: id })
  const accessEnd = Math.max(Math.min(end.endedAt, now), subscription.accessStart)
  draft.patch(id, {
    status: subscription.status === 'pending' ? 'failed' : 'cancelling',
    accessEnd,
    finalWindowEnd: accessEnd + AWS_RULES.finalWindowMs,
  })
  draft.tell(subscription.status === 'pending' ? 'subscription.failed' : 'subscription.cancelling', id, {
    reason: end.reason,
  })
  return draft.changes()
}

/** AWS's hour is over: nothing more of it is metered. `expired` where its term ran out, else `cancelled`. */
export function decideGoodbyeOver(buyerCase: BuyerCase, id: string, now: number): CaseChanges {
  const draft = draftCase(buyerCase, now)
  const subscription = subscriptionIn(buyerCase, id)
  const { status, finalWindowEnd, accessEnd, termEnd } = subscription
  if (status !== 'cancelling' || finalWindowEnd === undefined || now < finalWindowEnd) return draft.changes()
  const agreement = buyerCase.agreements.find(
    (candidate) => subscriptionOf(candidate, buyerCase.subscriptions)?.id === id,
  )
  const ranOut = agreement?.endStatus === 'EXPIRED' || (termEnd !== undefined && accessEnd! >= termEnd)
  draft.patch(id, { status: ranOut ? 'expired' : 'cancelled' })
  // Whoever came back goes on: nothing is to be torn down.
  const heir = subscription.successor === undefined ? undefined : draft.get(subscription.successor)
  if (heir === undefined || heir.accessEnd !== undefined) draft.tell('subscription.ended', id)
  return draft.changes()
}

/**
 * A person says which agreement took the place of a superseded one.
 *
 * @param id - the superseded one's, or of the one that goes on without a license in its place
 * @param agreement - its key, or the id of the subscription that follows it
 * @throws {DomainError} `request.invalid`
 */
export function decideSuccessor(
  buyerCase: BuyerCase,
  id: string,
  agreement: string,
  now: number,
): CaseChanges {
  const draft = draftCase(buyerCase, now)
  const old = endedFor(buyerCase, id)
  const after = buyerCase.agreements.find(
    (candidate) =>
      candidate.key === agreement || subscriptionOf(candidate, buyerCase.subscriptions)?.id === agreement,
  )
  const before = buyerCase.agreements.find(
    (candidate) => subscriptionOf(candidate, buyerCase.subscriptions)?.id === old.id,
  )
  if (after === undefined) {
    const known = buyerCase.agreements.map(({ key }) => key).join(', ') || 'none'
    throw new DomainError(
      'request.invalid',
      `no agreement ${agreement} of this buyer and product; known: ${known}`,
    )
  }
  if (before === undefined || before.key === after.key) {
    throw new DomainError(
      'request.invalid',
      `${agreement} cannot succeed ${id}: it is the same, or ${id} follows no agreement`,
    )
  }
  // One that was over before it began may be named too: then access is over as well.
  if (latestSpell(after) === undefined) {
    throw new DomainError(
      'request.invalid',
      `${agreement} cannot succeed ${id} yet: AWS has not granted it, and does so on its first day`,
    )
  }
  const heir = old.successor === undefined ? undefined : draft.get(old.successor)
  if (heir?.licenseArn !== undefined && subscriptionOf(after, [heir]) === undefined) {
    throw new DomainError(
      'request.invalid',
      `${id} is succeeded by ${heir.id} already: what was billed there stays`,
    )
  }
  join(draft, { before, after })
  // What was unclear may be clear now.
  pairSuccessors(draft, buyerCase.agreements)
  return draft.changes()
}

/** The seller names the buyer's workspace or plan. */
export function decideChange(
  buyerCase: BuyerCase,
  id: string,
  change: { readonly plan?: string | undefined; readonly tenantId?: string | undefined },
  now: number,
): CaseChanges {
  const draft = draftCase(buyerCase, now)
  const before = subscriptionIn(buyerCase, id)
  draft.patch(id, {
    ...(change.plan !== undefined && { plan: change.plan }),
    ...(change.tenantId !== undefined && { tenantId: change.tenantId }),
  })
  const after = draft.get(id)!
  if (after.plan !== before.plan || after.tenantId !== before.tenantId)
    draft.tell('subscription.changed', id, { before: { plan: before.plan, tenantId: before.tenantId } })
  return draft.changes()
}

/** A subscription off AWS is held, or goes on. */
export function decideSuspension(
  buyerCase: BuyerCase,
  id: string,
  suspended: boolean,
  now: number,
): CaseChanges {
  const draft = draftCase(buyerCase, now)
  const { channel, status } = subscriptionIn(buyerCase, id)
  if (channel === 'aws')
    throw new DomainError(
      'subscription.buyer_only',
      'AWS Marketplace alone suspends its own buyers; a direct or free subscription can be suspended here',
    )
  if (suspended ? status !== 'active' : status !== 'suspended') return draft.changes()
  draft.patch(id, { status: suspended ? 'suspended' : 'active' })
  draft.tell(suspended ? 'subscription.suspended' : 'subscription.resumed', id)
  return draft.changes()
}

/** The subscription that ended: a person may as well name the one that goes on in its place without a license. */
function endedFor(buyerCase: BuyerCase, id: string): Subscription {
  const named = subscriptionIn(buyerCase, id)
  if (named.licenseArn !== undefined || named.customerIdentifier !== undefined) return named
  return buyerCase.subscriptions.find(({ successor }) => successor === id) ?? named
}

function subscriptionIn({ subscriptions }: BuyerCase, id: string): Subscription {
  const found = subscriptions.find((subscription) => subscription.id === id)
  if (found === undefined) throw new DomainError('subscription.not_found', `no subscription ${id}`)
  return found
}
