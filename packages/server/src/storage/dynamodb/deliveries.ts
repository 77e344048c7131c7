import type { DomainEventType } from '../../domain/telling/domain-event.ts'
import type { Delivery, DeliveryState, SinkHealth } from '../../domain/telling/outbox-store.ts'
import { clearAlarm } from './alarms.ts'
import { big, int, optionalInt, optionalText, text } from './fields.ts'
import { deliveryKey, laneKey, padded, part, sinkKey } from './keys.ts'
import type { Attribute, Item, Transaction } from './table.ts'

/** Lanes of a sink by when the first delivery of each may be tried. */
export const dueLanes = (sink: string): string => `DUE#${part(sink)}`
/** Deliveries by what became of them, in order of events and sinks. */
export const deliveriesInState = (state: DeliveryState): string => `DELIVERIES#${state}`
/** Deliveries that were done, by when. */
export const DELIVERED = 'DELIVERED'

export function putDelivery(tx: Transaction, item: Item): void {
  const state = text(item.state) as DeliveryState
  const isDelivered = state === 'delivered'
  const place = `${padded(big(item.number))}#${part(text(item.sink))}`
  tx.put({
    ...item,
    list: deliveriesInState(state),
    listed: place,
    also: isDelivered ? DELIVERED : undefined,
    alsoListed: isDelivered ? `${padded(int(item.finishedAt))}#${place}` : undefined,
  })
}

export function toDelivery(item: Item): Delivery {
  const state = text(item.state) as DeliveryState
  return {
    event: text(item.event),
    type: text(item.type) as DomainEventType,
    at: int(item.at),
    product: text(item.product),
    subscription: text(item.subscription),
    sink: text(item.sink),
    state,
    attempts: int(item.attempts),
    queuedAt: int(item.queuedAt),
    nextAttemptAt: state === 'waiting' ? int(item.nextAt) : undefined,
    lastError: optionalText(item.lastError),
    finishedAt: optionalInt(item.finishedAt),
  }
}

/** @param event - an item of an event */
export function newDelivery(event: Item, sink: string, now: number): Item {
  const { number, id, type, at, product, subscription } = event
  return {
    ...deliveryKey(big(number), sink),
    number,
    event: id,
    type,
    at,
    product,
    subscription,
    sink,
    state: 'waiting',
    attempts: 0,
    failures: 0,
    queuedAt: now,
    nextAt: now,
  }
}

/** Lets an event wait for a sink, in its place among those of its subscription that wait. */
export async function enterLane(tx: Transaction, delivery: Item): Promise<void> {
  const [sink, subscription] = [text(delivery.sink), text(delivery.subscription)]
  const number = big(delivery.number)
  const item = await tx.get(laneKey(sink, subscription))
  const waiting = [...new Set([...waitingIn(item), number])].sort((a, b) => (a < b ? -1 : 1))
  const nextAt = waiting[0] === number ? delivery.nextAt : item?.nextAt
  putLane(tx, { ...item, ...laneKey(sink, subscription), sink, subscription }, waiting, nextAt!)
}

/** Keeps the place of a delivery that goes on waiting, or takes it out; then the next one is up. */
export async function leaveLane(tx: Transaction, delivery: Item): Promise<void> {
  const [sink, subscription] = [text(delivery.sink), text(delivery.subscription)]
  const number = big(delivery.number)
  const item = await tx.get(laneKey(sink, subscription))
  if (item === undefined) return
  const isFirst = waitingIn(item)[0] === number
  if (delivery.state === 'waiting') {
    if (isFirst) putLane(tx, item, waitingIn(item), delivery.nextAt!)
    return
  }
  const [next, ...others] = waitingIn(item).filter((other) => other !== number)
  if (next === undefined) tx.delete(laneKey(sink, subscription))
  else {
    const following = isFirst ? await tx.get(deliveryKey(next, sink)) : undefined
    putLane(tx, item, [next, ...others], following?.nextAt ?? item.nextAt!)
  }
}

export function putLane(tx: Transaction, item: Item, waiting: readonly bigint[], nextAt: Attribute): void {
  tx.put({
    ...item,
    waiting,
    nextAt,
    also: dueLanes(text(item.sink)),
    alsoListed: `${padded(int(nextAt))}#${padded(waiting[0]!)}`,
  })
}

/** Numbers of the events that wait there, in order. */
export function waitingIn(lane: Item | undefined): readonly bigint[] {
  return ((lane?.waiting as readonly Attribute[] | undefined) ?? []).map(big)
}

/**
 * Lets an event wait for a sink anew, whatever became of it. A try that is under way loses its claim by its number: the
 * event goes out once more, whatever comes of it.
 *
 * @param event - its item
 */
export async function queueAnew(tx: Transaction, event: Item, sink: string, now: number): Promise<void> {
  const fresh = newDelivery(event, sink, now)
  const known = await tx.get(deliveryKey(big(event.number), sink))
  if (known?.state === 'dead') await countDead(tx, sink, -1)
  const attempts = known === undefined ? 0 : int(known.attempts) + (known.state === 'waiting' ? 1 : 0)
  const delivery: Item = { ...known, ...fresh, attempts, finishedAt: undefined }
  putDelivery(tx, delivery)
  await enterLane(tx, delivery)
}

/** Of each sink is counted what is dead: with the last one its alarm ends. */
export async function countDead(tx: Transaction, sink: string, more: number): Promise<void> {
  const item = await tx.get(sinkKey(sink))
  tx.put({ ...item, ...sinkKey(sink), name: sink, dead: deadOf(item) + more })
}

function deadOf(item: Item | undefined): number {
  return int(item?.dead ?? 0)
}

export async function clearIfNoneDead(tx: Transaction, sink: string): Promise<void> {
  if (deadOf(await tx.get(sinkKey(sink))) === 0) await clearAlarm(tx, 'delivery_dead', sink)
}

export function toHealth(item: Item | undefined): SinkHealth {
  return {
    failures: int(item?.failures ?? 0),
    failingSince: optionalInt(item?.failingSince),
    pausedUntil: optionalInt(item?.pausedUntil),
  }
}

/** Writes how a sink is doing, if that changed: most tries go well, and then many may be settled at once. */
export function putHealth(tx: Transaction, sink: string, item: Item | undefined, health: SinkHealth): void {
  const before = toHealth(item)
  const { failures, failingSince, pausedUntil } = health
  if (
    item !== undefined &&
    before.failures === failures &&
    before.failingSince === failingSince &&
    before.pausedUntil === pausedUntil
  )
    return
  tx.put({ ...item, ...sinkKey(sink), name: sink, failures, failingSince, pausedUntil })
}
