import { type Agreement, newAgreement } from '../../domain/subscriptions/agreement.ts'
import { licenseTail, type Subscription } from '../../domain/subscriptions/subscription.ts'
import { optionalText, text } from './fields.ts'
import { agreementKey, nameKey, part } from './keys.ts'
import { moveBetween, toName } from './names.ts'
import { placeAt } from './order.ts'
import type { Item, Key, Reader, Transaction } from './table.ts'

/** Agreements that no subscription follows, in the order of their coming. */
export const WAITING_AGREEMENTS = 'AGREEMENTS#waiting'
/** Agreements whose product is not known yet, by AWS's code for it. */
export const homelessAgreements = (productCode: string): string => `AGREEMENTS#of#${part(productCode)}`

/** An agreement as it is kept: with the subscription that follows it. */
export interface KeptAgreement {
  readonly agreement: Agreement
  readonly subscription: string | undefined
  readonly item: Item
}

export async function getAgreement(reader: Reader, key: string): Promise<KeptAgreement | undefined> {
  const item = await reader.get(agreementKey(key))
  return item && toKeptAgreement(item)
}

export function toKeptAgreement(item: Item): KeptAgreement {
  return { agreement: toAgreement(item), subscription: optionalText(item.subscription), item }
}

function toAgreement(item: Item): Agreement {
  const facts = JSON.parse(text(item.facts)) as Agreement
  // JSON has no -Infinity.
  return {
    ...newAgreement(facts.key),
    ...facts,
    termsAt: facts.termsAt ?? Number.NEGATIVE_INFINITY,
    licenseAt: facts.licenseAt ?? Number.NEGATIVE_INFINITY,
  }
}

export async function putAgreement(
  tx: Transaction,
  agreement: Agreement,
  before: KeptAgreement | undefined,
  now: number,
): Promise<void> {
  writeAgreement(tx, {
    ...before?.item,
    ...agreementKey(agreement.key),
    key: agreement.key,
    product: agreement.product,
    productCode: agreement.productCode,
    facts: JSON.stringify(agreement),
    order: before?.item.order ?? placeAt(now),
    updatedAt: now,
  })
  await moveBetween(tx, keysOf(before?.agreement), keysOf(agreement), 'agreements', agreement.key)
}

/** Notes which subscription follows an agreement: what none follows is listed as waiting. */
export async function attachAgreement(
  tx: Transaction,
  key: string,
  subscription: string | undefined,
): Promise<void> {
  const item = (await tx.get(agreementKey(key)))!
  if (item.subscription !== subscription) writeAgreement(tx, { ...item, subscription })
}

function writeAgreement(tx: Transaction, item: Item): void {
  const isWaiting = item.subscription === undefined
  const isHomeless = item.product === undefined && item.productCode !== undefined
  tx.put({
    ...item,
    list: isWaiting ? WAITING_AGREEMENTS : undefined,
    listed: isWaiting ? item.order : undefined,
    also: isHomeless ? homelessAgreements(text(item.productCode)) : undefined,
    alsoListed: isHomeless ? item.order : undefined,
  })
}

/** What it is found by, once its product is known. */
function keysOf(agreement: Agreement | undefined): readonly Key[] {
  if (agreement?.product === undefined) return []
  const { product, licenseArn, customerAwsAccountId, customerIdentifier } = agreement
  return [
    ...(customerAwsAccountId === undefined ? [] : [nameKey('account', customerAwsAccountId, product)]),
    ...(customerIdentifier === undefined ? [] : [nameKey('customer', customerIdentifier, product)]),
    ...(licenseArn === undefined ? [] : [nameKey('license', licenseTail(licenseArn), product)]),
  ]
}

/** All that are known under any of these names, in the order of their keys. */
export async function findAgreements(
  reader: Reader,
  product: string,
  names: readonly (readonly ['account' | 'customer' | 'license', string])[],
): Promise<readonly KeptAgreement[]> {
  const known = await reader.getMany(names.map(([kind, value]) => nameKey(kind, value, product)))
  const found = new Set(known.flatMap((item) => toName(item).agreements))
  const items = await reader.getMany([...found].sort().map(agreementKey))
  return items.filter((item) => item !== undefined).map(toKeptAgreement)
}

/** What AWS named that a subscription may follow. */
export async function agreementsAround(reader: Reader, s: Subscription): Promise<readonly KeptAgreement[]> {
  const { product, agreementId, licenseArn, customerIdentifier } = s
  const own = agreementId === undefined ? undefined : await getAgreement(reader, agreementId)
  const named = await findAgreements(reader, product, [
    ...(licenseArn === undefined ? [] : [['license', licenseTail(licenseArn)] as const]),
    ...(customerIdentifier === undefined ? [] : [['customer', customerIdentifier] as const]),
  ])
  return [
    ...(own === undefined ? [] : [own]),
    ...named.filter(({ agreement }) => agreement.key !== own?.agreement.key),
  ]
}
