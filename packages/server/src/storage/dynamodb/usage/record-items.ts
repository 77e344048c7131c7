import { hash } from 'node:crypto'
import type { Account, Transfer } from '../../../domain/usage/account.ts'
import { awsIdentityKey, type RecordState, type UsageRecord } from '../../../domain/usage/usage-record.ts'
import { big, int, optionalInt, optionalText, text, texts } from '../fields.ts'
import { padded, recordIdKey, recordKey, recordsInState } from '../keys.ts'
import type { Attribute, Item, Reader } from '../table.ts'
import { readText } from './stored-text.ts'

/** A step of an amount, as it is kept within the item that it concerns. */
export type BookedTransfer = Transfer & { readonly at: number }

export const ALLOCATIONS = 'allocations'

/**
 * A usage record as its item keeps it: with its journal and its attempts, so that one write changes all that belongs
 * together. Both stay short: of a record that is refused for a whole day they come to some 20 KB.
 */
export interface RecordRow extends UsageRecord {
  /** Its place among all records, in the order of sealing. */
  readonly place: string
  /** The attempt that it is in flight with; another may take it over at `leaseUntil`. */
  readonly attempt: string | undefined
  readonly leaseUntil: number | undefined
  /** Ids of all attempts that carried it, oldest first. */
  readonly attemptIds: readonly string[]
  readonly transfers: readonly BookedTransfer[]
  /** After a restore: the mark by which it was counted as one that another copy may have sent. */
  readonly doubtedBy: string | undefined
  /** The allocations as they are kept. They are frozen: what is written again is what was read. */
  readonly allocationAttributes: { readonly [name: string]: Attribute | undefined }
}

/** Reads what items of records hold, with allocations that lie beside them. */
export async function readRecords(
  reader: Pick<Reader, 'getMany'>,
  items: readonly Item[],
): Promise<RecordRow[]> {
  const rows: RecordRow[] = []
  for (const item of items) rows.push(await readRecord(reader, item))
  return rows
}

export async function readRecord(reader: Pick<Reader, 'getMany'>, item: Item): Promise<RecordRow> {
  const allocations = await readText(reader, item, recordIdKey(text(item.id)).pk, ALLOCATIONS)
  return {
    id: text(item.id),
    product: text(item.product),
    subscription: text(item.subscription),
    dimension: text(item.dimension),
    hour: int(item.hour),
    region: text(item.region),
    identity: JSON.parse(text(item.identity)),
    timestamp: int(item.timestamp),
    quantity: int(item.quantity),
    unitBase: big(item.unitBase),
    allocations: allocations === undefined ? [] : JSON.parse(allocations),
    state: text(item.state) as RecordState,
    deadline: int(item.deadline),
    sealedAt: int(item.sealedAt),
    attempts: int(item.attempts),
    unanswered: int(item.unanswered),
    nextAttemptAt: int(item.nextAttemptAt),
    meteringRecordId: optionalText(item.meteringRecordId),
    note: optionalText(item.note),
    place: text(item.place),
    attempt: optionalText(item.attempt),
    leaseUntil: optionalInt(item.leaseUntil),
    attemptIds: texts(item.attemptIds),
    transfers: toTransfers(item.transfers),
    doubtedBy: optionalText(item.doubtedBy),
    allocationAttributes: {
      [ALLOCATIONS]: item[ALLOCATIONS],
      [`${ALLOCATIONS}Parts`]: item[`${ALLOCATIONS}Parts`],
    },
  }
}

/** What the domain knows of it. */
export function toUsageRecord(row: RecordRow): UsageRecord {
  const { place, attempt, leaseUntil, attemptIds, transfers, doubtedBy, allocationAttributes, ...record } =
    row
  return record
}

export function toRecordItem(row: RecordRow): Item {
  const { allocations, allocationAttributes, identity, transfers, ...plain } = row
  return {
    ...plain,
    ...recordKey(row.subscription, row.dimension, row.hour),
    ...allocationAttributes,
    identity: JSON.stringify(identity),
    transfers: fromTransfers(transfers),
    ...pendingAttributes(row),
    list: row.state === 'accepted' ? undefined : recordsInState(row.product, listedState(row.state)),
    listed: row.state === 'accepted' ? undefined : row.place,
  }
}

/** Ready and sent take turns: moving between lists would cost more than it saves. */
export function listedState(state: RecordState): string {
  return state === 'ready' || state === 'sent' ? 'pending' : state
}

export function toTransfers(value: Attribute | undefined): BookedTransfer[] {
  return ((value ?? []) as readonly { readonly [name: string]: Attribute | undefined }[]).map((booked) => ({
    from: text(booked.from) as Account,
    to: text(booked.to) as Account,
    amount: big(booked.amount),
    at: int(booked.at),
  }))
}

/** For an item's list `transfers`; a step that moves nothing is none. */
export function fromTransfers(transfers: readonly BookedTransfer[]): readonly Attribute[] {
  return transfers.filter(({ from, to, amount }) => amount !== 0n && from !== to).map((step) => ({ ...step }))
}

function pendingAttributes(row: RecordRow) {
  if (row.state !== 'ready' && row.state !== 'sent')
    return { pendingProduct: undefined, pendingDue: undefined }
  return { pendingProduct: row.product, pendingDue: pendingDue(row) }
}

/** What PendingMeteringRecordsIndex is sorted by: enough to choose by it, among many, without reading the records. */
export interface PendingEntry {
  /** When AWS stops taking it, ms. */
  readonly deadline: number
  readonly place: string
  /** When it may be sent, if it is not in flight by then, ms. */
  readonly availableAt: number
  readonly dimensionMark: string
  readonly identityMark: string
}

function pendingDue(row: RecordRow): string {
  return [
    padded(row.deadline),
    row.place,
    padded(Math.max(row.nextAttemptAt, row.leaseUntil ?? 0)),
    markOf(row.dimension),
    markOf(awsIdentityKey(row.identity)),
  ].join('.')
}

export function parsePendingDue(sort: string): PendingEntry {
  const [deadline, place, availableAt, dimensionMark, identityMark] = sort.split('.')
  return {
    deadline: Number(deadline),
    place: place!,
    availableAt: Number(availableAt),
    dimensionMark: dimensionMark!,
    identityMark: identityMark!,
  }
}

/** Short, and nearly always another for another value: who decides by it reads the record. */
export function markOf(value: string): string {
  return hash('sha256', value, 'hex').slice(0, 10)
}
