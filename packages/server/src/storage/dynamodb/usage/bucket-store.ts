import { shareLooks } from '../../../domain/share-looks.ts'
import type { BucketKey, UsageStore } from '../../../domain/usage/usage-store.ts'
import { inParallel } from '../in-parallel.ts'
import { eventItemKey } from '../keys.ts'
import type { Table } from '../table.ts'
import { createBucketLists } from './bucket-lists.ts'
import { closeBucket } from './closer.ts'
import { listEvents } from './event-lists.ts'
import { createEventWriter } from './event-writer.ts'
import { settleOwed } from './hand-over.ts'
import { readLedgerState, readRunningEpoch } from './ledger-state.ts'
import { purgeEvents } from './purge.ts'
import { sealSilence } from './silence.ts'

/** Meters whose buckets are closed at the same time. */
const METERS_AT_ONCE = 8

type Closed = Awaited<ReturnType<UsageStore['close']>>[number]

/** The part of the usage ledger that takes usage in, and closes its hours. */
export type BucketStore = Pick<
  UsageStore,
  | 'record'
  | 'isRecorded'
  | 'epoch'
  | 'horizon'
  | 'listOpen'
  | 'listOpenOfEnded'
  | 'listProducts'
  | 'listHeld'
  | 'listBuckets'
  | 'listEvents'
  | 'close'
  | 'sealSilence'
  | 'purge'
>

export function createBucketStore(table: Table): BucketStore {
  const lookAtEpoch = shareLooks(() => readRunningEpoch(table))
  return {
    record: createEventWriter(table),
    isRecorded: async (keys) =>
      (await table.getMany(keys.map(eventItemKey))).map((item) => item !== undefined),
    epoch: lookAtEpoch,
    horizon: async () => (await readLedgerState(table)).horizon,
    ...createBucketLists(table),
    listEvents: (key, limit) => listEvents(table, key, limit),
    close: (keys, now, decide, needs) =>
      closeEach(keys, async (key) => {
        for (;;) {
          const outcome = await table.transaction((tx) => closeBucket(tx, table, key, now, decide, needs))
          if (outcome !== 'owes') return outcome
          await settleOwed(table, key)
        }
      }),
    sealSilence: (key, kind, record, now) =>
      table.transaction((tx) => sealSilence(tx, key, kind, record, now)),
    purge: (horizon, now) => purgeEvents(table, horizon, now),
  }
}

/** Hours of one meter follow each other: what one carries the next may bill. */
async function closeEach(
  keys: readonly BucketKey[],
  close: (key: BucketKey) => Promise<Closed>,
): Promise<readonly Closed[]> {
  const byMeter = new Map<string, number[]>()
  for (const [index, { subscription, dimension }] of keys.entries()) {
    const name = JSON.stringify([subscription, dimension])
    byMeter.set(name, [...(byMeter.get(name) ?? []), index])
  }
  const outcomes = new Array<Closed>(keys.length)
  await inParallel([...byMeter.values()], METERS_AT_ONCE, async (indexes) => {
    for (const index of indexes) {
      try {
        outcomes[index] = await close(keys[index]!)
      } catch (error) {
        outcomes[index] = { error }
      }
    }
  })
  return outcomes
}
