import { PACKING } from '../../../domain/usage/submit-due-records.ts'
import { awsIdentityKey } from '../../../domain/usage/usage-record.ts'
import type { ClaimOptions } from '../../../domain/usage/usage-store.ts'
import { padded } from '../keys.ts'
import type { Key, Table } from '../table.ts'
import type { Isolations } from './halts.ts'
import { parsePendingDue, type RecordRow, readRecords, toUsageRecord } from './record-items.ts'
import { findRecordKeys } from './records.ts'

/** Records looked at to fill one call: differently addressed ones are passed over. */
const CANDIDATES_MAX = 200
/** Read at once: what a full call takes, and some that others have taken meanwhile. */
const SLICE = 50
/** Suspects that wait longest, of those that are due. */
const SUSPECTS_KEPT = 50
/** Of these, read at once. */
const SUSPECTS_READ = 5

/** Records of one call, in the order of their deadlines. */
export interface Packed {
  readonly rows: readonly RecordRow[]
  readonly alone: boolean
}

/** What may be sent together, most urgent first. What it finds may be taken by another process until it is claimed. */
export async function findCandidates(
  table: Table,
  options: ClaimOptions,
  isolations: Isolations,
): Promise<Packed> {
  if (options.only !== undefined) return packNamed(table, options, options.only, isolations)
  const packing = createPacking(options)
  const suspects = createSuspects()
  let keys: Key[] = []
  const range = { pk: options.product, from: padded(options.now + 1) }
  for await (const page of table.entries('PendingMeteringRecordsIndex', range)) {
    for (const { sort, pk, sk } of page) {
      const known = parsePendingDue(sort)
      if (known.availableAt > options.now) continue
      // Suspects wait until nothing else is due: each takes a call of its own, and the rate is everybody's.
      if (isolations.mayHave(known.dimensionMark, known.identityMark)) {
        suspects.add({ pk, sk, availableAt: known.availableAt, sort })
        continue
      }
      keys.push({ pk, sk })
      if (keys.length < SLICE) continue
      for (const row of await readSendable(table, keys, options)) packing.add(row)
      keys = []
      if (packing.isFull()) return { rows: packing.rows, alone: false }
    }
  }
  for (const row of await readSendable(table, keys, options)) packing.add(row)
  if (packing.rows.length > 0 || options.withoutSuspects === true) return { rows: packing.rows, alone: false }
  return packSuspect(table, options, suspects.longest())
}

/** The first that may really be sent: mostly that is the very first. */
async function packSuspect(table: Table, options: ClaimOptions, keys: readonly Key[]): Promise<Packed> {
  for (let from = 0; from < keys.length; from += SUSPECTS_READ) {
    const [longest] = await readSendable(table, keys.slice(from, from + SUSPECTS_READ), options)
    if (longest !== undefined) return { rows: [longest], alone: true }
  }
  return { rows: [], alone: false }
}

/** The halves of a split request go at once: their back-off is not theirs but the whole request's. */
async function packNamed(
  table: Table,
  options: ClaimOptions,
  ids: readonly string[],
  isolations: Isolations,
): Promise<Packed> {
  const keys = (await findRecordKeys(table, ids)).filter((key) => key !== undefined)
  const rows = (await readSendable(table, keys, options)).toSorted(
    (a, b) => a.deadline - b.deadline || (a.place < b.place ? -1 : 1),
  )
  const isSuspect = (row: RecordRow) => isolations.has(row.dimension, awsIdentityKey(row.identity))
  const [first] = rows
  if (first !== undefined && isSuspect(first)) return { rows: [first], alone: true }
  const packing = createPacking(options)
  for (const row of rows) if (!isSuspect(row)) packing.add(row)
  return { rows: packing.rows, alone: false }
}

async function readSendable(
  table: Table,
  keys: readonly Key[],
  options: ClaimOptions,
): Promise<readonly RecordRow[]> {
  if (keys.length === 0) return []
  const items = (await table.getMany(keys)).filter((item) => item !== undefined)
  return (await readRecords(table, items)).filter((row) => isSendable(row, options))
}

/** Due, and neither in flight nor within the lease of an attempt that was lost. */
export function isSendable(row: RecordRow, { product, now, only }: ClaimOptions): boolean {
  return (
    row.product === product &&
    (row.state === 'ready' || row.state === 'sent') &&
    row.deadline > now &&
    (only !== undefined || row.nextAttemptAt <= now) &&
    (row.attempt === undefined || row.leaseUntil === undefined || row.leaseUntil <= now)
  )
}

/** One region, one kind of identity, 25 records and less than a megabyte. */
function createPacking({ sizeOf }: ClaimOptions) {
  const rows: RecordRow[] = []
  let bytes = 0
  let seen = 0
  return {
    rows,
    isFull: () => rows.length === PACKING.recordsMax || seen >= CANDIDATES_MAX,
    add(row: RecordRow): void {
      seen++
      const [first] = rows
      if (rows.length === PACKING.recordsMax || (first !== undefined && !goTogether(first, row))) return
      const size = sizeOf(toUsageRecord(row)) + 1
      if (rows.length > 0 && bytes + size > PACKING.bytesMax) return
      rows.push(row)
      bytes += size
    },
  }
}

function goTogether(a: RecordRow, b: RecordRow): boolean {
  if (a.region !== b.region || a.identity.kind !== b.identity.kind) return false
  return (
    a.identity.kind !== 'legacy' ||
    b.identity.kind !== 'legacy' ||
    a.identity.productCode === b.identity.productCode
  )
}

/** Those that wait longest: all of them may be a whole product's, and only one is sent at a time. */
function createSuspects() {
  interface Suspect extends Key {
    readonly availableAt: number
    readonly sort: string
  }
  let kept: Suspect[] = []
  const inTurn = (a: Suspect, b: Suspect) => a.availableAt - b.availableAt || (a.sort < b.sort ? -1 : 1)
  return {
    add(suspect: Suspect): void {
      kept.push(suspect)
      if (kept.length > SUSPECTS_KEPT * 20) kept = kept.sort(inTurn).slice(0, SUSPECTS_KEPT)
    },
    longest: (): readonly Key[] => kept.sort(inTurn).slice(0, SUSPECTS_KEPT),
  }
}
