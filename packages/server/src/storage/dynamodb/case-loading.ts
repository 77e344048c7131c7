import type { Buyer } from '../../domain/subscriptions/buyer.ts'
import type { BuyerCase, CaseKey } from '../../domain/subscriptions/buyer-case.ts'
import { licenseTail } from '../../domain/subscriptions/subscription.ts'
import { findAgreements } from './agreements.ts'
import { findBuyer, getBuyer, toBuyer } from './buyer-changes.ts'
import { int, text, texts } from './fields.ts'
import { buyerKey, subscriptionKey } from './keys.ts'
import { getName } from './names.ts'
import { getSubscriptionItems, toSubscription } from './subscription-items.ts'
import { liveFirst } from './subscriptions.ts'
import type { Transaction } from './table.ts'

/**
 * All that is known under any of a buyer's names. All of it is read by its keys: where any of it changes meanwhile, or
 * more becomes known under one of the names, the step runs again.
 */
export async function loadCase(tx: Transaction, key: CaseKey): Promise<BuyerCase> {
  const buyer = await findBuyerOf(tx, key)
  const item = buyer && (await tx.get(buyerKey(buyer.id)))
  const subscriptions = (await getSubscriptionItems(tx, texts(item?.subscriptions))).map(toSubscription)
  const accounts = present([key.customerAwsAccountId, buyer?.customerAwsAccountId])
  const customers = present([key.customerIdentifier, buyer?.customerIdentifier])
  const licenses = present([key.licenseArn, ...subscriptions.map(({ licenseArn }) => licenseArn)])
  const kept = await findAgreements(tx, key.product, [
    ...accounts.map((account) => ['account', account] as const),
    ...customers.map((customer) => ['customer', customer] as const),
    ...present(licenses.map(licenseTail)).map((license) => ['license', license] as const),
  ])
  return {
    product: key.product,
    buyer,
    contacts: item === undefined ? 0 : int(item.contacts),
    agreements: kept.map(({ agreement }) => agreement),
    subscriptions,
  }
}

async function findBuyerOf(tx: Transaction, key: CaseKey): Promise<Buyer | undefined> {
  if (key.subscription !== undefined) {
    const item = await tx.get(subscriptionKey(key.subscription))
    if (item !== undefined) return getBuyer(tx, text(item.buyer))
  }
  if (key.buyer !== undefined) {
    const item = await tx.get(buyerKey(key.buyer))
    if (item !== undefined) return toBuyer(item)
  }
  if (key.tenantId !== undefined) {
    const { subscriptions } = await getName(tx, 'tenant', key.tenantId, key.product)
    const [latest] = [...(await getSubscriptionItems(tx, subscriptions))].sort(liveFirst)
    if (latest !== undefined) return getBuyer(tx, text(latest.buyer))
  }
  // Whose license it is counts before whose account is named: one organisation may pay for another.
  const holder = key.licenseArn === undefined ? undefined : await findHolder(tx, key.product, key.licenseArn)
  return holder ?? findBuyer(tx, key)
}

async function findHolder(tx: Transaction, product: string, licenseArn: string): Promise<Buyer | undefined> {
  const { subscriptions } = await getName(tx, 'license', licenseTail(licenseArn), product)
  const [holder] = await getSubscriptionItems(tx, subscriptions.slice(0, 1))
  return holder && getBuyer(tx, text(holder.buyer))
}

function present(values: readonly (string | undefined)[]): string[] {
  return [...new Set(values.filter((value) => value !== undefined))]
}
