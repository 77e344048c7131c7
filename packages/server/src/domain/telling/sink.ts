import type { DomainEvent, DomainEventType } from './domain-event.ts'

/** Somebody of the seller's who is told. The name is stable: what waits for it is kept under it. */
export interface SinkSpec {
  /** `eventbridge`, `webhook:<id>`, `email:buyer`, `email:seller`. */
  readonly name: string
  /** Only events of this product; undefined: of all. */
  readonly product: string | undefined
  /** Only these types; empty: all. */
  readonly types: readonly string[]
}

/** What became of telling one event. */
export type DeliveryOutcome =
  | { readonly kind: 'delivered' }
  /** It was not taken this time; tried again on the schedule. */
  | { readonly kind: 'failed'; readonly reason: string }
  /** It will never be taken: given up at once. */
  | { readonly kind: 'refused'; readonly reason: string }
  /** Nobody answers there at all: no event of any subscription would get through. */
  | { readonly kind: 'unreachable'; readonly reason: string }
  /** It answers, and asks for a pause of so many milliseconds. */
  | { readonly kind: 'busy'; readonly reason: string; readonly retryAfterMs: number }
  /** We stopped it: it is not known to be taken, and nobody is to blame. */
  | { readonly kind: 'cancelled' }

/** The way to one of those who are told. */
export interface Sink extends SinkSpec {
  /** Events that one call takes. */
  readonly batchMax: number
  /** Calls at once. */
  readonly callsMax: number
  /**
   * Tells them, within half a minute. Reasons of outcomes are kept and shown: no secret and no personal datum in them.
   *
   * @param events - each of another subscription
   * @returns one outcome for each, in their order; never rejects
   */
  deliver(events: readonly DomainEvent[], signal: AbortSignal): Promise<readonly DeliveryOutcome[]>
  close(): void
}

/** To the buyer: who registered, who may begin, whose access is over. */
const BUYER_MAIL_TYPES: readonly DomainEventType[] = [
  'buyer.registered',
  'subscription.activated',
  'subscription.cancelling',
  'subscription.ended',
  'quota.threshold_reached',
]

const SELLER_MAIL_TYPES: readonly DomainEventType[] = [
  'buyer.registered',
  'subscription.activated',
  'subscription.failed',
  'subscription.cancelling',
  'subscription.ended',
  'subscription.renewed',
  'subscription.successor_unclear',
  'endpoint.down',
  'endpoint.up',
]

/** Who is told, by the configuration's section `events`. */
export function sinkSpecs(events: {
  readonly eventBridge: object | undefined
  readonly webhooks: readonly {
    readonly id: string
    readonly product: string | undefined
    readonly types: readonly string[]
  }[]
  readonly email: { readonly sellerTo: readonly string[] } | undefined
}): readonly SinkSpec[] {
  const { eventBridge, webhooks, email } = events
  const ofAll = (name: string, types: readonly string[]): SinkSpec => ({ name, product: undefined, types })
  return [
    ...(eventBridge === undefined ? [] : [ofAll('eventbridge', [])]),
    ...webhooks.map(({ id, product, types }) => ({ name: `webhook:${id}`, product, types })),
    ...(email === undefined ? [] : [ofAll('email:buyer', BUYER_MAIL_TYPES)]),
    ...(email === undefined || email.sellerTo.length === 0 ? [] : [ofAll('email:seller', SELLER_MAIL_TYPES)]),
  ]
}

export function wants(sink: SinkSpec, event: Pick<DomainEvent, 'product' | 'type'>): boolean {
  return (
    (sink.product === undefined || sink.product === event.product) &&
    (sink.types.length === 0 || sink.types.includes(event.type))
  )
}
