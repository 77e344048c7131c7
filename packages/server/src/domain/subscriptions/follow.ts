import { onlyPaidPlan } from '../plans/plan.ts'
import type { Product } from '../products/product.ts'
import { AWS_RULES } from '../usage/aws-rules.ts'
import {
  type Agreement,
  lastGrantedAt,
  latestSpell,
  replacesAnother,
  type Spell,
  wasReplaced,
} from './agreement.ts'
import type { BuyerCase, CaseChanges } from './buyer-case.ts'
import { type CaseDraft, draftCase } from './case-draft.ts'
import { licenseTail, newSubscription, type Subscription } from './subscription.ts'

/**
 * What follows for a buyer's subscriptions from all that AWS has said about their agreements. A pure function of what
 * is known: called again with the same, it changes nothing; in whatever order notifications came, it comes to the
 * same access.
 *
 * Nothing follows before somebody registered: then the agreements wait, and are followed at the registration.
 *
 * @param product - undefined where configuration no longer has it: access is followed all the same
 */
export function follow(buyerCase: BuyerCase, product: Product | undefined, now: number): CaseChanges {
  const draft = draftCase(buyerCase, now, product)
  if (buyerCase.buyer !== undefined) followAll(draft, buyerCase.agreements)
  return draft.changes()
}

/** The same as a part of a larger decision. */
export function followAll(draft: CaseDraft, agreements: readonly Agreement[]): void {
  for (const agreement of agreements.toSorted(liveFirst)) followAgreement(draft, agreement)
  pairSuccessors(draft, agreements)
}

/** Where a license was kept across a renewal, a subscription known by its license alone is the living agreement's. */
function liveFirst(a: Agreement, b: Agreement): number {
  const isOver = (agreement: Agreement) => Number(latestSpell(agreement)?.to !== undefined)
  const lastAt = ({ marks }: Agreement) => marks.at(-1)?.at ?? 0
  return isOver(a) - isOver(b) || lastAt(b) - lastAt(a)
}

/**
 * The subscription that follows an agreement: the latest, where the same license or customer came back, but none that
 * another one of the same agreement took over from.
 */
export function subscriptionOf(
  agreement: Agreement,
  subscriptions: readonly Subscription[],
): Subscription | undefined {
  const own = subscriptions.filter((subscription) => isOf(subscription, agreement))
  // A legacy message names the customer alone: of several agreements side by side it could mean any.
  const isLegacy = agreement.agreementId === undefined && agreement.licenseArn === undefined
  if (isLegacy && own.filter(({ accessEnd }) => accessEnd === undefined).length > 1) return undefined
  return own.findLast(({ successor }) => !own.some(({ id }) => id === successor))
}

function isOf(subscription: Subscription, agreement: Agreement): boolean {
  if (subscription.channel !== 'aws') return false
  // A license may be kept across a renewal: then the agreement tells the two apart.
  if (subscription.agreementId !== undefined && agreement.agreementId !== undefined)
    return subscription.agreementId === agreement.agreementId
  if (agreement.licenseArn !== undefined)
    return (
      subscription.licenseArn !== undefined &&
      licenseTail(subscription.licenseArn) === licenseTail(agreement.licenseArn)
    )
  return (
    agreement.customerIdentifier !== undefined &&
    subscription.customerIdentifier === agreement.customerIdentifier
  )
}

function followAgreement(draft: CaseDraft, agreement: Agreement): void {
  const subscription = subscriptionOf(agreement, draft.subscriptions())
  if (subscription === undefined) return
  const spell = latestSpell(agreement)
  if (subscription.accessEnd !== undefined) {
    if (spell !== undefined) followEnded(draft, subscription, agreement, spell)
    return
  }
  takeTerms(draft, subscription, agreement)
  if (spell === undefined) expectStart(draft, subscription, agreement)
  else if (spell.to === undefined) grant(draft, subscription, agreement, spell)
  else if (!isStale(subscription, agreement, spell)) end(draft, subscription, agreement, spell)
}

/** A legacy customer registered again, and AWS's word of the new start is still to come. */
function isStale({ status, createdAt }: Subscription, agreement: Agreement, spell: Spell): boolean {
  return (
    agreement.agreementId === undefined &&
    status === 'pending' &&
    !spell.refused &&
    createdAt > (spell.to ?? 0)
  )
}

/** What AWS says about the agreement besides access. */
function takeTerms(draft: CaseDraft, subscription: Subscription, agreement: Agreement): void {
  const { product } = draft
  const { id, agreementId, licenseArn, customerAwsAccountId, freeTrial, termEnd, plan } = subscription
  draft.patch(id, {
    ...(agreementId === undefined &&
      agreement.agreementId !== undefined && { agreementId: agreement.agreementId }),
    // An amendment may give it another license: usage is metered under that one from the next hour on.
    ...(agreement.licenseArn !== undefined &&
      !isSameLicense(licenseArn, agreement.licenseArn) && { licenseArn: agreement.licenseArn }),
    ...(customerAwsAccountId === undefined &&
      agreement.customerAwsAccountId !== undefined && {
        customerAwsAccountId: agreement.customerAwsAccountId,
      }),
    ...(agreement.freeTrial !== undefined &&
      agreement.freeTrial !== freeTrial && { freeTrial: agreement.freeTrial }),
    ...(agreement.termsAt > Number.NEGATIVE_INFINITY &&
      agreement.agreementId !== undefined &&
      agreement.endsAt !== termEnd && { termEnd: agreement.endsAt ?? null }),
    ...(plan === undefined && onlyPlan(product) !== undefined && { plan: onlyPlan(product)! }),
  })
}

function isSameLicense(one: string | undefined, other: string): boolean {
  return one !== undefined && licenseTail(one) === licenseTail(other)
}

/** Which of several plans was bought, only AWS's entitlements say. */
export function onlyPlan(product: Product | undefined): string | undefined {
  return product && onlyPaidPlan(product.plans)?.id
}

/** Its start is known before AWS grants access: a future-dated agreement. */
function expectStart(
  draft: CaseDraft,
  { id, status, accessStart }: Subscription,
  { startsAt }: Agreement,
): void {
  if (status === 'pending' && startsAt !== undefined && startsAt !== accessStart)
    draft.patch(id, { accessStart: startsAt })
}

function grant(
  draft: CaseDraft,
  { id, status, grantedAt, accessStart }: Subscription,
  agreement: Agreement,
  spell: Spell,
): void {
  const from = spell.from!
  if (status === 'pending') {
    draft.patch(id, { status: 'active', grantedAt: from, accessStart: startOf(agreement, from) })
    draft.clear({ kind: 'access_overdue', subject: id })
    draft.tell('subscription.activated', id)
  } else if (grantedAt === undefined) draft.patch(id, { grantedAt: from })
  // The agreement's own start was told after its license came up.
  else if (accessStart === grantedAt) draft.patch(id, { accessStart: startOf(agreement, grantedAt) })
}

/** AWS takes usage from the agreement's start on, which is before its license came up; where unknown, from then. */
function startOf({ startsAt }: Agreement, grantedAt: number): number {
  return startsAt === undefined ? grantedAt : Math.min(startsAt, grantedAt)
}

/**
 * The first word of the end counts; AWS takes final usage until an hour after the last.
 */
function end(draft: CaseDraft, subscription: Subscription, agreement: Agreement, spell: Spell): void {
  const { id, status } = subscription
  const to = Math.min(spell.to!, draft.now)
  draft.clear({ kind: 'access_overdue', subject: id })
  if (status === 'pending') {
    // It was registered after all this, or while it was on its way: AWS's times count, not ours.
    takeStart(draft, subscription, agreement, spell)
    draft.patch(id, { accessStart: Math.min(draft.get(id)!.accessStart, to) })
  }
  const accessEnd = Math.max(to, draft.get(id)!.accessStart)
  const finalWindowEnd = Math.max(spell.lastWordAt ?? to, accessEnd) + AWS_RULES.finalWindowMs
  // Whom an entitlement or a person let in had access, whatever AWS has said of a license.
  const hadAccess = status !== 'pending' || !spell.refused
  if (wasReplaced(agreement) && hadAccess) {
    supersede(draft, { ...draft.get(id)!, accessEnd }, finalWindowEnd)
    return
  }
  draft.patch(id, { status: hadAccess ? 'cancelling' : 'failed', accessEnd, finalWindowEnd })
  if (hadAccess) draft.tell('subscription.cancelling', id, { reason: agreement.endStatus ?? 'WITHDRAWN' })
  else draft.tell('subscription.failed', id)
}

/** When AWS granted what is over by now; undefined where its word of that has not come. */
function takeStart(
  draft: CaseDraft,
  { id, accessStart }: Subscription,
  agreement: Agreement,
  { from }: Spell,
): void {
  if (from === undefined) return
  draft.patch(id, { grantedAt: from, accessStart: Math.min(startOf(agreement, from), accessStart) })
}

/** It goes on under another agreement; until that is known, access and usage go on under a subscription without a license. */
function supersede(draft: CaseDraft, subscription: Subscription, finalWindowEnd: number): void {
  const { id, accessEnd } = subscription
  const successor = subscription.successor ?? draft.create(continuationOf(draft, subscription))
  draft.patch(id, {
    status: 'superseded',
    successor,
    ...(accessEnd !== undefined && { accessEnd }),
    finalWindowEnd,
  })
}

/** The buyer goes on: same tenant, same plan, no license yet. */
function continuationOf(draft: CaseDraft, before: Subscription): Subscription {
  const { product, buyer, plan, tenantId, customerAwsAccountId, accessEnd } = before
  const { now } = draft
  return newSubscription({
    id: draft.newId(),
    product,
    buyer,
    plan,
    tenantId,
    customerAwsAccountId,
    // A legacy customer is the same one under the next agreement.
    customerIdentifier: draft.product?.metering === 'legacy' ? before.customerIdentifier : undefined,
    status: 'active',
    grantedAt: accessEnd,
    accessStart: accessEnd ?? now,
    createdAt: now,
  })
}

function followEnded(draft: CaseDraft, subscription: Subscription, agreement: Agreement, spell: Spell): void {
  const { id, accessEnd, finalWindowEnd, status, successor } = subscription
  if (spell.to === undefined) {
    // Also where AWS never said that it had ended, and grants it once more.
    const grantedAt = lastGrantedAt(agreement)!
    if (grantedAt >= accessEnd! && successor === undefined)
      comeBack(draft, subscription, agreement, grantedAt)
    return
  }
  if (spell.to < subscription.accessStart && subscription.grantedAt !== undefined) return
  if (subscription.grantedAt === undefined) takeStart(draft, subscription, agreement, spell)
  // It had begun after all: AWS's word of the beginning came after that of the end.
  if (status === 'failed' && !spell.refused) {
    draft.patch(id, { status: 'cancelling' })
    draft.tell('subscription.cancelling', id, { reason: agreement.endStatus ?? 'WITHDRAWN' })
  }
  const lastWord = (spell.lastWordAt ?? spell.to) + AWS_RULES.finalWindowMs
  const extended = finalWindowEnd !== undefined && lastWord > finalWindowEnd ? lastWord : finalWindowEnd
  const gaveWay =
    wasReplaced(agreement) && (status === 'cancelling' || status === 'cancelled' || status === 'expired')
  if (gaveWay) supersede(draft, subscription, extended ?? lastWord)
  else if (extended !== undefined && extended !== finalWindowEnd)
    draft.patch(id, { finalWindowEnd: extended })
}

/**
 * AWS granted the same customer or license anew: a new subscription of the same buyer, in which goes on what is counted
 * by month or as a running total.
 */
function comeBack(draft: CaseDraft, before: Subscription, agreement: Agreement, grantedAt: number): void {
  const { buyer, tenantId, plan, customerAwsAccountId, customerIdentifier } = before
  const id = draft.create(
    newSubscription({
      id: draft.newId(),
      product: before.product,
      buyer,
      tenantId,
      plan: plan ?? onlyPlan(draft.product),
      status: 'active',
      // A legacy message says nothing of a license: it may be another one by now.
      licenseArn: agreement.licenseArn,
      agreementId: agreement.agreementId,
      customerAwsAccountId,
      customerIdentifier,
      grantedAt,
      accessStart: grantedAt,
      termEnd: agreement.endsAt,
      freeTrial: agreement.freeTrial,
      createdAt: draft.now,
    }),
  )
  if (before.status !== 'failed') draft.patch(before.id, { successor: id })
  draft.tell('subscription.activated', id, { previous: before.id })
}

/** An agreement that gave way, or is about to, and the one in its place. */
interface Pair {
  readonly before: Agreement
  readonly after: Agreement
}

/** A renewal begins where what it renews ends; AWS's events of both are some seconds apart. */
const HANDOVER_MS = 10 * 60_000

/**
 * Finds for each agreement that AWS renewed or replaced the one in its place: by AWS's own word where it names it, else
 * the one that began when it ended, else where exactly one gave way and exactly one came. Several wait for a person;
 * access goes on meanwhile.
 */
export function pairSuccessors(draft: CaseDraft, agreements: readonly Agreement[]): void {
  const named = agreements.flatMap((after): Pair[] => {
    const before = agreements.find(({ agreementId }) => agreementId === after.previousAgreementId)
    return after.previousAgreementId === undefined || before === undefined ? [] : [{ before, after }]
  })
  for (const pair of named) if (mayJoin(pair)) join(draft, pair)

  let { gone, come } = unpaired(draft, agreements, named)
  const timely = gone.flatMap((before): Pair[] => {
    const [after, ...others] = come.filter((candidate) => isTimely(before, candidate))
    if (after !== undefined && !isSettled(draft, before, after)) return []
    const rivals = gone.filter((other) => after !== undefined && isTimely(other, after))
    return after === undefined || others.length > 0 || rivals.length > 1 ? [] : [{ before, after }]
  })
  for (const pair of timely) join(draft, pair)
  ;({ gone, come } = unpaired(draft, agreements, [...named, ...timely]))

  const [before] = gone
  const [after] = come
  if (before === undefined || after === undefined) return
  // AWS's word of another may still be on its way: until then nothing is paired, and nobody asked.
  if (!gone.every((one) => come.every((other) => isSettled(draft, one, other)))) return
  if (gone.length === 1 && come.length === 1) join(draft, { before, after })
  else for (const agreement of gone) askForSuccessor(draft, agreement, come)
}

/** What gave way without an heir, and what took some place that is not known yet. */
function unpaired(
  draft: CaseDraft,
  agreements: readonly Agreement[],
  pairs: readonly Pair[],
): { gone: Agreement[]; come: Agreement[] } {
  const paired = new Set(pairs.flatMap(({ before, after }) => [`${before.key} goes`, `${after.key} comes`]))
  return {
    gone: agreements.filter(
      (agreement) =>
        wasReplaced(agreement) && !paired.has(`${agreement.key} goes`) && !hasHeir(draft, agreement),
    ),
    come: agreements.filter(
      (agreement) =>
        replacesAnother(agreement) &&
        // What AWS said takes another's place takes no third one's.
        agreement.previousAgreementId === undefined &&
        hasBegun(agreement) &&
        !paired.has(`${agreement.key} comes`) &&
        !isHeir(draft, agreement),
    ),
  }
}

function isTimely(before: Agreement, after: Agreement): boolean {
  const ended = latestSpell(before)?.to
  const began = after.startsAt ?? latestSpell(after)?.from
  return ended !== undefined && began !== undefined && Math.abs(ended - began) <= HANDOVER_MS
}

/** Both are known for long enough that AWS's word of others would have come. */
function isSettled(draft: CaseDraft, before: Agreement, after: Agreement): boolean {
  const lastAt = (agreement: Agreement) => agreement.marks.at(-1)?.at ?? 0
  return draft.now >= Math.max(lastAt(before), lastAt(after)) + HANDOVER_MS
}

/** A renewal that was called off before it began takes nothing's place, unless AWS says that something gave way to it. */
function mayJoin({ before, after }: Pair): boolean {
  const spell = latestSpell(after)
  return spell !== undefined && (spell.from !== undefined || wasReplaced(before))
}

function askForSuccessor(draft: CaseDraft, agreement: Agreement, candidates: readonly Agreement[]): void {
  const subscription = subscriptionOf(agreement, draft.subscriptions())
  if (subscription === undefined) return
  const keys = candidates.map(({ key }) => key)
  draft.raise({
    kind: 'successor_unclear',
    subject: subscription.id,
    message: `AWS renewed or replaced agreement ${agreement.key}, and which took its place is not clear: choose with \`tollkeeper subscription successor ${subscription.id} AGREEMENT\` (${keys.join(', ')}); access goes on meanwhile`,
    at: draft.now,
  })
  if (subscription.status !== draft.statusBefore(subscription.id))
    draft.tell('subscription.successor_unclear', subscription.id, { candidates: keys })
}

/** AWS granted it, or it was over before it was granted. */
function hasBegun(agreement: Agreement): boolean {
  return latestSpell(agreement) !== undefined
}

/** Has its subscription a successor whose license is known? */
function hasHeir(draft: CaseDraft, agreement: Agreement): boolean {
  const successor = subscriptionOf(agreement, draft.subscriptions())?.successor
  return successor !== undefined && draft.get(successor)?.licenseArn !== undefined
}

function isHeir(draft: CaseDraft, agreement: Agreement): boolean {
  const own = subscriptionOf(agreement, draft.subscriptions())
  return own !== undefined && draft.subscriptions().some(({ successor }) => successor === own.id)
}

/**
 * One step: the old agreement ends where the new one begins, and the new one goes on for the same tenant. Done as soon
 * as AWS granted the new one, so that usage is never ambiguous between two that live.
 */
export function join(draft: CaseDraft, { before, after }: Pair): void {
  const old = subscriptionOf(before, draft.subscriptions())
  if (old === undefined || hasHeir(draft, before)) return
  const known = old.successor === undefined ? undefined : draft.get(old.successor)
  if (known?.agreementId !== undefined && known.agreementId === after.agreementId) return
  const spell = latestSpell(after)!
  const grantedAt = spell.from ?? spell.to!
  const start = startOf(after, grantedAt)
  const registered = subscriptionOf(after, draft.subscriptions())
  if (registered !== undefined && registered.id === old.id) return
  const accessEnd = old.accessEnd ?? Math.max(Math.min(start, draft.now), old.accessStart)
  const placeholder = old.successor === undefined ? undefined : draft.get(old.successor)
  const heir = registered?.id ?? placeholder?.id ?? draft.create(continuationOf(draft, { ...old, accessEnd }))
  if (placeholder !== undefined && placeholder.id !== heir) retire(draft, placeholder, after, heir)
  draft.patch(old.id, {
    status: 'superseded',
    accessEnd,
    finalWindowEnd: Math.max(old.finalWindowEnd ?? 0, accessEnd + AWS_RULES.finalWindowMs),
    successor: heir,
  })
  const now = draft.get(heir)!
  draft.patch(heir, {
    ...(after.licenseArn !== undefined && { licenseArn: after.licenseArn }),
    ...(after.customerAwsAccountId !== undefined && { customerAwsAccountId: after.customerAwsAccountId }),
    ...(after.agreementId !== undefined && { agreementId: after.agreementId }),
    ...(now.tenantId === undefined && old.tenantId !== undefined && { tenantId: old.tenantId }),
    ...(now.plan === undefined && old.plan !== undefined && { plan: old.plan }),
    ...(registered === undefined && {
      grantedAt,
      accessStart: start,
      termEnd: after.endsAt ?? null,
    }),
    ...(after.freeTrial !== undefined && { freeTrial: after.freeTrial }),
  })
  for (const subject of [old.id, heir]) draft.clear({ kind: 'successor_unclear', subject })
  draft.tell('subscription.renewed', old.id, { successor: heir })
  if (spell.to !== undefined && registered === undefined) end(draft, draft.get(heir)!, after, spell)
}

/** What came in while the successor was not known is the successor's: nothing is left to the one that stood in for it. */
function retire(draft: CaseDraft, placeholder: Subscription, after: Agreement, heir: string): void {
  draft.clear({ kind: 'successor_unclear', subject: placeholder.id })
  draft.patch(placeholder.id, {
    ...(after.licenseArn !== undefined && { licenseArn: after.licenseArn }),
    ...(after.customerAwsAccountId !== undefined && { customerAwsAccountId: after.customerAwsAccountId }),
    status: 'superseded',
    accessEnd: placeholder.accessStart,
    finalWindowEnd: draft.now + AWS_RULES.finalWindowMs,
    successor: heir,
  })
}
