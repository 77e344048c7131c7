import { createHash } from 'node:crypto'
import type { Key } from './table.ts'

/** A key has room for a few of these within DynamoDB's 2,048 bytes of a partition key and 1,024 of a sort key. */
const PART_CHARS_MAX = 300

/**
 * A component of a key. `#` stands between components, and never in one; what is long is hashed: then the name is kept
 * in an attribute.
 */
export function part(value: string): string {
  // A lone half of a surrogate pair has no UTF-8.
  if (!value.isWellFormed()) return hashed(value)
  const encoded = encodeURIComponent(value)
  return encoded.length <= PART_CHARS_MAX ? encoded : hashed(value)
}

/** `=` is never in a component that is written out. */
function hashed(value: string): string {
  return `=${createHash('sha256').update(value, 'utf16le').digest('base64url')}`
}

/** A whole number from 0 as text that sorts as the number does; 15 digits hold every instant in milliseconds. */
export function padded(value: number | bigint, digits = 15): string {
  return String(value).padStart(digits, '0')
}

// The ledger as a whole

/** `epoch` grows with every change of any subscription, `readings` with every answer about entitlements: attribute `value`. */
export const ledgerKey = (name: string): Key => ({ pk: 'LEDGER', sk: name })

// Subscriptions, buyers and agreements

export const subscriptionKey = (id: string): Key => ({ pk: `SUB#${part(id)}`, sk: 'S' })
export const readingKey = (subscription: string): Key => ({ pk: `SUB#${part(subscription)}`, sk: 'READING' })
/** Periods of units and plans, and terms. */
export const contractKey = (subscription: string): Key => ({
  pk: `SUB#${part(subscription)}`,
  sk: 'CONTRACT',
})

/** What one buyer may be called by. */
export type NameKind = 'license' | 'account' | 'customer' | 'tenant'

/** Of a name, one item for each product: whoever has it, whatever else is known under it. */
export const namePartition = (kind: NameKind, value: string): string => `REF#${kind}#${part(value)}`
export const nameKey = (kind: NameKind, value: string, product: string): Key => ({
  pk: namePartition(kind, value),
  sk: part(product),
})
/** Subscriptions that were made under an agreement, of whatever product. */
export const agreementHoldersKey = (agreementId: string): Key => ({
  pk: `REF#agreement#${part(agreementId)}`,
  sk: '-',
})

/** Subscriptions of a product: `live#…` without an end, `over#…` with one, each in order of their creation. */
export const productPartition = (product: string): string => `SUBS#${part(product)}`

/** Subscriptions that are to be looked at from a time on. */
export type WaitKind = 'pending' | 'unlicensed' | 'goodbye'
export const waitPartition = (kind: WaitKind): string => `WAIT#${kind}`

export const buyerKey = (id: string): Key => ({ pk: `BUYER#${part(id)}`, sk: 'B' })
export const contactPrefix = 'CONTACT#'
export const contactKey = (buyer: string, email: string): Key => ({
  pk: `BUYER#${part(buyer)}`,
  sk: `${contactPrefix}${part(email)}`,
})

export const agreementKey = (key: string): Key => ({ pk: `AGREEMENT#${part(key)}`, sk: 'A' })
/** Notifications of an agreement, in the order of their coming. */
export const noticePrefix = 'N#'
export const noticeKey = (agreement: string, place: string): Key => ({
  pk: agreementKey(agreement).pk,
  sk: `${noticePrefix}${place}`,
})
/** Notifications from which nothing follows: by the agreement that they name, if any. */
export const looseNoticeKey = (agreementId: string | undefined, place: string): Key => ({
  pk: `NOTICES#${part(agreementId ?? '')}`,
  sk: `${noticePrefix}${place}`,
})
export const noticeIdKey = (id: string): Key => ({ pk: `NOTICEID#${part(id)}`, sk: 'N' })
export const rejectedKey = (id: string): Key => ({ pk: `REJECTED#${part(id)}`, sk: 'R' })
/** Subscriptions that lost their access because AWS granted nothing, by when. */
export const revokedPartition = (product: string): string => `REVOKED#${part(product)}`

// What is told, and to whom

/** Events are numbered by `told` of the ledger, in the order of their commits, without a gap. */
export const domainEventKey = (number: number | bigint): Key => ({ pk: `TOLD#${number}`, sk: 'E' })
export const domainEventIdKey = (id: string): Key => ({ pk: `TOLDID#${part(id)}`, sk: 'E' })
/** Of one subscription: numbers and types of its events. */
export const toldOfPartition = (subscription: string): string => `TOLDOF#${part(subscription)}`
export const deliveryPrefix = 'D#'
export const deliveryKey = (event: number | bigint, sink: string): Key => ({
  pk: domainEventKey(event).pk,
  sk: `${deliveryPrefix}${part(sink)}`,
})
export const sinkKey = (name: string): Key => ({ pk: `SINK#${part(name)}`, sk: 'S' })
/** How far a sink was handed what happened. */
export const sinkCursorKey = (name: string): Key => ({ pk: `SINK#${part(name)}`, sk: 'CURSOR' })
export const lanePrefix = 'LANE#'
/** What of one subscription waits for a sink, in order. */
export const laneKey = (sink: string, subscription: string): Key => ({
  pk: `SINK#${part(sink)}`,
  sk: `${lanePrefix}${part(subscription)}`,
})

// Usage: all that one meter counted, and what became of it, is one partition

export const meterPartition = (subscription: string, dimension: string): string =>
  `METER#${part(subscription)}#${part(dimension)}`
/** What it counts and how, and what it carries. */
export const meterKey = (subscription: string, dimension: string): Key => ({
  pk: meterPartition(subscription, dimension),
  sk: 'META',
})

// Usage records and what is sent

/** Records of a meter, in order of their hours: an hour is sealed once, and has one at most. */
export const recordPrefix = 'R#'
export const recordKey = (subscription: string, dimension: string, hour: number): Key => ({
  pk: meterPartition(subscription, dimension),
  sk: `${recordPrefix}${padded(hour, 8)}`,
})
/** Says where the record of an id is; never changes. */
export const recordIdKey = (id: string): Key => ({ pk: `RECORD#${part(id)}`, sk: 'R' })
/** AWS's own key of a record: the first one of it wins. */
export const awsRecordKey = (region: string, identityKey: string, dimension: string, hour: number): Key => ({
  pk: `AWSKEY#${part(region)}#${part(identityKey)}#${part(dimension)}#${hour}`,
  sk: 'K',
})
/** Whom and where a subscription's hour is metered as. */
export const fixedKey = (subscription: string, hour: number): Key => ({
  pk: `FIXED#${part(subscription)}#${hour}`,
  sk: 'F',
})
export const attemptKey = (id: string): Key => ({ pk: `ATTEMPT#${part(id)}`, sk: 'A' })
export const haltKey = (product: string): Key => ({ pk: 'HALT', sk: part(product) })
export const isolationPartition = (product: string): string => `ISOLATION#${part(product)}`
export const isolationKey = (product: string, kind: 'dimension' | 'identity', value: string): Key => ({
  pk: isolationPartition(product),
  sk: `${kind}#${part(value)}`,
})
/** When the next call to AWS may be sent from this account to a region. */
export const rateKey = (region: string): Key => ({ pk: `RATE#${part(region)}`, sk: 'R' })
/** What a dimension of a product comes to: records and units by state, and what is lost. In shards. */
export const totalsPartition = 'TOTALS'
export const totalsKey = (product: string, dimension: string, shard: number): Key => ({
  pk: totalsPartition,
  sk: `${part(product)}#${part(dimension)}#${shard}`,
})
/** Late usage that is billed in another month, or under another agreement: by the subject of its alarm. */
export const latePartition = 'LATE'
export const lateKey = (subject: string): Key => ({ pk: latePartition, sk: part(subject) })

/** Lists of records: of a product and of a subscription all, newest first; of a product by state, but for those accepted. */
export const recordsOfProduct = (product: string): string => `RECORDS#${part(product)}`
export const recordsOfSubscription = (subscription: string): string => `RECORDSOF#${part(subscription)}`
export const recordsInState = (product: string, state: string): string =>
  `RECORDSIN#${part(product)}#${state}`
/** Lists of meters: of a product all; of a product's dimension those that carry something, by how much. */
export const metersOfProduct = (product: string): string => `METERS#${part(product)}`
export const metersThatCarry = (product: string, dimension: string): string =>
  `CARRIED#${part(product)}#${part(dimension)}`

// Usage events and buckets

/** Of an event's 16-byte key: unique within the ledger. */
export const eventItemKey = (key: Uint8Array): Key => ({
  pk: `EVENT#${Buffer.from(key.buffer, key.byteOffset, key.byteLength).toString('hex')}`,
  sk: 'E',
})
export const hourDigits = (hour: number): string => padded(hour, 8)
/** Buckets of a meter, in order of their hours: one item for each shard of a bucket that something was counted in. */
export const bucketPrefix = 'B#'
/** Of one hour: its shards. */
export const bucketHourPrefix = (hour: number): string => `${bucketPrefix}${hourDigits(hour)}#`
/** Shard 0 is there wherever any is: it has what the bucket has once, such as the reason of a hold. */
export const bucketKey = (meterPk: string, hour: number, shard: number): Key => ({
  pk: meterPk,
  sk: `${bucketHourPrefix(hour)}${shard}`,
})
/** Sums of an hour by tag set. */
export const tagSumPrefix = (hour: number): string => `T#${hourDigits(hour)}#`
export const tagSumKey = (meterPk: string, hour: number, tags: string, shard: number): Key => ({
  pk: meterPk,
  sk: `${tagSumPrefix(hour)}${createHash('sha256').update(tags).digest('base64url')}#${shard}`,
})
/** Base units that a contract's period has used up. */
export const includedPrefix = 'INCLUDED#'
export const includedKey = (meterPk: string, period: string): Key => ({
  pk: meterPk,
  sk: `${includedPrefix}${part(period)}`,
})
export const peakKey = (meterPk: string, period: string): Key => ({
  pk: meterPk,
  sk: `PEAK#${part(period)}`,
})
export const totalKey = (meterPk: string, source: string): Key => ({
  pk: meterPk,
  sk: `TOTAL#${part(source)}`,
})
/** One value that a period has seen: in partitions of their own, since there may be millions. */
export const valueKey = (meterPk: string, period: string, value: Uint8Array): Key => ({
  pk: `SEEN#${meterPk}#${part(period)}`,
  sk: Buffer.from(value).toString('hex'),
})
/** How many events are counted in another hour than their own, by their own; in shards. */
export const strayPartition = 'STRAYS'
export const strayKey = (hour: number, shard: number): Key => ({
  pk: strayPartition,
  sk: `${hourDigits(hour)}#${shard}`,
})

/** Products that have meters. */
export const productsPartition = 'PRODUCTS'
export const productKey = (product: string): Key => ({ pk: productsPartition, sk: part(product) })

/** Lists of buckets are cut in slices, by their meter: no index has a hot partition when an hour begins. */
const SLICES = 4
const sliceOf = (meterPk: string): number =>
  createHash('sha256').update(meterPk).digest().readUInt8(0) % SLICES
/**
 * Unsealed buckets of a product, in order of hours: open ones, those of subscriptions with an end, and held ones. Of the
 * latter two there are few: they are not cut.
 */
export const unsealedPartition = (kind: Unsealed, product: string, meterPk: string): string =>
  `${kind}#${part(product)}#${kind === 'OPEN' ? sliceOf(meterPk) : 0}`
export const unsealedPartitions = (kind: Unsealed, product: string): string[] =>
  Array.from({ length: kind === 'OPEN' ? SLICES : 1 }, (_, slice) => `${kind}#${part(product)}#${slice}`)
export type Unsealed = 'OPEN' | 'ENDED' | 'HELD'
/** All buckets of a product, in order of hours. */
export const bucketsPartition = (product: string, meterPk: string): string =>
  `BUCKETS#${part(product)}#${sliceOf(meterPk)}`
export const bucketsPartitions = (product: string): string[] =>
  Array.from({ length: SLICES }, (_, slice) => `BUCKETS#${part(product)}#${slice}`)
/** A bucket's place in these lists. */
export const bucketPlace = (meterPk: string, hour: number): string => `${hourDigits(hour)}#${meterPk}`
/** Events by the shard that counts them, in order of time. */
export const countedPartition = (meterPk: string, hour: number, shard: number): string =>
  `${meterPk}#${hourDigits(hour)}#${shard}`

// Quotas: what a holder has used of a dimension, and what is held of it, is one partition

export const quotaPartition = (holder: string, dimension: string): string =>
  `QUOTA#${part(holder)}#${part(dimension)}`
export const counterKey = (holder: string, dimension: string, window: string, start: number): Key => ({
  pk: quotaPartition(holder, dimension),
  sk: `C#${window}#${padded(start)}`,
})
/** Reservations that are held, by when they expire. */
export const heldPrefix = 'HELD#'
export const heldKey = (holder: string, dimension: string, expiresAt: number, id: string): Key => ({
  pk: quotaPartition(holder, dimension),
  sk: `${heldPrefix}${padded(expiresAt)}#${part(id)}`,
})
export const reservationKey = (id: string): Key => ({ pk: `RESERVATION#${part(id)}`, sk: 'R' })
/** List of all that are held, by when they expire. */
export const heldList = 'HELD'
/** Of an admission's 16-byte key. */
export const admissionKey = (key: Uint8Array): Key => ({
  pk: `ADMITTED#${Buffer.from(key.buffer, key.byteOffset, key.byteLength).toString('hex')}`,
  sk: 'A',
})

// Endpoints of a product: how they are, how each hour was, and when they changed, newest first

const HOURS_END = 99_999_999
const TIMES_END = 999_999_999_999_999
export const healthPartition = (product: string): string => `HEALTH#${part(product)}`
export const healthPrefix = 'S#'
export const healthKey = (product: string, endpoint: string): Key => ({
  pk: healthPartition(product),
  sk: `${healthPrefix}${part(endpoint)}`,
})
export const healthHourPrefix = 'H#'
export const healthHourKey = (product: string, hour: number, endpoint: string): Key => ({
  pk: healthPartition(product),
  sk: `${healthHourPrefix}${padded(HOURS_END - hour, 8)}#${part(endpoint)}`,
})
export const healthChangesPrefix = 'C#'
export const healthChangePrefix = (endpoint: string): string => `${healthChangesPrefix}${part(endpoint)}#`
export const healthChangeKey = (product: string, endpoint: string, at: number): Key => ({
  pk: healthPartition(product),
  sk: `${healthChangePrefix(endpoint)}${padded(TIMES_END - at)}`,
})

// What a person should look at

export const alarmPartition = (kind: string): string => `ALARM#${kind}`
export const alarmKey = (kind: string, subject: string): Key => ({
  pk: alarmPartition(kind),
  sk: part(subject),
})

// Who did what

export const auditEntryKey = (id: string): Key => ({ pk: `AUDIT#${id}`, sk: 'A' })
export const auditEntriesOf = (subject: string): string => `AUDITOF#${part(subject)}`

// Keys of services, mail, who works on what, and what a dimension is counted in

export const serviceKeysPartition = 'KEYS'
/** In the list of all; says its hash. */
export const serviceKeyIdKey = (id: string): Key => ({ pk: serviceKeysPartition, sk: part(id) })
export const serviceKeyKey = (hash: string): Key => ({ pk: `KEY#${part(hash)}`, sk: 'K' })

export const apiKeyKey = (hash: string): Key => ({ pk: `APIKEY#${part(hash)}`, sk: 'K' })
/** Says its hash. */
export const apiKeyIdKey = (id: string): Key => ({ pk: `APIKEYID#${part(id)}`, sk: 'K' })
/** Lists of API keys, in the order of their making: of a key in the first two, of what says its hash in the others. */
export const apiKeysOfProduct = (product: string): string => `APIKEYS#product#${part(product)}`
export const apiKeysOfBuyer = (buyer: string): string => `APIKEYS#buyer#${part(buyer)}`
export const apiKeysOfSubscription = (subscription: string): string =>
  `APIKEYS#subscription#${part(subscription)}`
export const apiKeysOfUser = (user: string): string => `APIKEYS#user#${part(user)}`
// Products and plans

/** All versions of all of them. */
export const catalogPartition = 'CATALOG'
/** @param plan - empty: of the product itself */
export const catalogVersionKey = (product: string, plan: string, version: number | bigint): Key => ({
  pk: catalogPartition,
  sk: `${part(product)}#${part(plan)}#${padded(version, 9)}`,
})
/** Partition of the parts of a long one. */
export const catalogTextPartition = ({ sk }: Key): string => `CATALOGTEXT#${sk}`

export const mailPartition = 'MAIL'
export const mailKey = (number: number | bigint): Key => ({ pk: mailPartition, sk: padded(number) })
export const mailIdKey = (id: string): Key => ({ pk: `MAILID#${part(id)}`, sk: 'M' })

export const leasePartition = 'LEASE'
export const leaseKey = (name: string): Key => ({ pk: leasePartition, sk: part(name) })

export const dimensionPartition = 'DIMENSION'
export const dimensionKey = (product: string, dimension: string): Key => ({
  pk: dimensionPartition,
  sk: `${part(product)}#${part(dimension)}`,
})

// Visitors

export const saltPartition = 'VISITORSALT'
export const saltKey = (number: number): Key => ({ pk: saltPartition, sk: padded(number) })
export const visitorKey = (id: string): Key => ({ pk: `VISITOR#${part(id)}`, sk: 'V' })
/** Says whose it is. */
export const visitorHashKey = (hash: string): Key => ({ pk: `VISITORHASH#${part(hash)}`, sk: 'H' })
/** List of the hashes that a visitor is known by. */
export const hashesOfVisitor = (id: string): string => `HASHESOF#${part(id)}`
/** Of its counters those that never end, whatever dimension they are of; others DynamoDB deletes. */
export const countersOfVisitor = (id: string): string => `COUNTERSOF#${part(id)}`
export const solutionKey = (id: string): Key => ({ pk: `SOLUTION#${part(id)}`, sk: 'S' })

/** All visitors by when they were seen last, in several lists: one would be hot. */
const VISITOR_LISTS = 8
export const visitorLists: readonly string[] = Array.from(
  { length: VISITOR_LISTS },
  (_, list) => `VISITORS#${list}`,
)
export const visitorList = (id: string): string => visitorLists[id.charCodeAt(id.length - 1) % VISITOR_LISTS]!
