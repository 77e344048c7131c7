import type { Subscription } from '../../../domain/subscriptions/subscription.ts'
import { type Hour, hourStart } from '../../../domain/usage/hour.ts'
import type { BucketKey, Page, UsageBucket, UsageStore } from '../../../domain/usage/usage-store.ts'
import { int, text, textSet } from '../fields.ts'
import {
  bucketHourPrefix,
  bucketsPartition,
  hourDigits,
  SLICES,
  subscriptionKey,
  unsealedPartition,
} from '../keys.ts'
import { toSubscription } from '../subscription-items.ts'
import type { IndexName, Item, Range, Reader, Table } from '../table.ts'
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
    async listOpen(product, hourMax, except, limit, cursor) {
      const partitions = (['OPEN', 'ENDED'] as const).flatMap((kind) =>
        slices((slice) => unsealedPartition(kind, product, slice)),
      )
      const isGoingOn = ({ accessEnd }: Subscription) =>
        accessEnd === undefined || accessEnd > hourStart(hourMax + 1)
      const found: BucketKey[] = []
      let last: string | undefined
      for (const { from, to } of rangesWithout(hourMax, except)) {
        for await (const { item, place, subscription } of unsealedOf(table, partitions, {
          from,
          to,
          after: cursor,
        })) {
          if (!isGoingOn(subscription)) continue
          found.push(toKey(item))
          last = place
          if (found.length === limit) return { items: found, next: last }
        }
      }
      return { items: found, next: undefined }
    },

    async listOpenOfEnded(product, now, limit, cursor) {
      const partitions = slices((slice) => unsealedPartition('ENDED', product, slice))
      const found: (BucketKey & { readonly subscriptionRow: Subscription })[] = []
      const range = { from: 0, to: MOST_HOURS, after: cursor }
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
      const partitions = products.flatMap((one) => slices((slice) => unsealedPartition('HELD', one, slice)))
      const found: { bucket: UsageBucket; subscription: Subscription }[] = []
      const range = { from: 0, to: MOST_HOURS, after: undefined }
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

function slices<T>(make: (slice: number) => T): T[] {
  return Array.from({ length: SLICES }, (_, slice) => make(slice))
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
  { from, to, after }: { readonly from: Hour; readonly to: Hour; readonly after: string | undefined },
) {
  const range = { from: hourDigits(from), to: `${hourDigits(to)}${LAST}` }
  const seen = new Map<string, Subscription>()
  for await (const chunk of merged(table, 'UnsealedBucketsIndex', partitions, range, after)) {
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

const SORT = { UnsealedBucketsIndex: 'unsealedAt', SecondListIndex: 'alsoListed' } as const

/** Several partitions of an index as one, in the order of their sort keys, a chunk at a time. */
async function* merged(
  table: Table,
  index: Extract<IndexName, keyof typeof SORT>,
  partitions: readonly string[],
  range: Pick<Range, 'from' | 'to' | 'reverse'>,
  after: string | undefined,
): AsyncGenerator<{ readonly item: Item; readonly place: string }[]> {
  const isReverse = range.reverse === true
  const isBefore = (a: string, b: string) => (isReverse ? a > b : a < b)
  const sources = partitions.map((pk) => ({ pk, items: [] as Item[], from: after, isOver: false }))
  const placeOf = (item: Item) => text(item[SORT[index]])
  for (;;) {
    await Promise.all(
      sources.map(async (source) => {
        if (source.items.length > 0 || source.isOver) return
        const bound = source.from === undefined ? {} : isReverse ? { to: source.from } : { from: source.from }
        const outer = within(range, bound)
        const items = await table.queryIndex(index, {
          pk: source.pk,
          ...outer,
          reverse: isReverse,
          limit: CHUNK + 1,
        })
        source.isOver = items.length <= CHUNK
        // Bounds are included: the one before was had already.
        source.items = items.filter(
          (item) => source.from === undefined || isBefore(source.from, placeOf(item)),
        )
        source.from = items.length === 0 ? source.from : placeOf(items.at(-1)!)
      }),
    )
    const chunk: { item: Item; place: string }[] = []
    for (;;) {
      // Up to where one of them has to be read on.
      if (sources.some(({ items, isOver }) => items.length === 0 && !isOver)) break
      const next = sources
        .filter(({ items }) => items.length > 0)
        .reduce<(typeof sources)[number] | undefined>(
          (best, source) =>
            best === undefined || isBefore(placeOf(source.items[0]!), placeOf(best.items[0]!))
              ? source
              : best,
          undefined,
        )
      if (next === undefined) break
      const item = next.items.shift()!
      chunk.push({ item, place: placeOf(item) })
    }
    if (chunk.length > 0) yield chunk
    if (sources.every(({ items, isOver }) => isOver && items.length === 0)) return
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
  const isOpen = filter.status === 'open'
  const isUnsealed = isOpen || filter.status === 'held'
  const kinds = isOpen ? (['OPEN', 'ENDED'] as const) : (['HELD'] as const)
  const partitions = products.flatMap((product) =>
    isUnsealed
      ? kinds.flatMap((kind) => slices((slice) => unsealedPartition(kind, product, slice)))
      : slices((slice) => bucketsPartition(product, slice)),
  )
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
