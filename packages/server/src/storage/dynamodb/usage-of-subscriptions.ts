import type { UnsettledUsage } from '../../domain/subscriptions/subscription-history.ts'
import type { Hour } from '../../domain/usage/hour.ts'
import type { Reader, Transaction } from './table.ts'

/** A subscription with its meters: attribute `dimensions` of its item, which who creates a meter adds to. */
export interface Metered {
  readonly id: string
  readonly dimensions: ReadonlySet<string>
}

/** What a change of a subscription brings about for its usage, in the same step. */
export interface UsageOfSubscriptions {
  /** Writes the epoch to every gate of its meters (`changedAt`): who was routed before it is stale. */
  touchGates(tx: Transaction, of: Metered, epoch: bigint): Promise<void>
  /** It has an end, whose last hour is given: that hour, or the first open one after it, takes what is still to bill. */
  openFinalBuckets(tx: Transaction, of: Metered, hour: Hour): Promise<void>
  /** Its access starts later than was thought: what was counted before `first` is billed in it. */
  moveOpenBuckets(tx: Transaction, of: Metered, first: Hour): Promise<void>
  /**
   * What was used after its end, and is not sealed yet, is its successor's.
   *
   * @param since - ms
   */
  handOver(tx: Transaction, from: Metered, to: string, since: number): Promise<void>
  /** Records that are ready or sent, and due later than this, are due then, ms. */
  shortenDeadlines(tx: Transaction, of: Metered, deadline: number): Promise<void>
  /** Records that are ready or sent, and due at exactly `from`, may wait until `to`, ms. */
  extendDeadlines(tx: Transaction, of: Metered, from: number, to: number): Promise<void>
  readUnsettled(reader: Reader, of: Metered): Promise<UnsettledUsage>
}
