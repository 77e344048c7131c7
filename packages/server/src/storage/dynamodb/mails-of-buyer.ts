import type { KeptMail } from '../../domain/telling/mail.ts'
import { big, text } from './fields.ts'
import { domainEventIdKey, domainEventKey, mailIdKey, mailKey, mailPartition } from './keys.ts'
import { toMail } from './mailbox.ts'
import type { Item, Table, Transaction } from './table.ts'

/** Mail to a buyer's people, newest first, with its number. A mail's id begins with that of the event that it tells of. */
export async function mailsOf(
  table: Table,
  buyer: string,
): Promise<readonly { readonly number: bigint; readonly mail: KeptMail }[]> {
  const items = await table.query({ pk: mailPartition, reverse: true })
  const ids = [...new Set(items.map(eventOf))]
  const known = (await table.getMany(ids.map(domainEventIdKey))).filter((item) => item !== undefined)
  const events = await table.getMany(known.map(({ number }) => domainEventKey(big(number))))
  const own = new Set(events.filter((event) => event?.buyer === buyer).map((event) => text(event!.id)))
  return items
    .filter((item) => own.has(eventOf(item)))
    .map((item) => ({ number: BigInt(item.sk), mail: toMail(item) }))
}

function eventOf(mail: Item): string {
  return text(mail.id).split('.', 1)[0]!
}

/** @returns whether there was one */
export async function deleteMail(tx: Transaction, number: bigint): Promise<boolean> {
  const item = await tx.get(mailKey(number))
  if (item === undefined) return false
  tx.delete(mailKey(number))
  tx.delete(mailIdKey(text(item.id)))
  return true
}
