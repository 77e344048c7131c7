import type { Buyer, BuyerStore, Contact } from '../../domain/subscriptions/buyer.ts'
import { appendAudit } from './audit-trail.ts'
import { BUYERS, buyersOfProduct, getBuyer, getBuyerItem, putContact, toBuyer } from './buyer-changes.ts'
import { int, optionalText, text } from './fields.ts'
import { buyerKey, contactPrefix, namePartition } from './keys.ts'
import { newestFirst } from './lists.ts'
import { deleteMail, mailsOf } from './mails-of-buyer.ts'
import { toName } from './names.ts'
import type { Item, Reader, Table } from './table.ts'

export function createDynamoBuyerStore(table: Table): BuyerStore {
  return {
    get: (id) => getBuyer(table, id),
    async listContacts(buyer) {
      const contacts = (await contactItems(table, buyer)).map(toContact)
      return contacts.sort((a, b) => b.registeredAt - a.registeredAt || (a.email < b.email ? -1 : 1))
    },
    putContact: (buyer, contact, actor) => table.transaction((tx) => putContact(tx, buyer, contact, actor)),
    list: (options) => list(table, options),
    async listMails(buyer) {
      const mails = await mailsOf(table, buyer)
      return mails.map(({ mail: { at, to, subject, text: words } }) => ({ at, to, subject, text: words }))
    },
    async erase(buyer, email, actor, now) {
      const own = (await mailsOf(table, buyer)).filter(
        ({ mail }) => email === undefined || isTo(mail.to, email),
      )
      return table.transaction(async (tx) => {
        const item = await getBuyerItem(tx, buyer)
        let mails = 0
        for (const { number } of own) if (await deleteMail(tx, number)) mails++
        const erased = (await contactItems(tx, buyer)).filter(
          (contact) => email === undefined || isSame(text(contact.email), email),
        )
        for (const { pk, sk } of erased) tx.delete({ pk, sk })
        // Who registers at the same time changes this as well: one of the two steps runs again.
        tx.put({ ...item, contacts: int(item.contacts) - erased.length })
        const erasure = { contacts: erased.length, mails }
        await appendAudit(tx, {
          at: now,
          actor,
          action: 'buyer.erase',
          subject: buyer,
          before: undefined,
          after: { ...erasure, everybody: email === undefined },
        })
        return erasure
      })
    },
  }
}

function contactItems(reader: Reader, buyer: string): Promise<readonly Item[]> {
  return reader.query({ pk: buyerKey(buyer).pk, prefix: contactPrefix })
}

function isSame(one: string, other: string): boolean {
  return one.toLowerCase() === other.toLowerCase()
}

/** @param to - an address, or a name with the address in brackets */
function isTo(to: string, email: string): boolean {
  return isSame(to, email) || to.toLowerCase().includes(`<${email.toLowerCase()}>`)
}

async function list(
  table: Table,
  { product, customerAwsAccountId, customerIdentifier, limit, before }: Parameters<BuyerStore['list']>[0],
): Promise<readonly Buyer[]> {
  const mark = before === undefined ? undefined : await table.get(buyerKey(before))
  if (before !== undefined && mark === undefined) return []
  const place = mark && text(mark.order)
  const [kind, value] =
    customerAwsAccountId !== undefined
      ? (['account', customerAwsAccountId] as const)
      : (['customer', customerIdentifier] as const)
  const fits = (buyer: Buyer) =>
    (product === undefined || buyer.product === product) &&
    (customerAwsAccountId === undefined || buyer.customerAwsAccountId === customerAwsAccountId) &&
    (customerIdentifier === undefined || buyer.customerIdentifier === customerIdentifier)
  if (value !== undefined) {
    const names = (await table.query({ pk: namePartition(kind, value) })).map(toName)
    const items = await table.getMany(
      names.flatMap(({ buyer }) => (buyer === undefined ? [] : [buyerKey(buyer)])),
    )
    return items
      .filter((item) => item !== undefined)
      .filter((item) => (place === undefined || text(item.order) < place) && fits(toBuyer(item)))
      .sort((a, b) => (text(a.order) < text(b.order) ? 1 : -1))
      .slice(0, limit)
      .map(toBuyer)
  }
  const found = await newestFirst(
    table,
    product === undefined ? 'ListIndex' : 'SecondListIndex',
    product === undefined ? BUYERS : buyersOfProduct(product),
    { before: place, limit },
    async (items) => items.map(toBuyer),
  )
  return found.map(({ item }) => item)
}

function toContact(item: Item): Contact {
  return {
    email: text(item.email),
    name: optionalText(item.name),
    company: optionalText(item.company),
    phone: optionalText(item.phone),
    registeredAt: int(item.registeredAt),
  }
}
