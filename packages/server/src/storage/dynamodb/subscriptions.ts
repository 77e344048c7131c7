import { shareLooks } from '../../domain/share-looks.ts'
import {
  isLive,
  licenseTail,
  type Subscription,
  type SubscriptionReference,
} from '../../domain/subscriptions/subscription.ts'
import type { SubscriptionFilter, SubscriptionStore } from '../../domain/subscriptions/subscription-store.ts'
import { appendAudit } from './audit-trail.ts'
import { ensureBuyer } from './buyer-changes.ts'
import { readEpoch } from './epoch.ts'
import { text, texts } from './fields.ts'
import { buyerKey, type NameKind, namePartition, productPartition } from './keys.ts'
import { newestFirst } from './lists.ts'
import { getName, type Name, toName } from './names.ts'
import { settledReader } from './settled-reader.ts'
import { insertSubscription, patchSubscription } from './subscription-changes.ts'
import {
  getSubscription,
  getSubscriptionItems,
  listOfProduct,
  orderOf,
  SUBSCRIPTIONS,
  toSubscription,
} from './subscription-items.ts'
import type { Item, Reader, Table } from './table.ts'
import type { UsageOfSubscriptions } from './usage-of-subscriptions.ts'

const MATCHES_MAX = 100
const CACHE_MAX = 50_000
/** While subscriptions change without a pause, what was found is of one moment all the same, but not kept. */
const LOOKS_MAX = 5

type Filter = SubscriptionFilter & Pick<SubscriptionReference, 'subscriptionId'>

/** Look-ups by reference are kept until any subscription changes: every usage event needs one. */
export function createDynamoSubscriptionStore(table: Table, usage: UsageOfSubscriptions): SubscriptionStore {
  const cache = new Map<string, readonly Subscription[]>()
  let cachedEpoch = -1
  const settled = settledReader(table)
  const lookAtEpoch = shareLooks(() => readEpoch(table))

  return {
    get: (id) => getSubscription(settled, id),
    async findMatching(product, reference) {
      const key = JSON.stringify([product, reference])
      for (let look = 1; ; look++) {
        const epoch = await lookAtEpoch()
        if (epoch > cachedEpoch || cache.size > CACHE_MAX) {
          cache.clear()
          cachedEpoch = epoch
        }
        const known = epoch === cachedEpoch ? cache.get(key) : undefined
        if (known !== undefined) return known
        const found = await findMatching(settled, { ...reference, product })
        // Several items were read: they are of one moment if nothing changed meanwhile.
        if ((await readEpoch(table)) === epoch) {
          if (epoch === cachedEpoch && isFoundByKeys(product, reference)) cache.set(key, found)
          return found
        }
        if (look === LOOKS_MAX) return found
      }
    },
    list: (options) => list(table, options),
    create: (subscription, actor) =>
      table.transaction(async (tx) => {
        const same = (
          await findMatching(tx, { ...ownReference(subscription), product: subscription.product })
        ).find(isLive)
        if (same !== undefined) return { subscription: same, created: false }
        const buyer = await ensureBuyer(tx, subscription)
        await insertSubscription(tx, { ...subscription, buyer })
        await appendAudit(tx, {
          at: subscription.createdAt,
          actor,
          action: 'subscription.create',
          subject: subscription.id,
          before: undefined,
          after: subscription,
        })
        return { subscription: await getSubscription(tx, subscription.id), created: true }
      }),
    change: (id, decide, actor, now) =>
      table.transaction(async (tx) => {
        const before = await getSubscription(tx, id)
        const change = decide(before)
        if (change === undefined) return before
        const patch = Object.fromEntries(Object.entries(change).filter(([, value]) => value !== undefined))
        return patchSubscription(tx, usage, id, patch, actor, now)
      }),
  }
}

/** What is found by a range may have parts that are not there yet: it is not kept. */
function isFoundByKeys(product: string | undefined, reference: SubscriptionReference): boolean {
  const { subscriptionId, buyerId, ...names } = reference
  if (subscriptionId !== undefined || buyerId !== undefined) return true
  return product !== undefined && Object.values(names).some((name) => name !== undefined)
}

/** What tells one AWS agreement from another: the license, or for a legacy product the customer. */
function ownReference(subscription: Subscription): SubscriptionReference {
  if (subscription.licenseArn !== undefined) return { licenseArn: subscription.licenseArn }
  if (subscription.customerIdentifier !== undefined)
    return { customerIdentifier: subscription.customerIdentifier }
  return { subscriptionId: subscription.id }
}

/** Those that are live first, newest first, at most so many. */
async function findMatching(reader: Reader, filter: Filter): Promise<readonly Subscription[]> {
  const items = await candidatesOf(reader, filter)
  return (items ?? (await ofProduct(reader, filter.product)))
    .filter((item) => fits(toSubscription(item), filter))
    .sort(liveFirst)
    .slice(0, MATCHES_MAX)
    .map(toSubscription)
}

export function liveFirst(a: Item, b: Item): number {
  const isOver = (item: Item) => Number(item.accessEnd !== undefined)
  return isOver(a) - isOver(b) || newerFirst(a, b)
}

function newerFirst(a: Item, b: Item): number {
  return orderOf(a) < orderOf(b) ? 1 : -1
}

/** Those under the first name that is given; undefined where none is. */
async function candidatesOf(reader: Reader, filter: Filter): Promise<readonly Item[] | undefined> {
  if (filter.subscriptionId !== undefined) return getSubscriptionItems(reader, [filter.subscriptionId])
  if (filter.buyerId !== undefined) {
    const buyer = await reader.get(buyerKey(filter.buyerId))
    return getSubscriptionItems(reader, texts(buyer?.subscriptions))
  }
  const names: readonly (readonly [NameKind, string | undefined])[] = [
    ['tenant', filter.tenantId],
    ['license', filter.licenseArn === undefined ? undefined : licenseTail(filter.licenseArn)],
    ['customer', filter.customerIdentifier],
    ['account', filter.customerAwsAccountId],
  ]
  const [kind, value] = names.find(([, given]) => given !== undefined) ?? []
  if (kind === undefined || value === undefined) return undefined
  const found =
    filter.product === undefined
      ? await namesOfAnyProduct(reader, kind, value)
      : [await getName(reader, kind, value, filter.product)]
  return getSubscriptionItems(
    reader,
    found.flatMap(({ subscriptions }) => subscriptions),
  )
}

async function namesOfAnyProduct(reader: Reader, kind: NameKind, value: string): Promise<readonly Name[]> {
  const known = await reader.query({ pk: namePartition(kind, value) })
  return (await reader.getMany(known.map(({ pk, sk }) => ({ pk, sk })))).map(toName)
}

async function ofProduct(reader: Reader, product: string | undefined): Promise<readonly Item[]> {
  const limit = MATCHES_MAX
  if (product === undefined)
    return reader.queryIndex('ListIndex', { pk: SUBSCRIPTIONS, reverse: true, limit })
  const pk = productPartition(product)
  const live = await reader.query({ pk, prefix: 'live#', reverse: true, limit })
  const over =
    live.length === limit
      ? []
      : await reader.query({ pk, prefix: 'over#', reverse: true, limit: limit - live.length })
  return getSubscriptionItems(
    reader,
    [...live, ...over].map(({ id }) => text(id)),
  )
}

function fits(s: Subscription, filter: Filter): boolean {
  const { licenseArn } = filter
  const isSame = <T>(given: T | undefined, own: T) => given === undefined || given === own
  return (
    isSame(filter.subscriptionId, s.id) &&
    isSame(filter.buyerId, s.buyer) &&
    isSame<string | undefined>(filter.tenantId, s.tenantId) &&
    (licenseArn === undefined ||
      (s.licenseArn !== undefined && licenseTail(s.licenseArn) === licenseTail(licenseArn))) &&
    isSame<string | undefined>(filter.customerAwsAccountId, s.customerAwsAccountId) &&
    isSame<string | undefined>(filter.customerIdentifier, s.customerIdentifier) &&
    isSame(filter.product, s.product) &&
    isSame(filter.status, s.status) &&
    isSame(filter.channel, s.channel)
  )
}

async function list(
  table: Table,
  { limit, before, ...filter }: Parameters<SubscriptionStore['list']>[0],
): Promise<readonly Subscription[]> {
  const [mark] = before === undefined ? [] : await getSubscriptionItems(table, [before])
  if (before !== undefined && mark === undefined) return []
  const place = mark && orderOf(mark)
  const named = await candidatesOf(table, filter)
  if (named !== undefined)
    return named
      .filter((item) => (place === undefined || orderOf(item) < place) && fits(toSubscription(item), filter))
      .sort(newerFirst)
      .slice(0, limit)
      .map(toSubscription)
  const isOfProduct = filter.product !== undefined
  const found = await newestFirst(
    table,
    isOfProduct ? 'SecondListIndex' : 'ListIndex',
    isOfProduct ? listOfProduct(filter.product!) : SUBSCRIPTIONS,
    { before: place, limit },
    async (items) =>
      items
        .map(toSubscription)
        .map((subscription) => (fits(subscription, filter) ? subscription : undefined)),
  )
  return found.map(({ item }) => item)
}
