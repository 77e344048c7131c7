import { AWS_RULES } from '../../../domain/usage/aws-rules.ts'
import { type Hour, hourOf } from '../../../domain/usage/hour.ts'
import type { TagSetKey } from '../../../domain/usage/tags.ts'
import { BUCKET_MAX } from '../../ingest/outcomes.ts'
import type { BucketAddition } from '../../ingest/place-event.ts'
import { text } from '../fields.ts'
import { bucketKey, meterKey, tagSumKey } from '../keys.ts'
import type { Refusal, Transaction } from '../table.ts'
import { newShard, openPlace, strayMark } from './buckets.ts'
import { expiryOf } from './event-items.ts'
import { heldMark, openMark } from './meters.ts'
import { countTagSets } from './moves.ts'
import { addToTotals } from './totals.ts'
import type { Hours, WriteContext, WriteOrder } from './write-order.ts'

type Addition = BucketAddition<string>

/** What `Opened` calls a bucket. */
export const bucketName = (meterPk: string, hour: Hour): string => `${meterPk} ${hour}`

export interface Booking extends WriteContext, Omit<WriteOrder, 'facts'> {
  readonly isEnded: boolean
  /** What is known of the buckets; undefined: nothing, they are taken for open. */
  readonly hours: Hours | undefined
}

/** Which tag sets of an addition get sums of their own, and how many of these are new. */
export interface TagSets {
  readonly shares: readonly (readonly [TagSetKey, bigint])[]
  readonly fresh: number
}

/** Past AWS's bound, what has another tag set counts as untagged: it is part of the bucket alone. */
export async function tagSetsOf(booking: Booking, { hour, tags }: Addition): Promise<TagSets> {
  const { table, meter, opened, hours, notes } = booking
  const bucket = hours?.at(hour)
  const unknown = [...tags].map(([set]) => set).filter((set) => !opened.has(tagName(meter.pk, hour, set)))
  let begun = new Set<TagSetKey>()
  let room = AWS_RULES.allocationsMax - (bucket?.tagSets ?? 0)
  if (bucket !== undefined && unknown.length > room) {
    // Each process, and each life of one, has counted those that it began: maybe others had begun them before.
    begun = await begunAmong(booking, hour, unknown)
    const full = `${bucketName(meter.pk, hour)}\nfull`
    if (begun.size < unknown.length) {
      room = opened.has(full) ? 0 : AWS_RULES.allocationsMax - (await countTagSets(table, bucket))
      if (room <= 0) notes.push(full)
    }
  }
  const fresh = unknown.filter((set) => !begun.has(set))
  const left = new Set(fresh.slice(Math.max(room, 0)))
  return { shares: [...tags].filter(([set]) => !left.has(set)), fresh: fresh.length - left.size }
}

async function begunAmong(
  { table, meter }: Booking,
  hour: Hour,
  sets: readonly TagSetKey[],
): Promise<Set<TagSetKey>> {
  const shards = Array.from({ length: table.shards }, (_, shard) => shard)
  const keys = sets.flatMap((set) => shards.map((shard) => tagSumKey(meter.pk, hour, set, shard)))
  const items = await table.getMany(keys)
  return new Set(items.flatMap((item) => (item === undefined ? [] : [text(item.tags)])))
}

export function tagName(meterPk: string, hour: Hour, tags: TagSetKey): string {
  return `${meterPk} ${hour} ${tags}`
}

/** Adds to the process's own shard of an open bucket; the first that does opens it. */
export function bookBillable(tx: Transaction, booking: Booking, addition: Addition, tagSets: TagSets): void {
  const { table, meter, shard, opened, epoch, hours, notes } = booking
  const { hour, quantity, events } = addition
  const product = events[0]!.routed.product
  const key = bucketKey(meter.pk, hour, shard)
  const isStale: Refusal = { attribute: 'changedAt', isAbove: epoch }
  const isSealed: Refusal = { attribute: 'status', isNot: 'open' }
  const bucket = hours?.at(hour)
  const own = BigInt((bucket?.shards.find(({ sk }) => sk === key.sk)?.quantity as bigint | undefined) ?? 0)
  // What no other process may know of this shard's room is left to those that read all of them.
  const most =
    hours === undefined ? BUCKET_MAX / BigInt(table.shards) : BUCKET_MAX - (bucket?.quantity ?? 0n) + own
  const addHere = {
    amounts: {
      quantity,
      events: events.length,
      ...straysIn(addition),
      ...(tagSets.fresh > 0 && { tagSets: tagSets.fresh }),
      ...(tagSets.shares.length > 0 && {
        tagged: tagSets.shares.reduce((sum, [, share]) => sum + share, 0n),
      }),
    },
    refuseIf: [
      isSealed,
      isStale,
      { attribute: 'quantity', isAbove: most - quantity },
      ...(hours === undefined && tagSets.fresh > 0 ? [tooManyTagSets(tagSets)] : []),
    ],
  }
  if (hours === undefined && opened.has(bucketName(meter.pk, hour))) {
    tx.add(key, { ...addHere, mayCreate: false })
  } else {
    const initial = {
      ...newShard(meter, product, hour, 0),
      ...openPlace(meter, product, hour, booking.isEnded),
      status: 'open',
    }
    // All shards of a bucket follow its first: whoever seals it writes that one and those that are there.
    tx.add(meterKey(meter.subscription, meter.dimension), {
      amounts: {},
      initial: { [openMark(hour)]: 1 },
      refuseIf: [isStale, { attribute: heldMark(hour), isPresent: true }],
      mayCreate: false,
    })
    if (shard === 0) tx.add(key, { ...addHere, initial })
    else {
      tx.add(bucketKey(meter.pk, hour, 0), { amounts: {}, initial, refuseIf: [isSealed, isStale] })
      tx.add(key, { ...addHere, initial: { ...newShard(meter, product, hour, shard), status: 'open' } })
    }
  }
  notes.push(bucketName(meter.pk, hour))
  for (const [tags, share] of tagSets.shares) {
    notes.push(tagName(meter.pk, hour, tags))
    tx.add(tagSumKey(meter.pk, hour, tags, shard), {
      amounts: { quantity: share },
      initial: { tags, hour, expiresAt: booking.expires ? expiryOf(events[0]!.now) : undefined },
    })
  }
}

function tooManyTagSets({ fresh }: TagSets): Refusal {
  return { attribute: 'tagSets', isAbove: AWS_RULES.allocationsMax - fresh }
}

/** What events of other hours add, by their hours. */
function straysIn({ hour, events }: Addition): Record<string, bigint> {
  const strays: Record<string, bigint> = {}
  for (const { routed, delta } of events) {
    const own = hourOf(routed.event.time)
    if (own === hour) continue
    strays.strayEvents = (strays.strayEvents ?? 0n) + 1n
    if (delta > 0) strays[strayMark(own)] = (strays[strayMark(own)] ?? 0n) + BigInt(delta)
  }
  return strays
}

/** Books beside the bucket's quantity, whatever its status. The step has read the meter. */
export function bookUnbillable(tx: Transaction, booking: Booking, addition: Addition): void {
  const { meter, shard } = booking
  const { hour, quantity, events } = addition
  const product = events[0]!.routed.product
  if (shard !== 0)
    tx.add(bucketKey(meter.pk, hour, 0), { amounts: {}, initial: newShard(meter, product, hour, 0) })
  tx.add(bucketKey(meter.pk, hour, shard), {
    amounts: { unbillable: quantity, unbillableEvents: events.length },
    initial: newShard(meter, product, hour, shard),
  })
  addToTotals(tx, product, meter.dimension, { unbillable: quantity })
}
