import { HOUR_MS, type Hour, hourOf } from '../../../domain/usage/hour.ts'
import { UNTAGGED } from '../../../domain/usage/tags.ts'
import type { Placed } from '../../ingest/place-event.ts'
import type { SeenEvent } from '../../ingest/plan-ingest.ts'
import { big, int, optionalText, text } from '../fields.ts'
import { countedPartition, eventItemKey, padded, part } from '../keys.ts'
import type { Item } from '../table.ts'

/** Longer than any event is taken back, by a day: then DynamoDB deletes it. */
const KEPT_MS = 36 * 24 * HOUR_MS

/** An event as it is kept. The hour and the shard that count it are where it was counted first: see `moves.ts`. */
export interface StoredEvent {
  readonly id: string
  readonly source: string
  readonly key: Uint8Array
  readonly subscription: string
  /** Partition of the meter that it was counted by. */
  readonly meter: string
  readonly time: number
  readonly quantity: bigint
  /** Base units that it added. */
  readonly delta: bigint
  readonly counted: Hour
  readonly state: number
  readonly tags: string
  readonly receivedAt: number
  /** Of the subscriptions that it was routed by. */
  readonly epoch: bigint
}

/** @param expires - may DynamoDB delete it once it is too old to be sent again? */
export function toEventItem(
  { routed, now, meter, delta, counted, state }: Placed<string>,
  { epoch, shard, expires }: { readonly epoch: number; readonly shard: number; readonly expires: boolean },
): Item {
  const { event } = routed
  return {
    ...eventItemKey(routed.key),
    id: event.id,
    source: event.source === '' ? undefined : event.source,
    subscription: routed.subscription,
    meter,
    time: event.time,
    quantity: event.quantity,
    delta,
    counted,
    state,
    value: event.value,
    tags: event.tags === UNTAGGED ? undefined : event.tags,
    receivedAt: now,
    epoch,
    countedIn: countedPartition(meter, counted, shard),
    countedAt: `${padded(event.time)}#${part(event.id)}`,
    expiresAt: expires ? expiryOf(Math.max(event.time, now)) : undefined,
  }
}

/** When what is of a time may be deleted, seconds. */
export function expiryOf(time: number): number {
  return Math.ceil((time + KEPT_MS) / 1000)
}

/** For the planner. */
export function toSeenEvent(item: Item): SeenEvent<string> {
  return {
    meter: text(item.meter),
    time: int(item.time),
    quantity: int(item.quantity),
    value: item.value as Uint8Array | undefined,
    tags: optionalText(item.tags) ?? UNTAGGED,
    state: int(item.state),
    receivedAt: int(item.receivedAt),
  }
}

export function toStoredEvent(item: Item): StoredEvent {
  return {
    id: text(item.id),
    source: optionalText(item.source) ?? '',
    key: Buffer.from(item.pk.slice(item.pk.indexOf('#') + 1), 'hex'),
    subscription: text(item.subscription),
    meter: text(item.meter),
    time: int(item.time),
    quantity: big(item.quantity),
    delta: big(item.delta),
    counted: int(item.counted),
    state: int(item.state),
    tags: optionalText(item.tags) ?? UNTAGGED,
    receivedAt: int(item.receivedAt),
    epoch: big(item.epoch),
  }
}

/** Is it counted in another hour than its own? */
export function isStray({ time, counted }: Pick<StoredEvent, 'time' | 'counted'>): boolean {
  return hourOf(time) !== counted
}
