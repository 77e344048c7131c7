import { HOUR_MS, type Hour, hourOf, hourStart } from '../../../domain/usage/hour.ts'
import { int, text } from '../fields.ts'
import {
  bucketHourPrefix,
  bucketsPartitions,
  hourDigits,
  ledgerKey,
  productsPartition,
  strayPartition,
} from '../keys.ts'
import type { Table, Transaction } from '../table.ts'

/** Hours forgotten in one run: other jobs wait for it. What is left is the next run's. */
const HOURS_MAX = 400
/** A clock that jumped further than this must go on for as long before it is believed. */
const TRUST_AFTER_MS = 24 * HOUR_MS
/** How often the clock is written down. */
const NOTE_CLOCK_MS = 10 * 60_000

/**
 * Forgets events timed before the horizon's hour, oldest first: from then on nobody sees them, and DynamoDB deletes them
 * in its own time. What they counted stays in their buckets.
 *
 * @param now - what the horizon was made of; see `trustsClock`
 */
export async function purgeEvents(table: Table, horizon: number, now: number | undefined): Promise<number> {
  if (now !== undefined && !(await table.transaction((tx) => trustsClock(tx, now)))) return 0
  const before = hourOf(horizon)
  const products = (await table.query({ pk: productsPartition })).map(({ product }) => text(product))
  const partitions = products.flatMap(bucketsPartitions)
  let from = hourOf(await readHorizon(table))
  let purged = 0
  for (let hours = 0; hours < HOURS_MAX; hours++) {
    // What never was cannot be forgotten: an import may still reach back further than events do.
    const oldest = await findOldest(table, partitions, from, before)
    if (oldest === undefined) {
      if (hours > 0) await raiseHorizon(table, before)
      break
    }
    // At first, or a repeat of what is forgotten would count again.
    await raiseHorizon(table, oldest + 1)
    purged += await countEvents(table, partitions, oldest)
    from = oldest + 1
  }
  return purged
}

export async function readHorizon(table: Pick<Table, 'get'>): Promise<number> {
  return int((await table.get(ledgerKey('horizon')))?.value ?? 0)
}

/**
 * A purge cannot be taken back: what is older than its horizon is refused for good, whatever the clock says later. So a
 * clock that is a day or more ahead of when it was last asked, or behind, is believed only after it has gone on for
 * another day.
 */
async function trustsClock(tx: Transaction, now: number): Promise<boolean> {
  const key = ledgerKey('clock')
  const known = await tx.get(key)
  const goesOn = known !== undefined && Math.abs(now - int(known.at)) <= TRUST_AFTER_MS
  const since = goesOn ? int(known.since) : now
  if (!goesOn || Math.abs(now - int(known.at)) >= NOTE_CLOCK_MS) tx.put({ ...key, since, at: now })
  return now - since >= TRUST_AFTER_MS
}

async function raiseHorizon(table: Table, hour: Hour): Promise<void> {
  await table.transaction(async (tx) => {
    const key = ledgerKey('horizon')
    const item = await tx.get(key)
    if (int(item?.value ?? 0) < hourStart(hour)) tx.put({ ...item, ...key, value: hourStart(hour) })
  })
}

/** The oldest hour before another that has events, of its own or counted elsewhere. */
async function findOldest(
  table: Table,
  partitions: readonly string[],
  from: Hour,
  before: Hour,
): Promise<Hour | undefined> {
  const range = { from: hourDigits(from), to: hourDigits(before), limit: 1 }
  const [stray] = await table.query({ pk: strayPartition, ...range })
  let oldest = stray === undefined ? before : Math.min(before, int(stray.hour))
  const found = await Promise.all(
    partitions.map(async (pk) => {
      for await (const [entry] of table.entries('SecondListIndex', { pk, ...range }))
        if (entry !== undefined) return Number(entry.sort.slice(0, 8))
      return before
    }),
  )
  for (const hour of found) oldest = Math.min(oldest, hour)
  return oldest < before ? oldest : undefined
}

async function countEvents(table: Table, partitions: readonly string[], hour: Hour): Promise<number> {
  let events = 0
  for (const stray of await table.query({ pk: strayPartition, prefix: `${hourDigits(hour)}#` })) {
    events += int(stray.events)
    await table.transaction(async (tx) => {
      if ((await tx.get(stray)) !== undefined) tx.delete(stray)
    })
  }
  for (const pk of partitions) {
    for await (const entries of table.entries('SecondListIndex', { pk, prefix: `${hourDigits(hour)}#` })) {
      for (const entry of entries) {
        for (const shard of await table.query({ pk: entry.pk, prefix: bucketHourPrefix(hour) }))
          events += int(shard.events ?? 0) - int(shard.strayEvents ?? 0) + int(shard.unbillableEvents ?? 0)
      }
    }
  }
  return events
}
