import { EMPTY_COUNTER } from '../../domain/quotas/quota.ts'
import type { Admission, AdmissionOutcome, QuotaStore } from '../../domain/quotas/quota-store.ts'
import { groupWrites } from '../ingest/group-calls.ts'
import type { Asked } from '../quota/counters.ts'
import { createGateBook, type GateBook, judgeAdmissions } from '../quota/gate-book.ts'
import { quotaSteps } from '../quota/quota-steps.ts'
import { text } from './fields.ts'
import { admissionKey, heldList, padded, reservationKey } from './keys.ts'
import { refuseWhileWaiting } from './ledger-guard.ts'
import {
  admissionItem,
  isHeld,
  keyOf,
  loadGates,
  readAdmissions,
  toCounter,
  toReservation,
  writeGates,
} from './quota-items.ts'
import type { Table, Transaction } from './table.ts'

interface Call {
  readonly admission: Admission
  readonly now: number
}

type Lane = (call: Call) => Promise<AdmissionOutcome>

/** Holders whose requests are brought together; one more, and the one that came first starts anew. */
const LANES_MAX = 10_000
/** Counters that a group may write beside its admissions, before it needs the journal. */
const COUNTERS = 4

/** Quotas on DynamoDB. */
export function createDynamoQuotaStore(table: Table): QuotaStore {
  const step = <T>(
    asked: readonly Asked[],
    now: number,
    ids: readonly string[],
    judge: (book: GateBook, tx: Transaction) => T | Promise<T>,
  ) =>
    table.transaction(async (tx) => {
      // What is counted in a ledger that goes on elsewhere would be lost.
      await refuseWhileWaiting(tx)
      const book = createGateBook(await loadGates(tx, asked, now, ids))
      const answer = await judge(book, tx)
      writeGates(tx, book.changes())
      return answer
    })

  const admitAll = (calls: readonly Call[]) => {
    const admissions = calls.map(({ admission }) => admission)
    const now = Math.max(...calls.map((call) => call.now))
    return step(admissions, now, [], async (book, tx) => {
      const keys = admissions.map(({ key }) => key)
      const before = await readAdmissions(tx, keys)
      const { outcomes, admitted } = judgeAdmissions(book, calls, (id) => before.get(id))
      for (const { key, quantity } of admitted) tx.put(admissionItem(key, quantity, now))
      return outcomes
    })
  }

  /** Requests of one holder are one transaction: they would undo one another. Others go on beside it. */
  const lanes = new Map<string, Lane>()
  const laneOf = ({ gate, dimension }: Admission): Lane => {
    const name = `${gate.holder}\n${dimension}`
    let lane = lanes.get(name)
    if (lane === undefined) {
      if (lanes.size >= LANES_MAX) lanes.delete(lanes.keys().next().value!)
      const groupMax = Math.max(1, table.transactionItemsMax - COUNTERS)
      lane = groupWrites({ what: 'use', weightOf: () => 1, groupMax }, admitAll)
      lanes.set(name, lane)
    }
    return lane
  }

  return {
    async read(keys) {
      const items = await table.getMany(keys.map(keyOf))
      return items.map((item) => (item === undefined ? EMPTY_COUNTER : toCounter(item)))
    },
    isAdmitted: async (keys) =>
      (await table.getMany(keys.map(admissionKey))).map((item) => item !== undefined),
    admit: (admission, now) => laneOf(admission)({ admission, now }),
    async findReservation(id) {
      const item = await table.get(reservationKey(id))
      return item && toReservation(item)
    },
    areHeld: (owners, now) =>
      Promise.all(owners.map(({ holder, dimension }) => isHeld(table, holder, dimension, now))),
    ...quotaSteps(step),
    async expire(now, limit) {
      const due = await table.queryIndex('ListIndex', { pk: heldList, to: `${padded(now)}#\uFFFF`, limit })
      for (const item of due) {
        const id = text(item.id)
        await step([], now, [id], (book) => book.expire(id, now))
      }
      return due.length
    },
    // DynamoDB does it by itself.
    purge: async () => 0,
  }
}
