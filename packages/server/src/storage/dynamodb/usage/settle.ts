import assert from 'node:assert/strict'
import { DomainError } from '../../../domain/error.ts'
import type { Subscription } from '../../../domain/subscriptions/subscription.ts'
import type { UsageRecord } from '../../../domain/usage/usage-record.ts'
import type { AttemptEnd, Judgement, RecordAnswer } from '../../../domain/usage/usage-store.ts'
import { clearAlarm } from '../alarms.ts'
import { appendAudit } from '../audit-trail.ts'
import { padded, subscriptionKey } from '../keys.ts'
import { toSubscription } from '../subscription-items.ts'
import type { Item, Key, Table, Transaction } from '../table.ts'
import { type CarriedRecord, endAttempt } from './attempts.ts'
import { slicesOf } from './claim.ts'
import { applyJudgement, type OpenBucket } from './judgements.ts'
import { type RecordRow, readRecord, readRecords, toUsageRecord } from './record-items.ts'
import { findRecordKeys, recordKeyOf } from './records.ts'
import { readTotals } from './totals.ts'

export type Judge = (record: UsageRecord, subscription: Subscription, answer: RecordAnswer) => Judgement

/**
 * Ends an attempt. Where another process has taken a record over meanwhile, only a `Success` still says something.
 *
 * The answer is on disk first, then the records are judged in small transactions. After a crash in between, what is not
 * judged is still in flight: its lease runs out, the attempt counts as unanswered for it, and it is sent again.
 */
export async function settle(
  table: Table,
  attempt: string,
  end: AttemptEnd,
  answers: ReadonlyMap<string, RecordAnswer>,
  judge: Judge,
  openBucket: OpenBucket,
): Promise<UsageRecord[]> {
  const carried = (await endAttempt(table, attempt, end)).filter(({ id }) => answers.has(id))
  const subscriptions = await readSubscriptions(table, carried)
  const settled = new Map<string, UsageRecord>()
  const left: CarriedRecord[] = []
  for (const slice of slicesOf(carried, table.transactionItemsMax)) {
    const step = await table.transaction((tx) => settleRows(tx, slice, false))
    for (const record of step.settled) settled.set(record.id, record)
    left.push(...step.left)
  }
  // Each of these also changes what its meter carries, and opens a bucket.
  for (const row of left)
    for (const record of (await table.transaction((tx) => settleRows(tx, [row], true))).settled)
      settled.set(record.id, record)
  return carried.flatMap(({ id }) => settled.get(id) ?? [])

  async function settleRows(tx: Transaction, slice: readonly CarriedRecord[], mayCarry: boolean) {
    const done: UsageRecord[] = []
    const leave: CarriedRecord[] = []
    const items = await tx.getMany(slice.map(recordKeyOf))
    for (const row of await readRecords(
      tx,
      items.filter((item) => item !== undefined),
    )) {
      const answer = answers.get(row.id)!
      const isSuccess = answer.kind === 'result' && answer.status === 'Success'
      if (row.attempt !== attempt && !(isSuccess && row.state !== 'accepted')) continue
      const subscription = mayCarry ? await subscriptionOf(tx, row) : subscriptions.get(row.subscription)!
      const judgement = judge(toUsageRecord(row), subscription, answer)
      if (judgement.state === 'carried' && !mayCarry) leave.push(row)
      else done.push(toUsageRecord(await applyJudgement(tx, row, judgement, end.finishedAt, openBucket)))
    }
    return { settled: done, left: leave }
  }
}

/** Unchecked: a change that comes meanwhile comes after the judgement, as it could have. */
async function readSubscriptions(
  table: Table,
  of: readonly CarriedRecord[],
): Promise<ReadonlyMap<string, Subscription>> {
  const ids = [...new Set(of.map(({ subscription }) => subscription))]
  const items = await table.getMany(ids.map(subscriptionKey))
  return new Map(ids.map((id, index) => [id, toKnownSubscription(items[index], id)]))
}

/** Unchanged until the step is committed: where the amount goes on to another hour, it must have that hour. */
async function subscriptionOf(tx: Transaction, { subscription }: RecordRow): Promise<Subscription> {
  return toKnownSubscription(await tx.get(subscriptionKey(subscription)), subscription)
}

function toKnownSubscription(item: Item | undefined, id: string): Subscription {
  assert(item !== undefined, `subscription ${id} is missing`)
  return toSubscription(item)
}

/** Unsettled records whose deadline is past and that are not in flight: each in a step of its own. */
export async function expire(
  table: Table,
  now: number,
  limit: number,
  judge: (record: UsageRecord, subscription: Subscription) => Judgement,
  openBucket: OpenBucket,
): Promise<UsageRecord[]> {
  const expired: UsageRecord[] = []
  for (const product of await productsWithPending(table)) {
    const range = { pk: product, to: `${padded(now)}~` }
    for await (const page of table.entries('PendingMeteringRecordsIndex', range)) {
      for (const key of page) {
        const record = await table.transaction((tx) => expireOne(tx, key))
        if (record !== undefined) expired.push(record)
        if (expired.length === limit) return expired
      }
    }
  }
  return expired

  async function expireOne(tx: Transaction, key: Key): Promise<UsageRecord | undefined> {
    const item = await tx.get(key)
    if (item === undefined) return undefined
    const row = await readRecord(tx, item)
    const isPending = row.state === 'ready' || row.state === 'sent'
    const isInFlight = row.attempt !== undefined && (row.leaseUntil ?? 0) > now
    if (!isPending || row.deadline > now || isInFlight) return undefined
    // A call that its process never ended went unanswered, too.
    const counted = { ...row, unanswered: row.unanswered + (row.attempt === undefined ? 0 : 1) }
    const judgement = judge(toUsageRecord(counted), await subscriptionOf(tx, row))
    return toUsageRecord(await applyJudgement(tx, counted, judgement, now, openBucket))
  }
}

/** Products that have records to send, in order of their names. */
export async function productsWithPending(table: Table): Promise<readonly string[]> {
  const pending = (await readTotals(table, undefined)).filter(
    (totals) => totals.of('ready') + totals.of('sent') > 0n,
  )
  return [...new Set(pending.map(({ product }) => product))]
}

/** A person, or a reconciliation, ends a doubt. */
export async function resolveRecord(
  table: Table,
  id: string,
  verdict: 'accepted' | 'refused',
  actor: string,
  now: number,
  openBucket: OpenBucket,
): Promise<UsageRecord> {
  return table.transaction(async (tx) => {
    const [key] = await findRecordKeys(tx, [id])
    const item = key && (await tx.get(key))
    if (item === undefined) throw new DomainError('record.not_found', `no usage record ${id}`)
    const before = await readRecord(tx, item)
    if (before.state !== 'in_doubt' && before.state !== 'assumed' && before.state !== 'conflict') {
      throw new DomainError(
        'record.not_in_doubt',
        `${id} is ${before.state}; only a record in doubt, assumed or in conflict can be resolved`,
      )
    }
    const note = `resolved as ${verdict} by ${actor}`
    const judgement = { state: verdict, unanswered: before.unanswered, note }
    const after = await applyJudgement(tx, before, judgement, now, openBucket)
    await appendAudit(tx, {
      at: now,
      actor,
      action: 'record.resolve',
      subject: id,
      before: { state: before.state },
      after: { state: after.state },
    })
    for (const kind of ['in_doubt', 'conflict'] as const) await clearAlarm(tx, kind, id)
    return toUsageRecord(after)
  })
}
