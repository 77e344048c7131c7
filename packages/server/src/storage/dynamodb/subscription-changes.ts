import { DomainError } from '../../domain/error.ts'
import type { CasePatch } from '../../domain/subscriptions/buyer-case.ts'
import { applyPatch } from '../../domain/subscriptions/case-draft.ts'
import { isLive, type Subscription } from '../../domain/subscriptions/subscription.ts'
import { hourOf } from '../../domain/usage/hour.ts'
import { appendAudit } from './audit-trail.ts'
import { notePlan } from './contract-history.ts'
import { bumpEpoch } from './epoch.ts'
import { optionalText, texts } from './fields.ts'
import { buyerKey, padded, subscriptionKey } from './keys.ts'
import { renameSubscription } from './names.ts'
import { beginReading, followStatus } from './readings.ts'
import {
  getSubscriptionItem,
  listOfProduct,
  marksOf,
  meteredOf,
  orderOf,
  SUBSCRIPTIONS,
  subscriptionAttributes,
  toSubscription,
} from './subscription-items.ts'
import type { Item, Transaction } from './table.ts'
import type { UsageOfSubscriptions } from './usage-of-subscriptions.ts'

const created = new WeakMap<Transaction, number>()

/** Adds a subscription to its buyer, who exists. The caller sees to the audit trail. */
export async function insertSubscription(tx: Transaction, s: Subscription): Promise<void> {
  const epoch = await bumpEpoch(tx)
  const number = created.get(tx) ?? 0
  created.set(tx, number + 1)
  const order = `${padded(epoch)}-${padded(number, 4)}`
  tx.put({
    ...subscriptionKey(s.id),
    ...subscriptionAttributes(s),
    order,
    changedAt: epoch,
    list: SUBSCRIPTIONS,
    listed: order,
    also: listOfProduct(s.product),
    alsoListed: order,
  })
  for (const mark of marksOf(s, order)) tx.put({ ...mark, id: s.id })
  const buyer = (await tx.get(buyerKey(s.buyer)))!
  tx.put({ ...buyer, subscriptions: [...texts(buyer.subscriptions), s.id] })
  await renameSubscription(tx, undefined, s)
  await beginReading(tx, s)
}

/**
 * Applies a change with all that it brings about, audited.
 *
 * @param planFrom - since when a changed plan holds, ms
 */
export async function patchSubscription(
  tx: Transaction,
  usage: UsageOfSubscriptions,
  id: string,
  patch: CasePatch,
  actor: string,
  now: number,
  planFrom = now,
): Promise<Subscription> {
  const item = await getSubscriptionItem(tx, id)
  const before = toSubscription(item)
  if (patch.successor !== undefined) await checkSuccessor(tx, before, patch.successor)
  const after = applyPatch(before, patch)
  await write(tx, item, before, after)
  await usage.touchGates(tx, meteredOf(item), await bumpEpoch(tx))
  if (after.plan !== before.plan) await notePlan(tx, before, after.plan, planFrom)
  await moveUsage(tx, usage, item, before, after)
  if (isLive(after) !== isLive(before)) await followStatus(tx, after)
  await appendAudit(tx, { at: now, actor, action: 'subscription.change', subject: id, before, after })
  return after
}

/** The item and all that it is found by. */
async function write(tx: Transaction, item: Item, before: Subscription, after: Subscription): Promise<void> {
  tx.put({ ...item, ...subscriptionAttributes(after), changedAt: await bumpEpoch(tx) })
  const [old, marks] = [marksOf(before, orderOf(item)), marksOf(after, orderOf(item))]
  const isAmong = (keys: typeof marks, { pk, sk }: (typeof marks)[number]) =>
    keys.some((key) => key.pk === pk && key.sk === sk)
  for (const mark of old) if (!isAmong(marks, mark)) tx.delete(mark)
  for (const mark of marks) if (!isAmong(old, mark)) tx.put({ ...mark, id: after.id })
  await renameSubscription(tx, before, after)
  if (after.successor === before.successor) return
  for (const [heir, isHeir] of [
    [before.successor, false],
    [after.successor, true],
  ] as const) {
    if (heir === undefined) continue
    const heirItem = await getSubscriptionItem(tx, heir)
    const others = texts(heirItem.predecessors).filter((other) => other !== after.id)
    tx.put({ ...heirItem, predecessors: isHeir ? [...others, after.id] : others })
  }
}

async function moveUsage(
  tx: Transaction,
  usage: UsageOfSubscriptions,
  item: Item,
  before: Subscription,
  after: Subscription,
): Promise<void> {
  const metered = meteredOf(item)
  const { accessStart, accessEnd, finalWindowEnd } = after
  if (hourOf(accessStart) > hourOf(before.accessStart))
    await usage.moveOpenBuckets(tx, metered, hourOf(accessStart))
  if (after.status === 'superseded' && after.successor !== undefined && after.successor !== before.successor)
    await usage.handOver(tx, metered, after.successor, accessEnd!)
  if (accessEnd !== undefined && accessEnd !== before.accessEnd) {
    // Its last hours wait for what is left, and all of it must reach AWS before it stops listening.
    await usage.openFinalBuckets(tx, metered, hourOf(Math.max(accessEnd - 1, accessStart)))
    if (finalWindowEnd !== undefined) await usage.shortenDeadlines(tx, metered, finalWindowEnd)
  } else if (finalWindowEnd !== undefined && finalWindowEnd > (before.finalWindowEnd ?? Infinity)) {
    // AWS's last word of an end came later than its first: records that wait for it may wait longer.
    await usage.extendDeadlines(tx, metered, before.finalWindowEnd!, finalWindowEnd)
  }
}

/** Usage of the one may become a bill of the other: a slip here would bill a stranger. */
async function checkSuccessor(tx: Transaction, before: Subscription, successor: string): Promise<void> {
  const item = await tx.get(subscriptionKey(successor))
  if (item === undefined || item.product !== before.product) {
    throw new DomainError(
      'subscription.not_found',
      `no subscription ${successor} of product ${before.product} that could succeed`,
    )
  }
  const seen = new Set<string>()
  let heir: string | undefined = successor
  while (heir !== undefined && !seen.has(heir)) {
    if (heir === before.id)
      throw new DomainError(
        'request.invalid',
        `${successor} cannot succeed ${before.id}: it is succeeded by it`,
      )
    seen.add(heir)
    const next: Item | undefined = await tx.get(subscriptionKey(heir))
    heir = optionalText(next?.successor)
  }
}
