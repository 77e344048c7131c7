import { COUNTER_MAX, type Counter, type CounterKey, type Gate, hasRoom } from '../../domain/quotas/quota.ts'
import type {
  Admission,
  AdmissionOutcome,
  Reservation,
  SettleOutcome,
} from '../../domain/quotas/quota-store.ts'
import type { RecordedEvent, RoutedEvent } from '../../domain/usage/usage-event.ts'
import { keyText } from '../ingest/key-text.ts'
import { type Asked, type CounterChange, createCounterSheet } from './counters.ts'

/** What a step is judged by; pure look-ups. */
export interface GateSource {
  /** Undefined: never counted. @throws for what the step has not read */
  counter(key: CounterKey): Counter | undefined
  reservation(id: string): Reservation | undefined
  /** What a holder has reserved of a dimension, and not settled in time. */
  due(holder: string, dimension: string, now: number): readonly Reservation[]
}

/** What a step has counted, to be written with what it was counted for. */
export interface GateChanges {
  readonly counters: readonly CounterChange[]
  readonly reservations: readonly ReservationChange[]
}

export interface ReservationChange {
  /** Undefined: it is new. */
  readonly before: Reservation | undefined
  readonly now: Reservation
}

/** Judges one step, in order, by what is stored and by what it has counted so far. */
export interface GateBook {
  counters(asked: Asked): readonly Counter[]
  /** @returns whether there is room for it; then it is counted */
  admit(asked: Asked, quantity: number, now: number): boolean
  /** Takes as much as there is room for, if that is no less than the least. @returns base units */
  take(asked: Asked, want: number, least: number, now: number): number
  giveBack(asked: Asked, quantity: number): void
  reserve(asked: Asked, reservation: Reservation, now: number): boolean
  reservation(id: string): Reservation | undefined
  /** See `QuotaStore.settle`. */
  settle(id: string, used: number, gate: Gate, now: number): SettleOutcome | undefined
  /** Ends what is held; anything else stays as it is. */
  release(id: string): Reservation | undefined
  /** Ends what is held and over; anything else stays as it is: it may be held anew since it was found. */
  expire(id: string, now: number): void
  changes(): GateChanges
}

/** Its own windows: for what lets go of a reservation. */
export function askedBy({
  holder,
  dimension,
  windows,
}: Pick<Reservation, 'holder' | 'dimension' | 'windows'>): Asked {
  return {
    gate: { holder, limits: windows.map((span) => ({ ...span, max: undefined, blocks: false })) },
    dimension,
  }
}

export function createGateBook(source: GateSource): GateBook {
  const sheet = createCounterSheet((key) => source.counter(key))
  const changed = new Map<string, Reservation>()
  const reservation = (id: string) => changed.get(id) ?? source.reservation(id)

  const letGo = (id: string, as: 'released' | 'expired'): Reservation | undefined => {
    const found = reservation(id)
    if (found?.state !== 'held') return found
    sheet.add(askedBy(found), { held: -found.quantity })
    const ended: Reservation = { ...found, state: as }
    changed.set(id, ended)
    return ended
  }

  const expire: GateBook['expire'] = (id, now) => {
    const found = reservation(id)
    if (found !== undefined && found.expiresAt <= now) letGo(id, 'expired')
  }

  /** Whoever asks must not be refused for what is no longer reserved. */
  function expireDue(asked: Asked, now: number): void {
    if (!sheet.read(asked).some(({ held }) => held > 0)) return
    for (const { id } of source.due(asked.gate.holder, asked.dimension, now)) expire(id, now)
  }

  const count = (asked: Asked, quantity: number, as: 'used' | 'held', now: number) => {
    expireDue(asked, now)
    if (!hasRoom(asked.gate.limits, sheet.read(asked), quantity)) return false
    sheet.add(asked, { [as]: quantity })
    return true
  }

  return {
    counters: sheet.read,
    admit: (asked, quantity, now) => count(asked, quantity, 'used', now),
    take(asked, want, least, now) {
      expireDue(asked, now)
      const counters = sheet.read(asked)
      const room = asked.gate.limits.map(
        ({ max = COUNTER_MAX }, index) => max - counters[index]!.used - counters[index]!.held,
      )
      const most = Math.min(want, ...room)
      const granted = most < least ? 0 : Math.max(0, most)
      sheet.add(asked, { used: granted })
      return granted
    },
    giveBack: (asked, quantity) => sheet.add(asked, { used: -quantity }),
    reserve(asked, reserved, now) {
      const isHeld = count(asked, reserved.quantity, 'held', now)
      if (isHeld) changed.set(reserved.id, reserved)
      return isHeld
    },
    reservation,
    settle(id, used, gate, now) {
      const found = reservation(id)
      if (found === undefined) return undefined
      if (found.state === 'settled')
        return { status: found.used === used ? 'settled' : 'conflict', reservation: found }
      if (found.state === 'released') return { status: 'conflict', reservation: found }
      const isHeld = found.state === 'held' && now < found.expiresAt && used <= found.quantity
      const ended = letGo(id, 'expired')!
      // What was held is there to be used, whatever became of the limit; later it counts only where there is room.
      if (isHeld) sheet.add(askedBy(found), { used })
      else if (!count({ gate, dimension: found.dimension }, used, 'used', now))
        return { status: 'exceeded', reservation: ended }
      const settled: Reservation = { ...found, state: 'settled', used }
      changed.set(id, settled)
      return { status: 'settled', reservation: settled }
    },
    release: (id) => letGo(id, 'released'),
    expire,
    changes: () => ({
      counters: sheet.changes(),
      reservations: [...changed.values()].map((now) => ({ before: source.reservation(now.id), now })),
    }),
  }
}

/** Usage that only counts where a plan's limits have room for it. */
export interface GatedEvent extends RoutedEvent {
  readonly gate: Gate
}

export function isGated(event: RoutedEvent): event is GatedEvent {
  return event.gate !== undefined
}

const EXCEEDED: RecordedEvent = { status: 'exceeded' }
const CONFLICT: RecordedEvent = {
  status: 'conflict',
  reason: 'its reservation was settled with another quantity, or released',
}

/** @returns undefined where the event may count: then it is counted */
export function passEvent(book: GateBook, event: GatedEvent, now: number): RecordedEvent | undefined {
  const { gate } = event
  const { quantity } = event.event
  if (gate.reservation === undefined) return book.admit(event, quantity, now) ? undefined : EXCEEDED
  const status = book.settle(gate.reservation, quantity, gate, now)?.status
  if (status === 'settled') return undefined
  return status === 'exceeded' ? EXCEEDED : CONFLICT
}

/** Who asks the gate is told what is left. */
export function withCounters(book: GateBook, outcome: RecordedEvent, event: RoutedEvent): RecordedEvent {
  return isGated(event) ? { ...outcome, counters: book.counters(event) } : outcome
}

export interface JudgedAdmissions {
  /** In order. */
  readonly outcomes: readonly AdmissionOutcome[]
  /** Of those that were admitted, to be remembered. */
  readonly admitted: readonly Admission[]
}

/** @param quantityOf - of an id that was admitted before, by `keyText` */
export function judgeAdmissions(
  book: GateBook,
  admissions: readonly { readonly admission: Admission; readonly now: number }[],
  quantityOf: (id: string) => number | undefined,
): JudgedAdmissions {
  const known = new Map<string, number>()
  const admitted: Admission[] = []
  const statusOf = (admission: Admission, now: number): AdmissionOutcome['status'] => {
    const { key, quantity } = admission
    const id = keyText(key)
    const before = known.get(id) ?? quantityOf(id)
    if (before !== undefined) return before === quantity ? 'repeated' : 'conflict'
    if (!book.admit(admission, quantity, now)) return 'exceeded'
    known.set(id, quantity)
    admitted.push(admission)
    return 'admitted'
  }
  const outcomes = admissions.map(({ admission, now }) => ({
    status: statusOf(admission, now),
    counters: book.counters(admission),
  }))
  return { outcomes, admitted }
}

/** @param id - of the reservation @returns as `QuotaStore.reserve` */
export function judgeReservation(
  book: GateBook,
  admission: Admission,
  values: Pick<Reservation, 'id' | 'product' | 'createdAt' | 'expiresAt'>,
): AdmissionOutcome & { readonly reservation: Reservation | undefined } {
  const { gate, dimension, quantity } = admission
  const known = book.reservation(values.id)
  const isHeld = known?.state === 'held' && values.createdAt < known.expiresAt
  if (known !== undefined && (isHeld || known.state === 'settled')) {
    const isSame = known.quantity === quantity && known.dimension === dimension
    return {
      status: isSame ? 'repeated' : 'conflict',
      counters: book.counters(admission),
      reservation: known,
    }
  }
  // What was let go of is not there to be used: it is held anew, or refused.
  if (known !== undefined) book.expire(known.id, values.createdAt)
  const reservation: Reservation = {
    ...values,
    holder: gate.holder,
    dimension,
    quantity,
    windows: gate.limits.map(({ window, start, end }) => ({ window, start, end })),
    state: 'held',
    used: undefined,
  }
  const isReserved = book.reserve(admission, reservation, values.createdAt)
  return {
    status: isReserved ? 'admitted' : 'exceeded',
    counters: book.counters(admission),
    reservation: isReserved ? reservation : undefined,
  }
}
