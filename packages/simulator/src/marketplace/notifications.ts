import { outcomeByItself, viewRequest } from './agreement-cancellation.ts'
import { settleDue } from './agreement-due.ts'
import { advisoryEvent, agreementEvents, cancellationEvent } from './agreement-events.ts'
import type { Happening, Moment, Notification } from './agreement-happening.ts'
import type { CancellationRequest } from './agreement-request.ts'
import { agreementMessages } from './agreement-sns.ts'
import type { SimulatedProduct } from './product.ts'
import type { MarketplaceContext } from './state.ts'
import { type SubscriptionRecord, wasNeverLicensed } from './subscription.ts'

export type { Notification } from './agreement-happening.ts'

/**
 * All that was sent up to now, in order of time. It follows from the subscriptions' instants, so it needs no
 * storage, and a clock put back takes notifications back. Payloads have the shapes of a capture of August 2026.
 *
 * @see {@link https://docs.aws.amazon.com/marketplace/latest/userguide/saas-eventbridge-integration.html | EventBridge events}
 */
export function listNotifications(context: MarketplaceContext): Notification[] {
  settleDue(context)
  const now = context.clock.now()
  const { subscriptions, cancellationRequests, announcements } = context.state
  return [
    ...subscriptions.list().flatMap((subscription) => notificationsOf(context, subscription)),
    ...[...cancellationRequests.values()].flatMap((request) => notificationsOfRequest(context, request)),
    ...announcements,
  ]
    .filter(({ at }) => at <= now)
    .sort((a, b) => a.at - b.at)
}

function notificationsOf(context: MarketplaceContext, subscription: SubscriptionRecord): Notification[] {
  const product = context.state.products.get(subscription.productCode)
  if (product === undefined) return []
  const tell = product.metering === 'legacy' ? agreementMessages : agreementEvents
  const channel = product.metering === 'legacy' ? 'sns' : 'eventbridge'
  const told = happeningsOf(subscription).flatMap((happening) =>
    tell(context, subscription, product, happening).map(
      (payload): Notification => ({ at: happening.at, subscriptionId: subscription.id, channel, payload }),
    ),
  )
  return [...told, ...advisoriesOf(context, subscription, product)]
}

function happeningsOf(subscription: SubscriptionRecord): Happening[] {
  const { end, createdEventAt, licensedAt, amendedAt, amendments, paymentFails } = subscription
  const once = (moment: Moment, at: number): Happening => ({ moment, at, number: 0 })
  // State files of before each amendment was kept have the last one only.
  const changes =
    amendments ?? (amendedAt === undefined ? [] : [{ at: amendedAt, autoRenew: false, isOfLicense: true }])
  const all = [
    once('created', createdEventAt),
    ...changes.map(({ at, autoRenew }, number): Happening => ({ moment: 'amended', at, number, autoRenew })),
  ]
  if (wasNeverLicensed(subscription)) {
    const failedAt = paymentFails === true ? licensedAt : Number.POSITIVE_INFINITY
    all.push(once('failed', Math.min(failedAt, end?.endedAt ?? failedAt)))
    if (end !== undefined) all.push(once('ended', Math.max(end.endedAt, createdEventAt)))
    return all
  }
  all.push(once('licensed', licensedAt))
  // Numbered from 1: an amendment can fall on the instant of the license itself, and both are the same news.
  const updates = changes.filter(({ at, isOfLicense }) => isOfLicense && at >= licensedAt)
  all.push(...updates.map(({ at }, index): Happening => ({ moment: 'updated', at, number: index + 1 })))
  if (end !== undefined) {
    all.push(
      once('ended', end.endedEventAt ?? end.endedAt),
      once('deprovisioned', end.deprovisionedAt),
      once('closed', end.closedAt),
    )
  }
  return all
}

/** An account out of good standing: only products metered by license are told of it. */
function advisoriesOf(
  context: MarketplaceContext,
  subscription: SubscriptionRecord,
  product: SimulatedProduct,
): Notification[] {
  if (product.metering === 'legacy') return []
  const { id: subscriptionId, advisories = [] } = subscription
  return advisories.flatMap(({ issuedAt, resolvedAt }, number) =>
    [
      { kind: 'Issued' as const, at: issuedAt },
      ...(resolvedAt === undefined ? [] : [{ kind: 'Resolved' as const, at: resolvedAt }]),
    ].map(({ kind, at }): Notification => {
      const payload = advisoryEvent(context, subscription, product, { kind, at, number })
      return { at, subscriptionId, channel: 'eventbridge', payload }
    }),
  )
}

function notificationsOfRequest(context: MarketplaceContext, request: CancellationRequest): Notification[] {
  const subscription = context.state.subscriptions.find(request.subscriptionId)
  if (subscription === undefined) return []
  const { answer: _, ...unanswered } = request
  const pending = { ...unanswered, status: 'PENDING_APPROVAL' as const, updatedAt: request.createdAt }
  const changedAt = request.answer?.at ?? outcomeByItself(context, request).at
  return [
    { at: request.createdAt, view: pending },
    { at: changedAt, view: viewRequest(context, request) },
  ]
    .filter(({ at }, index) => index === 0 || at <= context.clock.now())
    .map(
      ({ at, view }): Notification => ({
        at,
        subscriptionId: subscription.id,
        channel: 'eventbridge',
        payload: cancellationEvent(context, subscription, view),
      }),
    )
}
