import { added, itemOf } from '../changes.ts'
import { inParallel } from '../in-parallel.ts'
import { createPatience } from '../patience.ts'
import { type Requests, sendRepeatably } from '../requests.ts'
import type { Item, Key, Table, Transaction } from '../table.ts'

const PUTS_AT_ONCE = 16
const PATIENCE_MS = 60_000

/**
 * Writes to a table that nobody else uses: whole items, over whatever is there, without conditions and at half the price of
 * a transaction. What is written again is the same, so a page that was cut is simply written anew.
 */
export interface Batch extends Transaction {
  /** Reads many at once that will be asked for. */
  prefetch(keys: readonly Key[]): Promise<void>
  /** All of it is durable when it resolves. */
  flush(): Promise<void>
}

export function createBatch(table: Table, requests: Requests): Batch {
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
      await inParallel([...changed.values()], PUTS_AT_ONCE, (item) =>
        sendRepeatably(
          requests,
          'PutItem',
          { TableName: table.name, Item: itemOf(item, 'copied') },
          createPatience(PATIENCE_MS),
        ),
      )
      changed.clear()
    },
  }
}
