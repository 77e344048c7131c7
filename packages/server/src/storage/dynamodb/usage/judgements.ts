import assert from 'node:assert/strict'
import type { Account } from '../../../domain/usage/account.ts'
import { CARRY_MAX } from '../../../domain/usage/close-bucket.ts'
import type { Hour } from '../../../domain/usage/hour.ts'
import { tagSetKey } from '../../../domain/usage/tags.ts'
import { CLOSED_STATES, type RecordState } from '../../../domain/usage/usage-record.ts'
import type { Judgement, MeterKey } from '../../../domain/usage/usage-store.ts'
import { meterKey } from '../keys.ts'
import type { Item, Transaction } from '../table.ts'
import { readCarry, writeCarry } from './carry.ts'
import { type BookedTransfer, type RecordRow, toRecordItem } from './record-items.ts'
import { amountOf } from './records.ts'
import { countState } from './totals.ts'

/** Makes sure that a bucket is open at or after an hour. @returns its hour; undefined where all are closed */
export type OpenBucket = (tx: Transaction, meter: MeterKey, from: Hour) => Promise<Hour | undefined>

/** What an answer, or a deadline, makes of a record: its state, its amount, and where that goes on. @returns it as it is then */
export async function applyJudgement(
  tx: Transaction,
  row: RecordRow,
  judged: Judgement,
  now: number,
  openBucket: OpenBucket,
): Promise<RecordRow> {
  const judgement = await withinBounds(tx, row, judged)
  const { state } = judgement
  const after: RecordRow = {
    ...row,
    state,
    unanswered: judgement.unanswered,
    nextAttemptAt: judgement.nextAttemptAt ?? row.nextAttemptAt,
    meteringRecordId: judgement.meteringRecordId ?? row.meteringRecordId,
    note: judgement.note ?? (CLOSED_STATES.includes(state) ? undefined : row.note),
    attempt: undefined,
    leaseUntil: undefined,
    transfers: moved(row, state, now),
  }
  tx.put(toRecordItem(after))
  countState(tx, row, row.state, state)
  if (row.state !== state && state === 'carried') await addToCarry(tx, row, 1n)
  if (row.state !== state && row.state === 'carried') await addToCarry(tx, row, -1n)
  if (judgement.openFrom !== undefined) await openBucket(tx, row, judgement.openFrom)
  return after
}

/** A carry that no 64 bits hold would stop the whole run: that amount is refused, with an alarm. */
async function withinBounds(tx: Transaction, row: RecordRow, judgement: Judgement): Promise<Judgement> {
  if (judgement.state !== 'carried') return judgement
  const { amount } = await readCarry(tx, await meterOf(tx, row))
  if (amount + amountOf(row) <= CARRY_MAX) return judgement
  return {
    state: 'refused',
    unanswered: judgement.unanswered,
    note: 'AWS no longer takes this hour, and more is carried already than AWS takes in centuries',
  }
}

/** Its journal once its whole amount has moved from the account of one state to that of another. */
export function moved(row: RecordRow, to: RecordState, at: number): readonly BookedTransfer[] {
  const [source, target] = [accountOf(row.state), accountOf(to)]
  const amount = amountOf(row)
  if (source === target || amount === 0n) return row.transfers
  return [...row.transfers, { from: source, to: target, amount, at }]
}

function accountOf(state: RecordState): Account {
  return state === 'carried' ? 'carry' : state
}

/** What is carried keeps its tags. */
async function addToCarry(tx: Transaction, row: RecordRow, sign: bigint): Promise<void> {
  const meter = await meterOf(tx, row)
  const carry = await readCarry(tx, meter)
  const amount = carry.amount + sign * amountOf(row)
  assert(amount >= 0n, `${row.id} was carried, and its meter carries less`)
  const tags = new Map(carry.tags)
  for (const allocation of row.allocations) {
    if (allocation.tags.length === 0) continue
    const key = tagSetKey(allocation.tags)
    tags.set(key, (tags.get(key) ?? 0n) + sign * BigInt(allocation.quantity) * row.unitBase)
  }
  await writeCarry(tx, meter, { amount, tags })
}

async function meterOf(tx: Transaction, { subscription, dimension }: MeterKey): Promise<Item> {
  const meter = await tx.get(meterKey(subscription, dimension))
  assert(meter !== undefined, `meter ${subscription}/${dimension} is missing`)
  return meter
}
