import type { AuditEntry } from '../../domain/audit/audit-trail.ts'
import type { Agreement } from '../../domain/subscriptions/agreement.ts'
import { subscriptionOf } from '../../domain/subscriptions/follow.ts'
import type { KeptEvent } from '../../domain/subscriptions/marketplace-event.ts'
import type { Subscription } from '../../domain/subscriptions/subscription.ts'
import type { HistoryEntry, SubscriptionHistory } from '../../domain/subscriptions/subscription-history.ts'
import type { Alarm, OpenAlarm } from '../../domain/usage/usage-store.ts'
import { agreementsAround } from './agreements.ts'
import { toAlarm } from './alarms.ts'
import { toAuditEntry } from './audit-trail.ts'
import { toldOf } from './domain-events.ts'
import { text } from './fields.ts'
import { agreementKey, alarmKey, auditEntriesOf, looseNoticeKey, noticePrefix } from './keys.ts'
import { beforePlace, newestFirst } from './lists.ts'
import { toKeptEvents } from './notices.ts'
import { getSubscriptionItem, meteredOf } from './subscription-items.ts'
import type { Item, Reader, Table } from './table.ts'
import type { UsageOfSubscriptions } from './usage-of-subscriptions.ts'

/** Every kind of alarm: one that is missing here does not compile. */
const ALARM_KINDS = Object.keys({
  conflict: true,
  in_doubt: true,
  refused: true,
  halted: true,
  hold_expired: true,
  poison: true,
  unconfigured: true,
  close_failed: true,
  late_across_edge: true,
  successor_unclear: true,
  revocation_stopped: true,
  access_overdue: true,
  delivery_dead: true,
  notifications: true,
  failover: true,
  endpoint_down: true,
} satisfies Record<Alarm['kind'], true>) as Alarm['kind'][]

export function createDynamoSubscriptionHistory(
  table: Table,
  usage: Pick<UsageOfSubscriptions, 'readUnsettled'>,
): SubscriptionHistory {
  return {
    list: (subscription, page) => list(table, subscription, page),
    findAgreement: async (subscription) => (await agreementsOf(table, subscription))[0],
    findCreation: (id) => findCreation(table, id),
    async findEndReason(id) {
      const told = await toldOf(table, id)
      const end = told.find(
        ({ type }) => type === 'subscription.cancelling' || type === 'subscription.failed',
      )
      return end?.reason
    },
    async readUnsettled(id) {
      return usage.readUnsettled(table, meteredOf(await getSubscriptionItem(table, id)))
    },
    listAlarms: (id) => listAlarms(table, id),
  }
}

/** An entry of one of the two lists that a history is merged from, with its place there. */
interface Placed {
  readonly place: string
  readonly at: number
  readonly entry: HistoryEntry
}

async function list(
  table: Table,
  subscription: Subscription,
  { limit, cursor }: Parameters<SubscriptionHistory['list']>[1],
): ReturnType<SubscriptionHistory['list']> {
  // Both places: those of the last ones that were shown.
  let [changed, noticed] = cursor?.split(' ') ?? []
  const changes = await listChanges(table, subscription.id, changed || undefined, limit)
  const notices = await listNotices(table, subscription, noticed || undefined, limit)
  const items: HistoryEntry[] = []
  // Each list is in its own order of coming; the later head of the two is next.
  while (items.length < limit && changes.length + notices.length > 0) {
    const [change, notice] = [changes[0], notices[0]]
    if (notice === undefined || (change !== undefined && change.at >= notice.at)) {
      items.push(change!.entry)
      changed = change!.place
      changes.shift()
    } else {
      items.push(notice.entry)
      noticed = notice.place
      notices.shift()
    }
  }
  return { items, next: items.length === limit ? `${changed ?? ''} ${noticed ?? ''}` : undefined }
}

async function listChanges(
  table: Table,
  subscription: string,
  before: string | undefined,
  limit: number,
): Promise<Placed[]> {
  const found = await newestFirst(
    table,
    'SecondListIndex',
    auditEntriesOf(subscription),
    { before, limit },
    async (items) => items.map(toAuditEntry),
  )
  return found.map(({ place, item }) => ({ place, at: item.at, entry: { kind: 'change', entry: item } }))
}

/** Those of its agreement's facts, and notices that name the agreement. */
async function listNotices(
  table: Table,
  subscription: Subscription,
  before: string | undefined,
  limit: number,
): Promise<Placed[]> {
  const agreements = await agreementsOf(table, subscription)
  const names = new Set(
    [subscription.agreementId, ...agreements.map(({ agreementId }) => agreementId)].filter(
      (name) => name !== undefined,
    ),
  )
  const partitions = [
    ...agreements.map(({ key }) => agreementKey(key).pk),
    ...[...names].map((name) => looseNoticeKey(name, '').pk),
  ]
  const items: Item[] = []
  for (const pk of partitions) {
    const range =
      before === undefined
        ? { prefix: noticePrefix }
        : { from: noticePrefix, to: `${noticePrefix}${beforePlace(before)}` }
    items.push(...(await table.query({ pk, ...range, reverse: true, limit })))
  }
  const newest = items.sort((a, b) => (text(a.place) < text(b.place) ? 1 : -1)).slice(0, limit)
  const kept: readonly KeptEvent[] = await toKeptEvents(table, newest)
  return kept.map((one, n) => ({
    place: text(newest[n]!.place),
    at: one.receivedAt,
    entry: { kind: 'event', kept: one },
  }))
}

/** What AWS named that this subscription follows, or followed before another one took its place. */
async function agreementsOf(reader: Reader, subscription: Subscription): Promise<readonly Agreement[]> {
  const around = await agreementsAround(reader, subscription)
  return around
    .map(({ agreement }) => agreement)
    .filter((agreement) => subscriptionOf(agreement, [subscription]) !== undefined)
}

/** The oldest entry says it. */
async function findCreation(table: Table, id: string): Promise<Subscription | undefined> {
  const [oldest] = await table.queryIndex('SecondListIndex', { pk: auditEntriesOf(id), limit: 1 })
  const isCreation = (entry: AuditEntry) => entry.action === 'subscription.create'
  const first = oldest && toAuditEntry(oldest)
  if (first !== undefined && isCreation(first)) return first.after as Subscription
  for await (const page of table.pages({ pk: auditEntriesOf(id) }, 'SecondListIndex')) {
    const creation = page.map(toAuditEntry).find(isCreation)
    if (creation !== undefined) return creation.after as Subscription
  }
  return undefined
}

async function listAlarms(reader: Reader, id: string): Promise<readonly OpenAlarm[]> {
  const items = await reader.getMany(ALARM_KINDS.map((kind) => alarmKey(kind, id)))
  return items
    .filter((item) => item !== undefined)
    .map(toAlarm)
    .sort((a, b) => b.at - a.at || (a.kind < b.kind ? -1 : 1))
}
