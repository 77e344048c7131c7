import { type Filling, requireRun } from '../../../domain/moving/ledger-copy.ts'
import { sizeOf, type Wire } from '../attributes.ts'
import { added, itemOf, type Planned, toTransactItem } from '../changes.ts'
import { TRANSACTION_BYTES_MAX } from '../dynamo-table.ts'
import { FILLING, readFilling } from '../filling.ts'
import { createPatience } from '../patience.ts'
import { explain, failureOf, type Requests } from '../requests.ts'
import type { Item, Key, Table, Transaction } from '../table.ts'

const PATIENCE_MS = 60_000

/**
 * Writes to a table that nobody else uses: whole items, over whatever is there. What is written again is the same, so a
 * page that was cut is simply written anew. Nothing is written once another run fills the table, or has ended: each request
 * says so, since one may be on its way for long.
 */
export interface Batch extends Transaction {
  /** Reads many at once that will be asked for. */
  prefetch(keys: readonly Key[]): Promise<void>
  /**
   * All of it is durable when it resolves.
   *
   * @throws {DomainError} `ledger.copy_refused` where the run that it is of does not fill the table any more
   */
  flush(): Promise<void>
}

export function createBatch(table: Table, requests: Requests, filling: Filling): Batch {
  const known = new Map<string, Item | undefined>()
  const changed = new Map<string, Item>()
  const nameOf = ({ pk, sk }: Key) => `${pk}\n${sk}`
  const put = (item: Item) => {
    known.set(nameOf(item), item)
    changed.set(nameOf(item), item)
  }
  const get = async (key: Key) => {
    if (!known.has(nameOf(key))) known.set(nameOf(key), await table.get(key))
    return known.get(nameOf(key))
  }
  /** Sent again, it writes the same: it needs no token. */
  async function write(items: readonly Wire[]): Promise<void> {
    const input = {
      TransactItems: [
        toTransactItem(table.name, ofRun(filling), ''),
        ...items.map((Item) => ({ Put: { TableName: table.name, Item } })),
      ],
    }
    const patience = createPatience(PATIENCE_MS)
    for (;;) {
      try {
        await requests.send('TransactWriteItems', input)
        return
      } catch (error) {
        const { kind } = failureOf(error)
        if (kind === 'cancelled') requireRun(await readFilling(table), filling)
        if (kind === 'defect' || kind === 'refused' || kind === 'cancelled') throw explain(error)
        await patience.pause(error)
      }
    }
  }
  const notHere = () => {
    throw new Error('a copy deletes nothing and finds nothing by an index')
  }
  return {
    shards: table.shards,
    get,
    peek: get,
    peekSettled: (keys) => Promise.all(keys.map(get)),
    afterwards: notHere,
    getMany: (keys) => Promise.all(keys.map(get)),
    async query(range) {
      const found = new Map((await table.query(range)).map((item) => [nameOf(item), item]))
      for (const [name, item] of changed)
        if (item.pk === range.pk && item.sk.startsWith(range.prefix ?? '')) found.set(name, item)
      return [...found.values()].sort((a, b) => (a.sk < b.sk ? -1 : 1))
    },
    queryIndex: notHere,
    guard: () => {},
    check: () => {},
    put,
    delete: notHere,
    add: (key, addition) => put(added(key, known.get(nameOf(key)), addition)),
    async prefetch(keys) {
      const wanted = keys.filter((key) => !known.has(nameOf(key)))
      for (const [index, item] of (await table.getMany(wanted)).entries())
        known.set(nameOf(wanted[index]!), item)
    },
    async flush() {
      // One after the other: transactions that look at the same item stand in each other's way.
      for (const items of inSlices([...changed.values()], table.transactionItemsMax - 1)) await write(items)
      changed.clear()
    },
  }
}

function ofRun({ run }: Filling): Planned {
  return {
    key: FILLING,
    expected: undefined,
    refuseIf: [{ attribute: 'run', isNot: run }],
    mustExist: true,
    change: { kind: 'check' },
  }
}

/** As many as one transaction takes at a time. */
function* inSlices(items: readonly Item[], itemsMax: number): Iterable<readonly Wire[]> {
  let slice: Wire[] = []
  let bytes = 0
  for (const item of items) {
    const wire = itemOf(item, 'copied')
    const size = sizeOf(wire)
    if (slice.length === itemsMax || (slice.length > 0 && bytes + size > TRANSACTION_BYTES_MAX)) {
      yield slice
      slice = []
      bytes = 0
    }
    slice.push(wire)
    bytes += size
  }
  if (slice.length > 0) yield slice
}
