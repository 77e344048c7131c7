import { setTimeout as sleep } from 'node:timers/promises'
import { DomainError } from '../../../domain/error.ts'
import type { Hour } from '../../../domain/usage/hour.ts'
import { unsealedPartitions } from '../keys.ts'
import type { UnsentUsage } from '../ledger-guard.ts'
import type { Key, Table } from '../table.ts'
import { slicesOf } from './claim.ts'
import { readProducts } from './products.ts'
import { type RecordRow, readRecords, toRecordItem } from './record-items.ts'
import { recordKeyOf } from './records.ts'
import { readTotals } from './totals.ts'

/** Records read at once. */
const SLICE = 100
/** An index that is behind its table gets there in moments. */
const TRIES_MAX = 20
const RETRY_MS = 250

/** What a ledger that was restored has not sent, or not sealed. */
export function createUnsentUsage(table: Table): UnsentUsage {
  return {
    async oldestUnsealed() {
      let oldest: Hour | undefined
      for (const product of await readProducts(table)) {
        const kinds = ['OPEN', 'ENDED', 'HELD'] as const
        for (const pk of kinds.flatMap((kind) => unsealedPartitions(kind, product))) {
          const [first] = await table.queryIndex('UnsealedBucketsIndex', { pk, limit: 1 })
          if (first !== undefined) oldest = Math.min(oldest ?? Number.POSITIVE_INFINITY, Number(first.hour))
        }
      }
      return oldest
    },
    doubtUnsent: (mark) => doubtUnsent(table, mark),
  }
}

async function doubtUnsent(table: Table, mark: string): Promise<void> {
  for (let tries = 1; ; tries++) {
    const totals = await readTotals(table, undefined)
    const pending = Number(totals.reduce((sum, one) => sum + one.of('ready') + one.of('sent'), 0n))
    let seen = 0
    for (const product of new Set(totals.map(({ product }) => product)))
      seen += await doubtProduct(table, product, mark)
    // What counts them is never behind.
    if (seen >= pending) return
    if (tries === TRIES_MAX)
      throw new DomainError(
        'ledger.busy',
        `an index of the ledger shows ${seen} of ${pending} unsent records so far: try again in a moment`,
      )
    await sleep(RETRY_MS)
  }
}

/** @returns how many of its records are unsent */
async function doubtProduct(table: Table, product: string, mark: string): Promise<number> {
  let seen = 0
  let keys: Key[] = []
  const markAll = async () => {
    const items = (await table.getMany(keys)).filter((item) => item !== undefined)
    keys = []
    const rows = (await readRecords(table, items)).filter(isPending)
    seen += rows.length
    for (const slice of slicesOf(rows, table.transactionItemsMax)) await markSlice(table, slice, mark)
  }
  for await (const page of table.entries('PendingMeteringRecordsIndex', { pk: product })) {
    for (const { pk, sk } of page) {
      keys.push({ pk, sk })
      if (keys.length === SLICE) await markAll()
    }
  }
  await markAll()
  return seen
}

async function markSlice(table: Table, slice: readonly RecordRow[], mark: string): Promise<void> {
  await table.transaction(async (tx) => {
    const items = await tx.getMany(slice.map(recordKeyOf))
    for (const row of await readRecords(
      tx,
      items.filter((item) => item !== undefined),
    )) {
      if (!isPending(row) || row.doubtedBy === mark) continue
      const note = 'may have been sent by another copy of this ledger'
      tx.put(toRecordItem({ ...row, unanswered: row.unanswered + 1, note, doubtedBy: mark }))
    }
  })
}

function isPending({ state }: RecordRow): boolean {
  return state === 'ready' || state === 'sent'
}
