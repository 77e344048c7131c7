import type { Product } from '../../../domain/products/product.ts'
import type { Subscription } from '../../../domain/subscriptions/subscription.ts'
import type { HttpDeps } from '../../deps.ts'
import type { Purchase } from '../../pages/landing.ts'

/** Renewals followed from a registration to the agreement that lives: one a year. */
const SUCCESSORS_MAX = 100

export interface Registered {
  readonly ticket: string
  readonly expiresAt: number
  readonly subscription: Subscription
}

/** Whose registration a ticket is, as it is now; or what to say instead. */
export async function findRegistration(
  { tickets, subscriptions, clock }: Pick<HttpDeps, 'tickets' | 'subscriptions' | 'clock'>,
  product: Product,
  ticket: unknown,
): Promise<Registered | { readonly status: number; readonly code: string }> {
  const reading =
    typeof ticket === 'string' ? tickets.read(ticket, product.id, clock.now()) : { state: 'invalid' as const }
  if (reading.state === 'expired') return { status: 410, code: 'registration.ticket_expired' }
  if (reading.state === 'invalid') return { status: 400, code: 'registration.ticket_invalid' }
  let subscription = await subscriptions.get(reading.subscription)
  // A renewal between the click and the form: the buyer goes on with the new agreement.
  for (let step = 0; step < SUCCESSORS_MAX && subscription.successor !== undefined; step++)
    subscription = await subscriptions.get(subscription.successor)
  switch (subscription.status) {
    case 'failed':
      return { status: 410, code: 'subscription.failed' }
    case 'cancelling':
    case 'cancelled':
    case 'expired':
      return { status: 410, code: 'subscription.ended' }
    default:
      return { ticket: String(ticket), expiresAt: reading.expiresAt, subscription }
  }
}

/** Has somebody of this buyer registered before? Who, no page tells. */
export async function hasContacts(buyers: HttpDeps['buyers'], { buyer }: Subscription): Promise<boolean> {
  return (await buyers.listContacts(buyer)).length > 0
}

/** @param isSaidToBeTrial - by the browser: where AWS itself has said, AWS counts */
export function toPurchase(product: Product, subscription: Subscription, isSaidToBeTrial: boolean): Purchase {
  const { id, status, plan, freeTrial, termEnd } = subscription
  return {
    reference: id,
    status,
    plan: plan === undefined ? undefined : (product.plans.find((known) => known.id === plan)?.title ?? plan),
    isTrial: freeTrial ?? isSaidToBeTrial,
    termEnd,
  }
}
