import type { DomainEvent, DomainEventType } from '../../domain/telling/domain-event.ts'
import type { Row, Sql } from './database.ts'
import { int, text } from './rows.ts'

/** Writes an event within the transaction of the change that it tells of: neither is ever without the other. */
export async function appendDomainEvent(sql: Sql, event: DomainEvent): Promise<void> {
  await sql.takeTurn('events')
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
  sql.announce()
}

export function toDomainEvent(row: Row): DomainEvent {
  return {
    id: text(row.id),
    type: text(row.type) as DomainEventType,
    at: int(row.at),
    product: text(row.product),
    buyer: text(row.buyer),
    subscription: text(row.subscription),
    data: JSON.parse(text(row.data)),
  }
}
