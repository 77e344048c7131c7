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
