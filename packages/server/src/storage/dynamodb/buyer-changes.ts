import { DomainError } from '../../domain/error.ts'
import type { Buyer, Contact } from '../../domain/subscriptions/buyer.ts'
import { appendAudit } from './audit-trail.ts'
import { bumpEpoch } from './epoch.ts'
import { int, optionalText, text } from './fields.ts'
import { buyerKey, contactKey, type NameKind, nameKey, padded, part } from './keys.ts'
import { getName } from './names.ts'
import type { Item, Reader, Transaction } from './table.ts'

export const BUYERS = 'BUYERS'
export const buyersOfProduct = (product: string): string => `${BUYERS}#${part(product)}`

/** Who a buyer is, as far as it is given. */
export interface Who {
  readonly product: string
  readonly customerAwsAccountId?: string | undefined
  readonly customerIdentifier?: string | undefined
}

/** The buyer of an account or customer, if there is one. Where both are given and name two, the account counts. */
export async function findBuyer(reader: Reader, who: Who): Promise<Buyer | undefined> {
  for (const [kind, value] of [
    ['account', who.customerAwsAccountId],
    ['customer', who.customerIdentifier],
  ] as const) {
    if (value === undefined) continue
    const { buyer } = await getName(reader, kind, value, who.product)
    if (buyer !== undefined) return getBuyer(reader, buyer)
  }
  return undefined
}

/**
 * Makes sure that the buyer of a new subscription exists; what is learned of it later is added.
 *
 * @returns the buyer's id: that of the account or customer where it is known, else the one given
 */
export async function ensureBuyer(
  tx: Transaction,
  given: {
    readonly buyer: string
    readonly product: string
    readonly customerAwsAccountId: string | undefined
    readonly customerIdentifier: string | undefined
    readonly createdAt: number
  },
): Promise<string> {
  const { product, customerAwsAccountId, customerIdentifier } = given
  const known = await findBuyer(tx, given)
  if (known !== undefined) {
    if (known.customerAwsAccountId === undefined)
      await learnName(tx, known.id, 'account', customerAwsAccountId, product)
    // Another buyer may have the identifier already: then two accounts share it, and each keeps its own.
    if (
      known.customerIdentifier === undefined &&
      customerIdentifier !== undefined &&
      (await findBuyer(tx, { product, customerIdentifier })) === undefined
    )
      await learnName(tx, known.id, 'customer', customerIdentifier, product)
    return known.id
  }
  if ((await tx.get(buyerKey(given.buyer))) !== undefined) return given.buyer
  const order = `${padded(await bumpEpoch(tx))}-${part(given.buyer)}`
  tx.put({
    ...buyerKey(given.buyer),
    id: given.buyer,
    product,
    createdAt: given.createdAt,
    contacts: 0,
    order,
    list: BUYERS,
    listed: order,
    also: buyersOfProduct(product),
    alsoListed: order,
  })
  await learnName(tx, given.buyer, 'account', customerAwsAccountId, product)
  await learnName(tx, given.buyer, 'customer', customerIdentifier, product)
  return given.buyer
}

async function learnName(
  tx: Transaction,
  buyer: string,
  kind: Extract<NameKind, 'account' | 'customer'>,
  value: string | undefined,
  product: string,
): Promise<void> {
  if (value === undefined) return
  const item = (await tx.get(buyerKey(buyer)))!
  tx.put(
    kind === 'account'
      ? { ...item, customerAwsAccountId: value, account: value, accountOf: buyerKey(buyer).pk }
      : { ...item, customerIdentifier: value },
  )
  const key = nameKey(kind, value, product)
  tx.put({ ...(await tx.get(key)), ...key, buyer })
}

/** The audit trail says that somebody registered, not who: it is for ever, personal data is not. */
export async function putContact(
  tx: Transaction,
  buyer: string,
  contact: Contact,
  actor: string,
): Promise<void> {
  const item = await getBuyerItem(tx, buyer)
  const key = contactKey(buyer, contact.email)
  const known = await tx.get(key)
  tx.put({
    ...key,
    email: contact.email,
    name: contact.name ?? known?.name,
    company: contact.company ?? known?.company,
    phone: contact.phone ?? known?.phone,
    registeredAt: contact.registeredAt,
  })
  if (known === undefined) tx.put({ ...item, contacts: int(item.contacts) + 1 })
  await appendAudit(tx, {
    at: contact.registeredAt,
    actor,
    action: 'buyer.contact',
    subject: buyer,
    before: undefined,
    after: undefined,
  })
}

/** @throws {DomainError} `buyer.not_found` */
export async function getBuyerItem(reader: Reader, id: string): Promise<Item> {
  const item = await reader.get(buyerKey(id))
  if (item === undefined) throw new DomainError('buyer.not_found', `no buyer ${id}`)
  return item
}

/** @throws {DomainError} `buyer.not_found` */
export async function getBuyer(reader: Reader, id: string): Promise<Buyer> {
  return toBuyer(await getBuyerItem(reader, id))
}

export function toBuyer(item: Item): Buyer {
  return {
    id: text(item.id),
    product: text(item.product),
    customerAwsAccountId: optionalText(item.customerAwsAccountId),
    customerIdentifier: optionalText(item.customerIdentifier),
    createdAt: int(item.createdAt),
  }
}
