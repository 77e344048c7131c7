import type { Entitlement, EntitlementReading } from '../../domain/entitlements/entitlement.ts'
import { isLive, type Subscription } from '../../domain/subscriptions/subscription.ts'
import { int, optionalInt, optionalText, text } from './fields.ts'
import { padded, part, readingKey } from './keys.ts'
import type { Attribute, Item, Transaction } from './table.ts'

/** Readings that are to be made anew, by when: of subscriptions that live. */
export const dueReadings = (product: string): string => `READ#${part(product)}`
/** Those of them whose last answer granted nothing, by since when. */
export const emptyReadings = (product: string): string => `EMPTY#${part(product)}`

/** A subscription that comes from AWS is to be asked for at once. */
export async function beginReading(tx: Transaction, s: Subscription): Promise<void> {
  if (s.channel !== 'aws') return
  putReading(tx, {
    ...readingKey(s.id),
    subscription: s.id,
    product: s.product,
    entitlements: '[]',
    nextAt: isLive(s) ? 0 : undefined,
  })
}

/** It began to live, and is asked for at once; or it ended, and never again. */
export async function followStatus(tx: Transaction, s: Subscription): Promise<void> {
  const item = await tx.get(readingKey(s.id))
  if (item !== undefined) putReading(tx, { ...item, nextAt: isLive(s) ? 0 : undefined })
}

/** AWS said something about it: what it grants may have changed. */
export async function askAnew(tx: Transaction, subscription: string): Promise<void> {
  const item = await tx.get(readingKey(subscription))
  if (item?.nextAt !== undefined && int(item.nextAt) > 0) putReading(tx, { ...item, nextAt: 0 })
}

/** @param item - without `nextAt` it is not to be made anew */
export function putReading(tx: Transaction, item: Item): void {
  const { nextAt, emptySince } = item
  const product = text(item.product)
  const isDue = nextAt !== undefined
  const isEmpty = isDue && emptySince !== undefined
  const place = (at: Attribute) => `${padded(int(at))}#${part(text(item.subscription))}`
  tx.put({
    ...item,
    list: isDue ? dueReadings(product) : undefined,
    listed: isDue ? place(nextAt) : undefined,
    also: isEmpty ? emptyReadings(product) : undefined,
    alsoListed: isEmpty ? place(emptySince) : undefined,
  })
}

export function toReading(item: Item): EntitlementReading {
  return {
    subscription: text(item.subscription),
    entitlements: (JSON.parse(text(item.entitlements)) as Entitlement[]).map((entitlement) => ({
      ...entitlement,
      // JSON leaves out what is undefined.
      expiresAt: entitlement.expiresAt,
    })),
    readAt: optionalInt(item.readAt),
    emptySince: optionalInt(item.emptySince),
    failedAt: optionalInt(item.failedAt),
    failure: optionalText(item.failure),
  }
}
