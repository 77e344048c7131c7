import type { KeptDestinations } from './destinations.ts'
import type { PutEvent } from './put-events.ts'
import { applyQueueChange, type QueueChange, type QueueState } from './queue.ts'
import type { SigningKeys } from './signing-keys.ts'

/** All that delivery remembers. Changed only by {@link applyDeliveryFact}, so that the state file can rebuild it. */
export interface DeliveryState {
  destinations: KeptDestinations
  /** By ARN. */
  readonly subscriptions: Map<string, TopicSubscription>
  /** By notification, then by destination. */
  readonly outcomes: Map<string, Map<string, DeliveryOutcome>>
  readonly queues: QueueState
  /** What the seller put on the bus, oldest first. */
  readonly putEvents: PutEvent[]
  /** How many there ever were. */
  putEventCount: number
  keys: SigningKeys | undefined
}

/** A subscription to one topic. */
export interface TopicSubscription {
  readonly arn: string
  readonly topicArn: string
  readonly protocol: 'http' | 'https' | 'sqs'
  readonly endpoint: string
  /** What confirms it. */
  readonly token: string
  readonly state: 'pending' | 'confirmed' | 'removed'
}

/** What became of a notification at one destination, for good. */
export interface DeliveryOutcome {
  readonly notificationId: string
  readonly destination: string
  readonly state: 'delivered' | 'failed' | 'dropped'
  readonly attempts: number
  /** Virtual time, epoch milliseconds. */
  readonly at: number
  /** Why it failed: the status of the last answer, or the error. */
  readonly error?: string
}

/** One change of delivery: a line of the state file. */
export type DeliveryFact =
  | { readonly kind: 'destinations'; readonly destinations: KeptDestinations }
  | { readonly kind: 'topicSubscription'; readonly subscription: TopicSubscription }
  | { readonly kind: 'delivery'; readonly outcome: DeliveryOutcome }
  | { readonly kind: 'queue'; readonly queue: string; readonly change: QueueChange }
  | { readonly kind: 'putEvents'; readonly events: readonly PutEvent[] }
  | { readonly kind: 'signingKeys'; readonly keys: SigningKeys }

export const DELIVERY_FACT_KINDS: readonly DeliveryFact['kind'][] = [
  'destinations',
  'topicSubscription',
  'delivery',
  'queue',
  'putEvents',
  'signingKeys',
]

/** How many of the seller's events are held at hand; the state file has them all. */
const PUT_EVENTS_MAX = 10_000

export function createDeliveryState(): DeliveryState {
  return {
    destinations: { subscriptions: [], rules: [] },
    subscriptions: new Map(),
    outcomes: new Map(),
    queues: new Map(),
    putEvents: [],
    putEventCount: 0,
    keys: undefined,
  }
}

export function isDeliveryFact(entry: { readonly kind: string }): entry is DeliveryFact {
  return (DELIVERY_FACT_KINDS as readonly string[]).includes(entry.kind)
}

/** @throws {Error} for a fact that does not fit those before it */
export function applyDeliveryFact(state: DeliveryState, fact: DeliveryFact): void {
  switch (fact.kind) {
    case 'destinations':
      state.destinations = fact.destinations
      return
    case 'topicSubscription':
      state.subscriptions.set(fact.subscription.arn, fact.subscription)
      return
    case 'delivery': {
      const { notificationId, destination } = fact.outcome
      const outcomes = state.outcomes.get(notificationId) ?? new Map<string, DeliveryOutcome>()
      state.outcomes.set(notificationId, outcomes.set(destination, fact.outcome))
      return
    }
    case 'queue':
      applyQueueChange(state.queues, fact.queue, fact.change)
      return
    case 'putEvents':
      state.putEventCount += fact.events.length
      state.putEvents.push(...fact.events)
      state.putEvents.splice(0, Math.max(0, state.putEvents.length - PUT_EVENTS_MAX))
      return
    case 'signingKeys':
      state.keys = fact.keys
  }
}
