import { randomUUID } from 'node:crypto'
import type { AuditEntry, AuditTrail } from '../../domain/audit/audit-trail.ts'
import { int, optionalText, text } from './fields.ts'
import { auditEntriesOf, auditEntryKey } from './keys.ts'
import { placeAt } from './order.ts'
import type { Item, Table, Transaction } from './table.ts'

const ENTRIES = 'AUDIT'

export function createDynamoAuditTrail(table: Table): AuditTrail {
  return {
    append: (entry) => table.transaction((tx) => appendAudit(tx, entry)),
    async list({ limit, cursor, subject }) {
      // The cursor itself is the first of what follows.
      const range = { to: cursor, reverse: true, limit: cursor === undefined ? limit : limit + 1 }
      const found =
        subject === undefined
          ? await table.queryIndex('ListIndex', { pk: ENTRIES, ...range })
          : await table.queryIndex('SecondListIndex', { pk: auditEntriesOf(subject), ...range })
      const items = found.filter(({ listed }) => listed !== cursor).slice(0, limit)
      return {
        items: items.map(toAuditEntry),
        next: items.length === limit ? optionalText(items.at(-1)?.listed) : undefined,
      }
    },
  }
}

/** Writes an entry within the step of the change that it tells of: neither is ever without the other. */
export async function appendAudit(tx: Transaction, entry: Omit<AuditEntry, 'id'>): Promise<void> {
  const id = `aud_${randomUUID()}`
  const place = placeAt(entry.at)
  tx.put({
    ...auditEntryKey(id),
    id,
    at: entry.at,
    actor: entry.actor,
    action: entry.action,
    subject: entry.subject,
    before: toJson(entry.before),
    after: toJson(entry.after),
    list: ENTRIES,
    listed: place,
    also: auditEntriesOf(entry.subject),
    alsoListed: place,
  })
}

export function toAuditEntry(item: Item): AuditEntry {
  return {
    id: text(item.id),
    at: int(item.at),
    actor: text(item.actor),
    action: text(item.action),
    subject: text(item.subject),
    before: parse(optionalText(item.before)),
    after: parse(optionalText(item.after)),
  }
}

function toJson(value: unknown): string | undefined {
  return value === undefined
    ? undefined
    : JSON.stringify(value, (_, part) => (typeof part === 'bigint' ? part.toString() : part))
}

function parse(json: string | undefined): unknown {
  return json === undefined ? undefined : JSON.parse(json)
}
