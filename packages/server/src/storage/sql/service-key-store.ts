import { DomainError } from '../../domain/error.ts'
import type { KeyScope, ServiceKey, ServiceKeyStore } from '../../domain/keys/service-key.ts'
import { appendAudit } from './audit-trail.ts'
import type { Row, SqlDatabase } from './database.ts'
import { int, optionalInt, optionalText, text } from './rows.ts'

export function createSqlServiceKeyStore(database: SqlDatabase): ServiceKeyStore {
  return {
    create: (key, actor) =>
      database.transaction(async (sql) => {
        await sql.run(
          'INSERT INTO service_key (id, name, scopes, product, hash, rate_per_second, created_at) VALUES (?, ?, ?, ?, ?, ?, ?)',
          key.id,
          key.name,
          key.scopes.join(' '),
          key.product ?? null,
          key.hash,
          key.ratePerSecond ?? null,
          key.createdAt,
        )
        await appendAudit(sql, {
          at: key.createdAt,
          actor,
          action: 'key.create',
          subject: key.id,
          before: undefined,
          after: shown(key),
        })
      }),
    async findByHash(hash) {
      const row = await database.get('SELECT * FROM service_key WHERE hash = ?', hash)
      return row && toKey(row)
    },
    list: () =>
      database.read(async (sql) =>
        (await sql.all('SELECT * FROM service_key ORDER BY created_at')).map(toKey),
      ),
    revoke: (id, actor, now) =>
      database.transaction(async (sql) => {
        const row = await sql.get('SELECT * FROM service_key WHERE id = ?', id)
        if (row === undefined) throw new DomainError('key.not_found', `no key ${id}`)
        if (row.revoked_at !== null) return
        await sql.run('UPDATE service_key SET revoked_at = ? WHERE id = ?', now, id)
        await appendAudit(sql, {
          at: now,
          actor,
          action: 'key.revoke',
          subject: id,
          before: shown(toKey(row)),
          after: { revokedAt: now },
        })
      }),
  }
}

function toKey(row: Row): ServiceKey {
  return {
    id: text(row.id),
    name: text(row.name),
    scopes: text(row.scopes).split(' ') as KeyScope[],
    product: optionalText(row.product),
    hash: text(row.hash),
    ratePerSecond: optionalInt(row.rate_per_second),
    createdAt: int(row.created_at),
    revokedAt: optionalInt(row.revoked_at),
  }
}

/** What of a key may stand in the audit trail: its hash may not. */
function shown(key: ServiceKey) {
  const { name, scopes, product, ratePerSecond } = key
  return { name, scopes, product, ratePerSecond }
}
