import { DomainError } from '../../domain/error.ts'
import type { KeyScope, ServiceKey, ServiceKeyStore } from '../../domain/keys/service-key.ts'
import { appendAudit } from './audit-trail.ts'
import { int, optionalInt, optionalText, text } from './fields.ts'
import { serviceKeyIdKey, serviceKeyKey, serviceKeysPartition } from './keys.ts'
import type { Item, Table } from './table.ts'

export function createDynamoServiceKeyStore(table: Table): ServiceKeyStore {
  return {
    create: (key, actor) =>
      table.transaction(async (tx) => {
        const { id, name, scopes, product, hash, ratePerSecond, createdAt } = key
        tx.put({ ...serviceKeyIdKey(id), hash })
        tx.put({ ...serviceKeyKey(hash), id, name, scopes, product, hash, ratePerSecond, createdAt })
        await appendAudit(tx, {
          at: createdAt,
          actor,
          action: 'key.create',
          subject: id,
          before: undefined,
          after: shown(key),
        })
      }),
    async findByHash(hash) {
      const item = await table.get(serviceKeyKey(hash))
      return item && toKey(item)
    },
    async list() {
      const ids = await table.query({ pk: serviceKeysPartition })
      const items = await table.getMany(ids.map(({ hash }) => serviceKeyKey(text(hash))))
      return items
        .filter((item) => item !== undefined)
        .map(toKey)
        .sort((a, b) => a.createdAt - b.createdAt)
    },
    revoke: (id, actor, now) =>
      table.transaction(async (tx) => {
        const known = await tx.get(serviceKeyIdKey(id))
        const item = known && (await tx.get(serviceKeyKey(text(known.hash))))
        if (item === undefined) throw new DomainError('key.not_found', `no key ${id}`)
        if (item.revokedAt !== undefined) return
        tx.put({ ...item, revokedAt: now })
        await appendAudit(tx, {
          at: now,
          actor,
          action: 'key.revoke',
          subject: id,
          before: shown(toKey(item)),
          after: { revokedAt: now },
        })
      }),
  }
}

function toKey(item: Item): ServiceKey {
  return {
    id: text(item.id),
    name: text(item.name),
    scopes: item.scopes as readonly KeyScope[],
    product: optionalText(item.product),
    hash: text(item.hash),
    ratePerSecond: optionalInt(item.ratePerSecond),
    createdAt: int(item.createdAt),
    revokedAt: optionalInt(item.revokedAt),
  }
}

/** What of a key may stand in the audit trail: its hash may not. */
function shown(key: ServiceKey) {
  const { name, scopes, product, ratePerSecond } = key
  return { name, scopes, product, ratePerSecond }
}
