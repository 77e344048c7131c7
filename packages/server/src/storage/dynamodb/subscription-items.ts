import { DomainError } from '../../domain/error.ts'
import {
  type Channel,
  licenseTail,
  type Subscription,
  type SubscriptionStatus,
} from '../../domain/subscriptions/subscription.ts'
import { int, optionalInt, optionalText, text, textSet } from './fields.ts'
import { type NameKind, padded, part, productPartition, subscriptionKey, waitPartition } from './keys.ts'
import type { Item, Key, Reader } from './table.ts'
import type { Metered } from './usage-of-subscriptions.ts'

/** The list of all subscriptions, in order of their creation; `ofProduct` is the one of a product. */
export const SUBSCRIPTIONS = 'SUBSCRIPTIONS'
export const listOfProduct = (product: string): string => `${SUBSCRIPTIONS}#${part(product)}`

/** What an item keeps of the subscription itself. What else it has (its meters, …) stays beside that. */
export function subscriptionAttributes(
  s: Subscription,
): Record<string, string | number | boolean | undefined> {
  return {
    id: s.id,
    product: s.product,
    buyer: s.buyer,
    channel: s.channel,
    plan: s.plan,
    tenantId: s.tenantId,
    status: s.status,
    licenseArn: s.licenseArn,
    customerAwsAccountId: s.customerAwsAccountId,
    customerIdentifier: s.customerIdentifier,
    agreementId: s.agreementId,
    grantedAt: s.grantedAt,
    termEnd: s.termEnd,
    freeTrial: s.freeTrial,
    accessStart: s.accessStart,
    accessEnd: s.accessEnd,
    finalWindowEnd: s.finalWindowEnd,
    successor: s.successor,
    createdAt: s.createdAt,
    // For AWSAccountIndex.
    account: s.customerAwsAccountId,
    accountOf: s.customerAwsAccountId === undefined ? undefined : subscriptionKey(s.id).pk,
  }
}

export function toSubscription(item: Item): Subscription {
  return {
    id: text(item.id),
    product: text(item.product),
    buyer: text(item.buyer),
    channel: text(item.channel) as Channel,
    plan: optionalText(item.plan),
    tenantId: optionalText(item.tenantId),
    status: text(item.status) as SubscriptionStatus,
    licenseArn: optionalText(item.licenseArn),
    customerAwsAccountId: optionalText(item.customerAwsAccountId),
    customerIdentifier: optionalText(item.customerIdentifier),
    agreementId: optionalText(item.agreementId),
    grantedAt: optionalInt(item.grantedAt),
    termEnd: optionalInt(item.termEnd),
    freeTrial: item.freeTrial as boolean | undefined,
    accessStart: int(item.accessStart),
    accessEnd: optionalInt(item.accessEnd),
    finalWindowEnd: optionalInt(item.finalWindowEnd),
    successor: optionalText(item.successor),
    createdAt: int(item.createdAt),
  }
}

/** Its place in the order of creation. */
export function orderOf(item: Item): string {
  return text(item.order)
}

export function meteredOf(item: Item): Metered {
  return { id: text(item.id), dimensions: textSet(item.dimensions) }
}

/** @throws {DomainError} `subscription.not_found` */
export async function getSubscriptionItem(reader: Reader, id: string): Promise<Item> {
  const item = await reader.get(subscriptionKey(id))
  if (item === undefined) throw new DomainError('subscription.not_found', `no subscription ${id}`)
  return item
}

/** @throws {DomainError} `subscription.not_found` */
export async function getSubscription(reader: Reader, id: string): Promise<Subscription> {
  return toSubscription(await getSubscriptionItem(reader, id))
}

/** In the order of the ids; those that are none are left out. */
export async function getSubscriptionItems(reader: Reader, ids: readonly string[]): Promise<readonly Item[]> {
  const items = await reader.getMany(ids.map(subscriptionKey))
  return items.filter((item) => item !== undefined)
}

/** What one may know a subscription by. */
export function namesOf(s: Subscription): readonly (readonly [NameKind, string])[] {
  const names: readonly (readonly [NameKind, string | undefined])[] = [
    ['license', s.licenseArn === undefined ? undefined : licenseTail(s.licenseArn)],
    ['account', s.customerAwsAccountId],
    ['customer', s.customerIdentifier],
    ['tenant', s.tenantId],
  ]
  return names.filter((name): name is readonly [NameKind, string] => name[1] !== undefined)
}

/** The items that let a subscription be found by what it is in: they change with it, in the same step. */
export function marksOf(s: Subscription, order: string): readonly Key[] {
  const mark = (pk: string, at: string) => ({ pk, sk: `${at}#${part(s.id)}` })
  const isUnlicensed =
    s.channel === 'aws' &&
    s.licenseArn === undefined &&
    s.customerIdentifier === undefined &&
    s.accessEnd === undefined
  return [
    mark(productPartition(s.product), `${s.accessEnd === undefined ? 'live' : 'over'}#${order}`),
    ...(s.status === 'pending' ? [mark(waitPartition('pending'), padded(s.createdAt))] : []),
    ...(isUnlicensed ? [mark(waitPartition('unlicensed'), padded(s.createdAt))] : []),
    ...(s.status === 'cancelling' && s.finalWindowEnd !== undefined
      ? [mark(waitPartition('goodbye'), padded(s.finalWindowEnd))]
      : []),
  ]
}
