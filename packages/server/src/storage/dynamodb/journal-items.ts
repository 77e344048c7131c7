import type { AttributeValue } from '@aws-sdk/client-dynamodb'
import { fromWire, sizeOf, toWire, type Wire } from './attributes.ts'
import type { Change, Increase, Planned } from './changes.ts'
import type { Addition, Item, Key } from './table.ts'

/** Partition of the journals' headers; their parts are in partitions of their own. */
export const JOURNAL = 'JOURNAL'

/** What is to be done to one item, once the step is committed. */
export interface JournalEntry {
  readonly key: Key
  readonly change: Change
}

export interface JournalHeader {
  readonly id: string
  readonly status: 'prepared' | 'committed' | 'aborted' | 'done'
  /** Items that hold its entries, where the header does not. */
  readonly parts: number
  readonly inline: AttributeValue | undefined
}

/** An item has at most 400 KB; one entry of nearly as much has a part for itself. */
const PART_BYTES_MAX = 300_000

/** The entries of a plan: in the header where they fit there, else in parts. */
export function toParts(plan: readonly Planned[]): { inline?: AttributeValue; parts: AttributeValue[] } {
  const parts: AttributeValue[][] = [[]]
  let bytes = 0
  for (const planned of plan) {
    const entry = writeEntry(planned)
    const size = sizeOf(entry)
    if (bytes > 0 && bytes + size > PART_BYTES_MAX) {
      parts.push([])
      bytes = 0
    }
    parts.at(-1)!.push({ M: entry })
    bytes += size
  }
  return parts.length === 1
    ? { inline: { L: parts[0]! }, parts: [] }
    : { parts: parts.map((entries) => ({ L: entries })) }
}

function writeEntry({ key, change }: Planned): Wire {
  return {
    pk: { S: key.pk },
    sk: { S: key.sk },
    kind: { S: change.kind },
    ...(change.kind === 'put' && { item: { M: toWire(change.item) } }),
    ...(change.kind === 'add' && {
      amounts: { M: toWire(change.addition.amounts) },
      initial: { M: toWire(change.addition.initial ?? {}) },
      set: { M: toWire(change.addition.set ?? {}) },
    }),
  }
}

export function readEntries(entries: AttributeValue): JournalEntry[] {
  return (entries.L ?? []).map(({ M }) => {
    const { pk, sk, kind, item, amounts, initial, set } = M!
    const key = { pk: pk!.S!, sk: sk!.S! }
    if (kind?.S === 'put') return { key, change: { kind: 'put', item: fromWire(item!.M!) } }
    if (kind?.S === 'add') {
      const addition: Increase = {
        amounts: fromWire(amounts!.M!) as Omit<Item, 'pk' | 'sk'> as Addition['amounts'],
        initial: fromWire(initial!.M!),
        set: fromWire(set?.M ?? {}) as Omit<Item, 'pk' | 'sk'> as Addition['set'],
      }
      return { key, change: { kind: 'add', addition } }
    }
    return { key, change: { kind: kind?.S === 'delete' ? 'delete' : 'check' } }
  })
}

export function readHeader(wire: Wire): JournalHeader {
  return {
    id: wire.sk!.S!,
    status: wire.status!.S as JournalHeader['status'],
    parts: Number(wire.parts?.N ?? 0),
    inline: wire.entries,
  }
}
