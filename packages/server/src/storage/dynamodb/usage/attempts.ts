import assert from 'node:assert/strict'
import type { UsageRecord } from '../../../domain/usage/usage-record.ts'
import type { Attempt, AttemptEnd } from '../../../domain/usage/usage-store.ts'
import { int, optionalInt, text, texts } from '../fields.ts'
import { attemptKey } from '../keys.ts'
import type { Item, Reader, Table } from '../table.ts'
import { readText, type StoredText, storeText } from './stored-text.ts'

/** Deflated: a call of 25 plain records has some two thousand. */
const TEXT_INLINE_MAX = 30_000

/** Where a record is that a call carries. */
export type CarriedRecord = Pick<UsageRecord, 'id' | 'subscription' | 'dimension' | 'hour'>

/** A call that is about to be made. */
export interface NewAttempt extends Pick<Attempt, 'id' | 'product' | 'region' | 'startedAt' | 'request'> {
  readonly records: readonly CarriedRecord[]
}

/**
 * Writes it: durable when it resolves.
 *
 * @param isOver - it is there already, and is written over
 */
export async function writeAttempt(
  table: Table,
  { request, records, ...plain }: NewAttempt,
  isOver = false,
): Promise<void> {
  const key = attemptKey(plain.id)
  const stored = storeText(key.pk, 'request', request, TEXT_INLINE_MAX)
  await writeParts(table, stored)
  await table.transaction(async (tx) => {
    if (isOver) await tx.get(key)
    tx.put({
      ...key,
      ...plain,
      ...stored.attributes,
      outcome: 'in_flight',
      records: records.map(({ id }) => id),
      places: records.map(({ subscription, dimension, hour }) => [subscription, dimension, hour]),
    })
  })
}

/** Nothing of it was sent, and no record says that it was. */
export async function dropAttempt(table: Table, id: string): Promise<void> {
  const { pk } = attemptKey(id)
  await table.transaction(async (tx) => {
    for (const item of await tx.query({ pk })) {
      await tx.get(item)
      tx.delete(item)
    }
  })
}

/** Writes how it ended. @returns what it carried */
export async function endAttempt(
  table: Table,
  id: string,
  end: AttemptEnd,
): Promise<readonly CarriedRecord[]> {
  const key = attemptKey(id)
  const stored = storeText(key.pk, 'response', end.response, TEXT_INLINE_MAX)
  await writeParts(table, stored)
  return table.transaction(async (tx) => {
    const item = await tx.get(key)
    assert(item !== undefined, `attempt ${id} is unknown to the ledger`)
    tx.put(ended(item, end, stored))
    return carriedBy(item)
  })
}

function carriedBy(item: Item): CarriedRecord[] {
  const places = item.places as readonly (readonly [string, string, bigint])[]
  return texts(item.records).map((id, index) => {
    const [subscription, dimension, hour] = places[index]!
    return { id, subscription, dimension, hour: Number(hour) }
  })
}

/** The process that made it never said how it ended. */
export async function endLostAttempt(table: Table, id: string, now: number): Promise<void> {
  await table.transaction(async (tx) => {
    const item = await tx.get(attemptKey(id))
    if (item?.outcome !== 'in_flight') return
    const response = 'the process that sent it is gone'
    const end = { outcome: 'unanswered', response, finishedAt: now } as const
    tx.put(ended(item, end, storeText(item.pk, 'response', response, TEXT_INLINE_MAX)))
  })
}

function ended(item: Item, { outcome, finishedAt }: AttemptEnd, response: StoredText): Item {
  return { ...item, ...response.attributes, outcome, finishedAt }
}

/** Before the item that names them: parts that no item names are nothing. */
async function writeParts(table: Table, { parts }: StoredText): Promise<void> {
  for (const part of parts) {
    await table.transaction(async (tx) => {
      await tx.get(part)
      tx.put(part)
    })
  }
}

/** In the order of the ids. */
export async function readAttempts(reader: Reader, ids: readonly string[]): Promise<Attempt[]> {
  const items = await reader.getMany(ids.map(attemptKey))
  const attempts: Attempt[] = []
  for (const item of items) if (item !== undefined) attempts.push(await toAttempt(reader, item))
  return attempts
}

async function toAttempt(reader: Reader, item: Item): Promise<Attempt> {
  return {
    id: text(item.id),
    product: text(item.product),
    region: text(item.region),
    startedAt: int(item.startedAt),
    finishedAt: optionalInt(item.finishedAt),
    outcome: text(item.outcome) as Attempt['outcome'],
    records: texts(item.records),
    request: (await readText(reader, item, item.pk, 'request')) ?? '',
    response: await readText(reader, item, item.pk, 'response'),
  }
}
