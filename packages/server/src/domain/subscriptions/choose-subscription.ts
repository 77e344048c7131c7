import { isLive, type Subscription } from './subscription.ts'

/** Whose usage is it, and from when on may it be billed there? */
export type Choice =
  | { readonly kind: 'chosen'; readonly subscription: Subscription; readonly time: number }
  | { readonly kind: 'ambiguous'; readonly subscriptions: readonly Subscription[] }
  | { readonly kind: 'none' }

/**
 * The subscription that usage of a time belongs to, out of those that a reference fits.
 *
 * A reference that fits several live subscriptions is never guessed at. Usage from before a renewal is the old
 * agreement's while AWS still takes it, and its successor's afterwards. Where nothing live fits, the
 * subscription that covered the time is chosen all the same: its usage is kept and shown as unbillable.
 *
 * @param successorOf - the subscription that took over, if any
 */
export function chooseSubscription(
  matches: readonly Subscription[],
  time: number,
  now: number,
  successorOf: (subscription: Subscription) => Subscription | undefined,
): Choice {
  if (matches.length === 0) return { kind: 'none' }
  const live = matches.filter(isLive)
  if (live.length > 1) return { kind: 'ambiguous', subscriptions: live }
  const covering = matches.find((subscription) => !isLive(subscription) && covers(subscription, time))
  if (covering !== undefined && (live[0] === undefined || !covers(live[0], time))) {
    if (covering.finalWindowEnd !== undefined && now < covering.finalWindowEnd) return chosen(covering, time)
    const heir = lastSuccessor(covering, successorOf)
    if (heir !== undefined) return chosen(heir, Math.max(time, heir.accessStart))
    return chosen(covering, time)
  }
  if (live[0] !== undefined) return chosen(live[0], time)
  const heir = lastSuccessor(matches[0]!, successorOf)
  return heir === undefined ? chosen(matches[0]!, time) : chosen(heir, Math.max(time, heir.accessStart))
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

/** Follows renewals to the one that lives now. Bounded: a chain is one agreement a year. */
function lastSuccessor(
  subscription: Subscription,
  successorOf: (subscription: Subscription) => Subscription | undefined,
): Subscription | undefined {
  let heir = successorOf(subscription)
  for (let step = 0; heir !== undefined && !isLive(heir) && step < 100; step++) heir = successorOf(heir)
  return heir
}
