import type { Product } from '../products/product.ts'
import { type Agreement, latestSpell } from '../subscriptions/agreement.ts'
import { type BuyerCaseStore, NO_CHANGES } from '../subscriptions/buyer-case.ts'
import { decideEnd } from '../subscriptions/decide.ts'
import { subscriptionOf } from '../subscriptions/follow.ts'
import type { Subscription } from '../subscriptions/subscription.ts'
import type { UsageStore } from '../usage/usage-store.ts'
import { type EntitlementReading, lastExpiry } from './entitlement.ts'
import type { EntitlementStore, Suspect } from './entitlement-store.ts'
import { EMPTY_TWICE_MS } from './take-answer.ts'

/** So many at once, and more than this share of a product's subscriptions, is not believed. */
const MANY_MIN = 3
const MANY_PERCENT = 5
/** What is read in turns goes wrong in turns: those who lost access within this time count as the same pass. */
const ONE_PASS_MS = 24 * 3_600_000
const SUSPECTS_MAX = 10_000

export interface RevokeDeps {
  readonly entitlements: EntitlementStore
  readonly cases: Pick<BuyerCaseStore, 'settleOf'>
  readonly usage: Pick<UsageStore, 'raise' | 'clearAlarm'>
}

export interface RevocationReport {
  /** Subscriptions whose access ended. */
  readonly revoked: readonly string[]
  /** Would have ended, but were too many at once: a person decides. */
  readonly stopped: readonly string[]
}

/**
 * Ends the access of subscriptions to which AWS grants nothing any more: never on one empty answer, but on two that
 * are ten minutes apart, where nothing that AWS has said shows the agreement alive.
 *
 * Where they are many at once, something else is wrong (AWS, or the seller's product code), so none is ended and an
 * alarm is raised. It goes on when AWS grants them something again, or when a person confirms.
 */
export async function revokeUnentitled(
  deps: RevokeDeps,
  product: Product,
  now: number,
): Promise<RevocationReport> {
  const found = await deps.entitlements.listSuspects(product.id, now - ONE_PASS_MS, SUSPECTS_MAX)
  const suspects = found.suspects.filter((suspect) => !isKnownLive(suspect, now))
  if (suspects.length === 0) {
    if (found.isStopped) await deps.usage.clearAlarm('revocation_stopped', product.id)
    return { revoked: [], stopped: [] }
  }
  const sure = suspects.filter(({ reading }) => isEmptyTwice(reading))
  const ids = sure.map(({ subscription }) => subscription.id)
  const many = suspects.length + found.revoked
  const isMany = many >= MANY_MIN && many * 100 > MANY_PERCENT * (found.live + found.revoked)
  // Those that are left may be of the same trouble; after a day they are no longer many, but over.
  const areOver = sure.every(({ reading }) => now - (reading.emptySince ?? now) >= ONE_PASS_MS)
  if (found.isStopped && (isMany || !areOver)) return { revoked: [], stopped: ids }
  if (found.isStopped) await deps.usage.clearAlarm('revocation_stopped', product.id)
  if (isMany) {
    if (sure.length > 0)
      await deps.usage.raise({
        kind: 'revocation_stopped',
        subject: product.id,
        message: `AWS grants nothing any more to ${many} of ${found.live + found.revoked} subscriptions of ${product.id}: that is many at once, so nobody loses access. See that the product code and AWS are right; then \`tollkeeper subscription revoke ${product.id}\` shows whose access would end`,
        at: now,
      })
    return { revoked: [], stopped: ids }
  }
  const revoked = await endAll(deps, sure, 'system', now)
  for (const id of revoked) await deps.entitlements.noteRevocation(id, now)
  return { revoked, stopped: [] }
}

/** Whose access would end if nobody held it up. */
export async function listRevocable(
  deps: Pick<RevokeDeps, 'entitlements'>,
  product: Product,
  now: number,
): Promise<readonly Subscription[]> {
  const { suspects } = await deps.entitlements.listSuspects(product.id, now, SUSPECTS_MAX)
  return suspects
    .filter((suspect) => isEmptyTwice(suspect.reading) && !isKnownLive(suspect, now))
    .map(({ subscription }) => subscription)
}

/** A person confirms: the access of all these ends, however many they are. Audited. */
export async function confirmRevocations(
  deps: RevokeDeps,
  product: Product,
  actor: string,
  now: number,
): Promise<readonly string[]> {
  const { suspects } = await deps.entitlements.listSuspects(product.id, now, SUSPECTS_MAX)
  const sure = suspects.filter((suspect) => isEmptyTwice(suspect.reading) && !isKnownLive(suspect, now))
  const revoked = await endAll(deps, sure, actor, now)
  await deps.usage.clearAlarm('revocation_stopped', product.id)
  return revoked
}

async function endAll(
  deps: RevokeDeps,
  suspects: readonly Suspect[],
  actor: string,
  now: number,
): Promise<readonly string[]> {
  const ended: string[] = []
  for (const { subscription } of suspects) {
    // Another process may have read it anew.
    const { reading } = await deps.entitlements.find(subscription.id)
    if (reading !== undefined && isEmptyTwice(reading) && (await end(deps, reading, actor, now)))
      ended.push(subscription.id)
  }
  return ended
}

/** @returns whether it ended: AWS may have spoken meanwhile */
async function end(
  { cases }: RevokeDeps,
  reading: EntitlementReading,
  actor: string,
  now: number,
): Promise<boolean> {
  const id = reading.subscription
  let isEnded = false
  await cases.settleOf(
    id,
    (buyerCase) => {
      isEnded = false
      const agreements = buyerCase.agreements.filter(
        (agreement) => subscriptionOf(agreement, buyerCase.subscriptions)?.id === id,
      )
      if (isKnownLive({ reading, agreements }, now)) return NO_CHANGES
      const changes = decideEnd(buyerCase, id, { endedAt: endOf(reading, now), reason: 'NOT_ENTITLED' }, now)
      isEnded = changes.change.length > 0
      return changes
    },
    actor,
    now,
  )
  return isEnded
}

function isEmptyTwice({ readAt, emptySince }: EntitlementReading): boolean {
  return emptySince !== undefined && readAt !== undefined && readAt - emptySince >= EMPTY_TWICE_MS
}

/** When AWS granted nothing for the first time; the contract's own end, where that came later. */
function endOf({ emptySince = 0, entitlements }: EntitlementReading, now: number): number {
  const expiry = lastExpiry(entitlements)
  return expiry === undefined || expiry > now ? emptySince : Math.max(emptySince, expiry)
}

/**
 * Has AWS said that the agreement is alive, and nothing since that it is not? Its word counts for as long as the
 * agreement, or what it granted last, was to hold: of the end of a legacy contract AWS says nothing.
 */
function isKnownLive(
  { agreements, reading }: { agreements: readonly Agreement[]; reading: EntitlementReading },
  now: number,
): boolean {
  const expiry = lastExpiry(reading.entitlements)
  return agreements.some((agreement) => {
    const spell = latestSpell(agreement)
    // An amendment may have prolonged what was granted; of terms that AWS told us nothing of, the grant's own end counts.
    const isTold = agreement.termsAt > Number.NEGATIVE_INFINITY && agreement.agreementId !== undefined
    const end = isTold ? agreement.endsAt : expiry
    return spell?.from !== undefined && spell.to === undefined && (end === undefined || end > now)
  })
}
