import type { UsageStore } from '../../../domain/usage/usage-store.ts'
import { clearAlarm, listAlarms, raiseAlarm } from '../alarms.ts'
import type { Table } from '../table.ts'
import { claim } from './claim.ts'
import { haltProduct, isolate, listHalts, resumeProduct } from './halts.ts'
import type { OpenBucket } from './judgements.ts'
import { toUsageRecord } from './record-items.ts'
import { getRecord, listAttempts, listRecords, listTransfers } from './record-lists.ts'
import { listSendable } from './sendable.ts'
import { expire, resolveRecord, settle } from './settle.ts'

/** What the usage ledger does with records once they are sealed, and with alarms. */
export type RecordStore = Pick<
  UsageStore,
  | 'listSendable'
  | 'claim'
  | 'settle'
  | 'expire'
  | 'resolve'
  | 'isolate'
  | 'halt'
  | 'resume'
  | 'listHalts'
  | 'raise'
  | 'clearAlarm'
  | 'listAlarms'
  | 'listRecords'
  | 'getRecord'
  | 'listAttempts'
  | 'listTransfers'
>

/** @param openBucket - of the meters' side of the ledger: what is carried on is billed in it */
export function createRecordStore(table: Table, openBucket: OpenBucket): RecordStore {
  return {
    listSendable: (now) => listSendable(table, now),
    claim: (options) => claim(table, options),
    settle: (attempt, end, answers, judge) => settle(table, attempt, end, answers, judge, openBucket),
    expire: (now, limit, judge) => expire(table, now, limit, judge, openBucket),
    resolve: (record, verdict, actor, now) => resolveRecord(table, record, verdict, actor, now, openBucket),
    isolate: (product, kind, value, on) => isolate(table, product, kind, value, on),
    halt: (halt) => haltProduct(table, halt),
    resume: (product, actor, now) => resumeProduct(table, product, actor, now),
    listHalts: () => listHalts(table),
    raise: (alarm) => table.transaction((tx) => raiseAlarm(tx, alarm)),
    clearAlarm: (kind, subject) => table.transaction((tx) => clearAlarm(tx, kind, subject)),
    listAlarms: (limit) => listAlarms(table, limit),
    listRecords: (filter) => listRecords(table, filter),
    getRecord: async (id) => toUsageRecord(await getRecord(table, id)),
    listAttempts: (filter) => listAttempts(table, filter),
    listTransfers: (key) => listTransfers(table, key),
  }
}
