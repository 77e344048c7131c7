import type { DomainEvent } from '../../domain/telling/domain-event.ts'
import type { Sql } from './database.ts'

/** Writes an event within the transaction of the change that it tells of: neither is ever without the other. */
export async function appendDomainEvent(sql: Sql, event: DomainEvent): Promise<void> {
  await sql.run(
    'INSERT INTO domain_event (id, type, at, product, buyer, subscription, data) VALUES (?, ?, ?, ?, ?, ?, ?)',
    event.id,
    event.type,
    event.at,
    event.product,
    event.buyer,
    event.subscription,
    JSON.stringify(event.data),
  )
}
