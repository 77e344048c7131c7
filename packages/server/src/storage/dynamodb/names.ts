import type { Subscription } from '../../domain/subscriptions/subscription.ts'
import { text, texts } from './fields.ts'
import { agreementHoldersKey, type NameKind, nameKey } from './keys.ts'
import { namesOf } from './subscription-items.ts'
import type { Item, Key, Reader, Transaction } from './table.ts'

/**
 * All that is known under one name of a product: read as one item, so that a step that saw nothing under a name runs again
 * when something comes to it.
 */
export interface Name {
  /** Ids, in the order of their coming. */
  readonly subscriptions: readonly string[]
  /** Keys of agreements. */
  readonly agreements: readonly string[]
  /** Whose name it is; of accounts and customers only. */
  readonly buyer: string | undefined
}

export async function getName(reader: Reader, kind: NameKind, value: string, product: string): Promise<Name> {
  return toName(await reader.get(nameKey(kind, value, product)))
}

export function toName(item: Item | undefined): Name {
  return {
    subscriptions: texts(item?.subscriptions),
    agreements: texts(item?.agreements),
    buyer: item?.buyer === undefined ? undefined : text(item.buyer),
  }
}

/** Keeps what a subscription is found by, in the step that changes it; `before` is undefined for a new one. */
export async function renameSubscription(
  tx: Transaction,
  before: Subscription | undefined,
  after: Subscription,
): Promise<void> {
  const keysOf = (s: Subscription | undefined) =>
    s === undefined ? [] : namesOf(s).map(([kind, value]) => nameKey(kind, value, s.product))
  await moveBetween(tx, keysOf(before), keysOf(after), 'subscriptions', after.id)
  const heldOf = (s: Subscription | undefined) =>
    s?.agreementId === undefined ? [] : [agreementHoldersKey(s.agreementId)]
  await moveBetween(tx, heldOf(before), heldOf(after), 'subscriptions', after.id)
}

/** Adds to the lists of items where it is not yet, and takes it from those where it is no more. */
export async function moveBetween(
  tx: Transaction,
  from: readonly Key[],
  to: readonly Key[],
  list: 'subscriptions' | 'agreements',
  id: string,
): Promise<void> {
  const has = (keys: readonly Key[], { pk, sk }: Key) => keys.some((key) => key.pk === pk && key.sk === sk)
  const gone = from.filter((one) => !has(to, one))
  const come = to.filter((one) => !has(from, one))
  // In one request: from here on each of them is known.
  await tx.getMany([...gone, ...come])
  for (const key of gone) {
    const item = await tx.get(key)
    if (item !== undefined) tx.put({ ...item, [list]: texts(item[list]).filter((other) => other !== id) })
  }
  for (const key of come) {
    const item = await tx.get(key)
    const ids = texts(item?.[list])
    if (!ids.includes(id)) tx.put({ ...item, ...key, [list]: [...ids, id] })
  }
}
