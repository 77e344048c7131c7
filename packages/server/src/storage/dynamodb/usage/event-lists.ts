import { hourStart, monthStart } from '../../../domain/usage/hour.ts'
import { meteringRecordId } from '../../../domain/usage/usage-event.ts'
import type { BucketKey, UsageEventRow } from '../../../domain/usage/usage-store.ts'
import { LATE, UNBILLABLE } from '../../ingest/outcomes.ts'
import type { Table } from '../table.ts'
import { readBucket } from './buckets.ts'
import type { StoredEvent } from './event-items.ts'
import { readLedgerState } from './ledger-state.ts'
import { meterAt } from './meters.ts'
import { eventsOf } from './moves.ts'

/** Events that were counted in a bucket, at most `limit`, in order of time: those of its own hour, and late ones. */
export async function listEvents(table: Table, key: BucketKey, limit: number): Promise<UsageEventRow[]> {
  const bucket = await readBucket(table, meterAt(key), key.hour)
  if (bucket === undefined) return []
  const { horizon } = await readLedgerState(table)
  let found: StoredEvent[] = []
  for await (const page of eventsOf(table, bucket)) {
    found.push(...page.filter(({ time }) => time >= horizon))
    if (found.length > 2 * limit) found = found.sort(byTime).slice(0, limit)
  }
  return found
    .sort(byTime)
    .slice(0, limit)
    .map((event) => toRow(event, key))
}

function byTime(a: StoredEvent, b: StoredEvent): number {
  return a.time - b.time || (a.id < b.id ? -1 : 1)
}

function toRow(event: StoredEvent, { hour, subscription }: BucketKey): UsageEventRow {
  const { time, state } = event
  // What moved into another hour, or to another subscription's, came late there.
  const isMoved = event.counted !== hour || event.subscription !== subscription
  const isOwn = state !== LATE && (!isMoved || Math.floor(time / 3_600_000) === hour)
  return {
    id: event.id,
    source: event.source,
    meteringRecordId: meteringRecordId(event.key),
    time,
    hour,
    counted: event.delta,
    quantity: event.quantity,
    tags: event.tags,
    status: state === UNBILLABLE ? 'unbillable' : isOwn ? 'accepted' : 'late',
    crossedMonth: monthStart(time) !== monthStart(hourStart(hour)),
    receivedAt: event.receivedAt,
  }
}
