import { randomUUID } from 'node:crypto'
import type { Plan } from '../../plans/plan.ts'
import { choosablePlans } from '../../plans/plan-version.ts'
import { AWS_RULES } from '../../usage/aws-rules.ts'
import type { BuyerCase, CaseChanges } from '../buyer-case.ts'
import { type CaseDraft, draftCase } from '../case-draft.ts'
import { followAll, onlyPlan } from '../follow.ts'
import { isLive, licenseTail, newSubscription, type Subscription } from '../subscription.ts'
import type { Candidate } from './gather-candidates.ts'

/** What becomes of one subscriber. */
export interface ImportResult {
  readonly candidate: Candidate
  /**
   * `known`: the ledger has it already. `completed`: and lacked the tenant or plan that the source knows. `differs`: and
   * thinks otherwise of it: nothing is changed.
   */
  readonly outcome: 'imported' | 'completed' | 'known' | 'differs'
  readonly subscription: Subscription
  /** What a person should know: guesses, oddities. */
  readonly notes: readonly string[]
}

/**
 * Adds subscribers of one buyer and product to what the ledger has of them. One that is there already, live or ended,
 * is left as it is. Ended ones are added as history: AWS takes no more of their usage, so there is no goodbye.
 *
 * What AWS has said of their agreements meanwhile is followed in the same step.
 *
 * @param tell - tell the seller's systems that access starts: without it, an import provisions nobody anew
 */
export function decideImport(
  buyerCase: BuyerCase,
  candidates: readonly Candidate[],
  tell: boolean,
  now: number,
): { changes: CaseChanges; results: readonly ImportResult[] } {
  const draft = draftCase(buyerCase, now, candidates[0]?.product)
  const buyer = buyerCase.buyer?.id ?? `buy_${randomUUID()}`
  const made = new Map<string, { candidate: Candidate; notes: readonly string[] }>()
  const results: ImportResult[] = []
  for (const candidate of inOrderOfTime(candidates)) {
    const known = findKnown(draft.subscriptions(), candidate)
    if (known !== undefined) {
      const compared = compare(known, candidate)
      const isCompleted = compared.outcome === 'known' && complete(draft, known, candidate)
      results.push({
        candidate,
        ...compared,
        ...(isCompleted && { outcome: 'completed' as const }),
        subscription: draft.get(known.id)!,
      })
      continue
    }
    const { subscription, notes } = toSubscription(candidate, { id: draft.newId(), buyer }, now)
    made.set(draft.create(subscription), { candidate, notes })
    if (tell && subscription.status === 'active') draft.tell('subscription.activated', subscription.id)
    if (tell && subscription.status === 'pending') draft.tell('subscription.created', subscription.id)
  }
  for (const [id, { candidate }] of made) {
    const { successorAgreementId } = candidate.subscriber
    const heir = draft.subscriptions().find(({ agreementId }) => agreementId === successorAgreementId)
    if (successorAgreementId !== undefined && heir !== undefined && heir.id !== id)
      draft.patch(id, { successor: heir.id })
  }
  if (made.size > 0) followAll(draft, buyerCase.agreements)
  const changes = draft.changes()
  for (const [id, { candidate, notes }] of made)
    results.push({ candidate, outcome: 'imported', subscription: draft.get(id)!, notes })
  return { changes: tell ? changes : { ...changes, tell: [] }, results }
}

/** Old ones first, so that what follows comes after what it follows. */
function inOrderOfTime(candidates: readonly Candidate[]): readonly Candidate[] {
  const start = ({ subscriber: { startedAt, registeredAt } }: Candidate) =>
    startedAt ?? registeredAt ?? Number.POSITIVE_INFINITY
  return candidates.toSorted((a, b) => (start(a) === start(b) ? 0 : start(a) - start(b)))
}

/** What the ledger has of it. Never two that live for one license or customer. */
function findKnown(
  subscriptions: readonly Subscription[],
  { product, subscriber: { identity } }: Candidate,
): Subscription | undefined {
  const { licenseArn, agreementId, customerIdentifier } = identity
  const same = subscriptions.filter((subscription) => {
    if (subscription.channel !== 'aws') return false
    if (product.metering === 'legacy')
      return customerIdentifier !== undefined && subscription.customerIdentifier === customerIdentifier
    return (
      (agreementId !== undefined && subscription.agreementId === agreementId) ||
      (licenseArn !== undefined &&
        subscription.licenseArn !== undefined &&
        licenseTail(subscription.licenseArn) === licenseTail(licenseArn))
    )
  })
  return (
    same.findLast(isLive) ??
    // A renewal may keep the license of what it renewed: then the agreement tells the two apart.
    same.findLast(
      (subscription) =>
        agreementId === undefined ||
        subscription.agreementId === undefined ||
        subscription.agreementId === agreementId,
    )
  )
}

/** Takes over what only the seller's own records say, where the ledger says nothing. @returns whether it did */
function complete(draft: CaseDraft, known: Subscription, candidate: Candidate): boolean {
  const { tenantId } = candidate.subscriber
  const { plan } = planOf(candidate)
  const patch = {
    ...(known.tenantId === undefined && tenantId !== undefined && { tenantId }),
    ...(known.plan === undefined && plan !== undefined && { plan }),
  }
  if (!isLive(known) || Object.keys(patch).length === 0) return false
  draft.patch(known.id, patch)
  return true
}

function compare(
  known: Subscription,
  { subscriber }: Candidate,
): { outcome: 'known' | 'differs'; notes: readonly string[] } {
  const livesThere = subscriber.state === 'active' || subscriber.state === 'pending'
  if (isLive(known) === livesThere) return { outcome: 'known', notes: [] }
  return {
    outcome: 'differs',
    notes: [
      livesThere
        ? `the ledger has ${known.id} as ${known.status}, the source as ${subscriber.state}: it is left as it is`
        : `the ledger has ${known.id} as ${known.status}, the source as ended: if AWS ended it, \`tollkeeper subscription sync\` or \`subscription end\` says so`,
    ],
  }
}

function toSubscription(
  { product, subscriber, usedAt }: Candidate,
  ids: { readonly id: string; readonly buyer: string },
  now: number,
): { subscription: Subscription; notes: readonly string[] } {
  const { identity, state, termEnd, freeTrial, tenantId } = subscriber
  const notes = [...subscriber.notes]
  const start = startOf(subscriber, usedAt, now)
  notes.push(...start.notes)
  const plan = planOf({ product, subscriber, usedAt })
  notes.push(...plan.notes)
  const base = newSubscription({
    ...ids,
    ...identity,
    product: product.id,
    plan: plan.plan,
    tenantId,
    termEnd,
    freeTrial,
    accessStart: start.at,
    // Since when this ledger has it: what is earlier, the other system metered.
    createdAt: now,
  })
  if (state === 'pending') return { subscription: base, notes }
  if (state === 'active') return { subscription: { ...base, status: 'active', grantedAt: start.at }, notes }
  const end = endOf(subscriber, start.at, now)
  return {
    subscription: {
      ...base,
      ...(state === 'failed' ? {} : { grantedAt: Math.min(start.at, end.at) }),
      status: state === 'failed' ? 'failed' : state === 'leaving' ? 'cancelling' : subscriber.ending,
      accessStart: Math.min(start.at, end.at),
      accessEnd: end.at,
      finalWindowEnd: end.at + AWS_RULES.finalWindowMs,
    },
    notes: [...notes, ...end.notes],
  }
}

/** AWS's own word, else the earliest that the old system knows. */
function startOf(
  { startedAt, registeredAt, updatedAt }: Candidate['subscriber'],
  usedAt: number | undefined,
  now: number,
): { at: number; notes: readonly string[] } {
  if (startedAt !== undefined) return { at: startedAt, notes: [] }
  const at = Math.min(registeredAt ?? updatedAt ?? now, usedAt ?? now, now)
  if (registeredAt !== undefined) return { at, notes: [] }
  const from = at === usedAt ? 'its first usage' : at === updatedAt ? 'its last change' : 'now'
  return { at, notes: [`does not say when the buyer registered: access counts from ${from}`] }
}

/** A table says that it ended, and not when; AWS's final hour is over in any case. */
function endOf(
  { state, endedAt, updatedAt, termEnd, registeredAt }: Candidate['subscriber'],
  start: number,
  now: number,
): { at: number; notes: readonly string[] } {
  if (state === 'leaving')
    return { at: Math.max(Math.min(endedAt ?? now, now), Math.min(start, now)), notes: [] }
  const latest = now - AWS_RULES.finalWindowMs
  if (endedAt !== undefined) return { at: Math.min(Math.max(endedAt, start), latest), notes: [] }
  const known = updatedAt ?? (termEnd !== undefined && termEnd < now ? termEnd : undefined)
  const at = Math.min(
    Math.max(known ?? (state === 'failed' ? registeredAt : undefined) ?? latest, start),
    latest,
  )
  return { at, notes: [`does not say when it ended: taken as ${new Date(at).toISOString().slice(0, 16)}Z`] }
}

/** The plan that the source names, by its id or by the entitled dimension that grants it. */
function planOf({ product, subscriber }: Candidate): { plan: string | undefined; notes: readonly string[] } {
  const { plan: named, entitlements } = subscriber
  if (product.plans.length === 0) return { plan: undefined, notes: [] }
  if (named !== undefined) {
    const isGrantedBy = ({ grantedBy }: Plan) => grantedBy === named
    // Whoever is named to be on a retired plan is; what a contract grants is given to people now.
    const found =
      product.plans.find(({ id }) => id === named) ??
      choosablePlans(product).findLast(isGrantedBy) ??
      product.plans.findLast(isGrantedBy)
    if (found !== undefined) return { plan: found.id, notes: [] }
    const notes = [
      `is on plan ${JSON.stringify(named.slice(0, 60))}, which product ${product.id} does not have`,
    ]
    return { plan: onlyPlan(product), notes }
  }
  const granted = choosablePlans(product).filter(({ grantedBy }) =>
    entitlements.some(({ dimension }) => dimension === grantedBy),
  )
  return { plan: granted.length === 1 ? granted[0]!.id : onlyPlan(product), notes: [] }
}
