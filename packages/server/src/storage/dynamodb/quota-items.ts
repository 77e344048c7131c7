import type { Counter, CounterKey } from '../../domain/quotas/quota.ts'
import type { Reservation, ReservationState } from '../../domain/quotas/quota-store.ts'
import { REMEMBERED_MS } from '../../domain/quotas/tidy-quotas.ts'
import { isVisitorId } from '../../domain/visitors/visitor-holder.ts'
import { keyText } from '../ingest/key-text.ts'
import {
  type Asked,
  type CounterWindow,
  counterName,
  countersToLoad,
  createLoadedCounters,
} from '../quota/counters.ts'
import { askedBy, type GateChanges, type GateSource } from '../quota/gate-book.ts'
import { int, optionalInt, text } from './fields.ts'
import {
  admissionKey,
  counterKey,
  countersOfVisitor,
  heldKey,
  heldList,
  heldPrefix,
  padded,
  quotaPartition,
  reservationKey,
} from './keys.ts'
import type { Item, Reader, Transaction } from './table.ts'

const NONE: ReadonlyMap<string, Counter> = new Map()

/**
 * All that gates may ask for in this step, checked at its commit. Whoever holds or lets go of anything writes its counters: a
 * list of what is held is as old as they are.
 *
 * @param ids - of reservations that are to be made or ended
 */
export async function loadGates(
  tx: Transaction,
  asked: readonly Asked[],
  now: number,
  ids: readonly string[] = [],
): Promise<GateSource> {
  const reservations = new Map<string, Reservation>()
  const learn = async (id: string) => {
    const item = await tx.get(reservationKey(id))
    if (item !== undefined) reservations.set(id, toReservation(item))
  }
  for (const id of ids) await learn(id)
  const counters = createLoadedCounters()
  const load = async (some: readonly Asked[]) => {
    for (const key of countersToLoad(some)) {
      const item = await tx.get(keyOf(key))
      counters.add([key], item === undefined ? NONE : new Map([[counterName(key), toCounter(item)]]))
    }
  }
  await load([...asked, ...[...reservations.values()].map(askedBy)])
  const due = new Map<string, string[]>()
  for (const one of asked) {
    const { holder } = one.gate
    const owner = ownerOf(holder, one.dimension)
    if (due.has(owner)) continue
    const isHolding = countersToLoad([one]).some((key) => counters.get(key).held > 0)
    const found = isHolding ? await findDue(tx, holder, one.dimension, now) : []
    due.set(owner, found)
    for (const id of found) if (!reservations.has(id)) await learn(id)
  }
  // Windows that nobody asked for: what was held in them is let go of all the same.
  await load([...reservations.values()].map(askedBy))
  return {
    counter: counters.get,
    reservation: (id) => reservations.get(id),
    due: (holder, dimension) =>
      (due.get(ownerOf(holder, dimension)) ?? []).map((id) => reservations.get(id)!),
  }
}

function ownerOf(holder: string, dimension: string): string {
  return `${holder}\n${dimension}`
}

async function findDue(reader: Reader, holder: string, dimension: string, now: number): Promise<string[]> {
  const items = await reader.query({
    pk: quotaPartition(holder, dimension),
    from: heldPrefix,
    to: `${heldPrefix}${padded(now)}#\uFFFF`,
  })
  return items.map(({ reservation }) => text(reservation))
}

/** Is anything held that is not over? */
export async function isHeld(
  reader: Reader,
  holder: string,
  dimension: string,
  now: number,
): Promise<boolean> {
  const found = await reader.query({
    pk: quotaPartition(holder, dimension),
    from: `${heldPrefix}${padded(now + 1)}`,
    to: `${heldPrefix}\uFFFF`,
    limit: 1,
  })
  return found.length > 0
}

/** Over items that this step has read, and new ones. */
export function writeGates(tx: Transaction, { counters, reservations }: GateChanges): void {
  for (const { key, now } of counters) tx.put(counterItem(key, now))
  for (const { before, now } of reservations) {
    const isHeld = now.state === 'held'
    const isListed = before?.state === 'held'
    if (isListed && !(isHeld && before.expiresAt === now.expiresAt)) tx.delete(heldItem(before))
    if (isHeld) tx.put(heldItem(now))
    tx.put(reservationItem(now))
  }
}

export async function readAdmissions(
  tx: Transaction,
  keys: readonly Uint8Array[],
): Promise<ReadonlyMap<string, number>> {
  const found = new Map<string, number>()
  for (const key of keys) {
    const item = await tx.get(admissionKey(key))
    if (item !== undefined) found.set(keyText(key), int(item.quantity))
  }
  return found
}

export function counterItem(key: CounterWindow, { used, held }: Counter): Item {
  const { holder, dimension, window: per, start, end } = key
  const expiresAt = end === undefined ? undefined : seconds(end + REMEMBERED_MS)
  // To be forgotten with a visitor it has to be found, also when no plan names its dimension any more.
  const place =
    end === undefined && isVisitorId(holder) ? { list: countersOfVisitor(holder), listed: dimension } : {}
  return { ...keyOf(key), holder, dimension, per, start, endsAt: end, used, held, expiresAt, ...place }
}

export function admissionItem(key: Uint8Array, quantity: number, at: number): Item {
  return { ...admissionKey(key), key, quantity, at, expiresAt: seconds(at + REMEMBERED_MS) }
}

export function keyOf({ holder, dimension, window, start }: CounterKey) {
  return counterKey(holder, dimension, window, start)
}

export function toCounter(item: Item): Counter {
  return { used: int(item.used), held: int(item.held) }
}

/** In the list of its holder. */
export function heldItem({ id, holder, dimension, expiresAt }: Reservation): Item {
  return { ...heldKey(holder, dimension, expiresAt, id), reservation: id }
}

export function reservationItem({ windows, expiresAt, state, ...reservation }: Reservation): Item {
  const isHeld = state === 'held'
  return {
    ...reservationKey(reservation.id),
    ...reservation,
    windows: JSON.stringify(windows),
    state,
    until: expiresAt,
    // Listed and kept while it is held; afterwards it is forgotten in time.
    list: isHeld ? heldList : undefined,
    listed: isHeld ? `${padded(expiresAt)}#${reservation.id}` : undefined,
    expiresAt: isHeld ? undefined : seconds(expiresAt + REMEMBERED_MS),
  }
}

export function toReservation(item: Item): Reservation {
  return {
    id: text(item.id),
    product: text(item.product),
    holder: text(item.holder),
    dimension: text(item.dimension),
    quantity: int(item.quantity),
    windows: JSON.parse(text(item.windows)),
    createdAt: int(item.createdAt),
    expiresAt: int(item.until),
    state: text(item.state) as ReservationState,
    used: optionalInt(item.used),
  }
}

function seconds(ms: number): number {
  return Math.ceil(ms / 1000)
}
