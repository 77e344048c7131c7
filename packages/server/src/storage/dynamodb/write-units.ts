import { sizeOf, type Wire } from './attributes.ts'
import { INDEXES } from './indexes.ts'

/**
 * AWS's rule for the price of a write, in write request units:
 *
 * - one for each KB of the item, as it was or as it is, whichever is larger; twice that within a transaction, where also
 *   an item that is only checked counts as one that is written; also where a condition does not hold
 * - one for each entry of an index that comes, goes or changes, and two for one that changes its place; all entries here
 *   are of keys alone, far below 1 KB; nothing where none of an item's indexed attributes changes
 *
 * @see {@link https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/read-write-operations.html | Read and write operations} (read 2026-11-21)
 * @see {@link https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/GSI.html | Global secondary indexes} (read 2026-11-21)
 * @see {@link https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis.html | Transactions} (read 2026-11-21)
 */
export function writeUnits(
  before: Wire | undefined,
  after: Wire | undefined,
  options: { readonly inTransaction: boolean },
): number {
  const bytes = Math.max(before === undefined ? 0 : sizeOf(before), after === undefined ? 0 : sizeOf(after))
  const own = Math.max(1, Math.ceil(bytes / 1024))
  return own * (options.inTransaction ? 2 : 1) + indexUnits(before, after)
}

function indexUnits(before: Wire | undefined, after: Wire | undefined): number {
  let units = 0
  for (const { partition, sort } of Object.values(INDEXES)) {
    const [old, now] = [before, after].map((item) => placeIn(item, partition, sort))
    if (old !== now) units += old !== undefined && now !== undefined ? 2 : 1
  }
  return units
}

/** Where an item is in an index; undefined: not there, since it lacks one of the index's attributes. */
function placeIn(item: Wire | undefined, partition: string, sort: string): string | undefined {
  const [pk, sk] = [item?.[partition]?.S, item?.[sort]?.S]
  return pk === undefined || sk === undefined ? undefined : JSON.stringify([pk, sk])
}
