import { MARGINS } from '../usage/aws-rules.ts'
import { isLive, type Subscription } from './subscription.ts'

/** Renewals followed from one agreement to the next: a chain is one agreement a year. */
const SUCCESSORS_MAX = 100

/** Whose usage is it, and from when on may it be billed there? */
export type Choice =
  | { readonly kind: 'chosen'; readonly subscription: Subscription; readonly time: number }
  | { readonly kind: 'ambiguous'; readonly subscriptions: readonly Subscription[] }
  | { readonly kind: 'none' }

/**
 * The subscription that usage of a time belongs to, out of those that a reference fits.
 *
 * A reference that fits several live subscriptions, or several that covered the time side by side, is never guessed at. Usage from before a renewal is the old
 * agreement's while AWS still takes it, and its successor's afterwards. Where nothing live fits, the
 * subscription that covered the time is chosen all the same: its usage is kept and shown as unbillable.
 *
 * @param successorOf - the subscription that took over, if any
 */
export function chooseSubscription(
  all: readonly Subscription[],
  time: number,
  now: number,
  successorOf: (subscription: Subscription) => Subscription | undefined,
): Choice {
  if (all.length === 0) return { kind: 'none' }
  // Registered and not granted yet is nobody's usage while another one is granted.
  const matches = all.some(isGranted) ? all.filter(({ status }) => status !== 'pending') : all
  const live = matches.filter(isLive)
  if (live.length > 1) return { kind: 'ambiguous', subscriptions: live }
  // Two agreements side by side stay two when one of them ends: an earlier use of theirs is still not guessed at.
  const rivals = sideBySide(
    matches.filter((subscription) => covers(subscription, time)),
    successorOf,
  )
  if (rivals.length > 1) return { kind: 'ambiguous', subscriptions: rivals }
  const [going] = live
  const covering = matches.find((subscription) => !isLive(subscription) && covers(subscription, time))
  if (covering !== undefined && (going === undefined || !covers(going, time))) {
    if (stillSealed(covering, now)) return chosen(covering, time)
    return inherited(covering, time, successorOf) ?? chosen(covering, time)
  }
  // AWS's end of one agreement and its start of the next may lie apart: what is used between them is the heir's.
  const before = matches.find(
    ({ accessEnd, successor }) => successor !== undefined && accessEnd !== undefined && accessEnd <= time,
  )
  const follows = before && inherited(before, time, successorOf)
  // Of a buyer who left and came back it is nobody's.
  const isBetween = follows?.kind === 'chosen' && follows.time !== time && before?.status !== 'superseded'
  const heir = isBetween ? undefined : follows
  if (heir?.kind === 'chosen' && (going === undefined || heir.subscription.id === going.id)) return heir
  if (going !== undefined && going.accessStart <= time) return chosen(going, time)
  // Nobody's time: the latest that had begun by then, so that a retry finds the same one whatever came since.
  const begun = matches.find(({ accessStart }) => accessStart <= time)
  return chosen(begun ?? going ?? matches.at(-1)!, time)
}

/** Access began, and has not ended. */
function isGranted(subscription: Subscription): boolean {
  return isLive(subscription) && subscription.status !== 'pending'
}

/** Those that are not followed by another of them: a renewal and what it renews are one. */
function sideBySide(
  covering: readonly Subscription[],
  successorOf: (subscription: Subscription) => Subscription | undefined,
): readonly Subscription[] {
  if (covering.length < 2) return covering
  const ids = new Set(covering.map(({ id }) => id))
  return covering.filter((subscription) => {
    let heir = successorOf(subscription)
    for (let step = 0; heir !== undefined && step < SUCCESSORS_MAX; step++) {
      if (ids.has(heir.id)) return false
      heir = successorOf(heir)
    }
    return true
  })
}

/** May usage still become part of its final record? */
function stillSealed({ finalWindowEnd }: Subscription, now: number): boolean {
  return finalWindowEnd !== undefined && now < finalWindowEnd - MARGINS.lastSealBeforeGoodbyeMs
}

function inherited(
  subscription: Subscription,
  time: number,
  successorOf: (subscription: Subscription) => Subscription | undefined,
): Choice | undefined {
  const heir = lastSuccessor(subscription, successorOf)
  return heir && chosen(heir, Math.max(time, heir.accessStart))
}

function chosen(subscription: Subscription, time: number): Choice {
  return { kind: 'chosen', subscription, time }
}

function covers(subscription: Subscription, time: number): boolean {
  return (
    subscription.accessStart <= time &&
    (subscription.accessEnd === undefined || time < subscription.accessEnd)
  )
}

/** Follows renewals to the one that lives now. */
function lastSuccessor(
  subscription: Subscription,
  successorOf: (subscription: Subscription) => Subscription | undefined,
): Subscription | undefined {
  let heir = successorOf(subscription)
  for (let step = 0; heir !== undefined && !isLive(heir) && step < SUCCESSORS_MAX; step++)
    heir = successorOf(heir)
  return heir
}
