import type { IndexName } from './table.ts'

/**
 * The table's indexes. All are KEYS_ONLY: a change of anything but their keys writes nothing to them, and what they find
 * is read from the table anyway.
 */
export const INDEXES: Readonly<Record<IndexName, { readonly partition: string; readonly sort: string }>> = {
  PendingMeteringRecordsIndex: { partition: 'pendingProduct', sort: 'pendingDue' },
  AWSAccountIndex: { partition: 'account', sort: 'accountOf' },
  UnsealedBucketsIndex: { partition: 'unsealed', sort: 'unsealedAt' },
  BucketEventsIndex: { partition: 'countedIn', sort: 'countedAt' },
  ListIndex: { partition: 'list', sort: 'listed' },
  SecondListIndex: { partition: 'also', sort: 'alsoListed' },
}
