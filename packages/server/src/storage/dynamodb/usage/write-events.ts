import { type Hour, nextMonthStart } from '../../../domain/usage/hour.ts'
import type { RecordedEvent, RoutedEvent } from '../../../domain/usage/usage-event.ts'
import { keyText } from '../../ingest/key-text.ts'
import { BUCKET_MAX, OVERFLOW, STALE, UNBILLABLE } from '../../ingest/outcomes.ts'
import { foldByBucket, foldLateAcross, type Placed, placeNext } from '../../ingest/place-event.ts'
import { type IngestCall, type IngestPlan, planIngest, type SeenEvent } from '../../ingest/plan-ingest.ts'
import { type GateSource, isGated } from '../../quota/gate-book.ts'
import { raiseAlarm } from '../alarms.ts'
import { eventItemKey, lateKey, meterKey, strayKey } from '../keys.ts'
import { loadGates, writeGates } from '../quota-items.ts'
import type { Item, Table, Transaction } from '../table.ts'
import { bookBillable, bookUnbillable, tagSetsOf } from './book-events.ts'
import { readBucket } from './buckets.ts'
import { expiryOf, toEventItem, toSeenEvent } from './event-items.ts'
import { loadCounters, straysOf, writeCounters } from './ingest-counters.ts'
import { areSameBuyer, type MeterFacts } from './ingest-facts.ts'
import { changedAt } from './meters.ts'
import { createHours, type Hours, type WriteContext, type WriteOrder } from './write-order.ts'

const STRAY_SHARDS = 16

/**
 * Writes events and what they add to their buckets, all of it or nothing.
 *
 * @param isCareful - first reads which of them are known and which hours are open. Without it they are taken for new and
 *   their hours for open: where that is not so, the step fails, and is run again carefully.
 * @returns outcomes of each call, in order
 */
export async function writeEvents(
  tx: Transaction,
  context: WriteContext,
  order: WriteOrder,
  isCareful: boolean,
): Promise<readonly (readonly RecordedEvent[])[]> {
  const { meter, calls, epoch } = order
  const facts = await order.facts.of(meter)
  const events = calls.flatMap((call) => call.events)
  if (isCareful && changedAt(await tx.get(meterKey(meter.subscription, meter.dimension))) > BigInt(epoch))
    return calls.map((call) => call.events.map(() => STALE))
  // Before ids are looked up: who finds another's use counted must find its id as well.
  const gates = await loadEventGates(tx, events, calls)
  const known = isCareful ? await readKnown(tx, context.table, order, events, facts) : NOTHING_KNOWN
  const fresh = events.filter(({ key }) => !known.events.has(keyText(key)))
  const counters = await loadCounters(tx, fresh, facts.kin)
  const hours = isCareful ? createHours((hour) => readBucket(tx, meter, hour)) : undefined
  const plan = await planWithHours(hours, (isClosed) =>
    planIngest(calls, {
      epoch,
      horizon: order.horizon,
      meterOf: () => meter.pk,
      findEvent: (id) => known.events.get(id),
      isSameBuyer: (seen) => known.same.has(seen),
      isClosed: (_, hour) => isClosed(hour),
      kinOf: () => facts.kin,
      gates,
      ...counters,
    }),
  )
  if (hours !== undefined) await findRoom(plan.placed, hours)
  await write(tx, context, order, plan, facts, hours)
  if (gates !== undefined) writeGates(tx, plan.gates)
  return plan.outcomes()
}

/** What gated events are judged by; undefined where none of them is. */
async function loadEventGates(
  tx: Transaction,
  events: readonly RoutedEvent[],
  calls: readonly IngestCall[],
): Promise<GateSource | undefined> {
  const gated = events.filter(isGated)
  if (gated.length === 0) return undefined
  const ids = new Set(gated.flatMap(({ gate }) => gate.reservation ?? []))
  return loadGates(tx, gated, Math.max(...calls.map(({ now }) => now)), [...ids])
}

interface Known {
  readonly events: ReadonlyMap<string, SeenEvent<string>>
  /** Meters of events that are known, whose buyer is the same as this meter's. */
  readonly same: ReadonlySet<string>
}

const NOTHING_KNOWN: Known = { events: new Map(), same: new Set() }

/** Events whose ids are in the ledger. They never change: nothing vouches for them but that those not found are still missing. */
async function readKnown(
  tx: Transaction,
  table: Table,
  { meter, horizon }: WriteOrder,
  routed: readonly RoutedEvent[],
  facts: MeterFacts,
): Promise<Known> {
  const keys = new Map(routed.map(({ key }) => [keyText(key), eventItemKey(key)]))
  const items = await (routed.some(isGated)
    ? table.getSettled([...keys.values()])
    : table.getMany([...keys.values()]))
  const events = new Map<string, SeenEvent<string>>()
  const same = new Set<string>(facts.kin)
  for (const [index, id] of [...keys.keys()].entries()) {
    const item = items[index]
    if (item === undefined) continue
    const seen = toSeenEvent(item)
    if (seen.time < horizon) {
      // Forgotten, but not deleted yet: a new one takes its place.
      await tx.get(eventItemKey(Buffer.from(id, 'latin1')))
      continue
    }
    events.set(id, seen)
    if (!same.has(seen.meter) && (await areSameBuyer(table, item.subscription as string, meter.subscription)))
      same.add(seen.meter)
  }
  return { events, same }
}

/** Plans, and plans again with each hour that it asked for and that was not read yet: mostly there is one. */
async function planWithHours(
  hours: Hours | undefined,
  plan: (isClosed: (hour: Hour) => boolean) => IngestPlan<string>,
): Promise<IngestPlan<string>> {
  for (;;) {
    const wanted = new Set<Hour>()
    const made = plan((hour) => {
      if (hours === undefined) return false
      if (!hours.isRead(hour)) wanted.add(hour)
      return hours.isClosed(hour)
    })
    if (wanted.size === 0) return made
    for (const hour of wanted) await hours!.read(hour)
  }
}

/** Sends on what a bucket has no room for; what no hour has room for is nobody's, or not written at all. */
async function findRoom(placed: readonly Placed<string>[], hours: Hours): Promise<void> {
  const isSealed = async (hour: Hour) => {
    await hours.read(hour)
    return hours.isClosed(hour)
  }
  for (;;) {
    const full = []
    for (const addition of foldByBucket(placed)) {
      const bucket = await hours.read(addition.hour)
      if (!addition.isUnbillable && (bucket?.quantity ?? 0n) + addition.quantity > BUCKET_MAX)
        full.push(...addition.events)
    }
    if (full.length === 0) break
    for (const event of full) {
      do placeNext(event)
      while (event.state !== UNBILLABLE && (await isSealed(event.counted)))
    }
  }
  const unbillable = new Map<Hour, bigint>()
  for (const event of placed) {
    if (event.state !== UNBILLABLE) continue
    const sum =
      (unbillable.get(event.counted) ?? (await hours.read(event.counted))?.unbillable ?? 0n) +
      BigInt(event.delta)
    if (sum > BUCKET_MAX) event.state = OVERFLOW
    else unbillable.set(event.counted, sum)
  }
}

async function write(
  tx: Transaction,
  context: WriteContext,
  order: WriteOrder,
  plan: IngestPlan<string>,
  facts: MeterFacts,
  hours: Hours | undefined,
): Promise<void> {
  const { epoch, expires } = order
  const { shard } = context
  const placed = plan.placed.filter(({ state }) => state !== OVERFLOW)
  const booking = { ...context, ...order, isEnded: facts.isEnded, hours }
  for (const addition of foldByBucket(placed)) {
    if (addition.isUnbillable) bookUnbillable(tx, booking, addition)
    else bookBillable(tx, booking, addition, await tagSetsOf(booking, addition))
  }
  for (const event of placed) tx.put(toEventItem(event, { epoch, shard, expires }))
  writeCounters(tx, plan, expires ? expiryOfPeriods(placed) : undefined)
  for (const [hour, strays] of straysOf(placed))
    tx.add(strayKey(hour, Math.floor(Math.random() * STRAY_SHARDS)), {
      amounts: { events: strays },
      initial: { hour },
    })
  await tellLate(tx, placed, facts)
}

/** Peaks and values are counted against for as long as an event of their month may come. */
function expiryOfPeriods(placed: readonly Placed<string>[]): number {
  return expiryOf(
    Math.max(...placed.map(({ routed, now }) => nextMonthStart(Math.max(routed.event.time, now)))),
  )
}

/** Late usage that is billed in another month than its own, or under a later agreement, is for a person to see. */
async function tellLate(
  tx: Transaction,
  placed: readonly Placed<string>[],
  facts: MeterFacts,
): Promise<void> {
  for (const late of foldLateAcross(placed, () => facts.accessStart)) {
    const key = lateKey(late.subject)
    const known: Item | undefined = await tx.get(key)
    const sum = BigInt((known?.amount as bigint | undefined) ?? 0) + late.amount
    const amount = sum > BUCKET_MAX ? BUCKET_MAX : sum
    tx.put({
      ...key,
      subject: late.subject,
      product: late.product,
      months: BigInt((known?.months as bigint | undefined) ?? 0) + BigInt(late.months),
      agreements: BigInt((known?.agreements as bigint | undefined) ?? 0) + BigInt(late.agreements),
      amount,
    })
    const alarm = { kind: 'late_across_edge', subject: late.subject, message: late.message(amount) } as const
    for (let time = 0; time < late.raised; time++)
      await raiseAlarm(tx, { ...alarm, at: time === 0 ? late.firstAt : late.lastAt })
  }
}
