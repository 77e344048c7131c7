import type { Alarm } from '../usage/usage-store.ts'
import type { DomainEvent, DomainEventType } from './domain-event.ts'
import type { SinkSpec } from './sink.ts'

/** `waiting`: for its turn, for the next try, or for the answer of one that is under way. `dead`: given up; a person may replay it. */
export type DeliveryState = 'waiting' | 'delivered' | 'dead'

export const DELIVERY_STATES: readonly DeliveryState[] = ['waiting', 'delivered', 'dead']

/** One event on its way to one sink. */
export interface Delivery {
  /** The event's id. */
  readonly event: string
  readonly type: DomainEventType
  /** When it happened. */
  readonly at: number
  readonly product: string
  readonly subscription: string
  readonly sink: string
  readonly state: DeliveryState
  /** How often it was tried, begun tries counted. */
  readonly attempts: number
  readonly queuedAt: number
  /** Not before then; undefined once it is delivered or dead. */
  readonly nextAttemptAt: number | undefined
  readonly lastError: string | undefined
  readonly finishedAt: number | undefined
}

/** A delivery that this process may try now. */
export interface ClaimedDelivery {
  readonly event: DomainEvent
  readonly sink: string
  /** Which try this is: whoever has another number has lost the claim. */
  readonly attempt: number
  /** `SinkHealth.failures` when it was claimed: of several that fail together, one is counted. */
  readonly failuresBefore: number
}

/** How a sink as a whole is doing. */
export interface SinkHealth {
  /** Rounds without one success, up to now. */
  readonly failures: number
  readonly failingSince: number | undefined
  /** Nothing is sent to it before then. */
  readonly pausedUntil: number | undefined
}

/** What a try's outcome is judged by, read in the step that writes the verdict. */
export interface TryState {
  /** Tries that it failed by itself. */
  readonly failures: number
  readonly queuedAt: number
  readonly sink: SinkHealth
}

/** What becomes of a delivery after a try, and of its sink. */
export interface Verdict {
  readonly state: DeliveryState
  readonly failures: number
  /** For `waiting`. */
  readonly nextAt: number
  /** Undefined: nothing went wrong. */
  readonly error: string | undefined
  readonly sink: SinkHealth
  readonly raise: readonly Alarm[]
  /** Subjects of `delivery_dead` that are well again. */
  readonly clear: readonly string[]
}

/**
 * The transactional outbox: events that changes left behind, and who still has to be told of them.
 *
 * Each method is one step, atomic, durable when it resolves, and safe in several processes at once. Every store passes
 * `outboxStoreContract`.
 */
export interface OutboxStore {
  /**
   * Makes sinks known. One that is seen for the first time, or again after a month, is told only what happens from now
   * on; what still waited for it from before is dead, for a person to see.
   */
  register(sinks: readonly SinkSpec[], now: number): Promise<void>
  /** Is there an event that has not been handed to its sinks, and which sinks have a delivery due? Cheap. */
  findWork(
    sinks: readonly SinkSpec[],
    now: number,
  ): Promise<{ readonly unsorted: boolean; readonly due: readonly string[] }>
  /** Hands the next `limit` events to the sinks that want them. @returns whether there may be more */
  fanOut(sinks: readonly SinkSpec[], now: number, limit: number): Promise<boolean>
  /**
   * Deliveries to one sink that are due, each the earliest that waits of its subscription: nobody else gets them for
   * `leaseMs`. At most `limit`; only one while the sink fails; none while it is paused.
   */
  claim(
    sink: string,
    now: number,
    options: { limit: number; leaseMs: number },
  ): Promise<readonly ClaimedDelivery[]>
  /**
   * Writes down what became of a try.
   *
   * @param judge - pure
   * @returns `false`, having written nothing, where the claim was lost meanwhile
   */
  settle(claimed: ClaimedDelivery, now: number, judge: (state: TryState) => Verdict): Promise<boolean>

  /** Tells something that nothing is changed for. An event of an id that was told before is left alone. */
  tellOnce(event: DomainEvent): Promise<void>
  /** @throws {DomainError} `event.not_found` */
  getEvent(id: string): Promise<DomainEvent>
  /** Types of what happened to the same subscription before this event. */
  earlierTypes(id: string): Promise<readonly DomainEventType[]>
  /** Newest event first. */
  list(options: {
    sink?: string | undefined
    state?: DeliveryState | undefined
    product?: string | undefined
    limit: number
    cursor?: string | undefined
  }): Promise<{ readonly items: readonly Delivery[]; readonly next: string | undefined }>
  /**
   * Lets an event wait for sinks anew, whatever became of it: it goes out in its place among those of its subscription
   * that wait. Audited.
   *
   * @param sinks - names; undefined: those it is dead for
   * @throws {DomainError} `event.not_found`
   */
  replay(
    id: string,
    sinks: readonly string[] | undefined,
    actor: string,
    now: number,
  ): Promise<readonly Delivery[]>
  /** The same for all that is dead, or dead for one sink. @returns how many */
  replayDead(sink: string | undefined, actor: string, now: number): Promise<number>
  /** Forgets at most `limit` deliveries that were done before `before`; undone ones never. @returns how many */
  purge(before: number, limit: number): Promise<number>
  /** Calls when an event may have been written by this process. @returns what ends it */
  onEvent(listener: () => void): () => void
}
