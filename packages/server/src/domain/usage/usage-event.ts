import { hashUuid } from '../hash-uuid.ts'
import type { Counter, Gate } from '../quotas/quota.ts'
import type { Aggregation, AggregationPeriod } from './aggregation.ts'
import type { Hour } from './hour.ts'
import type { TagSetKey } from './tags.ts'

/** One use of a product, as reported, checked and read. */
export interface UsageEvent {
  /** The same on every retry; unique within product, dimension and source. */
  readonly id: string
  /** Who reports (CloudEvents `source`); empty where there is only one. */
  readonly source: string
  /** When it was used, ms: the same on every retry. */
  readonly time: number
  /** Base units: 1 for `count`, 0 for `unique`, the running total for `total`. */
  readonly quantity: number
  /** SHA-256 of the value, first 16 bytes: only for `unique`. Whoever it names is not stored. */
  readonly value: Uint8Array | undefined
  readonly tags: TagSetKey
}

/** The way an event takes through the ledger, decided before anything is written. */
export interface RoutedEvent {
  /** 16 bytes: identifies the event within the whole ledger. */
  readonly key: Uint8Array
  readonly event: UsageEvent
  readonly subscription: string
  readonly product: string
  readonly dimension: string
  readonly scale: number
  readonly aggregation: Aggregation
  /** For `max` and `unique`: over what they are taken. */
  readonly per?: AggregationPeriod | undefined
  /** Hours that may take it, in order; the first whose bucket is open does. None: nobody can be billed. */
  readonly hours: readonly Hour[]
  /** Why nobody can be billed for it, where `hours` runs out. */
  readonly unbillable: UnbillableReason
  /** For `max` and `unique`: the period its own time lies in. */
  readonly period: string
  /** Its agreement was renewed: where none of the hours is open any more, it is the successor's. */
  readonly hasHeir: boolean
  /** It was used under an agreement that this one renews: counted as late, and shown. */
  readonly isInherited: boolean
  /** The plan's limits that it counts against in the same step; only where the gate meters its dimension. */
  readonly gate?: Gate | undefined
}

export type UnbillableReason = 'subscription_ended' | 'before_access'

/**
 * What became of one event.
 *
 * - `accepted`: on disk, counted in its own hour
 * - `late`: on disk, counted in a later hour (its own is sealed, or AWS takes it no more)
 * - `duplicate`: seen before with the same content; counted once
 * - `conflict`: its id was seen before with other content, or a running total fell; nothing was written
 * - `refused`: not counted; an unbillable one is kept and shown
 */
export type EventStatus = 'accepted' | 'late' | 'duplicate' | 'conflict' | 'refused'

export interface EventOutcome {
  readonly id: string
  readonly status: EventStatus
  readonly reason?: string
  /** Answers "which record": a UUID made of the event's key, the same on every retry. */
  readonly meteringRecordId?: string
}

/**
 * The reply of the store for one routed event. `stale`: subscriptions changed since it was routed; route again.
 * `superseded`: it has an heir and its own agreement's hours are all sealed; route again, to the heir. `exceeded`: its gate has no
 * room for it. Nothing was written.
 */
export interface RecordedEvent {
  readonly status:
    | 'accepted'
    | 'late'
    | 'duplicate'
    | 'conflict'
    | 'unbillable'
    | 'too_old'
    | 'stale'
    | 'superseded'
    | 'overflow'
    | 'exceeded'
  readonly reason?: string
  /** Of the limits of its gate, in order, as they are now. */
  readonly counters?: readonly Counter[]
}

/** An event's 16-byte key as a UUID. */
export function meteringRecordId(key: Uint8Array): string {
  return hashUuid(key)
}
