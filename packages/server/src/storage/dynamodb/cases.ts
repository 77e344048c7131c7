import { agreementKeyOf, learn, newAgreement } from '../../domain/subscriptions/agreement.ts'
import type { Contact } from '../../domain/subscriptions/buyer.ts'
import {
  type BuyerCase,
  type BuyerCaseStore,
  type CaseChanges,
  caseKeyOf,
  keyOfCase,
} from '../../domain/subscriptions/buyer-case.ts'
import { subscriptionOf } from '../../domain/subscriptions/follow.ts'
import type { EventState, MarketplaceEvent } from '../../domain/subscriptions/marketplace-event.ts'
import {
  attachAgreement,
  getAgreement,
  homelessAgreements,
  putAgreement,
  toKeptAgreement,
} from './agreements.ts'
import { clearAlarm, raiseAlarm } from './alarms.ts'
import { appendAudit } from './audit-trail.ts'
import { ensureBuyer, putContact } from './buyer-changes.ts'
import { createCaseLists } from './case-lists.ts'
import { loadCase } from './case-loading.ts'
import { appendDomainEvent, transactionThatTells } from './domain-events.ts'
import { text, texts } from './fields.ts'
import { agreementHoldersKey, agreementKey, ledgerKey, rejectedKey } from './keys.ts'
import { isKnown, keepNotice, nameProduct } from './notices.ts'
import { placeAt } from './order.ts'
import { insertSubscription, patchSubscription } from './subscription-changes.ts'
import { getSubscription, getSubscriptionItems } from './subscription-items.ts'
import type { Table, Transaction } from './table.ts'
import type { UsageOfSubscriptions } from './usage-of-subscriptions.ts'

/** A message for a person to look at: most of DynamoDB's 400 KB for an item. */
const REJECTED_CHARS_MAX = 262_144
const REJECTED_BYTES_MAX = 380_000

type Decide = (buyerCase: BuyerCase) => CaseChanges

export function createDynamoBuyerCaseStore(table: Table, usage: UsageOfSubscriptions): BuyerCaseStore {
  const steps = createSteps(usage)
  return {
    receive: (event, product, decide, now) =>
      transactionThatTells(table, (tx) => steps.receive(tx, event, product, decide, now)),
    settle: (key, decide, actor, now, contact) =>
      transactionThatTells(table, async (tx) =>
        steps.settle(tx, await loadCase(tx, key), decide, actor, now, contact),
      ),
    settleOf: (id, decide, actor, now, contact) =>
      transactionThatTells(table, async (tx) => {
        const subscription = await getSubscription(tx, id)
        const after = await steps.settle(tx, await loadCase(tx, caseKeyOf(subscription)), decide, actor, now)
        if (contact !== undefined) await putContact(tx, subscription.buyer, contact, actor)
        return after
      }),
    async adopt(productCode, product) {
      const found = await table.queryIndex('SecondListIndex', { pk: homelessAgreements(productCode) })
      let adopted = 0
      for (const { key } of found)
        if (await table.transaction((tx) => adoptAgreement(tx, text(key), product))) adopted++
      return adopted
    },
    ...createCaseLists(table),
    reject: ({ id, channel, reason, receivedAt, payload }) =>
      table.transaction(async (tx) => {
        if ((await tx.get(rejectedKey(id))) !== undefined) return
        const place = placeAt(receivedAt)
        tx.put({
          ...rejectedKey(id),
          id,
          channel,
          reason,
          receivedAt,
          payload: shortened(payload),
          list: 'REJECTED',
          listed: place,
        })
      }),
  }
}

function shortened(payload: string): string {
  const start = payload.slice(0, REJECTED_CHARS_MAX)
  const bytes = Buffer.from(start)
  return bytes.length <= REJECTED_BYTES_MAX ? start : bytes.subarray(0, REJECTED_BYTES_MAX).toString()
}

/** @returns whether it still had no product */
async function adoptAgreement(tx: Transaction, key: string, product: string): Promise<boolean> {
  const item = await tx.get(agreementKey(key))
  if (item === undefined || item.product !== undefined) return false
  const kept = toKeptAgreement(item)
  await putAgreement(tx, { ...kept.agreement, product }, kept, Number(item.updatedAt))
  await nameProduct(tx, key, product)
  return true
}

function createSteps(usage: UsageOfSubscriptions) {
  async function receive(
    tx: Transaction,
    event: MarketplaceEvent,
    named: string | undefined,
    decide: Decide,
    now: number,
  ): Promise<{ state: EventState; subscriptions: readonly string[] }> {
    if (await isKnown(tx, event.id)) return { state: 'known', subscriptions: [] }
    const key = agreementKeyOf(event)
    if (key === undefined) {
      await keepNotice(tx, event, undefined, named, now)
      return { state: 'kept', subscriptions: [] }
    }
    const known = await getAgreement(tx, key)
    const before = known?.agreement ?? newAgreement(key)
    const agreement = learn(before, event, named ?? (await productOf(tx, event)))
    await putAgreement(tx, agreement, known, now)
    if (before.product === undefined && agreement.product !== undefined)
      await nameProduct(tx, key, agreement.product)
    await keepNotice(tx, event, { key, subscription: known?.subscription }, agreement.product, now)
    if (agreement.product === undefined) return { state: 'waiting', subscriptions: [] }
    const caseKey = caseKeyOf({ ...agreement, product: agreement.product })
    const after = await settle(tx, await loadCase(tx, caseKey), decide, 'aws', now)
    const follower = subscriptionOf(agreement, after.subscriptions)
    return follower === undefined
      ? { state: 'waiting', subscriptions: [] }
      : { state: 'followed', subscriptions: [follower.id] }
  }

  async function settle(
    tx: Transaction,
    buyerCase: BuyerCase,
    decide: Decide,
    actor: string,
    now: number,
    contact?: Contact,
  ): Promise<BuyerCase> {
    const changes = decide(buyerCase)
    const buyer = await applyChanges(tx, changes, actor, now)
    if (contact !== undefined && buyer !== undefined) await putContact(tx, buyer, contact, actor)
    const isChanged = changes.create.length + changes.change.length > 0
    const after = isChanged
      ? await loadCase(tx, { ...keyOfCase(buyerCase), buyer: buyer ?? buyerCase.buyer?.id })
      : buyerCase
    for (const agreement of after.agreements)
      await attachAgreement(tx, agreement.key, subscriptionOf(agreement, after.subscriptions)?.id)
    return after
  }

  /** @returns the buyer of what was created */
  async function applyChanges(
    tx: Transaction,
    changes: CaseChanges,
    actor: string,
    now: number,
  ): Promise<string | undefined> {
    let owner: string | undefined
    const isChanged = changes.create.length + changes.change.length > 0
    // Both in one request: they are counted up.
    await tx.getMany([
      ...(isChanged ? [ledgerKey('epoch')] : []),
      ...(changes.tell.length > 0 ? [ledgerKey('told')] : []),
    ])
    for (const subscription of changes.create) {
      owner = await ensureBuyer(tx, subscription)
      const created = { ...subscription, buyer: owner }
      await insertSubscription(tx, created)
      await appendAudit(tx, {
        at: now,
        actor,
        action: 'subscription.create',
        subject: subscription.id,
        before: undefined,
        after: created,
      })
    }
    for (const { id, patch } of changes.change) await patchSubscription(tx, usage, id, patch, actor, now)
    for (const event of changes.tell) await appendDomainEvent(tx, { ...event, buyer: owner ?? event.buyer })
    for (const alarm of changes.raise) await raiseAlarm(tx, alarm)
    for (const { kind, subject } of changes.clear) await clearAlarm(tx, kind, subject)
    return owner
  }

  return { receive, settle }
}

/** An agreement event names no product; a subscription that was declared or imported with its agreement does. */
async function productOf(
  tx: Transaction,
  { agreementId, previousAgreementId }: MarketplaceEvent,
): Promise<string | undefined> {
  if (agreementId !== undefined) {
    const holders = await tx.get(agreementHoldersKey(agreementId))
    const [declared] = await getSubscriptionItems(tx, texts(holders?.subscriptions).slice(0, 1))
    if (declared !== undefined) return text(declared.product)
  }
  // An agreement takes the place of one for the same product.
  if (previousAgreementId === undefined) return undefined
  return (await getAgreement(tx, previousAgreementId))?.agreement.product
}
