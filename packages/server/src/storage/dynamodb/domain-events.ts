import { DomainError } from '../../domain/error.ts'
import type { DomainEvent, DomainEventType } from '../../domain/telling/domain-event.ts'
import { big, int, text } from './fields.ts'
import { domainEventIdKey, domainEventKey, ledgerKey, padded, toldOfPartition } from './keys.ts'
import type { Item, Key, Reader, Table, Transaction } from './table.ts'

const NEWEST: Key = ledgerKey('told')

/** Steps that wrote events, and who waits for them. */
const telling = new WeakSet<Transaction>()
const listeners = new WeakMap<Table, Set<() => void>>()

/**
 * Writes an event within the step of the change that it tells of: neither is ever without the other. Events are numbered
 * in the order of their commits, without a gap: steps that tell something follow each other.
 */
export async function appendDomainEvent(tx: Transaction, event: DomainEvent): Promise<void> {
  const number = (await newestNumber(tx)) + 1n
  tx.put({ ...NEWEST, value: number })
  const { id, type, at, product, buyer, subscription, data } = event
  tx.put({
    ...domainEventKey(number),
    number,
    id,
    type,
    at,
    product,
    buyer,
    subscription,
    data: JSON.stringify(data),
  })
  tx.put({ ...domainEventIdKey(id), number })
  const { reason } = data
  tx.put({
    pk: toldOfPartition(subscription),
    sk: padded(number),
    type,
    reason: typeof reason === 'string' ? reason : undefined,
  })
  telling.add(tx)
}

/** The number of the event that was committed last; 0 where there is none. */
export async function newestNumber(reader: Reader): Promise<bigint> {
  const item = await reader.get(NEWEST)
  return item === undefined ? 0n : big(item.value)
}

/** A step that may write events: who waits for them is called once it is committed. */
export async function transactionThatTells<T>(
  table: Table,
  step: (tx: Transaction) => Promise<T>,
): Promise<T> {
  let last: Transaction | undefined
  const result = await table.transaction((tx) => {
    last = tx
    return step(tx)
  })
  if (last !== undefined && telling.has(last)) for (const listener of listeners.get(table) ?? []) listener()
  return result
}

/** @returns what ends it */
export function listenForEvents(table: Table, listener: () => void): () => void {
  const ofTable = listeners.get(table) ?? new Set()
  listeners.set(table, ofTable.add(listener))
  return () => ofTable.delete(listener)
}

/** @throws {DomainError} `event.not_found` */
export async function getEventItem(reader: Reader, id: string): Promise<Item> {
  const known = await reader.get(domainEventIdKey(id))
  const item = known && (await reader.get(domainEventKey(big(known.number))))
  if (item === undefined) throw new DomainError('event.not_found', `no event ${id}`)
  return item
}

export function toDomainEvent(item: Item): DomainEvent {
  return {
    id: text(item.id),
    type: text(item.type) as DomainEventType,
    at: int(item.at),
    product: text(item.product),
    buyer: text(item.buyer),
    subscription: text(item.subscription),
    data: JSON.parse(text(item.data)),
  }
}

/** What happened to a subscription, latest first. */
export async function toldOf(
  reader: Reader,
  subscription: string,
): Promise<
  readonly { readonly number: bigint; readonly type: DomainEventType; readonly reason: string | undefined }[]
> {
  const items = await reader.query({ pk: toldOfPartition(subscription), reverse: true })
  return items.map((item) => ({
    number: BigInt(item.sk),
    type: text(item.type) as DomainEventType,
    reason: item.reason as string | undefined,
  }))
}
