import { DomainError } from '../../domain/error.ts'
import type { ApiKey, ApiKeyFilter, ApiKeyStore, KeyTrace } from '../../domain/keys/api-key.ts'
import { appendAudit } from './audit-trail.ts'
import { appendDomainEvent, transactionThatTells } from './domain-events.ts'
import { int, optionalInt, optionalText, text, texts } from './fields.ts'
import {
  apiKeyIdKey,
  apiKeyKey,
  apiKeysOfBuyer,
  apiKeysOfProduct,
  apiKeysOfSubscription,
  apiKeysOfUser,
  padded,
} from './keys.ts'
import { type ListName, newestFirst } from './lists.ts'
import type { Item, Reader, Table, Transaction } from './table.ts'

/** In one step, which is run again where another gets in its way. */
const USES_PER_STEP = 10

export function createDynamoApiKeyStore(table: Table): ApiKeyStore {
  return {
    create: (key, trace) =>
      transactionThatTells(table, async (tx) => {
        const known = await findKeyItem(tx, key.id)
        if (known !== undefined) return toKey(known)
        putApiKey(tx, key)
        await leaveTrace(tx, trace)
        return undefined
      }),
    change: (id, decide) =>
      transactionThatTells(table, async (tx) => {
        const item = await getKeyItem(tx, id)
        const before = toKey(item)
        const change = decide(before)
        if (change === undefined) return before
        const { revokedAt, replacedBy, usableUntil } = change.key
        tx.put({ ...item, revokedAt, replacedBy, usableUntil })
        if (change.successor !== undefined) putApiKey(tx, change.successor)
        await leaveTrace(tx, change.trace)
        return change.key
      }),
    get: async (id) => toKey(await getKeyItem(table, id)),
    async findByHash(hash) {
      const item = await table.get(apiKeyKey(hash))
      return item && toKey(item)
    },
    async list(filter, { limit, before }) {
      const mark = before === undefined ? undefined : await findKeyItem(table, before)
      if (before !== undefined && mark === undefined) return []
      const place = mark && placeOf(toKey(mark))
      const { index, list, isPointer } = narrowest(filter)
      const found = await newestFirst(table, index, list, { before: place, limit }, async (listed) => {
        const items = isPointer
          ? await table.getMany(listed.map(({ hash }) => apiKeyKey(text(hash))))
          : listed
        return items.map((item) => {
          const key = item && toKey(item)
          return key !== undefined && fits(key, filter) ? key : undefined
        })
      })
      return found.map(({ item }) => item)
    },
    async noteUses(uses) {
      for (let from = 0; from < uses.length; from += USES_PER_STEP) {
        const slice = uses.slice(from, from + USES_PER_STEP)
        await table.transaction(async (tx) => {
          const ids = await tx.getMany(slice.map(({ id }) => apiKeyIdKey(id)))
          const known = slice.flatMap(({ at }, n) =>
            ids[n] === undefined ? [] : [{ at, key: apiKeyKey(text(ids[n].hash)) }],
          )
          const items = await tx.getMany(known.map(({ key }) => key))
          for (const [n, { at }] of known.entries()) {
            const item = items[n]
            if (item !== undefined && (optionalInt(item.lastUsedAt) ?? 0) < at)
              tx.put({ ...item, lastUsedAt: at })
          }
        })
      }
    },
  }
}

/** Over whatever is there: a copy is written anew where it was cut. */
export function putApiKey(tx: Pick<Transaction, 'put'>, key: ApiKey): void {
  const listed = placeOf(key)
  const { id, hash, subscription, user } = key
  // By `expiresAt` DynamoDB would delete it.
  const { expiresAt: validUntil, ...rest } = key
  tx.put({
    ...apiKeyKey(hash),
    ...rest,
    validUntil,
    list: apiKeysOfProduct(key.product),
    listed,
    also: apiKeysOfBuyer(key.buyer),
    alsoListed: listed,
  })
  tx.put({
    ...apiKeyIdKey(id),
    hash,
    ...(subscription !== undefined && { list: apiKeysOfSubscription(subscription), listed }),
    ...(user !== undefined && { also: apiKeysOfUser(user), alsoListed: listed }),
  })
}

/** The same in every store: by time, and of one instant by id. */
function placeOf({ createdAt, id }: ApiKey): string {
  return `${padded(createdAt)}#${id}`
}

/** The list that holds the fewest others. */
function narrowest({ product, buyer, subscription, user }: ApiKeyFilter): {
  readonly index: ListName
  readonly list: string
  readonly isPointer: boolean
} {
  if (subscription !== undefined)
    return { index: 'ListIndex', list: apiKeysOfSubscription(subscription), isPointer: true }
  if (user !== undefined) return { index: 'SecondListIndex', list: apiKeysOfUser(user), isPointer: true }
  if (buyer !== undefined) return { index: 'SecondListIndex', list: apiKeysOfBuyer(buyer), isPointer: false }
  return { index: 'ListIndex', list: apiKeysOfProduct(product!), isPointer: false }
}

function fits(key: ApiKey, filter: ApiKeyFilter): boolean {
  return (['product', 'buyer', 'subscription', 'user'] as const).every(
    (field) => filter[field] === undefined || filter[field] === key[field],
  )
}

async function leaveTrace(tx: Transaction, { audits, event }: KeyTrace): Promise<void> {
  for (const entry of audits) await appendAudit(tx, entry)
  await appendDomainEvent(tx, event)
}

async function findKeyItem(reader: Reader, id: string): Promise<Item | undefined> {
  const known = await reader.get(apiKeyIdKey(id))
  return known && reader.get(apiKeyKey(text(known.hash)))
}

async function getKeyItem(reader: Reader, id: string): Promise<Item> {
  const item = await findKeyItem(reader, id)
  if (item === undefined) throw new DomainError('key.not_found', `no key ${id}`)
  return item
}

function toKey(item: Item): ApiKey {
  return {
    id: text(item.id),
    product: text(item.product),
    buyer: text(item.buyer),
    subscription: optionalText(item.subscription),
    user: optionalText(item.user),
    name: optionalText(item.name),
    scopes: texts(item.scopes),
    hash: text(item.hash),
    hint: text(item.hint),
    createdAt: int(item.createdAt),
    expiresAt: optionalInt(item.validUntil),
    revokedAt: optionalInt(item.revokedAt),
    replacedBy: optionalText(item.replacedBy),
    usableUntil: optionalInt(item.usableUntil),
    lastUsedAt: optionalInt(item.lastUsedAt),
  }
}
