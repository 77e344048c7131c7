import type { BuyerCaseStore } from '../../domain/subscriptions/buyer-case.ts'
import type { MarketplaceEvent } from '../../domain/subscriptions/marketplace-event.ts'
import type { Subscription } from '../../domain/subscriptions/subscription.ts'
import { toKeptAgreement, WAITING_AGREEMENTS } from './agreements.ts'
import { int, text } from './fields.ts'
import { padded, type WaitKind, waitPartition } from './keys.ts'
import { newestFirst } from './lists.ts'
import { listNotices } from './notices.ts'
import { getSubscriptionItems, toSubscription } from './subscription-items.ts'
import type { Table } from './table.ts'

type Lists = Pick<
  BuyerCaseStore,
  'listPending' | 'listUnlicensed' | 'listGoodbyesOver' | 'listEvents' | 'listUnattached' | 'listRejected'
>

export function createCaseLists(table: Table): Lists {
  /** Those that wait since a time or longer, longest first. */
  const waiting = async (kind: WaitKind, until: number, limit: number): Promise<readonly Subscription[]> => {
    // `~` sorts behind the `#` that follows the time.
    const marks = await table.query({ pk: waitPartition(kind), to: `${padded(until)}~`, limit })
    const items = await getSubscriptionItems(
      table,
      marks.map(({ id }) => text(id)),
    )
    return items.map(toSubscription)
  }
  return {
    listPending: (since, limit) => waiting('pending', since, limit),
    listUnlicensed: (since, limit) => waiting('unlicensed', since, limit),
    listGoodbyesOver: (now, limit) => waiting('goodbye', now, limit),
    listEvents: (filter) => listNotices(table, filter),
    async listUnattached(limit) {
      const found = await newestFirst(table, 'ListIndex', WAITING_AGREEMENTS, { limit }, async (items) =>
        items.map((item) => toKeptAgreement(item).agreement),
      )
      return found.map(({ item }) => item)
    },
    async listRejected(limit) {
      const items = await table.queryIndex('ListIndex', { pk: 'REJECTED', reverse: true, limit })
      return items.map((item) => ({
        id: text(item.id),
        channel: text(item.channel) as MarketplaceEvent['channel'],
        reason: text(item.reason),
        receivedAt: int(item.receivedAt),
        payload: text(item.payload),
      }))
    },
  }
}
