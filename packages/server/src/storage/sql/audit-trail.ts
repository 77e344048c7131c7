import { randomUUID } from 'node:crypto'
import type { AuditEntry, AuditTrail } from '../../domain/audit/audit-trail.ts'
import type { Row, Sql, SqlDatabase } from './database.ts'
import { int, optionalText, text } from './rows.ts'

export function createSqlAuditTrail(database: SqlDatabase): AuditTrail {
  return {
    append: (entry) => database.transaction((sql) => appendAudit(sql, entry)),
    list: ({ limit, cursor, subject }) =>
      database.read(async (sql) => {
        const rows = await sql.all(
          `SELECT * FROM audit_entry WHERE seq < ? ${subject === undefined ? '' : 'AND subject = ?'} ORDER BY seq DESC LIMIT ?`,
          cursor === undefined ? Number.MAX_SAFE_INTEGER : Number(cursor),
          ...(subject === undefined ? [] : [subject]),
          limit,
        )
        const items = rows.map(toAuditEntry)
        return { items, next: rows.length === limit ? String(rows.at(-1)!.seq) : undefined }
      }),
  }
}

/** Writes an entry within the transaction of the change that it tells of: neither is ever without the other. */
export async function appendAudit(sql: Sql, entry: Omit<AuditEntry, 'id'>): Promise<void> {
  await sql.run(
    'INSERT INTO audit_entry (id, at, actor, action, subject, before, after) VALUES (?, ?, ?, ?, ?, ?, ?)',
    `aud_${randomUUID()}`,
    entry.at,
    entry.actor,
    entry.action,
    entry.subject,
    toJson(entry.before),
    toJson(entry.after),
  )
}

export function toAuditEntry(row: Row): AuditEntry {
  return {
    id: text(row.id),
    at: int(row.at),
    actor: text(row.actor),
    action: text(row.action),
    subject: text(row.subject),
    before: parse(optionalText(row.before)),
    after: parse(optionalText(row.after)),
  }
}

function toJson(value: unknown): string | null {
  return value === undefined
    ? null
    : JSON.stringify(value, (_, part) => (typeof part === 'bigint' ? part.toString() : part))
}

function parse(json: string | undefined): unknown {
  return json === undefined ? undefined : JSON.parse(json)
}
