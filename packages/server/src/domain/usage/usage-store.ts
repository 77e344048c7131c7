import type { ContractHistory } from '../entitlements/contract-history.ts'
import type { Subscription } from '../subscriptions/subscription.ts'
import type { Slice } from '../work-share.ts'
import type { Account, Balances, Transfer } from './account.ts'
import type { Hour } from './hour.ts'
import type { TagSetKey } from './tags.ts'
import type { RecordedEvent, RoutedEvent } from './usage-event.ts'
import type { Allocation, MeteringIdentityValue, RecordState, UsageRecord } from './usage-record.ts'

/** One dimension of one subscription: what has a balance. */
export interface MeterKey {
  readonly subscription: string
  readonly dimension: string
}

/** What a meter counts and how; fixed when it counts for the first time. */
export type MeterKind = Pick<RoutedEvent, 'product' | 'scale' | 'aggregation' | 'per'>

export interface BucketKey extends MeterKey {
  readonly hour: Hour
}

export type BucketStatus = 'open' | 'held' | 'closed'

/** Usage of one dimension of one subscription in one UTC hour, in base units. */
export interface UsageBucket extends BucketKey {
  readonly product: string
  readonly status: BucketStatus
  readonly quantity: bigint
  readonly unbillable: bigint
  readonly events: number
  readonly hold: Hold | undefined
}

export interface Hold {
  /** Why it is held, for a person. */
  readonly reason: string
  readonly heldAt: number
}

/** All that closing one bucket depends on, read in the transaction that closes it. */
export interface ClosingState {
  readonly bucket: UsageBucket
  readonly subscription: Subscription
  /** Quantity by tag set; empty where nothing is tagged. */
  readonly tags: ReadonlyMap<TagSetKey, bigint>
  readonly carry: bigint
  /** Signed: a tag set may have been billed ahead of its share. Sums to `carry` where any is set. */
  readonly carryTags: ReadonlyMap<TagSetKey, bigint>
  /** Identity and region of a record that this subscription already has for the hour. */
  readonly fixed: { readonly identity: MeteringIdentityValue; readonly region: string } | undefined
  /** Quantities of up to 168 earlier non-zero closed hours, newest first; empty unless asked for. */
  readonly history: readonly bigint[]
  /** Base units that the contract's period has used up. */
  readonly includedUsed: (period: string) => bigint
  /** Empty unless asked for. */
  readonly contract: ContractHistory
  /** AWS's key for this hour is taken by another record: the amount must go to a later hour. */
  readonly keyTaken: boolean
  /** Has the meter an open bucket of an earlier hour? Included units are used up in hour order. */
  readonly earlierOpen: boolean
  /** Does the meter have another open or held bucket, of any hour? */
  readonly laterOpen: boolean
  /** After a restore: another copy of this ledger may have sent this hour. */
  readonly doubtful: boolean
  /** One of the hours that `Closing.seek` asked for, whose key at AWS is free. */
  readonly freeHour: Hour | undefined
}

/** What of a state costs more to read than all the rest. */
export interface ClosingNeeds {
  readonly history: boolean
  /** Of a product whose plans include units. */
  readonly contract: boolean
}

/** A frozen record, before it has a state. */
export type SealedRecord = Pick<
  UsageRecord,
  | 'id'
  | 'product'
  | 'region'
  | 'identity'
  | 'timestamp'
  | 'quantity'
  | 'unitBase'
  | 'allocations'
  | 'deadline'
>

/** What closing a bucket does; applied whole or not at all. */
export interface Closing {
  readonly status: 'held' | 'closed'
  readonly transfers: readonly Transfer[]
  readonly hold?: Hold | undefined
  readonly record?: SealedRecord | undefined
  /** What remains per tag set after this hour; undefined leaves it as it is. */
  readonly carryTags?: ReadonlyMap<TagSetKey, bigint> | undefined
  readonly included?: { readonly period: string; readonly amount: bigint } | undefined
  /** Make sure a bucket is open at or after this hour, to bill what is carried. */
  readonly openFrom?: Hour | undefined
  /** Open a bucket in exactly this hour, which is `freeHour`, to bill what is carried. */
  readonly openAt?: Hour | undefined
  /** This loses an amount for good: decide again with the first of these hours that nothing was metered in. */
  readonly seek?:
    | { readonly hours: readonly Hour[]; readonly region: string; readonly identity: MeteringIdentityValue }
    | undefined
  /** Raised in the same step. */
  readonly alarm?: Alarm | undefined
  /** Who decided, where a person did. */
  readonly actor?: string | undefined
}

/** Records on their way in one call, with the attempt that is on disk before its first byte leaves. */
export interface ClaimedBatch {
  readonly attempt: string
  readonly product: string
  readonly region: string
  readonly records: readonly UsageRecord[]
  /** It is one record because it was refused before: a success ends that. */
  readonly alone: boolean
  /** The product was stopped, and this is the try that may end it. */
  readonly probe: boolean
  /** Not before this time: AWS's rate, shared by all processes. */
  readonly sendAt: number
}

export interface ClaimOptions {
  readonly product: string
  readonly now: number
  /** How long the call may take before others may think that it is lost. */
  readonly leaseMs: number
  /** Milliseconds between two calls of one region. */
  readonly spacingMs: number
  /** Leave out records that would need a call of their own. */
  readonly withoutSuspects?: boolean
  /** Just these, if they may still be sent: the halves of a split request. */
  readonly only?: readonly string[]
  /** Bytes of a record within a call. */
  readonly sizeOf: (record: UsageRecord) => number
  /** The call as it will be sent, for the attempt's row. */
  readonly requestOf: (records: readonly UsageRecord[]) => string
}

/** AWS's answer for one record of an attempt. */
export type RecordAnswer =
  | { readonly kind: 'result'; readonly status: string; readonly meteringRecordId?: string | undefined }
  | { readonly kind: 'unprocessed' }
  /** The whole request was refused: certainly nothing was taken. */
  | {
      readonly kind: 'refused_request'
      readonly code: string
      readonly message: string
      readonly alone: boolean
    }
  /** Timeout, cut, 5xx, unreadable, or missing in the answer: nobody knows. */
  | { readonly kind: 'unanswered'; readonly reason: string }

/** What an answer, or a deadline, makes of a record. */
export interface Judgement {
  readonly state: RecordState
  readonly unanswered: number
  readonly nextAttemptAt?: number | undefined
  readonly meteringRecordId?: string | undefined
  readonly note?: string | undefined
  /** For `carried`: make sure a bucket is open at or after this hour. */
  readonly openFrom?: Hour | undefined
}

/** One call to AWS, or one that never got an answer. */
export interface Attempt {
  readonly id: string
  readonly product: string
  readonly region: string
  readonly startedAt: number
  readonly finishedAt: number | undefined
  /** `answered`, `unanswered` or, without an end, `in_flight`. */
  readonly outcome: 'answered' | 'unanswered' | 'in_flight'
  readonly records: readonly string[]
  /** What was sent, as JSON. */
  readonly request: string
  /** What AWS answered, as JSON, or the error's name and message. */
  readonly response: string | undefined
}

export interface AttemptEnd {
  readonly outcome: 'answered' | 'unanswered'
  readonly response: string
  readonly finishedAt: number
}

export interface Page<T> {
  readonly items: readonly T[]
  readonly next: string | undefined
}

/** Three independent views of one meter; the audit compares them. */
export interface MeterAudit extends MeterKey {
  readonly product: string
  readonly scale: number
  /** From the journal of transfers. */
  readonly balances: Balances
  /** From the rows themselves: buckets by status, records by state. */
  readonly rows: Readonly<Record<Account, bigint>>
  /** Recomputed from the events, plus what purged events had counted. */
  readonly measured: bigint
  /** Buckets whose quantity differs from their events. */
  readonly wrongBuckets: readonly Hour[]
}

export interface UsageEventRow {
  readonly id: string
  readonly source: string
  readonly meteringRecordId: string
  readonly time: number
  readonly hour: Hour
  /** Base units that it added to its hour. */
  readonly counted: bigint
  readonly quantity: bigint
  readonly tags: TagSetKey
  readonly status: 'accepted' | 'late' | 'unbillable'
  /** A late event that crossed a month's end. */
  readonly crossedMonth: boolean
  readonly receivedAt: number
}

/** Usage at risk: the number a seller looks at first. */
export interface UsageStatus {
  readonly records: Readonly<Record<RecordState, number>>
  /** The hour that AWS stops taking first, of all that are sealed and not settled, held, or overdue. */
  readonly oldest: { readonly hour: Hour; readonly deadline: number; readonly product: string } | undefined
  readonly openBuckets: number
  readonly heldBuckets: number
  /** Hours that should be sealed by now, by product: AWS stops taking them soon, or has. */
  readonly overdue: readonly UnsealedHours[]
  /** Hours that wait for a person, by product. */
  readonly held: readonly UnsealedHours[]
  /** Whole units and more that wait for a next hour, subscriptions with less than one left out. */
  readonly carried: readonly BaseAmount[]
  /** More than AWS takes, booked without a record. */
  readonly refusedUnrecorded: readonly BaseAmount[]
  /** Remainders at an end, less what was rounded up. */
  readonly forgiven: readonly BaseAmount[]
  /** Units not yet accepted, by product and dimension. */
  readonly pending: readonly {
    readonly product: string
    readonly dimension: string
    readonly units: bigint
  }[]
  readonly lateAcrossMonths: number
  /** Events used under an agreement that was renewed, and billed under its successor. */
  readonly lateAcrossAgreements: number
  readonly unbillable: readonly BaseAmount[]
}

/** Base units of all subscriptions to a product. */
export interface BaseAmount {
  readonly product: string
  readonly dimension: string
  readonly base: bigint
}

export interface UnsealedHours {
  readonly product: string
  /** Subscriptions' hours, one for each dimension. */
  readonly buckets: number
  readonly oldestHour: Hour
  /** When AWS stops taking the first of them. */
  readonly deadline: number
}

/** What a status is judged by. */
export interface StatusAt {
  readonly now: number
  /** Base units in one billed unit of each dimension that is sold. */
  readonly units: readonly BaseAmount[]
}

/** Submission of a product, stopped by a person or by an error that only a person can mend. */
export interface ProductHalt {
  readonly product: string
  readonly reason: string
  readonly since: number
  /** When to try once more by itself; undefined: only `usage resume` ends it. */
  readonly probeAt: number | undefined
}

/** What a person should look at. Raised again with the same kind and subject, it is the same alarm. */
export interface Alarm {
  readonly kind:
    | 'conflict'
    | 'in_doubt'
    | 'refused'
    | 'halted'
    | 'hold_expired'
    | 'poison'
    /** Usage that nobody can be told of: its dimension, its product or the buyer's license is unknown. */
    | 'unconfigured'
    /** An hour that could not be closed: the ledger's own fault. */
    | 'close_failed'
    | 'late_across_edge'
    /** AWS renewed an agreement and several could be its successor. */
    | 'successor_unclear'
    /** A pass over entitlements would have revoked many at once. */
    | 'revocation_stopped'
    /** A registration has waited long for AWS's word. */
    | 'access_overdue'
    /** Something could not be told to the seller's systems. */
    | 'delivery_dead'
    /** Notifications of AWS Marketplace do not come or cannot be read. */
    | 'notifications'
    /** A standby of the database took over. */
    | 'failover'
    /** An endpoint of a product does not say that it is well. */
    | 'endpoint_down'
  readonly subject: string
  readonly message: string
  readonly at: number
}

export interface OpenAlarm extends Alarm {
  /** When it was raised first; `at` is the last time. */
  readonly firstAt: number
  /** How often. */
  readonly count: number
}

/**
 * What the usage ledger asks of storage. Each method is one business step, atomic, durable when it resolves.
 * A `decide` function is pure and may be called more than once. Every store passes `usageStoreContract`.
 */
export interface UsageStore {
  /**
   * Deduplicates and counts events, in order. One outcome for each.
   *
   * @param epoch - of the subscriptions they were routed by; where it moved on, all are `stale` and nothing is written
   */
  record(events: readonly RoutedEvent[], now: number, epoch: number): Promise<readonly RecordedEvent[]>
  /** Are events of these keys on record, and not yet forgotten? In their order. */
  isRecorded(keys: readonly Uint8Array[]): Promise<readonly boolean[]>

  /**
   * Open buckets of one product with `hour <= hourMax` but not in `except`, oldest first: of subscriptions that go on.
   *
   * @param slice - only those of its subscriptions
   */
  listOpen(
    product: string,
    hourMax: Hour,
    except: readonly Hour[],
    limit: number,
    cursor?: string,
    slice?: Slice,
  ): Promise<Page<BucketKey>>
  /**
   * Open buckets of subscriptions that ended at or before `now`, oldest first.
   *
   * @param slice - only those of its subscriptions
   */
  listOpenOfEnded(
    product: string,
    now: number,
    limit: number,
    cursor?: string,
    slice?: Slice,
  ): Promise<Page<BucketKey & { readonly subscriptionRow: Subscription }>>
  /** Every product that ever had a subscription, whether configuration still knows it or not. */
  listProducts(): Promise<readonly string[]>
  listHeld(
    product: string | undefined,
    limit: number,
  ): Promise<readonly { bucket: UsageBucket; subscription: Subscription }[]>
  /**
   * Closes buckets one after the other; `undefined` leaves a bucket as it is. A store closes either all in one transaction,
   * and throws where one fails, or each in its own, and gives the error in the place of its outcome.
   */
  close(
    keys: readonly BucketKey[],
    now: number,
    decide: (state: ClosingState) => Closing | undefined,
    needs: ClosingNeeds,
  ): Promise<readonly ('closed' | 'held' | 'unchanged' | { readonly error: unknown })[]>
  /**
   * Subscriptions and hours without any usage of a dimension, for the zero that AWS recommends.
   * Seals an empty bucket with a record of zero, unless the hour already has a bucket or AWS's key is taken.
   */
  sealSilence(key: BucketKey, meter: MeterKind, record: SealedRecord, now: number): Promise<boolean>

  /** Products that have records to send now. */
  listSendable(now: number): Promise<readonly { product: string; deadline: number }[]>
  /** Takes the most urgent records of a product and writes the attempt; undefined when there is nothing to send, or the ledger waits. */
  claim(options: ClaimOptions): Promise<ClaimedBatch | undefined>
  /** Ends an attempt: judges each of its records and books what follows. An attempt that ended before is left alone, but for a late `Success`. */
  settle(
    attempt: string,
    end: AttemptEnd,
    answers: ReadonlyMap<string, RecordAnswer>,
    judge: (record: UsageRecord, subscription: Subscription, answer: RecordAnswer) => Judgement,
  ): Promise<readonly UsageRecord[]>
  /** Unsettled records whose deadline is past and that are not in flight. */
  expire(
    now: number,
    limit: number,
    judge: (record: UsageRecord, subscription: Subscription) => Judgement,
  ): Promise<readonly UsageRecord[]>
  /** A person, or a reconciliation, ends a doubt. @throws {DomainError} `record.not_found`, `record.not_in_doubt` */
  resolve(record: string, verdict: 'accepted' | 'refused', actor: string, now: number): Promise<UsageRecord>
  /** Records of this dimension or license are sent alone until one succeeds. */
  isolate(product: string, kind: 'dimension' | 'identity', value: string, on: boolean): Promise<void>

  halt(halt: ProductHalt): Promise<void>
  resume(product: string, actor: string, now: number): Promise<boolean>
  listHalts(): Promise<readonly ProductHalt[]>
  raise(alarm: Alarm): Promise<void>
  /** Ends an alarm; one that is raised again is a new one. @returns whether it was open */
  clearAlarm(kind: Alarm['kind'], subject: string): Promise<boolean>
  /** Open ones, newest first. */
  listAlarms(limit: number): Promise<readonly OpenAlarm[]>

  listBuckets(filter: {
    product?: string | undefined
    subscription?: string | undefined
    dimension?: string | undefined
    status?: BucketStatus | undefined
    from?: Hour | undefined
    to?: Hour | undefined
    limit: number
    cursor?: string | undefined
  }): Promise<Page<UsageBucket>>
  listRecords(filter: {
    product?: string | undefined
    subscription?: string | undefined
    dimension?: string | undefined
    state?: RecordState | undefined
    limit: number
    cursor?: string | undefined
  }): Promise<Page<UsageRecord>>
  /** @throws {DomainError} `record.not_found` */
  getRecord(id: string): Promise<UsageRecord>
  /** Calls that carried a record, oldest first. */
  listAttempts(filter: { record: string; limit: number; cursor?: string | undefined }): Promise<Page<Attempt>>
  /** Events that were counted in a bucket, at most `limit`, in order of time. */
  listEvents(key: BucketKey, limit: number): Promise<readonly UsageEventRow[]>
  listTransfers(
    key: BucketKey,
  ): Promise<readonly (Transfer & { readonly at: number; readonly record: string | undefined })[]>
  /** @param at - without it, `overdue` and `carried` stay empty */
  status(product: string | undefined, at?: StatusAt): Promise<UsageStatus>
  /** Visits every meter, in pages, all of one moment. */
  audit(visit: (meters: readonly MeterAudit[]) => void | Promise<void>): Promise<void>

  /**
   * Forgets the ids of events timed before `horizon`, in whole hours, a slice at a time; remembers that it did.
   *
   * @param now - the clock that the horizon was made of: one that has just jumped ahead is not believed for a day.
   *   Without it the caller is
   * @returns how many events were forgotten; more may be left for the next run
   */
  purge(horizon: number, now?: number): Promise<number>
  /** Events timed before this are refused whatever the clock says, ms. */
  horizon(): Promise<number>
  /**
   * Grows with every change of any subscription: what was resolved under an older one is stale.
   *
   * @throws {DomainError} `ledger.waiting_for_release`, whichever process made it wait
   */
  epoch(): Promise<number>
}

export type { Allocation }
