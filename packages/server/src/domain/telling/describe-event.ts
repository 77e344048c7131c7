import type { DomainEventType } from './domain-event.ts'

/** What each type says, and what to do about it: for those who receive it. */
export const EVENT_MEANINGS: Readonly<Record<DomainEventType, string>> = {
  'buyer.registered': 'Somebody gave their details on the landing page, again or for the first time.',
  'subscription.created':
    'Registered; AWS has not said yet that access starts. Give no access. Of one that you opened yourself, `subscription.activated` follows at once.',
  'subscription.activated': 'Access starts: provision now.',
  'subscription.failed': 'Payment failed, or the agreement ended before access began.',
  'subscription.changed': 'Plan, tenant or term are others now.',
  'subscription.suspended': 'Access is held for now. Keep the data.',
  'subscription.resumed': 'Access goes on.',
  'subscription.cancelling':
    'It ended and access is revoked. Report what is left of its usage now: AWS takes it for about an hour.',
  'subscription.ended': 'AWS takes no more usage of it: deprovision.',
  'subscription.renewed':
    'Another agreement took its place, `successor`; the buyer goes on with keys and access.',
  'subscription.successor_unclear':
    'AWS renewed or replaced it and several could be the successor: a person chooses, access goes on meanwhile.',
  'entitlements.changed': 'What AWS grants is other than before.',
  'quota.threshold_reached':
    'So many percent (80 or 100) of a limit of a day or longer are used. Of a plan that was changed meanwhile it is told again.',
  'endpoint.down': 'An endpoint of a product failed its health probe several times in a row.',
  'endpoint.up': 'An endpoint that was down is up again.',
  'key.created':
    'An API key was made. Neither its secret nor its user is told: `GET /keys/{id}` says whose it is.',
  'key.rotated': 'An API key was replaced by another, `replacement`; it works on until `usableUntil`.',
  'key.revoked': 'An API key was revoked: forget what you keep of it.',
  'visitor.converted': 'Somebody who used the product without a key became this buyer.',
}
