/**
 * What an item holds. Integers are `bigint` when read, whatever their size; written as either. `undefined` and empty sets
 * are left out.
 */
export type Attribute =
  | string
  | bigint
  | number
  | boolean
  | Uint8Array
  | ReadonlySet<string>
  | readonly Attribute[]
  | { readonly [name: string]: Attribute | undefined }

export interface Key {
  readonly pk: string
  readonly sk: string
}

/** The names `v`, `lock` and `ghost` are the table's own, and never seen here. */
export interface Item extends Key {
  readonly [name: string]: Attribute | undefined
}

/** A range of one partition, or of one partition of an index, in the order of its sort key. */
export interface Range {
  readonly pk: string
  /** Sort keys that begin so; or from `from` to `to`, both included. */
  readonly prefix?: string | undefined
  readonly from?: string | undefined
  readonly to?: string | undefined
  /** Largest sort key first. */
  readonly reverse?: boolean | undefined
  /** At most so many; default: all, whatever the number of pages. */
  readonly limit?: number | undefined
}

/**
 * Global secondary indexes. Each follows its table within moments, so what is found by one is a hint: it may miss what was
 * just written. Items come whole, as they are now: those that no longer belong into the range are left out.
 */
export type IndexName =
  /** Sparse: records that are ready or sent. Partition `pendingProduct`, sort `pendingDue`. */
  | 'PendingMeteringRecordsIndex'
  /** Sparse: whatever is of an AWS account. Partition `account`, sort `accountOf`. */
  | 'AWSAccountIndex'
  /** Sparse: buckets that are open or held. Partition `unsealed`, sort `unsealedAt`. */
  | 'UnsealedBucketsIndex'
  /** Events by the shard of the bucket that counts them. Partition `countedIn`, sort `countedAt`. */
  | 'BucketEventsIndex'
  /** Lists: of a product's records, the audit trail, … Partition `list`, sort `listed`. */
  | 'ListIndex'
  /** A second way that an item is listed. Partition `also`, sort `alsoListed`. */
  | 'SecondListIndex'

/** What an index knows of an item. */
export interface IndexEntry extends Key {
  /** What it is sorted by there. */
  readonly sort: string
}

export interface Reader {
  /** Strongly consistent. */
  get(key: Key): Promise<Item | undefined>
  /** Strongly consistent, in the order of the keys. */
  getMany(keys: readonly Key[]): Promise<readonly (Item | undefined)[]>
  /** Strongly consistent; sees the own step's writes. */
  query(range: Range): Promise<readonly Item[]>
  /** Eventually consistent, also within a step: never decide on it without reading the items. */
  queryIndex(index: IndexName, range: Range): Promise<readonly Item[]>
}

/**
 * One step in progress. What it reads by `get` must be unchanged when it is committed, if it writes anything; else it
 * runs again. What it reads by `query` is checked only where it is written or guarded: guard what vouches for it.
 */
export interface Transaction extends Reader {
  /** As `Table.shards`. */
  readonly shards: number
  /** Reads without a check at the commit. */
  peek(key: Key): Promise<Item | undefined>
  /**
   * Reads without a check at the commit, and none of the items while another's transaction is being written to it. DynamoDB
   * writes one item after the other: who has read one of them otherwise may find the next as it was before.
   */
  peekSettled(keys: readonly Key[]): Promise<readonly (Item | undefined)[]>
  /** Commits only if the item is as it was read, or, unread, if it is missing. */
  guard(key: Key): void
  /** Commits only if the item is there and none of the refusals is so. Reads nothing, and nobody has to run again for it. */
  check(key: Key, refuseIf: readonly Refusal[]): void
  /** Writes a whole item: over the one that was read, or, unread, where there is none. */
  put(item: Item): void
  delete(key: Key): void
  /** Adds without reading: many may do so at once, and none has to run again for another. */
  add(key: Key, addition: Addition): void
  /**
   * Does a work once the step is committed, before its caller is answered. It is lost with the process, or where it fails:
   * somebody else must do it then.
   */
  afterwards(work: (table: Table) => Promise<unknown>): void
}

export interface Addition {
  /** Integers that grow by so much; a missing one is zero. */
  readonly amounts: { readonly [name: string]: bigint | number }
  /** Attributes that are set where they, or the whole item, are missing. */
  readonly initial?: { readonly [name: string]: Attribute | undefined } | undefined
  /** Attributes that are set whatever they were, without a look at what else of the item changes. */
  readonly set?: { readonly [name: string]: Attribute } | undefined
  /** Commits only if none of these is so. */
  readonly refuseIf?: readonly Refusal[] | undefined
  /** Default: true. False: the commit fails with `AdditionRefused` where the item is missing. */
  readonly mayCreate?: boolean | undefined
}

/** Fails a commit with `AdditionRefused`. A missing attribute is neither another nor above. */
export type Refusal =
  | { readonly attribute: string; readonly isNot: Attribute }
  | { readonly attribute: string; readonly isAbove: bigint | number }
  | { readonly attribute: string; readonly isPresent: true }

/** What an addition or a check asked for was not so when the step was committed. Nothing was written. */
export class AdditionRefused extends Error {
  readonly key: Key
  /** As it was; undefined: missing. */
  readonly item: Item | undefined

  constructor(key: Key, item: Item | undefined) {
    super(`refused at ${key.pk} / ${key.sk}`)
    this.name = 'AdditionRefused'
    this.key = key
    this.item = item
  }
}

/** One table with all that a ledger keeps. */
export interface Table extends Reader {
  /** For messages. */
  readonly name: string
  /** Of a bucket's counters: how many items share them, so that no single one is hot. Fixed with the ledger. */
  readonly shards: number
  /** So many items, and no more, are written by one `TransactWriteItems`: AWS takes 100, the test engine 10. */
  readonly transactionItemsMax: number
  /**
   * Like `getMany`, and never behind what was read before. DynamoDB commits a transaction item by item: other reads may
   * find one of its items new and, a moment later, another one still old. Twice the price.
   */
  getSettled(keys: readonly Key[]): Promise<readonly (Item | undefined)[]>
  /**
   * Runs a step until it was committed against what it read; so it does nothing else than read and write here. All of it
   * is durable when it resolves, or none of it happened; what no single `TransactWriteItems` holds goes through a journal.
   *
   * @throws {DomainError} `ledger.busy` where others, or DynamoDB, left no room for it in time
   * @throws {AdditionRefused}
   */
  transaction<T>(step: (tx: Transaction) => Promise<T>): Promise<T>
  /** Pages of a range, for what is too long to be held. */
  pages(range: Range, index?: IndexName): AsyncIterable<readonly Item[]>
  /** Pages of an index as it stands, without reading the items: hints, to choose from many or to count them. */
  entries(index: IndexName, range: Range): AsyncIterable<readonly IndexEntry[]>
  /** Finishes the large steps of processes that died within one. @returns how many */
  recover(): Promise<number>
  close(): void
}
