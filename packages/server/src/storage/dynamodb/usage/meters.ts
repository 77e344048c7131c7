import type { Hour } from '../../../domain/usage/hour.ts'
import type { MeterKey, MeterKind } from '../../../domain/usage/usage-store.ts'
import { optionalText, text, textSet, texts } from '../fields.ts'
import {
  hourDigits,
  meterKey,
  meterPartition,
  metersOfProduct,
  part,
  productKey,
  subscriptionKey,
} from '../keys.ts'
import { noteDimension } from '../ledger-identity.ts'
import type { Item, Reader, Transaction } from '../table.ts'

/** A meter with its partition, which is its name among items. */
export interface Meter extends MeterKey {
  readonly pk: string
}

export function meterAt({ subscription, dimension }: MeterKey): Meter {
  return { subscription, dimension, pk: meterPartition(subscription, dimension) }
}

/** From its own item, or that of one of its buckets. */
export function meterOf(item: Item): Meter {
  return { subscription: text(item.subscription), dimension: text(item.dimension), pk: item.pk }
}

/**
 * The meter's own item, `META`, vouches for which of its hours are unsealed: whoever opens one adds to it, and whoever
 * seals or moves one writes it. So a step that has read it knows them all until it is committed.
 */
export async function findMeterItem(reader: Reader, meter: MeterKey): Promise<Item | undefined> {
  return reader.get(meterKey(meter.subscription, meter.dimension))
}

const OPEN = 'o'
const HELD = 'h'

/** Attribute of a meter's item that says that an hour is open. */
export const openMark = (hour: Hour): string => `${OPEN}${hourDigits(hour)}`
export const heldMark = (hour: Hour): string => `${HELD}${hourDigits(hour)}`

/** In order. */
export function openHoursOf(meter: Item): Hour[] {
  return hoursOf(meter, OPEN)
}

export function heldHoursOf(meter: Item): Hour[] {
  return hoursOf(meter, HELD)
}

function hoursOf(meter: Item, mark: string): Hour[] {
  return Object.entries(meter)
    .filter(([name, value]) => value !== undefined && name.length === 9 && name.startsWith(mark))
    .map(([name]) => Number(name.slice(1)))
    .filter((hour) => Number.isInteger(hour))
    .sort((a, b) => a - b)
}

/** Writes a meter's item with other marks. */
export async function changeMeter(
  tx: Transaction,
  meter: Meter,
  change: { readonly [name: string]: Item[string] },
): Promise<void> {
  const item = await tx.get(meterKey(meter.subscription, meter.dimension))
  if (item === undefined) throw new Error(`${meter.subscription} has no meter ${meter.dimension}`)
  tx.put({ ...item, ...change, pk: item.pk, sk: item.sk })
}

/** The subscription's change that a meter was last told of: whatever was routed before it is stale. */
export function changedAt(item: Item | undefined): bigint {
  return BigInt((item?.changedAt as bigint | number | undefined) ?? 0)
}

/** Makes sure that a subscription has a meter. @returns its item */
export async function ensureMeter(tx: Transaction, meter: Meter, kind: MeterKind): Promise<Item> {
  const found = await findMeterItem(tx, meter)
  if (found !== undefined) return found
  const subscription = await tx.get(subscriptionKey(meter.subscription))
  if (subscription === undefined)
    throw new Error(`subscription ${meter.subscription} is unknown to the ledger`)
  // Read and written: a change of the subscription at the same time finds the meter, or runs again.
  tx.put({ ...subscription, dimensions: new Set([...textSet(subscription.dimensions), meter.dimension]) })
  await noteDimension(tx, meter.dimension, kind)
  const item: Item = {
    ...meterKey(meter.subscription, meter.dimension),
    subscription: meter.subscription,
    dimension: meter.dimension,
    product: kind.product,
    scale: kind.scale,
    aggregation: kind.aggregation,
    per: kind.per,
    carry: 0,
    changedAt: subscription.changedAt,
    list: metersOfProduct(kind.product),
    listed: `${part(meter.subscription)}#${part(meter.dimension)}`,
  }
  tx.put(item)
  const product = productKey(kind.product)
  if ((await tx.peek(product)) === undefined) tx.put({ ...product, product: kind.product })
  return item
}

/** Subscriptions that renew each other, the given one first: they share peaks, values, totals and included units. */
export async function readKin(reader: Pick<Reader, 'getMany'>, subscription: string): Promise<Item[]> {
  const found = new Map<string, Item>()
  let wanted = [subscription]
  while (wanted.length > 0) {
    const items = await reader.getMany(wanted.map(subscriptionKey))
    for (const item of items) if (item !== undefined) found.set(text(item.id), item)
    const links = items.flatMap((item) => [...texts(item?.predecessors), optionalText(item?.successor)])
    wanted = [...new Set(links)].filter((id): id is string => id !== undefined && !found.has(id))
  }
  return [...found.values()]
}
