import type { CopyRow, CopyValue, LedgerKindName } from '../../../domain/moving/ledger-kinds.ts'
import type { Aggregation, AggregationPeriod } from '../../../domain/usage/aggregation.ts'
import { hourOf } from '../../../domain/usage/hour.ts'
import type { RecordState } from '../../../domain/usage/usage-record.ts'
import { homelessAgreements, WAITING_AGREEMENTS } from '../agreements.ts'
import { BUYERS, buyersOfProduct } from '../buyer-changes.ts'
import { enterLane, putDelivery } from '../deliveries.ts'
import { big, int, text, textSet, texts } from '../fields.ts'
import {
  agreementKey,
  alarmKey,
  attemptKey,
  auditEntriesOf,
  auditEntryKey,
  awsRecordKey,
  bucketKey,
  bucketPlace,
  buyerKey,
  contactKey,
  contactPrefix,
  contractKey,
  countedPartition,
  deliveryKey,
  domainEventIdKey,
  domainEventKey,
  eventItemKey,
  fixedKey,
  haltKey,
  includedKey,
  isolationKey,
  lateKey,
  ledgerKey,
  looseNoticeKey,
  mailIdKey,
  mailKey,
  meterKey,
  meterPartition,
  metersOfProduct,
  metersThatCarry,
  nameKey,
  noticeIdKey,
  noticeKey,
  padded,
  part,
  peakKey,
  productKey,
  readingKey,
  recordIdKey,
  recordKey,
  recordsOfProduct,
  recordsOfSubscription,
  rejectedKey,
  serviceKeyIdKey,
  serviceKeyKey,
  sinkCursorKey,
  sinkKey,
  strayKey,
  subscriptionKey,
  tagSumKey,
  tagSumPrefix,
  toldOfPartition,
  totalKey,
  unsealedPartition,
  valueKey,
} from '../keys.ts'
import { noteDimension } from '../ledger-identity.ts'
import { moveBetween, renameSubscription } from '../names.ts'
import { NOTICES } from '../notices.ts'
import { putReading } from '../readings.ts'
import {
  listOfProduct,
  marksOf,
  SUBSCRIPTIONS,
  subscriptionAttributes,
  toSubscription,
} from '../subscription-items.ts'
import type { Attribute, Item, Key } from '../table.ts'
import { newShard, openPlace, strayMark } from '../usage/buckets.ts'
import { carriesAtLeast, readCarry, writeCarry } from '../usage/carry.ts'
import { expiryOf } from '../usage/event-items.ts'
import { heldMark, type Meter, meterAt, openMark } from '../usage/meters.ts'
import { ALLOCATIONS, type RecordRow, toRecordItem, toTransfers } from '../usage/record-items.ts'
import { storeText } from '../usage/stored-text.ts'
import type { Batch } from './batch.ts'
import { LEDGER_NUMBERS } from './kind-readers.ts'

export interface Target {
  readonly batch: Batch
  /** Rows that were written before this page: what has an order is numbered by it. */
  readonly before: number
  /** ms. */
  readonly horizon: number
  /** May DynamoDB delete what is too old? */
  readonly expires: boolean
}

type Write = (row: CopyRow, target: Target, number: number) => Promise<void> | void

const ORDINAL_DIGITS = 12
const ALLOCATIONS_INLINE_MAX = 4_000
const TEXT_INLINE_MAX = 30_000

/** A row's fields as attributes: what is null is left out. */
function attributes(row: CopyRow, ...names: readonly string[]): Record<string, CopyValue | undefined> {
  return Object.fromEntries(names.map((name) => [name, row[name] ?? undefined])) as Record<
    string,
    CopyValue | undefined
  >
}

/** Fields and values are the same here: nulls are never among them. */
function item(key: Key, row: CopyRow, ...names: readonly string[]): Item {
  return { ...key, ...(attributes(row, ...names) as Record<string, Attribute | undefined>) }
}

const str = (value: CopyValue | undefined) => value as string
const maybe = (value: CopyValue | undefined) => (value ?? undefined) as string | undefined
const num = (value: CopyValue | undefined) => Number(value)

/** Behind all that was written before, in front of all that comes later. */
const placed = (at: CopyValue | undefined, number: number) =>
  `${padded(num(at))}-${padded(number, ORDINAL_DIGITS)}-copied`

function meterIn(row: CopyRow): Meter {
  return meterAt({ subscription: str(row.subscription), dimension: str(row.dimension) })
}

async function metaOf(batch: Batch, meter: Meter): Promise<Item> {
  return (await batch.get(meterKey(meter.subscription, meter.dimension)))!
}

function appended(list: Attribute | undefined, value: string): readonly string[] {
  const known = texts(list)
  return known.includes(value) ? known : [...known, value]
}

type Period = { readonly [name: string]: Attribute | undefined }

/** All periods of a subscription are one item. */
async function putPeriod(batch: Batch, row: CopyRow, list: string, period: Period): Promise<void> {
  const key = contractKey(str(row.subscription))
  const contract = await batch.get(key)
  const known = ((contract?.[list] ?? []) as readonly Period[]).filter(
    ({ from, dimension }) => big(from) !== big(period.from) || dimension !== period.dimension,
  )
  batch.put({ ...contract, ...key, [list]: [...known, period] })
}

async function putTransfer(batch: Batch, key: Key, row: CopyRow): Promise<void> {
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

const STATUS = ['open', 'held', 'closed', undefined] as const

const putBucket: Write = async (row, { batch, horizon }) => {
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

const putMeter: Write = async (row, { batch }) => {
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

const putSubscription: Write = async (row, { batch }, number) => {
  const subscription = toSubscription({
    ...item(subscriptionKey(str(row.id)), row, ...Object.keys(row)),
    freeTrial: row.freeTrial === null ? undefined : row.freeTrial === 1n,
  })
  const key = subscriptionKey(subscription.id)
  const order = `${padded(0)}-${padded(number, ORDINAL_DIGITS)}`
  const { product, buyer, successor } = subscription
  batch.put({
    ...(await batch.get(key)),
    ...key,
    ...subscriptionAttributes(subscription),
    order,
    changedAt: 0,
    list: SUBSCRIPTIONS,
    listed: order,
    also: listOfProduct(product),
    alsoListed: order,
  })
  for (const mark of marksOf(subscription, order)) batch.put({ ...mark, id: subscription.id })
  const owner = (await batch.get(buyerKey(buyer)))!
  batch.put({ ...owner, subscriptions: appended(owner.subscriptions, subscription.id) })
  await renameSubscription(batch, undefined, subscription)
  if (successor === undefined) return
  // It may come later: then this is what it begins with.
  const heir = subscriptionKey(successor)
  const known = await batch.get(heir)
  batch.put({ ...known, ...heir, predecessors: appended(known?.predecessors, subscription.id) })
}

const putAgreement: Write = async (row, { batch }, number) => {
  const key = str(row.key)
  const order = placed(row.updatedAt, number)
  const facts = JSON.parse(str(row.facts)) as { productCode?: string }
  const isWaiting = row.subscription === null
  const isHomeless = row.product === null && facts.productCode !== undefined
  batch.put({
    ...item(agreementKey(key), row, 'key', 'product', 'facts', 'updatedAt', 'subscription'),
    productCode: facts.productCode,
    order,
    list: isWaiting ? WAITING_AGREEMENTS : undefined,
    listed: isWaiting ? order : undefined,
    also: isHomeless ? homelessAgreements(facts.productCode!) : undefined,
    alsoListed: isHomeless ? order : undefined,
  })
  if (row.product === null) return
  const names = [
    ['account', row.customerAwsAccountId],
    ['customer', row.customerIdentifier],
    ['license', row.licenseTail],
  ] as const
  const keys = names.flatMap(([kind, value]) =>
    value === null ? [] : [nameKey(kind, str(value), str(row.product))],
  )
  await moveBetween(batch, [], keys, 'agreements', key)
}

const putNotice: Write = async (row, { batch }, number) => {
  const { payload, ...event } = JSON.parse(str(row.event)) as { payload: string; agreementId?: string }
  const known = await batch.get(noticeIdKey(str(row.id)))
  const place = known === undefined ? placed(row.receivedAt, number) : text(known.place)
  const key =
    row.agreement === null ? looseNoticeKey(event.agreementId, place) : noticeKey(str(row.agreement), place)
  batch.put({ ...noticeIdKey(str(row.id)), of: key.pk, place })
  batch.put({
    ...item(key, row, 'id', 'agreement', 'product', 'kind', 'occurredAt', 'receivedAt'),
    place,
    // In its own order: only the payload is kept apart.
    event: JSON.stringify({ ...JSON.parse(str(row.event)), payload: '' }),
    payload,
    list: NOTICES,
    listed: place,
    also: row.product === null ? undefined : `${NOTICES}#${part(str(row.product))}`,
    alsoListed: row.product === null ? undefined : place,
  })
}

/** First the buckets, then the events: an event that is there has been counted in its bucket. */
async function putEvents(rows: readonly CopyRow[], target: Target): Promise<void> {
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

const putAttempt: Write = async (row, { batch }) => {
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

const putRecord: Write = async (row, { batch }, number) => {
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

const putAttemptRecord: Write = async (row, { batch }) => {
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

/** Events and mails are numbered without a gap. */
async function numberOf(batch: Batch, known: Key, counter: Key): Promise<bigint> {
  const found = await batch.get(known)
  if (found !== undefined) return big(found.number)
  const newest = await batch.get(counter)
  return big(newest?.value ?? 0) + 1n
}

async function count(batch: Batch, counter: Key, number: bigint): Promise<void> {
  const newest = big((await batch.get(counter))?.value ?? 0)
  if (number > newest) batch.put({ ...counter, value: number })
}

const putDomainEvent: Write = async (row, { batch }) => {
  const id = str(row.id)
  const number = await numberOf(batch, domainEventIdKey(id), ledgerKey('told'))
  batch.put({
    ...item(domainEventKey(number), row, 'id', 'type', 'at', 'product', 'buyer', 'subscription', 'data'),
    number,
  })
  batch.put({ ...domainEventIdKey(id), number })
  const { reason } = JSON.parse(str(row.data)) as { reason?: unknown }
  batch.put({
    pk: toldOfPartition(str(row.subscription)),
    sk: padded(number),
    type: str(row.type),
    reason: typeof reason === 'string' ? reason : undefined,
  })
  await count(batch, ledgerKey('told'), number)
}

const putCopiedDelivery: Write = async (row, { batch }) => {
  const number = big((await batch.get(domainEventIdKey(str(row.event))))!.number)
  const { type, at, product } = (await batch.get(domainEventKey(number)))!
  const names = ['event', 'sink', 'subscription', 'state', 'attempts', 'failures', 'queuedAt', 'nextAt']
  const delivery: Item = {
    ...item(deliveryKey(number, str(row.sink)), row, ...names, 'lastError', 'finishedAt'),
    number,
    type,
    at,
    product,
  }
  putDelivery(batch, delivery)
  if (row.state === 'waiting') await enterLane(batch, delivery)
}

const putMail: Write = async (row, { batch }) => {
  const number = await numberOf(batch, mailIdKey(str(row.id)), ledgerKey('mails'))
  batch.put({ ...mailIdKey(str(row.id)), number })
  const addresses = { from: str(row.sender), to: str(row.recipient) }
  batch.put({ ...item(mailKey(number), row, 'id', 'at', 'subject', 'text', 'html'), ...addresses })
  await count(batch, ledgerKey('mails'), number)
}

async function putContacts(rows: readonly CopyRow[], { batch }: Target): Promise<void> {
  for (const row of rows)
    batch.put(
      item(
        contactKey(str(row.buyer), str(row.email)),
        row,
        'email',
        'name',
        'company',
        'phone',
        'registeredAt',
      ),
    )
  for (const buyer of new Set(rows.map((row) => str(row.buyer)))) {
    const key = buyerKey(buyer)
    const { length } = await batch.query({ pk: key.pk, prefix: contactPrefix })
    batch.put({ ...(await batch.get(key))!, contacts: length })
  }
}

async function putTagSums(rows: readonly CopyRow[], { batch, expires }: Target): Promise<void> {
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

async function putCarryTags(rows: readonly CopyRow[], { batch }: Target): Promise<void> {
  const meters = new Map(rows.map((row) => [meterIn(row).pk, meterIn(row)]))
  for (const meter of meters.values()) {
    const meta = await metaOf(batch, meter)
    const { amount, tags } = await readCarry(batch, meta)
    const own = rows.filter((row) => meterPartition(str(row.subscription), str(row.dimension)) === meter.pk)
    const all = new Map([...tags, ...own.map((row) => [str(row.tags), row.quantity as bigint] as const)])
    await writeCarry(batch, meta, { amount, tags: all as typeof tags })
  }
}

const EACH: Readonly<Partial<Record<LedgerKindName, Write>>> = {
  ledger: ({ name, value }, { batch }) => {
    const key = ledgerKey(str(name))
    if (name === 'clock') batch.put({ ...key, ...(JSON.parse(str(value)) as { since: number; at: number }) })
    else batch.put({ ...key, value: LEDGER_NUMBERS.has(str(name)) ? BigInt(str(value)) : str(value) })
  },
  async buyer(row, { batch }, number) {
    const key = buyerKey(str(row.id))
    const product = str(row.product)
    const order = `${padded(0)}-${padded(number, ORDINAL_DIGITS)}`
    const account = maybe(row.customerAwsAccountId)
    const known = await batch.get(key)
    batch.put({
      ...item(key, row, 'id', 'product', 'customerAwsAccountId', 'customerIdentifier', 'createdAt'),
      account,
      accountOf: account === undefined ? undefined : key.pk,
      contacts: known?.contacts ?? 0,
      subscriptions: known?.subscriptions,
      order,
      list: BUYERS,
      listed: order,
      also: buyersOfProduct(product),
      alsoListed: order,
    })
    for (const [kind, value] of [
      ['account', account],
      ['customer', maybe(row.customerIdentifier)],
    ] as const) {
      if (value === undefined) continue
      const name = nameKey(kind, value, product)
      batch.put({ ...(await batch.get(name)), ...name, buyer: str(row.id) })
    }
  },
  subscription: putSubscription,
  agreement: putAgreement,
  marketplaceEvent: putNotice,
  rejectedMessage: (row, { batch }, number) =>
    batch.put({
      ...item(rejectedKey(str(row.id)), row, 'id', 'channel', 'reason', 'receivedAt', 'payload'),
      list: 'REJECTED',
      listed: placed(row.receivedAt, number),
    }),
  entitlementReading: (row, { batch }) =>
    putReading(batch, item(readingKey(str(row.subscription)), row, ...Object.keys(row))),
  entitlementPeriod: (row, { batch }) =>
    putPeriod(batch, row, 'periods', {
      dimension: str(row.dimension),
      units: num(row.units),
      from: num(row.fromMs),
    }),
  planPeriod: (row, { batch }) =>
    putPeriod(batch, row, 'plans', { plan: maybe(row.plan), from: num(row.fromMs) }),
  async contractTerm(row, { batch }) {
    const key = contractKey(str(row.subscription))
    const contract = await batch.get(key)
    const terms = ((contract?.terms ?? []) as readonly Attribute[]).map(int)
    batch.put({ ...contract, ...key, terms: [...new Set([...terms, num(row.fromMs)])] })
  },
  meter: putMeter,
  bucket: putBucket,
  peak: (row, { batch }) =>
    batch.put({
      ...peakKey(meterIn(row).pk, str(row.period)),
      period: str(row.period),
      peak: num(row.value),
    }),
  seenValue: (row, { batch }) =>
    batch.put({ ...valueKey(meterIn(row).pk, str(row.period), row.value as Uint8Array) }),
  runningTotal: (row, { batch }) =>
    batch.put(item(totalKey(meterIn(row).pk, str(row.source)), row, 'source', 'total', 'time')),
  includedUsed: (row, { batch }) =>
    batch.put(item(includedKey(meterIn(row).pk, str(row.period)), row, 'period', 'used')),
  attempt: putAttempt,
  usageRecord: putRecord,
  attemptRecord: putAttemptRecord,
  async transfer(row, { batch }) {
    const { pk } = meterIn(row)
    if (row.record === null) return putTransfer(batch, bucketKey(pk, num(row.hour), 0), row)
    return putTransfer(batch, recordKey(str(row.subscription), str(row.dimension), num(row.hour)), row)
  },
  isolation: (row, { batch }) =>
    batch.put(
      item(
        isolationKey(str(row.product), str(row.kind) as 'dimension' | 'identity', str(row.value)),
        row,
        ...Object.keys(row),
      ),
    ),
  halt: (row, { batch }) => batch.put(item(haltKey(str(row.product)), row, ...Object.keys(row))),
  alarm: (row, { batch }) => {
    const [kind, subject] = [str(row.kind), str(row.subject)]
    batch.put({
      ...item(alarmKey(kind, subject), row, 'kind', 'subject', 'message', 'firstAt', 'lastAt'),
      count: num(row.raised),
      list: 'ALARMS',
      listed: `${padded(999_999_999_999_999 - num(row.lastAt))}.${kind}.${part(subject)}`,
    })
  },
  lateAcross: (row, { batch }) => batch.put(item(lateKey(str(row.subject)), row, ...Object.keys(row))),
  auditEntry: (row, { batch }, number) => {
    const place = placed(row.at, number)
    batch.put({
      ...item(auditEntryKey(str(row.id)), row, ...Object.keys(row)),
      list: 'AUDIT',
      listed: place,
      also: auditEntriesOf(str(row.subject)),
      alsoListed: place,
    })
  },
  domainEvent: putDomainEvent,
  async sink(row, { batch }) {
    const name = str(row.name)
    const told = (await batch.get(ledgerKey('told')))?.value ?? 0
    batch.put({ ...sinkCursorKey(name), name, cursor: told, seenAt: num(row.seenAt) })
    batch.put(item(sinkKey(name), row, 'name', 'failures', 'failingSince', 'pausedUntil'))
  },
  delivery: putCopiedDelivery,
  mail: putMail,
  serviceKey: (row, { batch }) => {
    batch.put({ ...serviceKeyIdKey(str(row.id)), hash: str(row.hash) })
    batch.put({
      ...item(serviceKeyKey(str(row.hash)), row, 'id', 'name', 'product', 'hash', 'createdAt', 'revokedAt'),
      scopes: str(row.scopes).split(' '),
    })
  },
}

/** Written with an eye on the other rows of their page. */
const TOGETHER: Readonly<
  Partial<Record<LedgerKindName, (rows: readonly CopyRow[], target: Target) => Promise<void>>>
> = { contact: putContacts, bucketTag: putTagSums, carryTag: putCarryTags, usageEvent: putEvents }

export async function writePage(
  kind: LedgerKindName,
  rows: readonly CopyRow[],
  target: Target,
): Promise<void> {
  const together = TOGETHER[kind]
  if (together !== undefined) await together(rows, target)
  else for (const [index, row] of rows.entries()) await EACH[kind]!(row, target, target.before + index + 1)
  await target.batch.flush()
}
