import { hash } from 'node:crypto'
import type { Subscription } from '../../../domain/subscriptions/subscription.ts'
import { type Hour, hourStart } from '../../../domain/usage/hour.ts'
import type { BucketKey, Page, UsageBucket, UsageStore } from '../../../domain/usage/usage-store.ts'
import type { Slice } from '../../../domain/work-share.ts'
import { int, text, textSet } from '../fields.ts'
import {
  bucketHourPrefix,
  bucketsPartitions,
  hourDigits,
  subscriptionKey,
  unsealedPartitions,
} from '../keys.ts'
import { toSubscription } from '../subscription-items.ts'
import type { IndexEntry, Item, Range, Reader, Table } from '../table.ts'
import { toBuckets, toUsageBucket } from './buckets.ts'
import { meterAt } from './meters.ts'
import { readProducts } from './products.ts'

/** After every place of an hour. */
const LAST = '\uffff'
const MOST_HOURS = 99_999_999
/** Items read at once from each slice of a list. */
const CHUNK = 50

type Lists = Pick<UsageStore, 'listOpen' | 'listOpenOfEnded' | 'listProducts' | 'listHeld' | 'listBuckets'>

export function createBucketLists(table: Table): Lists {
  return {
    async listOpen(product, hourMax, except, limit, cursor, slice) {
      const partitions = openPartitions(product)
      const isGoingOn = ({ accessEnd }: Subscription) =>
        accessEnd === undefined || accessEnd > hourStart(hourMax + 1)
      const found: BucketKey[] = []
      let last: string | undefined
      for (const { from, to } of rangesWithout(hourMax, except)) {
        for await (const { item, place, subscription } of unsealedOf(table, partitions, {
          from,
          to,
          after: cursor,
          slice,
        })) {
          if (!isGoingOn(subscription)) continue
          found.push(toKey(item))
          last = place
          if (found.length === limit) return { items: found, next: last }
        }
      }
      return { items: found, next: undefined }
    },

    async listOpenOfEnded(product, now, limit, cursor, slice) {
      const partitions = unsealedPartitions('ENDED', product)
      const found: (BucketKey & { readonly subscriptionRow: Subscription })[] = []
      const range = { from: 0, to: MOST_HOURS, after: cursor, slice }
      for await (const { item, place, subscription } of unsealedOf(table, partitions, range)) {
        if (subscription.accessEnd === undefined || subscription.accessEnd > now) continue
        found.push({ ...toKey(item), subscriptionRow: subscription })
        if (found.length === limit) return { items: found, next: place }
      }
      return { items: found, next: undefined }
    },

    listProducts: () => readProducts(table),

    async listHeld(product, limit) {
      const products = product === undefined ? await readProducts(table) : [product]
      const partitions = products.flatMap((one) => unsealedPartitions('HELD', one))
      const found: { bucket: UsageBucket; subscription: Subscription }[] = []
      const range = { from: 0, to: MOST_HOURS, after: undefined, slice: undefined }
      for await (const { item, subscription } of unsealedOf(table, partitions, range)) {
        const [bucket] = toBuckets(await readShards(table, item))
        if (bucket?.status !== 'held') continue
        found.push({ bucket: toUsageBucket(bucket), subscription })
        if (found.length === limit) break
      }
      return found
    },

    listBuckets: (filter) => listBuckets(table, filter),
  }
}

function openPartitions(product: string): string[] {
  return [...unsealedPartitions('OPEN', product), ...unsealedPartitions('ENDED', product)]
}

function toKey(shard: Item): BucketKey {
  return { subscription: text(shard.subscription), dimension: text(shard.dimension), hour: int(shard.hour) }
}

function readShards(reader: Reader, shard: Item): Promise<readonly Item[]> {
  return reader.query({ pk: shard.pk, prefix: bucketHourPrefix(int(shard.hour)) })
}

/** Hours up to one that are not among others, as ranges in order: what is left out is not even read. */
export function rangesWithout(hourMax: Hour, except: readonly Hour[]): { from: Hour; to: Hour }[] {
  const ranges: { from: Hour; to: Hour }[] = []
  let from = 0
  for (const hour of [...new Set(except)].filter((one) => one <= hourMax).sort((a, b) => a - b)) {
    if (hour > from) ranges.push({ from, to: hour - 1 })
    from = hour + 1
  }
  if (from <= hourMax) ranges.push({ from, to: hourMax })
  return ranges
}

/** First shards of unsealed buckets with their subscriptions, oldest first. */
async function* unsealedOf(
  table: Table,
  partitions: readonly string[],
  {
    from,
    to,
    after,
    slice,
  }: {
    readonly from: Hour
    readonly to: Hour
    readonly after: string | undefined
    readonly slice: Slice | undefined
  },
) {
  const range = { from: hourDigits(from), to: `${hourDigits(to)}${LAST}` }
  const seen = new Map<string, Subscription>()
  for await (const chunk of merged(
    table,
    'UnsealedBucketsIndex',
    partitions,
    range,
    after,
    isInSlice(slice),
  )) {
    const wanted = [...new Set(chunk.map(({ item }) => text(item.subscription)))].filter(
      (id) => !seen.has(id),
    )
    for (const item of await table.getMany(wanted.map(subscriptionKey)))
      if (item !== undefined) seen.set(text(item.id), toSubscription(item))
    for (const { item, place } of chunk) {
      const subscription = seen.get(text(item.subscription))
      if (subscription !== undefined) yield { item, place, subscription }
    }
  }
}

const ATTRIBUTE = { UnsealedBucketsIndex: 'unsealed', SecondListIndex: 'also' } as const

interface Source {
  readonly pk: string
  /** Read, and not yet handed on. */
  readonly entries: IndexEntry[]
  /** The last that was read. */
  last: string | undefined
  isOver: boolean
}

/**
 * Several partitions of an index as one, in the order of their sort keys, a chunk at a time.
 *
 * @param isWanted - others are not even read
 */
async function* merged(
  table: Table,
  index: keyof typeof ATTRIBUTE,
  partitions: readonly string[],
  range: Pick<Range, 'from' | 'to' | 'reverse'>,
  after: string | undefined,
  isWanted: (entry: IndexEntry) => boolean = () => true,
): AsyncGenerator<{ readonly item: Item; readonly place: string }[]> {
  const isReverse = range.reverse === true
  const isBefore = (a: string, b: string) => (isReverse ? a > b : a < b)
  const sources = partitions.map((pk): Source => ({ pk, entries: [], last: after, isOver: false }))
  const readOn = async (source: Source) => {
    if (source.entries.length > 0 || source.isOver) return
    const { last } = source
    const bound = last === undefined ? {} : isReverse ? { to: last } : { from: last }
    const wanted = { pk: source.pk, ...within(range, bound), reverse: isReverse, limit: CHUNK + 1 }
    const found: IndexEntry[] = []
    for await (const page of table.entries(index, wanted)) found.push(...page)
    source.isOver = found.length <= CHUNK
    // Bounds are included: the last one was had already.
    source.entries.push(...found.filter(({ sort }) => last === undefined || isBefore(last, sort)))
    source.last = found.at(-1)?.sort ?? last
  }
  for (;;) {
    await Promise.all(sources.map(readOn))
    const chunk: { entry: IndexEntry; pk: string }[] = []
    // Up to where one of them has to be read on.
    while (!sources.some(({ entries, isOver }) => entries.length === 0 && !isOver)) {
      const next = sources.reduce<Source | undefined>((best, source) => {
        if (source.entries.length === 0) return best
        return best === undefined || isBefore(source.entries[0]!.sort, best.entries[0]!.sort) ? source : best
      }, undefined)
      if (next === undefined) break
      chunk.push({ entry: next.entries.shift()!, pk: next.pk })
    }
    const wanted = chunk.filter(({ entry }) => isWanted(entry))
    const items = await table.getMany(wanted.map(({ entry: { pk, sk } }) => ({ pk, sk })))
    const found = wanted.flatMap(({ entry, pk }, n) => {
      const item = items[n]
      return item !== undefined && item[ATTRIBUTE[index]] === pk ? [{ item, place: entry.sort }] : []
    })
    if (found.length > 0) yield found
    if (sources.every(({ entries, isOver }) => isOver && entries.length === 0)) return
  }
}

/** Is a meter's subscription in a part of them? */
function isInSlice(slice: Slice | undefined): (entry: IndexEntry) => boolean {
  if (slice === undefined) return () => true
  return ({ pk }) => {
    const subscription = pk.split('#')[1]!
    return hash('sha256', subscription, 'buffer').readUInt32BE() % slice.of === slice.index
  }
}

function within(
  { from, to }: Pick<Range, 'from' | 'to'>,
  bound: { readonly from?: string; readonly to?: string },
): { from: string | undefined; to: string | undefined } {
  return {
    from: bound.from !== undefined && (from === undefined || bound.from > from) ? bound.from : from,
    to: bound.to !== undefined && (to === undefined || bound.to < to) ? bound.to : to,
  }
}

type BucketFilter = Parameters<UsageStore['listBuckets']>[0]

/** Newest first. The cursor is the place of the last one. */
async function listBuckets(table: Table, filter: BucketFilter): Promise<Page<UsageBucket>> {
  const { limit } = filter
  const found: UsageBucket[] = []
  let last: string | undefined
  for await (const { shards, place } of candidates(table, filter)) {
    const [bucket] = toBuckets(shards)
    if (bucket === undefined) continue
    const shown = toUsageBucket(bucket)
    if (filter.status !== undefined && shown.status !== filter.status) continue
    if (filter.dimension !== undefined && shown.dimension !== filter.dimension) continue
    if (filter.product !== undefined && shown.product !== filter.product) continue
    found.push(shown)
    last = place
    if (found.length === limit) return { items: found, next: last }
  }
  return { items: found, next: undefined }
}

async function* candidates(table: Table, filter: BucketFilter) {
  const { subscription, from = 0, to = MOST_HOURS, cursor } = filter
  if (subscription !== undefined) {
    yield* ofSubscription(table, subscription, filter)
    return
  }
  const products = filter.product === undefined ? await readProducts(table) : [filter.product]
  const isUnsealed = filter.status === 'open' || filter.status === 'held'
  const partitions = products.flatMap((product) => {
    if (filter.status === 'open') return openPartitions(product)
    if (filter.status === 'held') return unsealedPartitions('HELD', product)
    return bucketsPartitions(product)
  })
  const range = { from: hourDigits(from), to: `${hourDigits(to)}${LAST}`, reverse: true }
  const index = isUnsealed ? 'UnsealedBucketsIndex' : 'SecondListIndex'
  for await (const chunk of merged(table, index, partitions, range, cursor)) {
    for (const { item, place } of chunk) {
      if (filter.dimension !== undefined && item.dimension !== filter.dimension) continue
      yield { shards: await readShards(table, item), place }
    }
  }
}

/** Hours of a subscription's meters, strongly consistent. */
async function* ofSubscription(table: Table, subscription: string, filter: BucketFilter) {
  const { from = 0, to = MOST_HOURS, cursor } = filter
  const item = await table.get(subscriptionKey(subscription))
  const dimensions = [...textSet(item?.dimensions)].filter(
    (dimension) => filter.dimension === undefined || dimension === filter.dimension,
  )
  const top = cursor === undefined ? to : Math.min(to, Number(cursor.slice(0, 8)))
  const rows: { shards: Item[]; place: string }[] = []
  for (const dimension of dimensions) {
    const { pk } = meterAt({ subscription, dimension })
    for (const shards of await newestHours(table, pk, from, top, filter)) {
      const place = `${hourDigits(int(shards[0]!.hour))}#${pk}`
      if (cursor === undefined || place < cursor) rows.push({ shards, place })
    }
  }
  yield* rows.sort((a, b) => (a.place < b.place ? 1 : -1))
}

/** As many hours of a meter as a page may need. */
async function newestHours(
  table: Table,
  pk: string,
  from: Hour,
  to: Hour,
  { status, limit }: BucketFilter,
): Promise<Item[][]> {
  const range = { pk, from: bucketHourPrefix(from), to: `${bucketHourPrefix(to)}~`, reverse: true }
  // Of one status there may be few among many.
  const most = status === undefined ? (limit + 2) * table.shards : undefined
  const byHour = new Map<number, Item[]>()
  for (const shard of await table.query({ ...range, limit: most })) {
    const hour = int(shard.hour)
    byHour.set(hour, [shard, ...(byHour.get(hour) ?? [])])
  }
  const hours = [...byHour.values()]
  // The last may have been cut in two.
  return most !== undefined && hours.length > limit + 1 ? hours.slice(0, -1) : hours
}
