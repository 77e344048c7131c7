import type { EntitlementReading } from '../../domain/entitlements/entitlement.ts'
import type {
  EntitlementState,
  EntitlementStore,
  ReadingChanges,
  Suspects,
} from '../../domain/entitlements/entitlement-store.ts'
import { shareLooks } from '../../domain/share-looks.ts'
import { agreementsAround } from './agreements.ts'

import { appendAudit } from './audit-trail.ts'
import { notePeriods, readContractHistory } from './contract-history.ts'
import { appendDomainEvent, transactionThatTells } from './domain-events.ts'
import { big, int, text, texts } from './fields.ts'
import { alarmKey, ledgerKey, padded, part, readingKey, revokedPartition, subscriptionKey } from './keys.ts'
import { dueReadings, emptyReadings, putReading, toReading } from './readings.ts'
import { settledReader } from './settled-reader.ts'
import { patchSubscription } from './subscription-changes.ts'
import { getSubscription, getSubscriptionItems, orderOf, toSubscription } from './subscription-items.ts'
import type { Item, Reader, Table, Transaction } from './table.ts'
import type { UsageOfSubscriptions } from './usage-of-subscriptions.ts'

/** Renewals followed back from one agreement to an earlier one: one a year. */
const PREDECESSORS_MAX = 100
/** Claimed in one step: of one item each, so that a step is one transaction. */
const CLAIMS_A_STEP = 8

export function createDynamoEntitlementStore(table: Table, usage: UsageOfSubscriptions): EntitlementStore {
  const settled = settledReader(table)
  return {
    find: async (id) => ({ ...(await getState(table, id)), history: await readContractHistory(table, id) }),
    findServing: (id) => findServing(settled, id),
    settle: (id, decide, actor, now) =>
      transactionThatTells(table, async (tx) => {
        const state = await getState(tx, id)
        const changes = decide(state)
        if (changes !== undefined) await apply(tx, usage, state, changes, actor, now)
        return getSubscription(tx, id)
      }),
    claimDue: (product, now, leaseMs, limit) => claimDue(table, product, now, leaseMs, limit),
    listSuspects: (product, revokedSince, limit) => listSuspects(table, product, revokedSince, limit),
    noteRevocation: (id, now) => table.transaction((tx) => noteRevocation(tx, id, now)),
    epochs: shareLooks(async () => {
      const items = await table.getMany([ledgerKey('epoch'), ledgerKey('readings')])
      const [subscriptions, readings] = items.map((item) =>
        item === undefined ? 0 : Number(big(item.value)),
      )
      return { subscriptions: subscriptions!, readings: readings! }
    }),
  }
}

async function getState(reader: Reader, id: string): Promise<EntitlementState> {
  return { subscription: await getSubscription(reader, id), reading: await findReading(reader, id) }
}

async function findReading(reader: Reader, id: string): Promise<EntitlementReading | undefined> {
  const item = await reader.get(readingKey(id))
  return item && toReading(item)
}

async function findServing(reader: Reader, id: string): Promise<EntitlementReading | undefined> {
  const own = await findReading(reader, id)
  let reading = own
  let before = id
  for (let step = 0; step < PREDECESSORS_MAX && (reading?.entitlements.length ?? 0) === 0; step++) {
    const item = await reader.get(subscriptionKey(before))
    const [latest] = [...(await getSubscriptionItems(reader, texts(item?.predecessors)))].sort((a, b) =>
      orderOf(a) < orderOf(b) ? 1 : -1,
    )
    if (latest === undefined) return own
    before = text(latest.id)
    reading = await findReading(reader, before)
  }
  return reading
}

async function apply(
  tx: Transaction,
  usage: UsageOfSubscriptions,
  { subscription, reading: before }: EntitlementState,
  changes: ReadingChanges,
  actor: string,
  now: number,
): Promise<void> {
  const { id, product } = subscription
  const { reading, periods, term, patch } = changes
  const known = await tx.get(readingKey(id))
  putReading(tx, {
    ...known,
    ...readingKey(id),
    subscription: id,
    product,
    entitlements: JSON.stringify(reading.entitlements),
    readAt: reading.readAt,
    emptySince: reading.emptySince,
    failedAt: reading.failedAt,
    failure: reading.failure,
    // Who ended meanwhile is asked for no more.
    nextAt: known !== undefined && known.nextAt === undefined ? undefined : changes.nextAt,
  })
  await notePeriods(tx, id, periods, term)
  if (periods.length > 0)
    await appendAudit(tx, {
      at: now,
      actor,
      action: 'entitlements.change',
      subject: id,
      before: before?.entitlements ?? [],
      after: reading.entitlements,
    })
  if (patch !== undefined && Object.keys(patch).length > 0)
    await patchSubscription(tx, usage, id, patch, actor, now, changes.planFrom)
  for (const event of changes.tell) await appendDomainEvent(tx, event)
  tx.add(ledgerKey('readings'), { amounts: { value: 1 } })
}

/** What the list says is due is read again in the step that takes it: of several who ask, one gets it. */
async function claimDue(
  table: Table,
  product: string,
  now: number,
  leaseMs: number,
  limit: number,
): Promise<readonly string[]> {
  const claimed: string[] = []
  for (;;) {
    const wanted = limit - claimed.length
    const due = await table.queryIndex('ListIndex', {
      pk: dueReadings(product),
      to: `${padded(Math.max(now, 0))}~`,
      limit: wanted,
    })
    const before = claimed.length
    for (let from = 0; from < due.length; from += CLAIMS_A_STEP) {
      const keys = due
        .slice(from, from + CLAIMS_A_STEP)
        .map(({ subscription }) => readingKey(text(subscription)))
      claimed.push(...(await table.transaction((tx) => claim(tx, keys, now, leaseMs))))
    }
    // Where others were faster, there may be more behind what they took.
    if (claimed.length - before === due.length || due.length < wanted) return claimed
  }
}

async function claim(
  tx: Transaction,
  keys: readonly ReturnType<typeof readingKey>[],
  now: number,
  leaseMs: number,
): Promise<string[]> {
  const items = (await tx.getMany(keys)).filter(
    (item) => item?.nextAt !== undefined && int(item.nextAt) <= now,
  )
  for (const item of items) putReading(tx, { ...item!, nextAt: now + leaseMs })
  return items.map((item) => text(item!.subscription))
}

async function listSuspects(
  table: Table,
  product: string,
  revokedSince: number,
  limit: number,
): Promise<Suspects> {
  const isStopped = (await table.get(alarmKey('revocation_stopped', product))) !== undefined
  const suspects = []
  for await (const page of table.pages({ pk: emptyReadings(product) }, 'SecondListIndex')) {
    const items = await table.getMany(page.map(({ subscription }) => subscriptionKey(text(subscription))))
    for (const [n, reading] of page.entries()) {
      const subscription = toSubscription(items[n]!)
      if (subscription.status !== 'active' && subscription.status !== 'suspended') continue
      const around = await agreementsAround(table, subscription)
      const own = around.filter((kept) => kept.subscription === subscription.id)
      suspects.push({
        subscription,
        reading: toReading(reading),
        agreements: own.map(({ agreement }) => agreement),
      })
      if (suspects.length === limit) break
    }
    if (suspects.length === limit) break
  }
  if (suspects.length === 0) return { suspects, live: 0, revoked: 0, isStopped }
  let live = 0
  for await (const entries of table.entries('ListIndex', { pk: dueReadings(product) })) live += entries.length
  const revoked = await table.query({
    pk: revokedPartition(product),
    from: `${padded(Math.max(revokedSince, 0))}~`,
  })
  return { suspects, live, revoked: revoked.length, isStopped }
}

/** The latest revocation of a subscription counts. */
async function noteRevocation(tx: Transaction, id: string, now: number): Promise<void> {
  const item = await tx.get(readingKey(id))
  if (item === undefined) return
  const mark = (of: Item, at: number) => ({
    pk: revokedPartition(text(of.product)),
    sk: `${padded(at)}#${part(id)}`,
  })
  if (item.revokedAt !== undefined) {
    const old = mark(item, int(item.revokedAt))
    if ((await tx.get(old)) !== undefined) tx.delete(old)
  }
  const key = mark(item, now)
  await tx.get(key)
  tx.put({ ...key, subscription: id })
  putReading(tx, { ...item, revokedAt: now })
}
