import { setTimeout as sleep } from 'node:timers/promises'
import { DomainError } from '../../../domain/error.ts'
import { type Hour, hourOf } from '../../../domain/usage/hour.ts'
import { UNTAGGED } from '../../../domain/usage/tags.ts'
import type { MeterKey, MeterKind } from '../../../domain/usage/usage-store.ts'
import { UNBILLABLE } from '../../ingest/outcomes.ts'
import { big, int, optionalText, text, texts } from '../fields.ts'
import { subscriptionKey, tagSumKey } from '../keys.ts'
import type { Attribute, Item, Table, Transaction } from '../table.ts'
import { type Bucket, forgottenQuantity, lookAtBucket, openBucket, writeShard } from './buckets.ts'
import type { StoredEvent } from './event-items.ts'
import { changeMeter, ensureMeter, findMeterItem, type Meter, meterAt, openHoursOf } from './meters.ts'
import { eventsOf, foldInto, noteMove, plus, strayAmounts } from './moves.ts'

/** An index follows its table within moments: so often, and so long, is waited for it. */
const LOOKS_MAX = 60
const LOOK_AGAIN_MS = 100

/**
 * What a meter owes its successor's: of an hour that was open when the subscription was superseded, all that was used
 * after `since` and came before. How much that is can only be added up from the events, so it is settled in a step of its
 * own, before any hour of either meter is sealed.
 */
export interface Owed {
  readonly hour: Hour
  readonly to: string
  /** ms. */
  readonly since: number
  /** What was routed by this epoch or a later one came after the hand-over. */
  readonly epoch: bigint
}

type Fields = { readonly [name: string]: Attribute | undefined }

export function owedOf(meter: Item): Owed[] {
  return ((meter.owed ?? []) as readonly Fields[]).map((owed) => ({
    hour: int(owed.hour),
    to: text(owed.to),
    since: int(owed.since),
    epoch: big(owed.epoch),
  }))
}

/** Notes, in the step that supersedes a subscription, that its open hours are to be settled with the successor. */
export async function oweOpenHours(
  tx: Transaction,
  meter: Meter,
  to: string,
  since: number,
  epoch: bigint,
): Promise<void> {
  const item = await findMeterItem(tx, meter)
  if (item === undefined) return
  const hours = openHoursOf(item).filter((hour) => hour >= Math.max(hourOf(since), 0))
  if (hours.length === 0) return
  await owe(
    tx,
    meter,
    hours.map((hour) => ({ hour, to, since, epoch })),
  )
  // Whoever seals an hour of the heir has read its meter's item: now it runs again, and finds what is owed.
  const heir = meterAt({ subscription: to, dimension: meter.dimension })
  if ((await findMeterItem(tx, heir)) !== undefined) await changeMeter(tx, heir, {})
}

async function owe(tx: Transaction, meter: Meter, owed: readonly Owed[]): Promise<void> {
  const item = (await findMeterItem(tx, meter))!
  await changeMeter(tx, meter, { owed: [...owedOf(item), ...owed].map((one) => ({ ...one })) })
  // At once, so that a person sees it where it is; if not, whoever closes an hour of it.
  tx.afterwards((table) => settleOwed(table, meter))
}

/**
 * Settles what a meter owes, first what its predecessors owe it, and then what its successors owe theirs of it.
 *
 * @throws {DomainError} `ledger.busy` where its events cannot be added up, as usage goes on
 */
export async function settleOwed(table: Table, { subscription, dimension }: MeterKey): Promise<void> {
  const seen = new Set<string>()
  const visit = async (id: string): Promise<void> => {
    if (seen.has(id)) return
    seen.add(id)
    const item = await table.get(subscriptionKey(id))
    for (const predecessor of texts(item?.predecessors)) await visit(predecessor)
    await settleMeter(table, meterAt({ subscription: id, dimension }))
    const heir = optionalText(item?.successor)
    if (heir !== undefined) await visit(heir)
  }
  await visit(subscription)
}

async function settleMeter(table: Table, meter: Meter): Promise<void> {
  for (let look = 0; ; look++) {
    const item = await findMeterItem(table, meter)
    const [owed] = item === undefined ? [] : owedOf(item)
    if (item === undefined || owed === undefined) return
    const heir = meterAt({ subscription: owed.to, dimension: meter.dimension })
    await table.transaction((tx) => ensureMeter(tx, heir, kindOf(item)))
    if (await table.transaction((tx) => settle(tx, table, meter, owed, heir))) look = 0
    else if (look >= LOOKS_MAX)
      throw new DomainError(
        'ledger.busy',
        `usage of ${meter.subscription} could not be handed over yet; try again`,
      )
    else await sleep(LOOK_AGAIN_MS)
  }
}

function kindOf(meter: Item): MeterKind {
  return {
    product: text(meter.product),
    scale: int(meter.scale),
    aggregation: text(meter.aggregation) as MeterKind['aggregation'],
    per: optionalText(meter.per) as MeterKind['per'],
  }
}

/** @returns false, having done nothing, while the events that are found do not come to what the bucket says */
async function settle(
  tx: Transaction,
  table: Table,
  meter: Meter,
  owed: Owed,
  heir: Meter,
): Promise<boolean> {
  const item = (await findMeterItem(tx, meter))!
  const [first, ...rest] = owedOf(item)
  if (first === undefined || !isSame(first, owed)) return true
  const bucket = (await lookAtBucket(tx, meter, owed.hour))!
  const due = await readDue(table, bucket, owed)
  if (due === undefined) return false
  await changeMeter(tx, meter, { owed: rest.length === 0 ? undefined : rest.map((one) => ({ ...one })) })
  if (due.length > 0) {
    const successor = (await tx.get(subscriptionKey(heir.subscription)))!
    const hour = await openBucket(tx, heir, Math.max(owed.hour, hourOf(int(successor.accessStart))))
    if (hour !== undefined) {
      await move(tx, bucket, (await lookAtBucket(tx, heir, hour))!, due, owed)
      await oweOn(tx, heir, hour, successor)
    }
  }
  if (!rest.some(({ hour }) => hour === owed.hour)) await foldBeyondEnd(tx, meter, owed.hour)
  return true
}

/** The heir was superseded before it was handed this. */
async function oweOn(tx: Transaction, heir: Meter, hour: Hour, subscription: Item): Promise<void> {
  const { status, successor, accessEnd, changedAt } = subscription
  if (status !== 'superseded' || successor === undefined || accessEnd === undefined) return
  await owe(tx, heir, [{ hour, to: text(successor), since: int(accessEnd), epoch: big(changedAt) }])
}

function isSame(a: Owed, b: Owed): boolean {
  return a.hour === b.hour && a.to === b.to && a.since === b.since && a.epoch === b.epoch
}

/** The events that are the heir's; undefined while some are not found. */
async function readDue(table: Table, bucket: Bucket, owed: Owed): Promise<StoredEvent[] | undefined> {
  const horizon = 0
  let found = forgottenQuantity(bucket, horizon)
  const due: StoredEvent[] = []
  for await (const page of eventsOf(table, bucket)) {
    for (const event of page) {
      if (event.state === UNBILLABLE) continue
      found += event.delta
      if (event.time > owed.since && event.epoch < owed.epoch) due.push(event)
    }
  }
  return found === bucket.quantity ? due : undefined
}

async function move(
  tx: Transaction,
  from: Bucket,
  into: Bucket,
  due: readonly StoredEvent[],
  { since, epoch }: Owed,
): Promise<void> {
  const byTags = new Map<string, bigint>()
  const byOwnHour = new Map<Hour, bigint>()
  let quantity = 0n
  for (const { delta, tags, time } of due) {
    quantity += delta
    byOwnHour.set(hourOf(time), (byOwnHour.get(hourOf(time)) ?? 0n) + delta)
    if (tags !== UNTAGGED) byTags.set(tags, (byTags.get(tags) ?? 0n) + delta)
  }
  const events = BigInt(due.length)
  const { gave, took } = noteMove(from, into, { after: since, epoch })
  const [giver, taker] = [from.shards[0]!, into.shards[0]!]
  let tagged = 0n
  for (const share of byTags.values()) tagged += share
  const less = { quantity, events, tagged, ...strayAmounts(from.hour, byOwnHour) }
  writeShard(tx, giver, {
    ...plus(giver, Object.fromEntries(Object.entries(less).map(([name, amount]) => [name, -amount]))),
    gave,
  })
  const strays = strayAmounts(into.hour, byOwnHour)
  const more = { quantity, events, tagged, ...strays, tagSets: BigInt(byTags.size) }
  writeShard(tx, taker, { ...plus(taker, more), took })
  for (const [tags, amount] of byTags) {
    for (const [{ meter, hour }, share] of [
      [from, -amount],
      [into, amount],
    ] as const)
      tx.add(tagSumKey(meter.pk, hour, tags, 0), { amounts: { quantity: share }, initial: { tags, hour } })
  }
}

/** What stays with a subscription that ended is billed in its last hour. */
async function foldBeyondEnd(tx: Transaction, meter: Meter, hour: Hour): Promise<void> {
  const subscription = (await tx.get(subscriptionKey(meter.subscription)))!
  if (subscription.accessEnd === undefined) return
  const last = hourOf(Math.max(int(subscription.accessEnd) - 1, int(subscription.accessStart)))
  if (hour <= last || !openHoursOf((await findMeterItem(tx, meter))!).includes(hour)) return
  const target = await openBucket(tx, meter, last)
  if (target !== undefined && target < hour) await foldInto(tx, meter, hour, target)
}
