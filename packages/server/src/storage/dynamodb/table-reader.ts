import assert from 'node:assert'
import type { QueryInput } from '@aws-sdk/client-dynamodb'
import { type Wire, wireKey } from './attributes.ts'
import { createExpression, type Found, toFound } from './changes.ts'
import { inParallel } from './in-parallel.ts'
import { INDEXES } from './indexes.ts'
import type { Journal } from './journal.ts'
import type { Patience } from './patience.ts'
import { type Requests, sendRepeatably } from './requests.ts'
import type { IndexEntry, IndexName, Item, Key, Range, Table } from './table.ts'
import { idOf, isWithin, type VersionedReader } from './transaction.ts'

/** AWS's limit of one `BatchGetItem` (2026-07). */
const BATCH_KEYS_MAX = 100
const BATCHES_AT_ONCE = 4
/** Keys of one `TransactGetItems`: AWS takes 100 (2026-07), the test engine 10. */
const SETTLED_KEYS_MAX = 10

type FoundItem = Found & { readonly item: Item }

export interface TableReader {
  readonly plain: Pick<Table, 'get' | 'getMany' | 'getSettled' | 'query' | 'queryIndex' | 'pages' | 'entries'>
  versioned(patience: Patience): VersionedReader
}

/**
 * Reads that never see a step half done by a journal: behind each lock that is met, its journal is looked up.
 */
export function createTableReader(options: {
  readonly requests: Requests
  readonly table: string
  readonly journal: Journal
  /** One for each call from outside. */
  readonly patience: () => Patience
}): TableReader {
  const { requests, table, journal } = options

  /** @returns whether the items may be taken as they are; else they have to be read again */
  async function areSettled(
    found: readonly { readonly key: Key; readonly lock: string | undefined }[],
    patience: Patience,
  ) {
    let settled = true
    for (const { key, lock } of found) {
      if (lock !== undefined && (await journal.look(key, lock, patience)) === 'settled') settled = false
    }
    return settled
  }

  async function getMany(keys: readonly Key[], patience: Patience, fetch = fetchAll): Promise<Found[]> {
    const found = new Map<string, Found>()
    let missing = [...new Map(keys.map((key) => [idOf(key), key])).values()]
    while (missing.length > 0) {
      const read = await fetch(missing, patience)
      const again: Key[] = []
      for (const key of missing) {
        const one = toFound(read.get(idOf(key)))
        if (await areSettled([{ key, lock: one.lock }], patience)) found.set(idOf(key), one)
        else again.push(key)
      }
      missing = again
      if (again.length > 0) await patience.pause('a step is being finished')
    }
    return keys.map((key) => found.get(idOf(key))!)
  }

  async function fetchAll(keys: readonly Key[], patience: Patience): Promise<Map<string, Wire>> {
    if (keys.length === 1) {
      const input = { TableName: table, Key: wireKey(keys[0]!), ConsistentRead: true }
      const { Item: item } = await sendRepeatably(requests, 'GetItem', input, patience)
      return new Map(item === undefined ? [] : [[idOf(keys[0]!), item]])
    }
    const batches: Key[][] = []
    for (let from = 0; from < keys.length; from += BATCH_KEYS_MAX)
      batches.push(keys.slice(from, from + BATCH_KEYS_MAX))
    const read = new Map<string, Wire>()
    await inParallel(batches, BATCHES_AT_ONCE, async (batch) => {
      let left: Wire[] = batch.map(wireKey)
      while (left.length > 0) {
        const input = { RequestItems: { [table]: { Keys: left, ConsistentRead: true } } }
        const answer = await sendRepeatably(requests, 'BatchGetItem', input, patience)
        for (const item of answer.Responses?.[table] ?? []) {
          read.set(idOf({ pk: item.pk!.S!, sk: item.sk!.S! }), item)
        }
        left = answer.UnprocessedKeys?.[table]?.Keys ?? []
        if (left.length > 0) await patience.pause('DynamoDB left keys unread')
      }
    })
    return read
  }

  /** DynamoDB turns a reading down, as in conflict, while a transaction is being written to one of its items. */
  async function fetchSettled(keys: readonly Key[], patience: Patience): Promise<Map<string, Wire>> {
    const read = new Map<string, Wire>()
    for (let from = 0; from < keys.length; from += SETTLED_KEYS_MAX) {
      const batch = keys.slice(from, from + SETTLED_KEYS_MAX)
      const input = { TransactItems: batch.map((key) => ({ Get: { TableName: table, Key: wireKey(key) } })) }
      const { Responses = [] } = await sendRepeatably(requests, 'TransactGetItems', input, patience)
      for (const [index, { Item: item }] of Responses.entries())
        if (item !== undefined) read.set(idOf(batch[index]!), item)
    }
    return read
  }

  async function* pagesOf(range: Range, patience: () => Patience): AsyncGenerator<FoundItem[]> {
    if (isEmpty(range)) return
    const input = { ...toQuery(table, range, 'pk', 'sk'), ConsistentRead: true }
    let left = range.limit ?? Number.POSITIVE_INFINITY
    let startKey: Wire | undefined
    do {
      const waiting = patience()
      const answer = await sendRepeatably(requests, 'Query', pageOf(input, startKey, left), waiting)
      const found = (answer.Items ?? []).map((wire) => ({ key: keyOf(wire), ...toFound(wire) }))
      if (!(await areSettled(found, waiting))) {
        await waiting.pause('a step is being finished')
        continue
      }
      // Ghosts are none of the items that were asked for: the range goes on behind them.
      const page = found.filter(isItem).slice(0, left)
      left -= page.length
      startKey = answer.LastEvaluatedKey
      yield page
      if (startKey === undefined) return
    } while (left > 0)
  }

  async function* entriesOf(
    index: IndexName,
    range: Range,
    patience: () => Patience,
    pageMax = Number.POSITIVE_INFINITY,
  ): AsyncGenerator<IndexEntry[]> {
    if (isEmpty(range)) return
    const { partition, sort } = INDEXES[index]
    const input = { ...toQuery(table, range, partition, sort), IndexName: index }
    let startKey: Wire | undefined
    let left = range.limit ?? Number.POSITIVE_INFINITY
    do {
      const answer = await sendRepeatably(
        requests,
        'Query',
        pageOf(input, startKey, Math.min(left, pageMax)),
        patience(),
      )
      const page = (answer.Items ?? []).map((wire) => ({ ...keyOf(wire), sort: wire[sort]!.S! }))
      startKey = answer.LastEvaluatedKey
      left -= page.length
      yield page
    } while (startKey !== undefined && left > 0)
  }

  async function* indexPagesOf(
    index: IndexName,
    range: Range,
    patience: () => Patience,
  ): AsyncGenerator<FoundItem[]> {
    if (isEmpty(range)) return
    const { partition, sort } = INDEXES[index]
    let left = range.limit ?? Number.POSITIVE_INFINITY
    // In pages of what is asked for: some of them may no longer belong into the range.
    const pages = entriesOf(index, { ...range, limit: undefined }, patience, range.limit)
    for await (const entries of pages) {
      const found = await getMany(entries, patience())
      const page = found
        .filter(isItem)
        .filter(({ item }) => item[partition] === range.pk && isWithin(item[sort] as string, range))
        .slice(0, left)
      left -= page.length
      yield page
      if (left <= 0) return
    }
  }

  async function all(pages: AsyncIterable<FoundItem[]>): Promise<FoundItem[]> {
    const items: FoundItem[] = []
    for await (const page of pages) items.push(...page)
    return items
  }

  const { patience } = options
  return {
    plain: {
      get: async (key) => (await getMany([key], patience()))[0]!.item,
      getMany: async (keys) => (await getMany(keys, patience())).map(({ item }) => item),
      getSettled: async (keys) => (await getMany(keys, patience(), fetchSettled)).map(({ item }) => item),
      query: async (range) => (await all(pagesOf(range, patience))).map(({ item }) => item),
      queryIndex: async (index, range) =>
        (await all(indexPagesOf(index, range, patience))).map(({ item }) => item),
      async *pages(range, index) {
        const pages = index === undefined ? pagesOf(range, patience) : indexPagesOf(index, range, patience)
        for await (const page of pages) yield page.map(({ item }) => item)
      },
      entries: (index, range) => entriesOf(index, range, patience),
    },
    versioned: (waiting) => ({
      getMany: (keys) => getMany(keys, waiting),
      getSettled: (keys) => getMany(keys, waiting, fetchSettled),
      query: (range) => all(pagesOf(range, () => waiting)),
      queryIndex: (index, range) => all(indexPagesOf(index, range, () => waiting)),
    }),
  }
}

function toQuery(table: string, range: Range, partition: string, sort: string): QueryInput {
  const { pk, prefix, from, to, reverse } = range
  assert(
    prefix === undefined || (from === undefined && to === undefined),
    'a range has a prefix or bounds, not both',
  )
  const expression = createExpression()
  const { name, value } = expression
  const conditions = [`${name(partition)} = ${value({ S: pk })}`]
  if (prefix !== undefined && prefix !== '')
    conditions.push(`begins_with(${name(sort)}, ${value({ S: prefix })})`)
  if (from !== undefined && to !== undefined) {
    conditions.push(`${name(sort)} BETWEEN ${value({ S: from })} AND ${value({ S: to })}`)
  } else if (from !== undefined) conditions.push(`${name(sort)} >= ${value({ S: from })}`)
  else if (to !== undefined) conditions.push(`${name(sort)} <= ${value({ S: to })}`)
  return {
    TableName: table,
    KeyConditionExpression: conditions.join(' AND '),
    ScanIndexForward: reverse !== true,
    ...expression.parts(),
  }
}

/** Bounds the wrong way round are no error for who asks. */
function isEmpty({ from, to, limit }: Range): boolean {
  return limit === 0 || (from !== undefined && to !== undefined && !isWithin(from, { to }))
}

function pageOf(input: QueryInput, startKey: Wire | undefined, left: number): QueryInput {
  return {
    ...input,
    ...(startKey !== undefined && { ExclusiveStartKey: startKey }),
    ...(Number.isFinite(left) && { Limit: left }),
  }
}

function isItem<F extends Found>(found: F): found is F & FoundItem {
  return found.item !== undefined
}

function keyOf(wire: Wire): Key {
  return { pk: wire.pk!.S!, sk: wire.sk!.S! }
}
