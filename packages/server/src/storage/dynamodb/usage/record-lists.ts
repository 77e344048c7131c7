import { DomainError } from '../../../domain/error.ts'
import type { UsageRecord } from '../../../domain/usage/usage-record.ts'
import type { Attempt, BucketKey, Page, UsageStore } from '../../../domain/usage/usage-store.ts'
import {
  bucketKey,
  meterPartition,
  recordKey,
  recordsInState,
  recordsOfProduct,
  recordsOfSubscription,
} from '../keys.ts'
import type { IndexName, Item, Reader, Table } from '../table.ts'
import { readAttempts } from './attempts.ts'
import {
  listedState,
  type RecordRow,
  readRecord,
  readRecords,
  toTransfers,
  toUsageRecord,
} from './record-items.ts'
import { findRecordKeys, keyOf } from './records.ts'
import { readTotals } from './totals.ts'

type RecordFilter = Parameters<UsageStore['listRecords']>[0]

/** Items of each list read at once: as many as a page needs, or some more where not all of them fit. */
const SLICE_MIN = 10
const SLICE_MAX = 100

/** A list of records, or of items that say where they are; both in the order of their places. */
interface RecordList {
  readonly index: IndexName
  readonly partition: string
}

/** Newest first. The cursor is the place of the last one. */
export async function listRecords(table: Table, filter: RecordFilter): Promise<Page<UsageRecord>> {
  const rows: RecordRow[] = []
  const lists = await listsOf(table, filter)
  const slice = Math.min(Math.max(filter.limit + 1, SLICE_MIN), SLICE_MAX)
  let before = filter.cursor
  while (lists.length > 0 && rows.length < filter.limit) {
    const { found, reached } = await readNewest(table, lists, before, slice)
    rows.push(...found.filter((row) => fits(row, filter)))
    if (reached === undefined) break
    before = reached
  }
  const items = rows.slice(0, filter.limit)
  return {
    items: items.map(toUsageRecord),
    next: items.length === filter.limit ? items.at(-1)?.place : undefined,
  }
}

/** The fewest lists that have all records that fit. */
async function listsOf(table: Table, { subscription, product, state }: RecordFilter): Promise<RecordList[]> {
  if (subscription !== undefined)
    return [{ index: 'SecondListIndex', partition: recordsOfSubscription(subscription) }]
  const products =
    product === undefined
      ? [...new Set((await readTotals(table, undefined)).map((totals) => totals.product))]
      : [product]
  const partitionOf = (name: string) =>
    state === undefined || state === 'accepted'
      ? recordsOfProduct(name)
      : recordsInState(name, listedState(state))
  return products.map((name) => ({ index: 'ListIndex', partition: partitionOf(name) }))
}

function fits(row: RecordRow, { product, subscription, dimension, state }: RecordFilter): boolean {
  return (
    (product === undefined || row.product === product) &&
    (subscription === undefined || row.subscription === subscription) &&
    (dimension === undefined || row.dimension === dimension) &&
    (state === undefined || row.state === state)
  )
}

/**
 * The newest of all lists that are older than a place, and down to which place that is all there are. Each list is read
 * a slice deep: below the highest of their ends another may have more.
 */
async function readNewest(
  table: Table,
  lists: readonly RecordList[],
  before: string | undefined,
  slice: number,
): Promise<{ found: RecordRow[]; reached: string | undefined }> {
  const places = new Map<string, Item>()
  let reached: string | undefined
  for (const { index, partition } of lists) {
    const range = { pk: partition, to: before, reverse: true, limit: slice }
    const items = await table.queryIndex(index, range)
    const sort = index === 'ListIndex' ? 'listed' : 'alsoListed'
    for (const item of items) if (item[sort] !== before) places.set(item[sort] as string, item)
    const end = items.at(-1)?.[sort] as string | undefined
    if (items.length === slice && (reached === undefined || end! > reached)) reached = end
  }
  const newest = [...places]
    .filter(([place]) => reached === undefined || place >= reached)
    .sort(([a], [b]) => (a < b ? 1 : -1))
  return {
    found: await readPlaces(
      table,
      newest.map(([, item]) => item),
    ),
    reached,
  }
}

/** In the order of the items, of which some are records and some say where they are. */
async function readPlaces(table: Table, items: readonly Item[]): Promise<RecordRow[]> {
  const elsewhere = await table.getMany(items.filter((item) => item.state === undefined).map(keyOf))
  const found = elsewhere[Symbol.iterator]()
  const records = items.map((item) => (item.state === undefined ? found.next().value : item))
  return readRecords(
    table,
    records.filter((item) => item !== undefined),
  )
}

/** @throws {DomainError} `record.not_found` */
export async function getRecord(reader: Reader, id: string): Promise<RecordRow> {
  const [key] = await findRecordKeys(reader, [id])
  const item = key && (await reader.get(key))
  if (item === undefined) throw new DomainError('record.not_found', `no usage record ${id}`)
  return readRecord(reader, item)
}

/** Calls that carried a record, oldest first. */
export async function listAttempts(
  reader: Reader,
  { record, limit, cursor }: Parameters<UsageStore['listAttempts']>[0],
): Promise<Page<Attempt>> {
  const [key] = await findRecordKeys(reader, [record])
  const item = key && (await reader.get(key))
  if (item === undefined) return { items: [], next: undefined }
  const { attemptIds } = await readRecord(reader, item)
  const from = cursor === undefined ? 0 : attemptIds.indexOf(cursor) + 1
  const items = await readAttempts(reader, attemptIds.slice(from, from + limit))
  return { items, next: items.length === limit ? items.at(-1)?.id : undefined }
}

/** What moved in an hour of a meter: in its bucket, and in its record. */
export async function listTransfers(reader: Reader, { subscription, dimension, hour }: BucketKey) {
  const [bucket, record] = await reader.getMany([
    bucketKey(meterPartition(subscription, dimension), hour, 0),
    recordKey(subscription, dimension, hour),
  ])
  const id = record?.id as string | undefined
  return [
    ...toTransfers(bucket?.transfers).map((transfer) => ({ ...transfer, record: undefined })),
    ...toTransfers(record?.transfers).map((transfer) => ({ ...transfer, record: id })),
  ].sort((a, b) => a.at - b.at)
}
