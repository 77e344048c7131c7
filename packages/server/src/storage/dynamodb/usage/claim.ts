import { randomUUID } from 'node:crypto'
import type { UsageRecord } from '../../../domain/usage/usage-record.ts'
import type { ClaimedBatch, ClaimOptions } from '../../../domain/usage/usage-store.ts'
import { int } from '../fields.ts'
import { haltKey, ledgerKey, rateKey } from '../keys.ts'
import type { Item, Table } from '../table.ts'
import { dropAttempt, endLostAttempt, type NewAttempt, writeAttempt } from './attempts.ts'
import { findCandidates, isSendable } from './candidates.ts'
import { mayProbe, readIsolations, takeProbe } from './halts.ts'
import { moved } from './judgements.ts'
import { type RecordRow, readRecords, toRecordItem, toUsageRecord } from './record-items.ts'
import { recordKeyOf } from './records.ts'
import { countState } from './totals.ts'

/** How often other processes may take all that was found before it is left to them. */
const TRIES_MAX = 5
/** A turn further ahead is one of a clock that went back since: it is nobody's any more. */
const TURN_AHEAD_MAX_MS = 60_000

/**
 * Takes the most urgent records of a product, all before the first byte leaves.
 *
 * One transaction of the whole would be larger than some engines take, and one record that another process is faster
 * with would undo it all. So it goes step by step, each of which may be the last before a crash:
 * 1. The attempt is written. With no record that has its id, it is never shown and nobody waits for it.
 * 2. Records are taken in small transactions, each on the condition that it may still be sent: of two processes one gets
 *    it. From here on it counts as sent with this attempt; after a crash its lease runs out, and whoever takes it next
 *    counts the attempt as unanswered. It was not sent, but that is the safe side.
 * 3. A turn is taken, for records that are ours: no turn passes unused. Where others were faster with some records, the
 *    attempt is written again without them. Only then, with all of what is sent on disk, the caller sends.
 *
 * A stop by a person that comes meanwhile comes too late for this call, as if it were already under way.
 */
export async function claim(table: Table, options: ClaimOptions): Promise<ClaimedBatch | undefined> {
  const { product, now, leaseMs } = options
  const [[halt, waiting], isolations] = await Promise.all([
    table.getMany([haltKey(product), ledgerKey('waiting')]),
    readIsolations(table, product),
  ])
  // Whatever this process knows of it: another may have made it wait.
  if (waiting !== undefined) return undefined
  if (halt !== undefined && !mayProbe(halt, now)) return undefined
  const probe = halt !== undefined
  for (let tries = 0; tries < TRIES_MAX; tries++) {
    const { rows, alone } = await findCandidates(table, options, isolations)
    if (rows.length === 0) return undefined
    if (probe && tries === 0 && !(await takeProbe(table, product, now, now + leaseMs))) return undefined
    const batch = await take(table, rows, options)
    if (batch !== undefined) return { ...batch, product, alone, probe }
  }
  return undefined
}

async function take(
  table: Table,
  rows: readonly RecordRow[],
  options: ClaimOptions,
): Promise<Omit<ClaimedBatch, 'product' | 'alone' | 'probe'> | undefined> {
  const { product, now, leaseMs, spacingMs, requestOf } = options
  const { region } = rows[0]!
  const attempt = attemptFor(`att_${randomUUID()}`, rows.map(toUsageRecord))
  const lost = new Set(rows.flatMap((row) => row.attempt ?? []))
  const [turn] = await Promise.all([
    table.get(rateKey(region)),
    writeAttempt(table, attempt),
    ...[...lost].map((id) => endLostAttempt(table, id, now)),
  ])
  // By the turn that it would be now: the others that may come before it take less time than a lease has to spare.
  const leaseUntil = turnAt(turn, now) + leaseMs
  const records: UsageRecord[] = []
  for (const slice of slicesOf(rows, table.transactionItemsMax)) {
    const taken = await takeSlice(table, slice, attempt.id, leaseUntil, options)
    records.push(...taken)
    // Another process is at the same ones: it gets the rest, or each would send a few of them at a time.
    if (taken.length < slice.length) break
  }
  if (records.length === 0) {
    await dropAttempt(table, attempt.id)
    return undefined
  }
  const [sendAt] = await Promise.all([
    takeTurn(table, region, now, spacingMs),
    records.length < rows.length
      ? writeAttempt(table, attemptFor(attempt.id, records), true)
      : Promise.resolve(),
  ])
  return { attempt: attempt.id, region, records, sendAt }

  function attemptFor(id: string, sent: readonly UsageRecord[]): NewAttempt {
    return { id, product, region, startedAt: now, records: sent, request: requestOf(sent) }
  }
}

/** AWS counts calls by account and region: all processes take their turn from one item. @returns when it is, ms */
async function takeTurn(table: Table, region: string, now: number, spacingMs: number): Promise<number> {
  return table.transaction(async (tx) => {
    const key = rateKey(region)
    const sendAt = turnAt(await tx.get(key), now)
    tx.put({ ...key, region, nextAt: sendAt + spacingMs })
    return sendAt
  })
}

/** When the next turn is, by a region's rate. */
function turnAt(rate: Item | undefined, now: number): number {
  const next = rate === undefined ? now : int(rate.nextAt)
  return next > now && next - now < TURN_AHEAD_MAX_MS ? next : now
}

/** So many rows, with the totals that they change, as one transaction holds: one item for each dimension's totals. */
export function* slicesOf<T extends { readonly dimension: string }>(
  rows: readonly T[],
  itemsMax: number,
): Generator<readonly T[]> {
  let slice: T[] = []
  let dimensions = new Set<string>()
  for (const row of rows) {
    if (slice.length + new Set([...dimensions, row.dimension]).size + 1 > itemsMax) {
      yield slice
      slice = []
      dimensions = new Set()
    }
    slice.push(row)
    dimensions.add(row.dimension)
  }
  if (slice.length > 0) yield slice
}

/** @returns those that are ours now, as they were before */
async function takeSlice(
  table: Table,
  slice: readonly RecordRow[],
  attempt: string,
  leaseUntil: number,
  options: ClaimOptions,
): Promise<readonly UsageRecord[]> {
  const lostBefore = new Map(slice.map((row) => [row.id, row.attempt]))
  return table.transaction(async (tx) => {
    const items = await tx.getMany(slice.map(recordKeyOf))
    const rows = await readRecords(
      tx,
      items.filter((item) => item !== undefined),
    )
    // One that was taken and lost again meanwhile is the next call's: its attempt has to be ended first.
    const free = rows.filter((row) => isSendable(row, options) && row.attempt === lostBefore.get(row.id))
    for (const row of free) {
      tx.put(
        toRecordItem({
          ...row,
          state: 'sent',
          attempts: row.attempts + 1,
          unanswered: row.unanswered + (row.attempt === undefined ? 0 : 1),
          attempt,
          leaseUntil,
          attemptIds: [...row.attemptIds, attempt],
          transfers: moved(row, 'sent', options.now),
        }),
      )
      countState(tx, row, row.state, 'sent')
    }
    return free.map(toUsageRecord)
  })
}
