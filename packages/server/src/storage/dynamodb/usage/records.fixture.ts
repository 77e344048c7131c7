import { randomUUID } from 'node:crypto'
import { hourOf } from '../../../domain/usage/hour.ts'
import type { RecordState, UsageRecord } from '../../../domain/usage/usage-record.ts'
import type { ClaimedBatch, RecordAnswer, SealedRecord } from '../../../domain/usage/usage-store.ts'
import { aSubscription, utc } from '../../contract/fixtures.ts'
import { int, text } from '../fields.ts'
import { meterKey, subscriptionKey } from '../keys.ts'
import { subscriptionAttributes } from '../subscription-items.ts'
import type { Table } from '../table.ts'
import { toTransfers } from './record-items.ts'
import { createRecordStore, type RecordStore } from './record-store.ts'
import { insertRecord } from './records.ts'
import { readTotals } from './totals.ts'

export const NOW = utc('2026-11-21T12:30')
export const LEASE_MS = 60_000

/** The record's side of the ledger, with no buckets to carry anything on to. */
export function recordStoreOn(table: Table): RecordStore {
  return createRecordStore(table, async () => undefined)
}

/** Seals records of hours and subscriptions of their own. @returns their ids, in the order of sealing */
export async function sealRecords(
  table: Table,
  count: number,
  values: Partial<SealedRecord> & { readonly dimension?: string } = {},
): Promise<string[]> {
  const { dimension = 'requests', ...rest } = values
  const ids: string[] = []
  for (let index = 0; index < count; index++) {
    const subscription = aSubscription({ id: `sub_${randomUUID()}` })
    const key = { subscription: subscription.id, dimension, hour: hourOf(NOW) - 1 }
    const sealed: SealedRecord = {
      id: `rec_${randomUUID()}`,
      product: 'demo',
      region: 'us-east-1',
      identity: {
        kind: 'license',
        licenseArn: `arn:aws:license-manager::294406891311:license:l-${randomUUID()}`,
        customerAwsAccountId: '123456789012',
      },
      timestamp: key.hour * 3_600_000,
      quantity: index + 1,
      unitBase: 10n,
      allocations: [],
      deadline: utc('2026-11-22T11:00'),
      ...rest,
    }
    await table.transaction(async (tx) => {
      tx.put({ ...subscriptionKey(subscription.id), ...subscriptionAttributes(subscription) })
      tx.put({
        ...meterKey(subscription.id, dimension),
        subscription: subscription.id,
        dimension,
        product: 'demo',
        scale: 0,
        carry: 0,
      })
      const amount = BigInt(sealed.quantity) * sealed.unitBase
      await insertRecord(tx, key, sealed, [{ from: 'open', to: 'ready', amount }], NOW)
    })
    ids.push(sealed.id)
  }
  return ids
}

export function claimOptions(now = NOW) {
  return {
    product: 'demo',
    now,
    leaseMs: LEASE_MS,
    spacingMs: 112,
    sizeOf: () => 200,
    requestOf: (records: readonly UsageRecord[]) => JSON.stringify(records.map(({ id }) => id)),
  }
}

/** Settles a batch as AWS answers; `undefined` for one that it does not mention. */
export function settleAs(
  store: RecordStore,
  batch: ClaimedBatch,
  answer: RecordAnswer | ((record: UsageRecord) => RecordAnswer | undefined),
  state: RecordState | ((record: UsageRecord) => RecordState),
  finishedAt = NOW + 500,
) {
  const answers = new Map<string, RecordAnswer>()
  for (const record of batch.records) {
    const one = typeof answer === 'function' ? answer(record) : answer
    if (one !== undefined) answers.set(record.id, one)
  }
  return store.settle(
    batch.attempt,
    { outcome: 'answered', response: '{"Results":[]}', finishedAt },
    answers,
    (record) => ({
      state: typeof state === 'function' ? state(record) : state,
      unanswered: record.unanswered,
      nextAttemptAt: finishedAt + 5_000,
    }),
  )
}

export const SUCCESS: RecordAnswer = { kind: 'result', status: 'Success', meteringRecordId: 'aws-1' }

/** What does not fit together in the books of these records; nothing where all is right. */
export async function findErrors(table: Table, records: readonly UsageRecord[]): Promise<string[]> {
  const errors: string[] = []
  const counted = new Map<string, { records: number; units: number }>()
  for (const record of records) {
    const item = await table.get({
      pk: meterKey(record.subscription, record.dimension).pk,
      sk: `R#${String(record.hour).padStart(8, '0')}`,
    })
    const account = record.state === 'carried' ? 'carry' : record.state
    const amount = BigInt(record.quantity) * record.unitBase
    const last = toTransfers(item?.transfers).at(-1)
    if (amount > 0n && (last?.to !== account || last.amount !== amount))
      errors.push(`${record.id} is ${record.state}, its journal ends in ${last?.to}`)
    const key = `${record.product}/${record.dimension}/${record.state}`
    const sum = counted.get(key) ?? { records: 0, units: 0 }
    counted.set(key, { records: sum.records + 1, units: sum.units + record.quantity })
    for (const id of (item?.attemptIds ?? []) as readonly string[]) {
      const attempt = await table.get({ pk: `ATTEMPT#${id}`, sk: 'A' })
      if (attempt === undefined || !(attempt.records as readonly string[]).includes(record.id))
        errors.push(`attempt ${id} does not know of ${record.id}`)
    }
  }
  for (const totals of await readTotals(table, undefined)) {
    for (const state of ['ready', 'sent', 'accepted', 'in_doubt', 'refused', 'carried'] as const) {
      const sum = counted.get(`${totals.product}/${totals.dimension}/${state}`) ?? { records: 0, units: 0 }
      if (int(totals.of(state)) !== sum.records || int(totals.of(`${state}Units`)) !== sum.units)
        errors.push(
          `${text(totals.dimension)} ${state}: counted ${totals.of(state)}, there are ${sum.records}`,
        )
    }
  }
  return errors
}
