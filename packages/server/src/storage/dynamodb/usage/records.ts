import type { Transfer } from '../../../domain/usage/account.ts'
import type { Hour } from '../../../domain/usage/hour.ts'
import { awsIdentityKey, type UsageRecord } from '../../../domain/usage/usage-record.ts'
import type { BucketKey, ClosingState, SealedRecord } from '../../../domain/usage/usage-store.ts'
import { text } from '../fields.ts'
import {
  awsRecordKey,
  fixedKey,
  ledgerKey,
  recordIdKey,
  recordKey,
  recordsOfProduct,
  recordsOfSubscription,
} from '../keys.ts'
import { placeAt } from '../order.ts'
import type { Item, Reader, Transaction } from '../table.ts'
import { ALLOCATIONS, type RecordRow, toRecordItem } from './record-items.ts'
import { storeText } from './stored-text.ts'
import { countState } from './totals.ts'

/** A record is written whole with every attempt: longer allocations lie beside it. */
const ALLOCATIONS_INLINE_MAX = 4_000

/** Whom and where a subscription's hour is metered as is decided by its first record, whatever its dimension. */
export async function fixedOf(
  tx: Pick<Reader, 'get'>,
  subscription: string,
  hour: Hour,
): Promise<ClosingState['fixed']> {
  const item = await tx.get(fixedKey(subscription, hour))
  return item && { identity: JSON.parse(text(item.identity)), region: text(item.region) }
}

/** Does a record of this ledger have AWS's key for the hour? Where not, it stays so until the step is committed. */
export async function isTaken(
  tx: Pick<Reader, 'get'>,
  record: Pick<SealedRecord, 'region' | 'identity'>,
  key: Pick<BucketKey, 'dimension' | 'hour'>,
): Promise<boolean> {
  return (await tx.get(awsKeyOf(record, key))) !== undefined
}

function awsKeyOf(
  record: Pick<SealedRecord, 'region' | 'identity'>,
  key: Pick<BucketKey, 'dimension' | 'hour'>,
) {
  return awsRecordKey(record.region, awsIdentityKey(record.identity), key.dimension, key.hour)
}

/**
 * After a restore: another copy of this ledger may have sent this hour's record. Read without a check: the range is
 * written before a person lets the ledger go on, and nothing is sealed until then.
 */
export async function isDoubtful(tx: Pick<Transaction, 'peek'>, hour: Hour): Promise<boolean> {
  const item = await tx.peek(ledgerKey('doubt'))
  if (item === undefined) return false
  const doubt = JSON.parse(text(item.value)) as { from: Hour; to: Hour }
  return hour >= doubt.from && hour <= doubt.to
}

/**
 * Adds the record of an hour that is sealed in this step, whose key is not taken.
 *
 * @param transfers - to `ready`: the others belong to the bucket
 */
export async function insertRecord(
  tx: Transaction,
  key: BucketKey,
  sealed: SealedRecord,
  transfers: readonly Transfer[],
  now: number,
): Promise<void> {
  const unanswered = (await isDoubtful(tx, key.hour)) ? 1 : 0
  const ids = recordIdKey(sealed.id)
  // Most records have none, and then no text is kept.
  const stored =
    sealed.allocations.length === 0
      ? { attributes: {}, parts: [] }
      : storeText(ids.pk, ALLOCATIONS, JSON.stringify(sealed.allocations), ALLOCATIONS_INLINE_MAX)
  const row: RecordRow = {
    ...sealed,
    subscription: key.subscription,
    dimension: key.dimension,
    hour: key.hour,
    state: 'ready',
    sealedAt: now,
    attempts: 0,
    unanswered,
    nextAttemptAt: now,
    meteringRecordId: undefined,
    note: unanswered === 1 ? 'may have been sent by another copy of this ledger' : undefined,
    place: placeAt(now),
    attempt: undefined,
    leaseUntil: undefined,
    attemptIds: [],
    transfers: transfers.map(({ from, to, amount }) => ({ from, to, amount, at: now })),
    doubtedBy: undefined,
    allocationAttributes: stored.attributes,
  }
  tx.put(toRecordItem(row))
  for (const part of stored.parts) tx.put(part)
  tx.put(toIdItem(row))
  tx.put({ ...awsKeyOf(sealed, key), record: sealed.id })
  const fixed = fixedKey(key.subscription, key.hour)
  if ((await tx.get(fixed)) === undefined)
    tx.put({ ...fixed, identity: JSON.stringify(sealed.identity), region: sealed.region })
  countState(tx, row, undefined, 'ready')
}

/** Never changes: it carries the lists that a record stays in for good. */
function toIdItem(row: RecordRow): Item {
  return {
    ...recordIdKey(row.id),
    subscription: row.subscription,
    dimension: row.dimension,
    hour: row.hour,
    list: recordsOfProduct(row.product),
    listed: row.place,
    also: recordsOfSubscription(row.subscription),
    alsoListed: row.place,
  }
}

/** Where the records of these ids are; undefined where there is none. */
export async function findRecordKeys(reader: Pick<Reader, 'getMany'>, ids: readonly string[]) {
  const items = await reader.getMany(ids.map(recordIdKey))
  return items.map((item) => item && keyOf(item))
}

/** From an item that says where a record is. */
export function keyOf(item: Item) {
  return recordKey(text(item.subscription), text(item.dimension), Number(item.hour))
}

export function recordKeyOf({ subscription, dimension, hour }: BucketKey) {
  return recordKey(subscription, dimension, hour)
}

/** Base units that it stands for. */
export function amountOf({ quantity, unitBase }: UsageRecord): bigint {
  return BigInt(quantity) * unitBase
}
