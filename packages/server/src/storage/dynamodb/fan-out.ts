import type { DomainEventType } from '../../domain/telling/domain-event.ts'
import { type SinkSpec, wants } from '../../domain/telling/sink.ts'
import { raiseAlarm } from './alarms.ts'
import { countDead, enterLane, newDelivery, putDelivery, putHealth, waitingIn } from './deliveries.ts'
import { newestNumber } from './domain-events.ts'
import { big, int, text } from './fields.ts'
import { deliveryKey, domainEventKey, lanePrefix, sinkCursorKey, sinkKey } from './keys.ts'
import type { Item, Table, Transaction } from './table.ts'

/** A sink that no process has known for so long starts anew: nobody wants last year's welcome mails. */
const FORGET_SINK_MS = 30 * 86_400_000
export const SEEN_EVERY_MS = 3_600_000
const AWAY = 'the sink was not configured for a month'

/** One that is new, or was away for long, begins behind the newest event. */
export async function registerSink(tx: Transaction, name: string, now: number): Promise<void> {
  const key = sinkCursorKey(name)
  const known = await tx.get(key)
  if (known !== undefined && now - int(known.seenAt) < FORGET_SINK_MS) {
    if (now > int(known.seenAt)) tx.put({ ...known, seenAt: now })
    return
  }
  // Events are numbered one after the other: whoever writes one now runs again, or this does.
  tx.put({ ...key, name, cursor: await newestNumber(tx), seenAt: now })
  const well = { failures: 0, failingSince: undefined, pausedUntil: undefined }
  putHealth(tx, name, await tx.get(sinkKey(name)), well)
  await giveUp(tx, name, now)
}

/** What waited for a sink that was away. */
async function giveUp(tx: Transaction, sink: string, now: number): Promise<void> {
  let count = 0
  for (const { pk, sk } of await tx.query({ pk: sinkKey(sink).pk, prefix: lanePrefix })) {
    const lane = await tx.get({ pk, sk })
    for (const number of waitingIn(lane)) {
      const delivery = (await tx.get(deliveryKey(number, sink)))!
      putDelivery(tx, { ...delivery, state: 'dead', finishedAt: now, lastError: AWAY })
      count++
    }
    tx.delete({ pk, sk })
  }
  if (count === 0) return
  await countDead(tx, sink, count)
  const message = `${sink} was not configured for a month, and ${count} event(s) that waited for it were given up; see \`tollkeeper delivery list --dead\``
  await raiseAlarm(tx, { kind: 'delivery_dead', subject: sink, message, at: now })
}

/**
 * Hands the next events to a sink, if it wants them, a few in each step: all of them in order, once, whoever else does it.
 *
 * @returns whether there may be more
 */
export async function fanOutTo(table: Table, sink: SinkSpec, now: number, limit: number): Promise<boolean> {
  const known = await table.get(sinkCursorKey(sink.name))
  if (known === undefined) {
    await table.transaction((tx) => registerSink(tx, sink.name, now))
    return false
  }
  const first = big(known.cursor) + 1n
  const behind = Number((await newestNumber(table)) - first) + 1
  const events = await table.getSettled(
    Array.from({ length: Math.min(Math.max(behind, 0), limit) }, (_, n) => domainEventKey(first + BigInt(n))),
  )
  let from = first
  for (const part of inParts(events as readonly Item[], sink, wantedInAStep(table))) {
    const isDone = await table.transaction((tx) => handOut(tx, sink, from, part, now))
    // Somebody else was faster, and does the rest.
    if (!isDone) return true
    from += BigInt(part.length)
  }
  if (events.length === 0 && now - int(known.seenAt) > SEEN_EVERY_MS)
    await table.transaction((tx) => registerSink(tx, sink.name, now))
  return events.length === limit
}

/** A step writes the sink's cursor, and two items for each event that it hands out. */
export function wantedInAStep(table: Table): number {
  return Math.max(1, Math.floor((table.transactionItemsMax - 1) / 2))
}

/** Events, in order, in parts with at most so many that the sink wants. */
function inParts(events: readonly Item[], sink: SinkSpec, wantedMax: number): Item[][] {
  const parts: Item[][] = []
  let wanted = wantedMax
  for (const event of events) {
    const isWanted = doesWant(sink, event)
    if (parts.length === 0 || (isWanted && wanted === wantedMax)) {
      parts.push([])
      wanted = 0
    }
    parts.at(-1)!.push(event)
    if (isWanted) wanted++
  }
  return parts
}

function doesWant(sink: SinkSpec, event: Item): boolean {
  return wants(sink, { type: text(event.type) as DomainEventType, product: text(event.product) })
}

async function handOut(
  tx: Transaction,
  sink: SinkSpec,
  first: bigint,
  events: readonly Item[],
  now: number,
): Promise<boolean> {
  const known = await tx.get(sinkCursorKey(sink.name))
  if (known === undefined || big(known.cursor) !== first - 1n) return false
  for (const event of events) {
    if (!doesWant(sink, event)) continue
    const delivery = newDelivery(event, sink.name, now)
    // A person was faster and replayed it.
    if ((await tx.get(deliveryKey(big(event.number), sink.name))) !== undefined) continue
    putDelivery(tx, delivery)
    await enterLane(tx, delivery)
  }
  const cursor = first - 1n + BigInt(events.length)
  tx.put({ ...known, cursor, seenAt: Math.max(int(known.seenAt), now) })
  return true
}
