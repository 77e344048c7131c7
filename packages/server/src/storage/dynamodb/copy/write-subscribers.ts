import type { CopyRow } from '../../../domain/moving/ledger-kinds.ts'
import { homelessAgreements, WAITING_AGREEMENTS } from '../agreements.ts'
import { enterLane, putDelivery } from '../deliveries.ts'
import { big, text } from '../fields.ts'
import {
  agreementKey,
  buyerKey,
  contactKey,
  contactPrefix,
  contractKey,
  deliveryKey,
  domainEventIdKey,
  domainEventKey,
  ledgerKey,
  looseNoticeKey,
  mailIdKey,
  mailKey,
  nameKey,
  noticeIdKey,
  noticeKey,
  padded,
  part,
  subscriptionKey,
  toldOfPartition,
} from '../keys.ts'
import { moveBetween, renameSubscription } from '../names.ts'
import { NOTICES } from '../notices.ts'
import {
  listOfProduct,
  marksOf,
  SUBSCRIPTIONS,
  subscriptionAttributes,
  toSubscription,
} from '../subscription-items.ts'
import type { Item, Key } from '../table.ts'
import type { Batch } from './batch.ts'
import {
  appended,
  item,
  ORDINAL_DIGITS,
  type Period,
  placed,
  str,
  type Target,
  type Write,
} from './copied-rows.ts'

/** All periods of a subscription are one item. */
export async function putPeriod(batch: Batch, row: CopyRow, list: string, period: Period): Promise<void> {
  const key = contractKey(str(row.subscription))
  const contract = await batch.get(key)
  const known = ((contract?.[list] ?? []) as readonly Period[]).filter(
    ({ from, dimension }) => big(from) !== big(period.from) || dimension !== period.dimension,
  )
  batch.put({ ...contract, ...key, [list]: [...known, period] })
}

export const putSubscription: Write = async (row, { batch }, number) => {
  const subscription = toSubscription({
    ...item(subscriptionKey(str(row.id)), row, ...Object.keys(row)),
    freeTrial: row.freeTrial === null ? undefined : row.freeTrial === 1n,
  })
  const key = subscriptionKey(subscription.id)
  const order = `${padded(0)}-${padded(number, ORDINAL_DIGITS)}`
  const { product, buyer, successor } = subscription
  batch.put({
    ...(await batch.get(key)),
    ...key,
    ...subscriptionAttributes(subscription),
    order,
    changedAt: 0,
    list: SUBSCRIPTIONS,
    listed: order,
    also: listOfProduct(product),
    alsoListed: order,
  })
  for (const mark of marksOf(subscription, order)) batch.put({ ...mark, id: subscription.id })
  const owner = (await batch.get(buyerKey(buyer)))!
  batch.put({ ...owner, subscriptions: appended(owner.subscriptions, subscription.id) })
  await renameSubscription(batch, undefined, subscription)
  if (successor === undefined) return
  // It may come later: then this is what it begins with.
  const heir = subscriptionKey(successor)
  const known = await batch.get(heir)
  batch.put({ ...known, ...heir, predecessors: appended(known?.predecessors, subscription.id) })
}

export const putAgreement: Write = async (row, { batch }, number) => {
  const key = str(row.key)
  const order = placed(row.updatedAt, number)
  const facts = JSON.parse(str(row.facts)) as { productCode?: string }
  const isWaiting = row.subscription === null
  const isHomeless = row.product === null && facts.productCode !== undefined
  batch.put({
    ...item(agreementKey(key), row, 'key', 'product', 'facts', 'updatedAt', 'subscription'),
    productCode: facts.productCode,
    order,
    list: isWaiting ? WAITING_AGREEMENTS : undefined,
    listed: isWaiting ? order : undefined,
    also: isHomeless ? homelessAgreements(facts.productCode!) : undefined,
    alsoListed: isHomeless ? order : undefined,
  })
  if (row.product === null) return
  const names = [
    ['account', row.customerAwsAccountId],
    ['customer', row.customerIdentifier],
    ['license', row.licenseTail],
  ] as const
  const keys = names.flatMap(([kind, value]) =>
    value === null ? [] : [nameKey(kind, str(value), str(row.product))],
  )
  await moveBetween(batch, [], keys, 'agreements', key)
}

export const putNotice: Write = async (row, { batch }, number) => {
  const { payload, ...event } = JSON.parse(str(row.event)) as { payload: string; agreementId?: string }
  const known = await batch.get(noticeIdKey(str(row.id)))
  const place = known === undefined ? placed(row.receivedAt, number) : text(known.place)
  const key =
    row.agreement === null ? looseNoticeKey(event.agreementId, place) : noticeKey(str(row.agreement), place)
  batch.put({ ...noticeIdKey(str(row.id)), of: key.pk, place })
  batch.put({
    ...item(key, row, 'id', 'agreement', 'product', 'kind', 'occurredAt', 'receivedAt'),
    place,
    // In its own order: only the payload is kept apart.
    event: JSON.stringify({ ...JSON.parse(str(row.event)), payload: '' }),
    payload,
    list: NOTICES,
    listed: place,
    also: row.product === null ? undefined : `${NOTICES}#${part(str(row.product))}`,
    alsoListed: row.product === null ? undefined : place,
  })
}

/** Events and mails are numbered without a gap. */
export async function numberOf(batch: Batch, known: Key, counter: Key): Promise<bigint> {
  const found = await batch.get(known)
  if (found !== undefined) return big(found.number)
  const newest = await batch.get(counter)
  return big(newest?.value ?? 0) + 1n
}

export async function count(batch: Batch, counter: Key, number: bigint): Promise<void> {
  const newest = big((await batch.get(counter))?.value ?? 0)
  if (number > newest) batch.put({ ...counter, value: number })
}

export const putDomainEvent: Write = async (row, { batch }) => {
  const id = str(row.id)
  const number = await numberOf(batch, domainEventIdKey(id), ledgerKey('told'))
  batch.put({
    ...item(domainEventKey(number), row, 'id', 'type', 'at', 'product', 'buyer', 'subscription', 'data'),
    number,
  })
  batch.put({ ...domainEventIdKey(id), number })
  const { reason } = JSON.parse(str(row.data)) as { reason?: unknown }
  batch.put({
    pk: toldOfPartition(str(row.subscription)),
    sk: padded(number),
    type: str(row.type),
    reason: typeof reason === 'string' ? reason : undefined,
  })
  await count(batch, ledgerKey('told'), number)
}

export const putCopiedDelivery: Write = async (row, { batch }) => {
  const number = big((await batch.get(domainEventIdKey(str(row.event))))!.number)
  const { type, at, product } = (await batch.get(domainEventKey(number)))!
  const names = ['event', 'sink', 'subscription', 'state', 'attempts', 'failures', 'queuedAt', 'nextAt']
  const delivery: Item = {
    ...item(deliveryKey(number, str(row.sink)), row, ...names, 'lastError', 'finishedAt'),
    number,
    type,
    at,
    product,
  }
  putDelivery(batch, delivery)
  if (row.state === 'waiting') await enterLane(batch, delivery)
}

export const putMail: Write = async (row, { batch }) => {
  const number = await numberOf(batch, mailIdKey(str(row.id)), ledgerKey('mails'))
  batch.put({ ...mailIdKey(str(row.id)), number })
  const addresses = { from: str(row.sender), to: str(row.recipient) }
  batch.put({ ...item(mailKey(number), row, 'id', 'at', 'subject', 'text', 'html'), ...addresses })
  await count(batch, ledgerKey('mails'), number)
}

export async function putContacts(rows: readonly CopyRow[], { batch }: Target): Promise<void> {
  for (const row of rows)
    batch.put(
      item(
        contactKey(str(row.buyer), str(row.email)),
        row,
        'email',
        'name',
        'company',
        'phone',
        'registeredAt',
      ),
    )
  for (const buyer of new Set(rows.map((row) => str(row.buyer)))) {
    const key = buyerKey(buyer)
    const { length } = await batch.query({ pk: key.pk, prefix: contactPrefix })
    batch.put({ ...(await batch.get(key))!, contacts: length })
  }
}
