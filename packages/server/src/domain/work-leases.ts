/** A lease is never longer: one that seems to be was taken by a clock that has gone back since, and is nobody's. */
export const LEASE_MS_MAX = 3_600_000

export interface WorkLease {
  /** What is worked on. */
  readonly name: string
  /** The node that works on it. */
  readonly holder: string
  /** Ms since the epoch; from then on anybody may take it. */
  readonly until: number
}

/**
 * Who works on what: so that nodes share the work and do not all do the same. Nothing that must not go wrong rests on it,
 * since a node may be stopped for longer than its lease and then go on: whatever a lease is taken for is safe to do twice
 * at once. Every store passes `workLeasesContract`.
 */
export interface WorkLeases {
  /** Into how many parts the closing of one product's hours is cut; 1 where the store has one writer at a time. */
  readonly slices: number
  /**
   * Takes a lease that is free or has expired, or renews the holder's own.
   *
   * @param leaseMs - from `now`; at most `LEASE_MS_MAX`
   * @returns whether it is the holder's now
   */
  claim(name: string, holder: string, now: number, leaseMs: number): Promise<boolean>
  /** Gives a lease back; one that is another's by now is left alone. */
  release(name: string, holder: string): Promise<void>
  /** Those that were not given back, by name; some may have expired. */
  list(): Promise<readonly WorkLease[]>
}
