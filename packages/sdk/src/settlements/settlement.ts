/** What was used of a reservation. Settling it again with the same quantity changes nothing. */
export interface Settlement {
  readonly reservation: string
  /** In units of the dimension, at most what was reserved. */
  readonly quantity: number | string
}

/** One that is kept until it is answered. */
export interface KeptSettlement extends Settlement {
  /** When it was added, ms since the epoch. */
  readonly at: number
}

/** What is not billed, and why. */
export interface Unsettled extends Settlement {
  /**
   * Tollkeeper's code (`reservation.ended`, `reservation.not_found`, `request.invalid` …), or
   * - `reservation.expired`: it was settled too late, and there was no room any more
   * - `reservation.unbillable`: it is settled, but its subscription ended more than 40 minutes before: AWS does not take it
   * - `settlement.too_old`: for a week it could not be settled
   * - `settlements.closed`: the process ended first; it may still be settled within a week
   */
  readonly reason: string
  /** For people. */
  readonly detail?: string | undefined
}

export type OnUnsettled = (unsettled: readonly Unsettled[]) => void | Promise<void>
