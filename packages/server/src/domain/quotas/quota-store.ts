import type { CountedLimit, Counter, CounterKey, Gate } from './quota.ts'

/** One use that is asked for: it counts, or nothing is written. */
export interface Admission {
  /** 16 bytes: identifies it in the whole ledger. The same id is admitted once. */
  readonly key: Uint8Array
  readonly dimension: string
  /** Base units. */
  readonly quantity: number
  readonly gate: Gate
}

/**
 * - `admitted`: counted now
 * - `repeated`: its id was admitted before with the same quantity; counted once
 * - `exceeded`: there is no room; nothing was written, and nothing is remembered
 * - `conflict`: its id was admitted before with another quantity
 */
export interface AdmissionOutcome {
  readonly status: 'admitted' | 'repeated' | 'exceeded' | 'conflict'
  /** Of each limit of the gate, in order, as they are now. */
  readonly counters: readonly Counter[]
}

export type ReservationState = 'held' | 'settled' | 'released' | 'expired'

/** A quantity that is held until it is known what was really used. */
export interface Reservation {
  /** `rsv_` and the key's hex. */
  readonly id: string
  readonly product: string
  readonly holder: string
  readonly dimension: string
  /** Base units. */
  readonly quantity: number
  /** Windows that it is held in: what is settled counts there, whenever that is. */
  readonly windows: readonly Pick<CountedLimit, 'window' | 'start' | 'end'>[]
  readonly createdAt: number
  /** It is held no longer, ms. */
  readonly expiresAt: number
  readonly state: ReservationState
  /** What was used, base units; once it is settled. */
  readonly used: number | undefined
}

/** A slice of a limit that one node counts by itself. */
export interface Exchange {
  readonly key: CounterKey
  /** Of a slice taken before: what was not used of it, base units. */
  readonly giveBack: number
  /** Base units. */
  readonly want: number
  /** Where there is less than this left, nothing is taken: base units. */
  readonly least: number
  /** Base units. */
  readonly max: number
  /** Of the window, ms. */
  readonly end: number | undefined
}

/** What the domain asks of storage about quotas. Every step is exact, whatever other nodes do meanwhile. */
export interface QuotaStore {
  /** @returns in the order of the keys; what was never counted is zero */
  read(keys: readonly CounterKey[]): Promise<readonly Counter[]>
  /** Was something of these keys admitted before? In their order. */
  isAdmitted(keys: readonly Uint8Array[]): Promise<readonly boolean[]>
  /** Judges and counts, in order. What it resolves with is on disk. */
  admit(admission: Admission, now: number): Promise<AdmissionOutcome>
  /**
   * Gives the rest of a slice back and takes another. Where its answer is lost, both slices are: they count as used until
   * the window ends.
   *
   * @returns what was granted, base units: as much of what is wanted as there is, or nothing where that is less than the least
   */
  exchange(exchange: Exchange, now: number): Promise<{ readonly granted: number; readonly counter: Counter }>
  /** Holds a quantity. The same id is reserved once: a repeat finds the reservation as it is. */
  reserve(
    admission: Admission,
    reservation: Pick<Reservation, 'id' | 'product' | 'createdAt' | 'expiresAt'>,
  ): Promise<AdmissionOutcome & { readonly reservation: Reservation | undefined }>
  findReservation(id: string): Promise<Reservation | undefined>
  /**
   * Counts what was used, and lets go of the rest. After it expired it counts only where there is room. What is metered is
   * settled by its usage event instead (`Gate.reservation`).
   *
   * @param asked - the reservation's windows with the limits of now
   * @param used - base units, at most what is reserved
   * @returns undefined where there is none of this id
   */
  settle(
    id: string,
    used: number,
    asked: { readonly gate: Gate; readonly dimension: string },
    now: number,
  ): Promise<SettleOutcome | undefined>
  /** Lets go of all of it. What has ended before is as it is. */
  release(id: string, now: number): Promise<Reservation | undefined>
  /** Is anything held of these dimensions at a time, that is not over? In their order. */
  areHeld(
    owners: readonly { readonly holder: string; readonly dimension: string }[],
    now: number,
  ): Promise<readonly boolean[]>
  /** Lets go of what has expired. @returns how many; fewer than `limit` where no more is due */
  expire(now: number, limit: number): Promise<number>
  /** Forgets ids, ended reservations and windows that ended before a time. @returns how many rows; fewer than `limit` where nothing is left */
  purge(before: number, limit: number): Promise<number>
}

/** `settled` before with the same quantity, too; `conflict`: with another one, or it was released. */
export interface SettleOutcome {
  readonly status: 'settled' | 'exceeded' | 'conflict'
  readonly reservation: Reservation
}
