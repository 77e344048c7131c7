import { DomainError } from '../../domain/error.ts'
import type { ApiKey, ApiKeyFilter, ApiKeyStore, KeyTrace, KeyUse } from '../../domain/keys/api-key.ts'
import { appendAudit } from './audit-trail.ts'
import type { Row, Sql, SqlDatabase, SqlValue } from './database.ts'
import { appendDomainEvent } from './domain-events.ts'
import { int, optionalInt, optionalText, text } from './rows.ts'

const FILTERS = { product: 'product', buyer: 'buyer', subscription: 'subscription', user: 'user_id' } as const
/** In one statement. */
const USES_MAX = 1_000

export function createSqlApiKeyStore(database: SqlDatabase): ApiKeyStore {
  return {
    create: (key, trace) =>
      database.transaction(async (sql) => {
        if (!(await insertKey(sql, key))) return getKey(sql, key.id)
        await leaveTrace(sql, trace)
        return undefined
      }),
    change: (id, decide) =>
      database.transaction(async (sql) => {
        const before = await getKey(sql, id)
        const change = decide(before)
        if (change === undefined) return before
        const { key, successor, trace } = change
        await sql.run(
          'UPDATE api_key SET revoked_at = ?, replaced_by = ?, usable_until = ? WHERE id = ?',
          key.revokedAt ?? null,
          key.replacedBy ?? null,
          key.usableUntil ?? null,
          id,
        )
        if (successor !== undefined) await insertKey(sql, successor)
        await leaveTrace(sql, trace)
        return key
      }),
    get: (id) => database.read((sql) => getKey(sql, id)),
    async findByHash(hash) {
      const row = await database.get('SELECT * FROM api_key WHERE hash = ?', hash)
      return row && toKey(row)
    },
    list: (filter, { limit, before }) =>
      database.read(async (sql) => {
        const { conditions, values } = conditionsOf(filter)
        if (before !== undefined) {
          conditions.push('(created_at, id) < (SELECT created_at, id FROM api_key WHERE id = ?)')
          values.push(before)
        }
        const rows = await sql.all(
          `SELECT * FROM api_key WHERE ${conditions.join(' AND ')} ORDER BY created_at DESC, id DESC LIMIT ?`,
          ...values,
          limit,
        )
        return rows.map(toKey)
      }),
    async noteUses(uses) {
      // In one order: two nodes that write the same do not wait for each other in a circle.
      const sorted = uses.toSorted((a, b) => (a.id < b.id ? -1 : 1))
      for (let from = 0; from < sorted.length; from += USES_MAX)
        await noteUses(database, sorted.slice(from, from + USES_MAX))
    },
  }
}

function noteUses(database: SqlDatabase, uses: readonly KeyUse[]): Promise<unknown> {
  const rows = uses.map(() => '(?, CAST(? AS BIGINT))').join(', ')
  return database.transaction((sql) =>
    sql.run(
      `UPDATE api_key SET last_used_at = used.column2 FROM (VALUES ${rows}) AS used
       WHERE api_key.id = used.column1 AND (last_used_at IS NULL OR last_used_at < used.column2)`,
      ...uses.flatMap(({ id, at }) => [id, at]),
    ),
  )
}

/** @returns `false` where there is one of its id */
async function insertKey(sql: Sql, key: ApiKey): Promise<boolean> {
  const { changes } = await sql.run(
    `INSERT INTO api_key (id, product, buyer, subscription, user_id, name, scopes, hash, hint, created_at, expires_at)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING`,
    key.id,
    key.product,
    key.buyer,
    key.subscription ?? null,
    key.user ?? null,
    key.name ?? null,
    key.scopes.join(' '),
    key.hash,
    key.hint,
    key.createdAt,
    key.expiresAt ?? null,
  )
  return changes === 1
}

async function leaveTrace(sql: Sql, { audits, event }: KeyTrace): Promise<void> {
  for (const entry of audits) await appendAudit(sql, entry)
  await appendDomainEvent(sql, event)
}

async function getKey(sql: Sql, id: string): Promise<ApiKey> {
  const row = await sql.get('SELECT * FROM api_key WHERE id = ?', id)
  if (row === undefined) throw new DomainError('key.not_found', `no key ${id}`)
  return toKey(row)
}

function conditionsOf(filter: ApiKeyFilter): { conditions: string[]; values: SqlValue[] } {
  const given = Object.entries(FILTERS).flatMap(([field, column]) => {
    const value = filter[field as keyof ApiKeyFilter]
    return value === undefined ? [] : [{ condition: `${column} = ?`, value }]
  })
  return { conditions: given.map(({ condition }) => condition), values: given.map(({ value }) => value) }
}

function toKey(row: Row): ApiKey {
  const scopes = text(row.scopes)
  return {
    id: text(row.id),
    product: text(row.product),
    buyer: text(row.buyer),
    subscription: optionalText(row.subscription),
    user: optionalText(row.user_id),
    name: optionalText(row.name),
    scopes: scopes === '' ? [] : scopes.split(' '),
    hash: text(row.hash),
    hint: text(row.hint),
    createdAt: int(row.created_at),
    expiresAt: optionalInt(row.expires_at),
    revokedAt: optionalInt(row.revoked_at),
    replacedBy: optionalText(row.replaced_by),
    usableUntil: optionalInt(row.usable_until),
    lastUsedAt: optionalInt(row.last_used_at),
  }
}
