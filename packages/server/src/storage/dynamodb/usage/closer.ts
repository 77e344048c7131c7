import { NO_HISTORY_YET } from '../../../domain/entitlements/contract-history.ts'
import { DomainError } from '../../../domain/error.ts'
import type { Subscription } from '../../../domain/subscriptions/subscription.ts'
import { HOLD_HISTORY_MAX } from '../../../domain/usage/close-bucket.ts'
import type { Hour } from '../../../domain/usage/hour.ts'
import type { TagSetKey } from '../../../domain/usage/tags.ts'
import type { BucketKey, Closing, ClosingNeeds, ClosingState } from '../../../domain/usage/usage-store.ts'
import { raiseAlarm } from '../alarms.ts'
import { appendAudit } from '../audit-trail.ts'
import { readContractHistory } from '../contract-history.ts'
import { big, text, texts } from '../fields.ts'
import {
  bucketHourPrefix,
  bucketPlace,
  bucketPrefix,
  includedKey,
  includedPrefix,
  meterKey,
  subscriptionKey,
  unsealedPartition,
} from '../keys.ts'
import { toSubscription } from '../subscription-items.ts'
import type { Item, Table, Transaction } from '../table.ts'
import {
  type Bucket,
  lookAtBucket,
  openAt,
  openBucket,
  toBuckets,
  toUsageBucket,
  writeShard,
} from './buckets.ts'
import { readCarry, writeCarry } from './carry.ts'
import { owedOf } from './hand-over.ts'
import {
  changeMeter,
  findMeterItem,
  heldHoursOf,
  heldMark,
  type Meter,
  meterAt,
  openHoursOf,
  openMark,
  readKin,
} from './meters.ts'
import { readTagSums } from './moves.ts'
import { fromTransfers, toTransfers } from './record-items.ts'
import { fixedOf, insertRecord, isDoubtful, isTaken } from './records.ts'
import { countLosses } from './totals.ts'

export type Decide = (state: ClosingState) => Closing | undefined

const LOOKS_MAX = 200

/**
 * Closes one bucket, all its shards, within a step.
 *
 * @returns `owes` where what the meter owes another's, or is owed, has to be settled first
 */
export async function closeBucket(
  tx: Transaction,
  table: Table,
  key: BucketKey,
  now: number,
  decide: Decide,
  needs: ClosingNeeds,
): Promise<'closed' | 'held' | 'unchanged' | 'owes'> {
  const meter = meterAt(key)
  const item = await findMeterItem(tx, meter)
  if (item === undefined || !isUnsealed(item, key.hour)) return 'unchanged'
  // Changes of the subscription write the meter's item, which was read before.
  const [[subscription], bucket] = await Promise.all([
    tx.peekSettled([subscriptionKey(meter.subscription)]),
    lookAtBucket(tx, meter, key.hour),
  ])
  if (subscription === undefined) throw new Error(`subscription ${key.subscription} is unknown to the ledger`)
  if (owedOf(item).length > 0 || (await isOwed(tx, meter, subscription))) return 'owes'
  if (bucket === undefined) throw new Error(`an open hour of ${key.subscription} has no bucket`)
  const state = await readState(
    tx,
    table,
    { meter, item, bucket, subscription: toSubscription(subscription) },
    needs,
  )
  let known = state
  let closing = decide(known)
  if (closing?.record !== undefined && (await isTaken(tx, closing.record, key))) {
    known = { ...known, keyTaken: true }
    closing = decide(known)
  }
  if (closing?.seek !== undefined) {
    const freeHour = await findFreeHour(tx, meter, closing.seek)
    if (freeHour !== undefined) closing = decide({ ...known, freeHour })
  }
  if (closing === undefined) return 'unchanged'
  await apply(tx, meter, bucket, closing, now)
  if (closing.actor !== undefined && bucket.status === 'held') {
    await appendAudit(tx, {
      at: now,
      actor: closing.actor,
      action: 'hold.decide',
      subject: `${key.subscription}/${key.dimension}/${key.hour}`,
      before: { held: bucket.quantity, reason: state.bucket.hold?.reason },
      after: { transfers: closing.transfers },
    })
  }
  return closing.status
}

function isUnsealed(meter: Item, hour: Hour): boolean {
  return openHoursOf(meter).includes(hour) || heldHoursOf(meter).includes(hour)
}

async function isOwed(tx: Transaction, meter: Meter, subscription: Item): Promise<boolean> {
  for (const predecessor of texts(subscription.predecessors)) {
    const item = await tx.peek(meterKey(predecessor, meter.dimension))
    if (item !== undefined && owedOf(item).some(({ to }) => to === meter.subscription)) return true
  }
  return false
}

interface Closed {
  readonly meter: Meter
  readonly item: Item
  readonly bucket: Bucket
  readonly subscription: Subscription
}

async function readState(
  tx: Transaction,
  table: Table,
  { meter, item, bucket, subscription }: Closed,
  needs: ClosingNeeds,
): Promise<ClosingState> {
  const { hour } = bucket
  const open = openHoursOf(item)
  const [carry, tags, fixed, history, used, contract, doubtful] = await Promise.all([
    readCarry(peeking(tx), item),
    // Folded ones count theirs in the bucket that took them.
    bucket.tagSets === 0 ? new Map<TagSetKey, bigint>() : readTagSums(table, bucket),
    fixedOf(tx, meter.subscription, hour),
    needs.history ? readHistory(tx, meter, hour) : [],
    needs.contract ? readIncluded(tx, table, meter, subscription) : new Map<string, bigint>(),
    needs.contract ? readContractHistory(tx, subscription.id) : NO_HISTORY_YET,
    isDoubtful(tx, hour),
  ])
  return {
    bucket: toUsageBucket(bucket),
    subscription,
    tags,
    carry: carry.amount,
    carryTags: carry.tags,
    fixed,
    history,
    includedUsed: (period) => used.get(period) ?? 0n,
    contract,
    keyTaken: false,
    earlierOpen: open.some((other) => other < hour),
    laterOpen: [...open, ...heldHoursOf(item)].some((other) => other !== hour),
    doubtful,
    freeHour: undefined,
  }
}

/** Quantities of the last earlier closed hours that counted anything, newest first. */
async function readHistory(tx: Transaction, meter: Meter, hour: Hour): Promise<bigint[]> {
  const found: bigint[] = []
  let to = hour
  while (found.length < HOLD_HISTORY_MAX) {
    const limit = HOLD_HISTORY_MAX * 2
    const items = await tx.query({
      pk: meter.pk,
      from: bucketPrefix,
      to: bucketHourPrefix(to),
      reverse: true,
      limit,
    })
    const buckets = toBuckets([...items].reverse()).reverse()
    // The last one may have been cut in two.
    const whole = items.length < limit ? buckets : buckets.slice(0, -1)
    for (const { status, quantity } of whole) if (status === 'closed' && quantity > 0n) found.push(quantity)
    if (items.length < limit) break
    to = buckets.at(-1)!.hour + 1
  }
  return found.slice(0, HOLD_HISTORY_MAX)
}

/**
 * What was used of a contract in a period: by the agreements that renew each other, of one calendar month, and by all
 * subscriptions of one agreement that was withdrawn and granted anew.
 */
async function readIncluded(
  tx: Transaction,
  table: Table,
  meter: Meter,
  subscription: Subscription,
): Promise<Map<string, bigint>> {
  const used = new Map<string, bigint>()
  const kin = (await readKin(peeking(tx), subscription.id)).map(toSubscription)
  for (const { id, agreementId } of kin) {
    // Whoever uses some up writes its meter's item, and there what all periods come to.
    const other = meterAt({ subscription: id, dimension: meter.dimension })
    const item = await findMeterItem(tx, other)
    if (item === undefined) continue
    const isSame =
      id === subscription.id || (agreementId !== undefined && agreementId === subscription.agreementId)
    for (const one of await readPeriods(table, other, big(item.includedUsed ?? 0n))) {
      const period = text(one.period)
      if (isSame || period.length === 7) used.set(period, (used.get(period) ?? 0n) + big(one.used))
    }
  }
  return used
}

/** An item that is behind its meter's is there in moments. */
async function readPeriods(table: Table, meter: Meter, total: bigint): Promise<readonly Item[]> {
  for (let look = 0; look < LOOKS_MAX; look++) {
    const items = await table.query({ pk: meter.pk, prefix: includedPrefix })
    if (items.reduce((sum, { used }) => sum + big(used), 0n) === total) return items
  }
  throw new DomainError('ledger.busy', `included ${meter.dimension} are being used up; try again`)
}

function peeking(tx: Transaction) {
  return { getMany: (keys: Parameters<Transaction['getMany']>[0]) => tx.peekSettled(keys) }
}

/** The first hour that this meter counted nothing in and that nobody has a record of. */
async function findFreeHour(
  tx: Transaction,
  meter: Meter,
  { hours, region, identity }: NonNullable<Closing['seek']>,
): Promise<Hour | undefined> {
  for (const hour of hours) {
    const bucket = await lookAtBucket(tx, meter, hour)
    if (bucket !== undefined && bucket.status !== 'untouched') continue
    const fixed = (await fixedOf(tx, meter.subscription, hour)) ?? { region, identity }
    if (!(await isTaken(tx, fixed, { dimension: meter.dimension, hour }))) return hour
  }
  return undefined
}

async function apply(
  tx: Transaction,
  meter: Meter,
  bucket: Bucket,
  closing: Closing,
  now: number,
): Promise<void> {
  const { hour } = bucket
  const toRecord = closing.transfers.filter(({ to }) => closing.record !== undefined && to === 'ready')
  const booked = closing.transfers.filter((transfer) => !toRecord.includes(transfer))
  sealShards(
    tx,
    meter,
    bucket,
    closing,
    booked.map((transfer) => ({ ...transfer, at: now })),
  )
  const { includedUsed } = (await findMeterItem(tx, meter))!
  await changeMeter(tx, meter, {
    [openMark(hour)]: undefined,
    [heldMark(hour)]: closing.status === 'held' ? 1 : undefined,
    includedUsed:
      closing.included === undefined ? includedUsed : big(includedUsed ?? 0n) + closing.included.amount,
  })
  if (closing.record !== undefined) {
    const key = { subscription: meter.subscription, dimension: meter.dimension, hour }
    await insertRecord(tx, key, closing.record, toRecord, now)
  }
  countLosses(tx, text(bucket.shards[0]!.product), meter.dimension, closing.transfers)
  await changeCarry(tx, meter, closing)
  if (closing.included !== undefined) {
    const { period, amount } = closing.included
    tx.add(includedKey(meter.pk, period), { amounts: { used: amount }, initial: { period } })
  }
  if (closing.openFrom !== undefined) await openBucket(tx, meter, closing.openFrom)
  if (closing.openAt !== undefined) await openAt(tx, meter, closing.openAt)
  if (closing.alarm !== undefined) await raiseAlarm(tx, closing.alarm)
}

function sealShards(
  tx: Transaction,
  meter: Meter,
  { hour, shards }: Bucket,
  { status, hold }: Closing,
  booked: ReturnType<typeof toTransfers>,
): void {
  for (const [index, shard] of shards.entries()) {
    if (index > 0) {
      writeShard(tx, shard, { status })
      continue
    }
    const product = text(shard.product)
    const isHeld = status === 'held'
    writeShard(tx, shard, {
      status,
      holdReason: hold?.reason,
      heldAt: hold?.heldAt,
      unsealed: isHeld ? unsealedPartition('HELD', product, meter.pk) : undefined,
      unsealedAt: isHeld ? bucketPlace(meter.pk, hour) : undefined,
      transfers: fromTransfers([...toTransfers(shard.transfers), ...booked]),
    })
  }
}

async function changeCarry(tx: Transaction, meter: Meter, { transfers, carryTags }: Closing): Promise<void> {
  let carried = 0n
  for (const { from, to, amount } of transfers) {
    if (to === 'carry') carried += amount
    if (from === 'carry') carried -= amount
  }
  if (carried === 0n && carryTags === undefined) return
  const item = (await findMeterItem(tx, meter))!
  const { amount, tags } = await readCarry(tx, item)
  await writeCarry(tx, item, {
    amount: amount + carried,
    tags: carryTags ?? (tags as Map<TagSetKey, bigint>),
  })
}
