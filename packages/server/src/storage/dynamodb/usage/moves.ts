import { DomainError } from '../../../domain/error.ts'
import type { Hour } from '../../../domain/usage/hour.ts'
import type { TagSetKey } from '../../../domain/usage/tags.ts'
import { UNBILLABLE } from '../../ingest/outcomes.ts'
import { big, int, optionalInt, text } from '../fields.ts'
import { bucketKey, countedPartition, tagSumPrefix } from '../keys.ts'
import type { Attribute, Item, Reader, Table, Transaction } from '../table.ts'
import {
  type Bucket,
  FOLDED_MAX,
  forgottenQuantity,
  lookAtBucket,
  readBucket,
  strayMark,
  writeShard,
} from './buckets.ts'
import { type StoredEvent, toStoredEvent } from './event-items.ts'
import { changeMeter, type Meter, meterAt, openMark } from './meters.ts'

/**
 * What a bucket holds may become another's: all of it, or what was used after an end. The sums move in one step. The
 * events, which may be a hundred thousand, stay as they are: each move is noted in both buckets, and who asks for a
 * bucket's events follows the notes.
 */
export interface Move {
  readonly meter: Meter
  readonly hour: Hour
  /** How many moves the other bucket had noted before: of its own later moves, those from there on concern these events. */
  readonly index: number
  /** Only what was used after it, ms; undefined: all. */
  readonly after: number | undefined
  /** Only what was routed by an older epoch: the rest came later. */
  readonly epoch: bigint | undefined
}

type Fields = { readonly [name: string]: Attribute | undefined }

/** Moves out of a bucket, in order. */
export function movesOf(shard: Item | undefined): Move[] {
  return ((shard?.gave ?? []) as readonly Fields[]).map((move) => ({
    meter: meterAt({ subscription: text(move.subscription), dimension: text(move.dimension) }),
    hour: int(move.hour),
    index: int(move.index),
    after: optionalInt(move.after),
    epoch: move.epoch === undefined ? undefined : big(move.epoch),
  }))
}

/** Buckets that others moved into this one. */
function sourcesOf(shard: Item | undefined): { meter: Meter; hour: Hour }[] {
  return ((shard?.took ?? []) as readonly Fields[]).map((source) => ({
    meter: meterAt({ subscription: text(source.subscription), dimension: text(source.dimension) }),
    hour: int(source.hour),
  }))
}

/** The notes of a move, for the first shards of both buckets. */
export function noteMove(from: Bucket, into: Bucket, which: Pick<Move, 'after' | 'epoch'>) {
  const [giver, taker] = [from.shards[0]!, into.shards[0]!]
  const { subscription, dimension } = into.meter
  const move = { subscription, dimension, hour: into.hour, index: movesOf(taker).length, ...which }
  const source = { subscription: from.meter.subscription, dimension: from.meter.dimension, hour: from.hour }
  return {
    gave: [...((giver.gave ?? []) as readonly Attribute[]), move],
    took: [...((taker.took ?? []) as readonly Attribute[]), source],
  }
}

/** Adds amounts to attributes of an item; for a whole write of it. */
export function plus(item: Item, amounts: { readonly [name: string]: bigint }): Record<string, bigint> {
  return Object.fromEntries(
    Object.entries(amounts).map(([name, amount]) => [name, big(item[name] ?? 0n) + amount]),
  )
}

/** By hours of their own, what events add where they are counted in this hour. */
export function strayAmounts(hour: Hour, byOwnHour: ReadonlyMap<Hour, bigint>): Record<string, bigint> {
  return Object.fromEntries(
    [...byOwnHour].filter(([own]) => own !== hour).map(([own, amount]) => [strayMark(own), amount]),
  )
}

/**
 * Moves all that an open bucket of a meter counts into another open one, and closes it.
 *
 * @returns false, having done nothing, where no 64 bits hold it
 */
export async function foldInto(tx: Transaction, meter: Meter, from: Hour, hour: Hour): Promise<boolean> {
  const giver = (await lookAtBucket(tx, meter, from))!
  const taker = (await lookAtBucket(tx, meter, hour))!
  if (giver.quantity + taker.quantity > FOLDED_MAX) return false
  const { gave, took } = noteMove(giver, taker, { after: undefined, epoch: undefined })
  let own = giver.quantity
  for (const amount of giver.strays.values()) own -= amount
  const byOwnHour = new Map([...giver.strays, [from, (giver.strays.get(from) ?? 0n) + own]])
  const none = Object.fromEntries([...giver.strays.keys()].map((stray) => [strayMark(stray), undefined]))
  for (const [index, shard] of giver.shards.entries()) {
    writeShard(tx, shard, {
      ...none,
      quantity: undefined,
      events: undefined,
      strayEvents: undefined,
      tagSets: undefined,
      status: 'closed',
      ...(index === 0 && { gave, unsealed: undefined, unsealedAt: undefined }),
    })
  }
  const [first] = taker.shards
  const { quantity, events, tagSets } = giver
  const strayEvents = giver.shards.reduce((sum, shard) => sum + big(shard.strayEvents ?? 0n), 0n)
  writeShard(tx, first!, {
    ...plus(first!, {
      quantity,
      events: BigInt(events),
      strayEvents,
      tagSets: BigInt(tagSets),
      ...strayAmounts(hour, byOwnHour),
    }),
    took,
  })
  await changeMeter(tx, meter, { [openMark(from)]: undefined })
  return true
}

/** An item that is behind the others of its transaction is there in moments. */
const LOOKS_MAX = 200

/** Quantity by tag set, of a bucket and of those that were folded into it whole. */
export async function readTagSums(reader: Reader, bucket: Bucket): Promise<Map<TagSetKey, bigint>> {
  const sums = new Map<TagSetKey, bigint>()
  for await (const { meter, hour, tagged } of withFolded(reader, bucket)) {
    for (const item of await readTagged(reader, meter, hour, tagged)) {
      const tags = text(item.tags)
      sums.set(tags, (sums.get(tags) ?? 0n) + big(item.quantity))
    }
  }
  for (const [tags, amount] of sums) if (amount === 0n) sums.delete(tags)
  return sums
}

/** How many tag sets have sums, each once, however many processes began them. */
export async function countTagSets(reader: Reader, bucket: Bucket): Promise<number> {
  const found = new Set<TagSetKey>()
  for await (const { meter, hour } of withFolded(reader, bucket))
    for (const item of await reader.query({ pk: meter.pk, prefix: tagSumPrefix(hour) }))
      found.add(text(item.tags))
  return found.size
}

async function* withFolded(reader: Reader, bucket: Bucket): AsyncGenerator<Bucket> {
  yield bucket
  for (const source of sourcesOf(bucket.shards[0])) {
    // Of what another meter handed over, the sums were moved.
    if (source.meter.pk !== bucket.meter.pk) continue
    const folded = await readBucket(reader, bucket.meter, source.hour)
    if (folded !== undefined) yield* withFolded(reader, folded)
  }
}

async function readTagged(
  reader: Reader,
  meter: Meter,
  hour: Hour,
  tagged: bigint,
): Promise<readonly Item[]> {
  for (let look = 0; look < LOOKS_MAX; look++) {
    const items = await reader.query({ pk: meter.pk, prefix: tagSumPrefix(hour) })
    if (items.reduce((sum, { quantity }) => sum + big(quantity), 0n) === tagged) return items
  }
  throw new DomainError('ledger.busy', `sums by tag of ${meter.dimension} are being written; try again`)
}

/** Pages of the events that count in a bucket, wherever they were counted first; forgotten ones among them. */
export async function* eventsOf(table: Table, bucket: Bucket): AsyncGenerator<StoredEvent[]> {
  const moves = createMoves(table)
  moves.know(bucket)
  const origins = await originsOf(table, bucket)
  for (const { meter, hour } of origins) {
    for (let shard = 0; shard < table.shards; shard++) {
      const pages = table.pages({ pk: countedPartition(meter.pk, hour, shard) }, 'BucketEventsIndex')
      for await (const page of pages) {
        const here: StoredEvent[] = []
        for (const event of page.map(toStoredEvent)) {
          const place = await moves.placeOf(event)
          if (place.meter.pk === bucket.meter.pk && place.hour === bucket.hour) here.push(event)
        }
        yield here
      }
    }
  }
}

/** A bucket, and all whose events may have come into it. */
async function originsOf(reader: Reader, bucket: Bucket): Promise<readonly { meter: Meter; hour: Hour }[]> {
  const found = new Map<string, { meter: Meter; hour: Hour }>()
  const visit = async (meter: Meter, hour: Hour, first: Item | undefined): Promise<void> => {
    const name = `${meter.pk} ${hour}`
    if (found.has(name)) return
    found.set(name, { meter, hour })
    for (const source of sourcesOf(first))
      await visit(source.meter, source.hour, await reader.get(bucketKey(source.meter.pk, source.hour, 0)))
  }
  await visit(bucket.meter, bucket.hour, bucket.shards[0])
  return [...found.values()]
}

/** Follows the notes of moves, which are read once. */
export function createMoves(reader: Reader) {
  const known = new Map<string, Promise<Move[]>>()
  const movesAt = (meterPk: string, hour: Hour): Promise<Move[]> => {
    const name = `${meterPk} ${hour}`
    let moves = known.get(name)
    if (moves === undefined) {
      moves = reader.get(bucketKey(meterPk, hour, 0)).then(movesOf)
      known.set(name, moves)
    }
    return moves
  }
  return {
    know: ({ meter, hour, shards }: Bucket) => {
      known.set(`${meter.pk} ${hour}`, Promise.resolve(movesOf(shards[0])))
    },
    async placeOf(event: StoredEvent): Promise<{ meter: { pk: string }; hour: Hour }> {
      let place: { meter: { pk: string }; hour: Hour } = { meter: { pk: event.meter }, hour: event.counted }
      if (event.state === UNBILLABLE) return place
      let from = 0
      for (;;) {
        const moves = await movesAt(place.meter.pk, place.hour)
        const next = moves.find(
          ({ after, epoch }, index) =>
            index >= from &&
            (after === undefined || event.time > after) &&
            (epoch === undefined || event.epoch < epoch),
        )
        if (next === undefined) return place
        place = next
        from = next.index
      }
    },
  }
}

/** What the events say that a bucket counts, with what it counted of forgotten ones. */
export async function measureBucket(
  table: Table,
  bucket: Bucket,
  horizon: number,
): Promise<{ readonly billable: bigint; readonly unbillable: bigint }> {
  let billable = forgottenQuantity(bucket, horizon)
  let unbillable = (bucket.hour + 1) * 3_600_000 <= horizon ? bucket.unbillable : 0n
  for await (const page of eventsOf(table, bucket)) {
    for (const { time, delta, state } of page) {
      if (time < horizon) continue
      if (state === UNBILLABLE) unbillable += delta
      else billable += delta
    }
  }
  return { billable, unbillable }
}
