import { AWS_RULES } from '../../../domain/usage/aws-rules.ts'
import { HOUR_MS, hourOf } from '../../../domain/usage/hour.ts'
import { meterPartition, recordKey, recordPrefix } from '../keys.ts'
import type { Reader, Transaction } from '../table.ts'
import type { Metered } from '../usage-of-subscriptions.ts'
import { type RecordRow, readRecords, toRecordItem } from './record-items.ts'

/** Records that are ready or sent, and due later than this, are due then, ms. */
export async function shortenDeadlines(tx: Transaction, of: Metered, deadline: number): Promise<void> {
  for (const row of await readDueFrom(tx, of, deadline))
    if (row.deadline > deadline) tx.put(toRecordItem({ ...row, deadline }))
}

/** Records that are ready or sent, and due at exactly `from`, may wait until `to`, ms. */
export async function extendDeadlines(tx: Transaction, of: Metered, from: number, to: number): Promise<void> {
  for (const row of await readDueFrom(tx, of, from))
    if (row.deadline === from) tx.put(toRecordItem({ ...row, deadline: to }))
}

/** Pending records that may be due at a time or later: AWS takes no hour for longer than a day, so none is older. */
async function readDueFrom(reader: Reader, of: Metered, deadline: number): Promise<RecordRow[]> {
  const first = hourOf(deadline - AWS_RULES.lateWindowMs - HOUR_MS)
  const rows: RecordRow[] = []
  for (const dimension of of.dimensions) {
    const items = await reader.query({
      pk: meterPartition(of.id, dimension),
      from: recordKey(of.id, dimension, Math.max(first, 0)).sk,
      to: `${recordPrefix}~`,
    })
    rows.push(...(await readRecords(reader, items)))
  }
  return rows.filter(({ state }) => state === 'ready' || state === 'sent')
}
