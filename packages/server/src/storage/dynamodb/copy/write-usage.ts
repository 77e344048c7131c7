import type { CopyRow } from '../../../domain/moving/ledger-kinds.ts'
import type { Aggregation, AggregationPeriod } from '../../../domain/usage/aggregation.ts'
import { hourOf } from '../../../domain/usage/hour.ts'
import type { RecordState } from '../../../domain/usage/usage-record.ts'
import { big, int, text, textSet, texts } from '../fields.ts'
import {
  attemptKey,
  awsRecordKey,
  bucketKey,
  bucketPlace,
  countedPartition,
  eventItemKey,
  fixedKey,
  meterKey,
  meterPartition,
  metersOfProduct,
  metersThatCarry,
  padded,
  part,
  productKey,
  recordIdKey,
  recordKey,
  recordsOfProduct,
  recordsOfSubscription,
  strayKey,
  subscriptionKey,
  tagSumKey,
  tagSumPrefix,
  unsealedPartition,
} from '../keys.ts'
import { noteDimension } from '../ledger-identity.ts'
import type { Attribute, Key } from '../table.ts'
import { newShard, openPlace, strayMark } from '../usage/buckets.ts'
import { carriesAtLeast, readCarry, writeCarry } from '../usage/carry.ts'
import { expiryOf } from '../usage/event-items.ts'
import { heldMark, openMark } from '../usage/meters.ts'
import { ALLOCATIONS, type RecordRow, toRecordItem, toTransfers } from '../usage/record-items.ts'
import { storeText } from '../usage/stored-text.ts'
import type { Batch } from './batch.ts'
import {
  ALLOCATIONS_INLINE_MAX,
  appended,
  attributes,
  item,
  maybe,
  metaOf,
  meterIn,
  num,
  type Period,
  placed,
  str,
  type Target,
  TEXT_INLINE_MAX,
  type Write,
} from './copied-rows.ts'

export async function putTransfer(batch: Batch, key: Key, row: CopyRow): Promise<void> {
  const known = (await batch.get(key))!
  const booked = (known.transfers ?? []) as readonly Period[]
  if (booked.some(({ number }) => number !== undefined && big(number) === row.number)) return
  const { source: from, target: to, amount, at, number } = row
  const transfer = {
    from: str(from),
    to: str(to),
    amount: big(amount! as bigint),
    at: num(at),
    number: num(number),
  }
  batch.put({ ...known, transfers: [...booked, transfer] })
}

export const STATUS = ['open', 'held', 'closed', undefined] as const

export const putBucket: Write = async (row, { batch, horizon }) => {
  const meter = meterIn(row)
  const meta = await metaOf(batch, meter)
  const product = text(meta.product)
  const hour = num(row.hour)
  const status = STATUS[num(row.status)]
  const key = bucketKey(meter.pk, hour, 0)
  const subscription = await batch.get(subscriptionKey(meter.subscription))
  const held = {
    unsealed: unsealedPartition('HELD', product, meter.pk),
    unsealedAt: bucketPlace(meter.pk, hour),
  }
  const purged = row.purged as bigint
  batch.put({
    ...(await batch.get(key)),
    ...newShard(meter, product, hour, 0),
    ...item(key, row, 'quantity', 'unbillable', 'events', 'holdReason', 'heldAt'),
    status,
    // What of it is forgotten was of hours before the horizon: which, nobody asks any more.
    ...(hour >= hourOf(horizon) && purged > 0n && { [strayMark(hourOf(horizon) - 1)]: purged }),
    ...(status === 'open' && openPlace(meter, product, hour, subscription?.accessEnd !== undefined)),
    ...(status === 'held' && held),
  })
  const mark = status === 'open' ? openMark(hour) : status === 'held' ? heldMark(hour) : undefined
  if (mark !== undefined) batch.put({ ...(await metaOf(batch, meter)), [mark]: 1 })
}

export const putMeter: Write = async (row, { batch }) => {
  const { subscription, dimension } = meterIn(row)
  const key = meterKey(subscription, dimension)
  const product = str(row.product)
  const carry = row.carry as bigint
  batch.put({
    ...(await batch.get(key)),
    ...item(key, row, 'subscription', 'dimension', 'product', 'scale', 'aggregation', 'per', 'carry'),
    changedAt: 0,
    list: metersOfProduct(product),
    listed: `${part(subscription)}#${part(dimension)}`,
    ...(carry !== 0n && {
      also: metersThatCarry(product, dimension),
      alsoListed: `${carriesAtLeast(carry)}.${subscription}`,
    }),
  })
  const owner = (await batch.get(subscriptionKey(subscription)))!
  batch.put({ ...owner, dimensions: new Set([...textSet(owner.dimensions), dimension]) })
  batch.put({ ...productKey(product), product })
  await noteDimension(batch, dimension, {
    product,
    scale: num(row.scale),
    aggregation: str(row.aggregation) as Aggregation,
    per: maybe(row.per) as AggregationPeriod | undefined,
  })
}

/** First the buckets, then the events: an event that is there has been counted in its bucket. */
export async function putEvents(rows: readonly CopyRow[], target: Target): Promise<void> {
  const { batch, before, expires } = target
  await batch.prefetch(rows.map(({ key }) => eventItemKey(key as Uint8Array)))
  const fresh: CopyRow[] = []
  for (const row of rows)
    if ((await batch.get(eventItemKey(row.key as Uint8Array))) === undefined) fresh.push(row)
  const strays = new Map<string, { key: Key; own: number; delta: bigint }[]>()
  for (const row of fresh) {
    const [hour, counted] = [num(row.hour), num(row.counted)]
    if (hour === counted) continue
    batch.put({ ...strayKey(hour, 0), hour, events: 1 })
    if (row.state === 2n) continue
    const key = bucketKey(meterIn(row).pk, counted, 0)
    const name = `${key.pk} ${key.sk}`
    strays.set(name, [...(strays.get(name) ?? []), { key, own: hour, delta: row.delta as bigint }])
  }
  for (const added of strays.values()) {
    const bucket = (await batch.get(added[0]!.key))!
    // Counted when this page was written the first time, to its middle.
    if (bucket.copied !== undefined && int(bucket.copied) === before) continue
    const changed: Record<string, Attribute | undefined> = { ...bucket, copied: before }
    changed.strayEvents = big(bucket.strayEvents ?? 0) + BigInt(added.length)
    for (const { own, delta } of added)
      if (delta > 0n) changed[strayMark(own)] = big(changed[strayMark(own)] ?? 0) + delta
    batch.put({ ...changed, ...added[0]!.key })
  }
  await batch.flush()
  for (const row of fresh) {
    const meter = meterIn(row)
    const [time, counted] = [num(row.time), num(row.counted)]
    batch.put({
      ...item(eventItemKey(row.key as Uint8Array), row, 'id', 'subscription', 'time', 'quantity', 'delta'),
      ...(attributes(row, 'counted', 'state', 'value', 'tags', 'receivedAt') as Record<string, Attribute>),
      source: row.source === '' ? undefined : str(row.source),
      meter: meter.pk,
      epoch: 0,
      countedIn: countedPartition(meter.pk, counted, 0),
      countedAt: `${padded(time)}#${part(str(row.id))}`,
      expiresAt: expires ? expiryOf(Math.max(time, num(row.receivedAt))) : undefined,
    })
  }
}

export const putAttempt: Write = async (row, { batch }) => {
  const key = attemptKey(str(row.id))
  const request = storeText(key.pk, 'request', str(row.request), TEXT_INLINE_MAX)
  const response =
    row.response === null ? undefined : storeText(key.pk, 'response', str(row.response), TEXT_INLINE_MAX)
  for (const one of [...request.parts, ...(response?.parts ?? [])]) batch.put(one)
  const known = await batch.get(key)
  batch.put({
    ...item(key, row, 'id', 'product', 'region', 'startedAt', 'finishedAt', 'outcome'),
    ...request.attributes,
    ...response?.attributes,
    records: known?.records ?? [],
    places: known?.places ?? [],
  })
}

export const putRecord: Write = async (row, { batch }, number) => {
  const id = str(row.id)
  const { subscription, dimension } = meterIn(row)
  const hour = num(row.hour)
  const key = recordKey(subscription, dimension, hour)
  const known = await batch.get(key)
  const ids = recordIdKey(id)
  const isPlain = row.allocations === '[]'
  const stored = isPlain
    ? { attributes: {}, parts: [] }
    : storeText(ids.pk, ALLOCATIONS, str(row.allocations), ALLOCATIONS_INLINE_MAX)
  for (const one of stored.parts) batch.put(one)
  const record: RecordRow = {
    id,
    product: str(row.product),
    subscription,
    dimension,
    hour,
    region: str(row.region),
    identity: JSON.parse(str(row.identity)),
    timestamp: num(row.timestamp),
    quantity: num(row.quantity),
    unitBase: row.unitBase as bigint,
    allocations: [],
    state: str(row.state) as RecordState,
    deadline: num(row.deadline),
    sealedAt: num(row.sealedAt),
    attempts: num(row.attempts),
    unanswered: num(row.unanswered),
    nextAttemptAt: num(row.nextAttemptAt),
    meteringRecordId: maybe(row.meteringRecordId),
    note: maybe(row.note),
    place: placed(row.sealedAt, number),
    attempt: maybe(row.attempt),
    leaseUntil: row.leaseUntil === null ? undefined : num(row.leaseUntil),
    attemptIds: texts(known?.attemptIds),
    transfers: toTransfers(known?.transfers),
    doubtedBy: undefined,
    allocationAttributes: stored.attributes,
  }
  batch.put({ ...toRecordItem(record), identity: str(row.identity), transfers: known?.transfers ?? [] })
  batch.put({
    ...ids,
    subscription,
    dimension,
    hour,
    list: recordsOfProduct(record.product),
    listed: record.place,
    also: recordsOfSubscription(subscription),
    alsoListed: record.place,
  })
  batch.put({ ...awsRecordKey(record.region, str(row.identityKey), dimension, hour), record: id })
  batch.put({ ...fixedKey(subscription, hour), identity: str(row.identity), region: record.region })
}

export const putAttemptRecord: Write = async (row, { batch }) => {
  const ids = (await batch.get(recordIdKey(str(row.record))))!
  const key = recordKey(text(ids.subscription), text(ids.dimension), int(ids.hour))
  const record = (await batch.get(key))!
  batch.put({ ...record, attemptIds: appended(record.attemptIds, str(row.attempt)) })
  const attempt = (await batch.get(attemptKey(str(row.attempt))))!
  if (texts(attempt.records).includes(str(row.record))) return
  const places = (attempt.places ?? []) as readonly Attribute[]
  batch.put({
    ...attempt,
    records: [...texts(attempt.records), str(row.record)],
    places: [...places, [text(ids.subscription), text(ids.dimension), int(ids.hour)]],
  })
}

export async function putTagSums(rows: readonly CopyRow[], { batch, expires }: Target): Promise<void> {
  const buckets = new Map<string, Key>()
  const pkOf = (row: CopyRow) => meterIn(row).pk
  for (const row of rows) {
    const hour = num(row.hour)
    const tags = str(row.tags)
    const quantity = row.quantity as bigint
    const expiresAt = expires ? expiryOf(hour * 3_600_000) : undefined
    batch.put({ ...tagSumKey(pkOf(row), hour, tags, 0), tags, hour, quantity, expiresAt })
    const key = bucketKey(pkOf(row), hour, 0)
    buckets.set(`${key.pk} ${key.sk}`, key)
  }
  for (const key of buckets.values()) {
    const bucket = (await batch.get(key))!
    const sums = await batch.query({ pk: key.pk, prefix: tagSumPrefix(int(bucket.hour)) })
    batch.put({
      ...bucket,
      tagSets: new Set(sums.map(({ tags }) => tags)).size,
      tagged: sums.reduce((sum, { quantity }) => sum + big(quantity), 0n),
    })
  }
}

export async function putCarryTags(rows: readonly CopyRow[], { batch }: Target): Promise<void> {
  const meters = new Map(rows.map((row) => [meterIn(row).pk, meterIn(row)]))
  for (const meter of meters.values()) {
    const meta = await metaOf(batch, meter)
    const { amount, tags } = await readCarry(batch, meta)
    const own = rows.filter((row) => meterPartition(str(row.subscription), str(row.dimension)) === meter.pk)
    const all = new Map([...tags, ...own.map((row) => [str(row.tags), row.quantity as bigint] as const)])
    await writeCarry(batch, meta, { amount, tags: all as typeof tags })
  }
}
