import { type Hour, hourOf } from '../../../domain/usage/hour.ts'
import type { BucketStatus, UsageBucket } from '../../../domain/usage/usage-store.ts'
import { big, int, optionalText, text } from '../fields.ts'
import {
  bucketHourPrefix,
  bucketKey,
  bucketPlace,
  bucketsPartition,
  hourDigits,
  subscriptionKey,
  unsealedPartition,
} from '../keys.ts'
import type { Attribute, Item, Reader, Transaction } from '../table.ts'
import { changeMeter, findMeterItem, type Meter, openHoursOf, openMark } from './meters.ts'

/** How far ahead an open hour is looked for: closed ones follow only after a clock went back. */
const OPEN_AHEAD_MAX = 48
/** A bucket that others are folded into stays below 2^63: ledgers of other engines can take it over. */
export const FOLDED_MAX = 8_000_000_000_000_000_000n

/**
 * A bucket as its shards say. A shard without a status has only what nobody is billed for so far: it opens with the first
 * that is billed.
 */
export interface Bucket {
  readonly meter: Meter
  readonly hour: Hour
  /** Those that are there, in order; the first is shard 0. */
  readonly shards: readonly Item[]
  readonly status: BucketStatus | 'untouched'
  readonly quantity: bigint
  readonly unbillable: bigint
  readonly events: number
  /** How many tag sets have sums of their own, or more: each process counts those that it began. */
  readonly tagSets: number
  /** What these sums come to: while one of them is behind, another amount. */
  readonly tagged: bigint
  /** Of the quantity, what events of other hours added, by their hours: what they counted outlives them. */
  readonly strays: ReadonlyMap<Hour, bigint>
}

const STRAY = 'late'
/** Attribute of a shard: what events timed in that hour added to it. */
export const strayMark = (hour: Hour): string => `${STRAY}${hourDigits(hour)}`

export function toBuckets(items: readonly Item[]): Bucket[] {
  const byHour = new Map<string, Item[]>()
  for (const item of items) {
    const key = `${item.pk} ${int(item.hour)}`
    byHour.set(key, [...(byHour.get(key) ?? []), item])
  }
  return [...byHour.values()].map(toBucket)
}

function toBucket(shards: readonly Item[]): Bucket {
  const [first] = shards
  const strays = new Map<Hour, bigint>()
  for (const shard of shards) {
    for (const [name, value] of Object.entries(shard)) {
      if (!name.startsWith(STRAY)) continue
      const hour = Number(name.slice(STRAY.length))
      strays.set(hour, (strays.get(hour) ?? 0n) + big(value))
    }
  }
  const sum = (name: string) => shards.reduce((total, shard) => total + big(shard[name] ?? 0n), 0n)
  return {
    meter: { subscription: text(first!.subscription), dimension: text(first!.dimension), pk: first!.pk },
    hour: int(first!.hour),
    shards,
    status: statusOf(shards),
    quantity: sum('quantity'),
    unbillable: sum('unbillable'),
    events: Number(sum('events')),
    tagSets: Number(sum('tagSets')),
    tagged: sum('tagged'),
    strays,
  }
}

function statusOf(shards: readonly Item[]): Bucket['status'] {
  const statuses = new Set(shards.map(({ status }) => status))
  for (const status of ['closed', 'held', 'open'] as const) if (statuses.has(status)) return status
  return 'untouched'
}

/** As the domain knows it. What is untouched is shown as closed: nothing of it is to be billed. */
export function toUsageBucket({
  meter,
  hour,
  shards,
  status,
  quantity,
  unbillable,
  events,
}: Bucket): UsageBucket {
  const reason = optionalText(shards[0]!.holdReason)
  return {
    subscription: meter.subscription,
    dimension: meter.dimension,
    product: text(shards[0]!.product),
    hour,
    status: status === 'untouched' ? 'closed' : status,
    quantity,
    unbillable,
    events,
    hold: reason === undefined ? undefined : { reason, heldAt: int(shards[0]!.heldAt) },
  }
}

/** One bucket; undefined where nothing was ever counted in it. */
export async function readBucket(reader: Reader, meter: Meter, hour: Hour): Promise<Bucket | undefined> {
  return toBuckets(await reader.query({ pk: meter.pk, prefix: bucketHourPrefix(hour) }))[0]
}

/** One bucket within a step that has read its meter's item: with all that was added to it until then. */
export async function lookAtBucket(tx: Transaction, meter: Meter, hour: Hour): Promise<Bucket | undefined> {
  const keys = Array.from({ length: tx.shards }, (_, shard) => bucketKey(meter.pk, hour, shard))
  const shards = await tx.peekSettled(keys)
  return toBuckets(shards.filter((shard) => shard !== undefined))[0]
}

/** Buckets of a meter, in order of their hours. */
export async function readBuckets(
  reader: Reader,
  meter: Meter,
  range: { readonly from?: Hour | undefined; readonly to?: Hour | undefined } = {},
): Promise<Bucket[]> {
  const from = bucketHourPrefix(range.from ?? 0)
  const to = `${bucketHourPrefix(range.to ?? 99_999_999)}~`
  return toBuckets(await reader.query({ pk: meter.pk, from, to }))
}

/** Attributes of a shard as it begins, but for its sums. */
export function newShard(meter: Meter, product: string, hour: Hour, shard: number) {
  const place = bucketPlace(meter.pk, hour)
  return {
    subscription: meter.subscription,
    dimension: meter.dimension,
    product,
    hour,
    ...(shard === 0 && { also: bucketsPartition(product, meter.pk), alsoListed: place }),
  }
}

/** What lists an open bucket, for its shard 0. */
export function openPlace(meter: Meter, product: string, hour: Hour, isEnded: boolean) {
  const kind = isEnded ? 'ENDED' : 'OPEN'
  return {
    unsealed: unsealedPartition(kind, product, meter.pk),
    unsealedAt: bucketPlace(meter.pk, hour),
  }
}

/** Writes a shard anew; attributes that become undefined are left out. */
export function writeShard(
  tx: Transaction,
  shard: Item,
  change: { readonly [name: string]: Attribute | undefined },
): void {
  tx.put({ ...shard, ...change, pk: shard.pk, sk: shard.sk })
}

/** What of a bucket's quantity its own hour's events added. */
export function ownQuantity({ quantity, strays }: Pick<Bucket, 'quantity' | 'strays'>): bigint {
  let own = quantity
  for (const amount of strays.values()) own -= amount
  return own
}

/**
 * Makes sure that a bucket is open at or after an hour: what is carried is billed in it.
 *
 * @returns its hour; undefined where all are closed
 */
export async function openBucket(tx: Transaction, meter: Meter, from: Hour): Promise<Hour | undefined> {
  for (let hour = from; hour < from + OPEN_AHEAD_MAX; hour++) if (await openAt(tx, meter, hour)) return hour
  return undefined
}

/** Opens a bucket that nothing is sealed of. @returns whether it is open */
export async function openAt(tx: Transaction, meter: Meter, hour: Hour): Promise<boolean> {
  const item = await findMeterItem(tx, meter)
  if (item === undefined) throw new Error(`${meter.subscription} has no meter ${meter.dimension}`)
  if (openHoursOf(item).includes(hour)) return true
  const bucket = await lookAtBucket(tx, meter, hour)
  if (bucket !== undefined && bucket.status !== 'untouched') return bucket.status === 'open'
  const key = bucketKey(meter.pk, hour, 0)
  const product = text(item.product)
  tx.put({
    ...newShard(meter, product, hour, 0),
    ...(await tx.get(key)),
    ...key,
    ...openPlace(meter, product, hour, await isEnded(tx, meter)),
    status: 'open',
  })
  await changeMeter(tx, meter, { [openMark(hour)]: 1 })
  return true
}

/** Has its subscription an end? */
async function isEnded(tx: Transaction, meter: Meter): Promise<boolean> {
  const subscription = await tx.get(subscriptionKey(meter.subscription))
  return subscription?.accessEnd !== undefined
}

/** What events before the horizon added: they are forgotten, and the bucket speaks for them. */
export function forgottenQuantity(bucket: Bucket, horizon: number): bigint {
  const first = hourOf(horizon)
  let forgotten = bucket.hour < first ? ownQuantity(bucket) : 0n
  for (const [hour, amount] of bucket.strays) if (hour < first) forgotten += amount
  return forgotten
}
