import type { BuyerCaseStore } from '../../domain/subscriptions/buyer-case.ts'
import type { KeptEvent, MarketplaceEvent } from '../../domain/subscriptions/marketplace-event.ts'
import { int, optionalText, text } from './fields.ts'
import { agreementKey, looseNoticeKey, noticeIdKey, noticeKey, noticePrefix, part } from './keys.ts'
import { newestFirst, toPage } from './lists.ts'
import { placeAt } from './order.ts'
import { askAnew } from './readings.ts'
import type { Item, Reader, Table, Transaction } from './table.ts'

export const NOTICES = 'NOTICES'
const noticesOfProduct = (product: string) => `${NOTICES}#${part(product)}`

/** Was a notification kept before? Seen in the step that would keep it. */
export async function isKnown(tx: Transaction, id: string): Promise<boolean> {
  return (await tx.get(noticeIdKey(id))) !== undefined
}

/** @param agreement - its key, and the subscription that follows it; undefined where nothing follows from the event */
export async function keepNotice(
  tx: Transaction,
  event: MarketplaceEvent,
  agreement: { readonly key: string; readonly subscription: string | undefined } | undefined,
  product: string | undefined,
  now: number,
): Promise<void> {
  const place = placeAt(now)
  const key =
    agreement === undefined ? looseNoticeKey(event.agreementId, place) : noticeKey(agreement.key, place)
  tx.put({ ...noticeIdKey(event.id), of: key.pk, place })
  putNotice(tx, {
    ...key,
    id: event.id,
    place,
    agreement: agreement?.key,
    product,
    kind: event.kind,
    occurredAt: event.occurredAt,
    receivedAt: now,
    // Apart: within the other JSON its quotes would take twice their room.
    event: JSON.stringify({ ...event, payload: '' }),
    payload: event.payload,
    list: NOTICES,
    listed: place,
  })
  if (agreement?.subscription !== undefined) await askAnew(tx, agreement.subscription)
}

/** What was told of an agreement before its product was known is listed with its product. */
export async function nameProduct(tx: Transaction, agreement: string, product: string): Promise<void> {
  const range = { pk: agreementKey(agreement).pk, prefix: noticePrefix }
  for (const item of await tx.query(range)) putNotice(tx, { ...item, product })
}

function putNotice(tx: Transaction, item: Item): void {
  const product = optionalText(item.product)
  tx.put({
    ...item,
    also: product === undefined ? undefined : noticesOfProduct(product),
    alsoListed: product === undefined ? undefined : item.place,
  })
}

export async function listNotices(
  table: Table,
  { product, state, kind, limit, cursor }: Parameters<BuyerCaseStore['listEvents']>[0],
): Promise<{ items: readonly KeptEvent[]; next: string | undefined }> {
  const found = await newestFirst(
    table,
    product === undefined ? 'ListIndex' : 'SecondListIndex',
    product === undefined ? NOTICES : noticesOfProduct(product),
    { before: cursor, limit },
    async (items) => {
      const kept = await toKeptEvents(table, items)
      return kept.map((one) =>
        (state === undefined || one.state === state) && (kind === undefined || one.event.kind === kind)
          ? one
          : undefined,
      )
    },
  )
  return toPage(found, limit)
}

/** With what became of each: which subscription follows its agreement by now. */
export async function toKeptEvents(reader: Reader, items: readonly Item[]): Promise<readonly KeptEvent[]> {
  const keys = [
    ...new Set(items.flatMap(({ agreement }) => (agreement === undefined ? [] : [text(agreement)]))),
  ]
  const agreements = await reader.getMany(keys.map(agreementKey))
  const followers = new Map(keys.map((key, n) => [key, optionalText(agreements[n]?.subscription)]))
  return items.map((item) => {
    const agreement = optionalText(item.agreement)
    const subscription = agreement === undefined ? undefined : followers.get(agreement)
    return {
      event: { ...JSON.parse(text(item.event)), payload: text(item.payload) },
      state: agreement === undefined ? 'kept' : subscription === undefined ? 'waiting' : 'followed',
      receivedAt: int(item.receivedAt),
      subscription,
    }
  })
}
