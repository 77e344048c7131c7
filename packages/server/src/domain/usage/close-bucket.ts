import { randomUUID } from 'node:crypto'
import type { Allowance } from '../entitlements/included-units.ts'
import { baseUnitsPerUnit, type Dimension, type Product } from '../products/product.ts'
import type { Subscription } from '../subscriptions/subscription.ts'
import type { Account, Transfer } from './account.ts'
import { apportion, foldTagSets, splitUnits } from './apportion.ts'
import { AWS_RULES, MARGINS } from './aws-rules.ts'
import { awsDeadline, hasNextHour, lastHour, recordTimestamp } from './deadlines.ts'
import { HOUR_MS, type Hour, hourOf, hourStart, hourText, MINUTE_MS } from './hour.ts'
import { parseTagSetKey, type TagSetKey, UNTAGGED } from './tags.ts'
import type { Allocation, MeteringIdentityValue } from './usage-record.ts'
import type { Alarm, Closing, ClosingState, SealedRecord } from './usage-store.ts'

/** What is included without end is of no month and no term. */
const UNMETERED = 'unmetered'

/** Less than this before AWS's deadline there is no use in sealing: what is left goes to the next hour. */
const SEND_TIME_MIN_MS = 2 * MINUTE_MS

/** A meter's carry, a bucket and a record together stay below 2^63. */
export const CARRY_MAX = 1_000_000_000_000_000_000n

/** `holdAbove.times` compares with the median of at least this many earlier hours. */
export const HOLD_HISTORY_MIN = 24
export const HOLD_HISTORY_MAX = 168

export interface ClosingRules {
  readonly product: Product
  readonly dimension: Dimension
  /** What the contract includes in the bucket's hour. */
  readonly included: Allowance | undefined
  readonly now: number
}

/**
 * Is its usage told to AWS? Not of a pure contract, which has nothing to meter, and not of a subscription that was not
 * bought through AWS Marketplace: theirs is counted, and all of it is included.
 */
export function isMetered({ pricing }: Pick<Product, 'pricing'>, { channel }: Pick<Subscription, 'channel'>) {
  return pricing !== 'contract' && channel === 'aws'
}

/**
 * What closing a bucket does. A suspiciously large one is held; otherwise its amount is frozen into a record:
 * included units first, then whole units, the rest is carried. Nothing is dropped and nothing is rounded.
 *
 * @returns `undefined` to leave it as it is: AWS could not be told yet who used it, or another process held it meanwhile
 */
export function decideClosing(state: ClosingState, rules: ClosingRules): Closing | undefined {
  if (state.bucket.status !== 'open') return undefined
  if (!isMetered(rules.product, state.subscription)) return include(state, 'open', state.bucket.quantity)
  const reason = holdReason(state, rules)
  if (reason !== undefined) {
    return {
      status: 'held',
      hold: { reason, heldAt: rules.now },
      transfers: transfers(['open', 'held', state.bucket.quantity]),
    }
  }
  return freeze(state, rules, 'open', state.bucket.quantity)
}

/**
 * A person, or the deadline, decides on a held bucket: all of it, less, or nothing is billed.
 *
 * @param keep - base units to bill, at most what is held; the rest is waived
 */
export function decideHeld(
  state: ClosingState,
  rules: ClosingRules,
  keep: bigint,
  actor: string,
): Closing | undefined {
  if (state.bucket.status !== 'held') return undefined
  const closing = isMetered(rules.product, state.subscription)
    ? freeze(state, rules, 'held', keep)
    : include(state, 'held', keep)
  if (closing === undefined) return undefined
  const waived = state.bucket.quantity - keep
  return { ...closing, actor, transfers: [...transfers(['held', 'waived', waived]), ...closing.transfers] }
}

/** Nothing is billed by it: it ends here, with what was carried while it was metered. */
function include({ carry, carryTags }: ClosingState, source: Account, amount: bigint): Closing {
  return {
    status: 'closed',
    transfers: transfers([source, 'included', amount], ['carry', 'included', carry]),
    included: amount + carry > 0n ? { period: UNMETERED, amount: amount + carry } : undefined,
    carryTags: carryTags.size > 0 ? new Map() : undefined,
  }
}

function freeze(
  state: ClosingState,
  rules: ClosingRules,
  source: Account,
  amount: bigint,
): Closing | undefined {
  const { bucket, subscription, carry } = state
  const { dimension, now } = rules
  const unit = baseUnitsPerUnit(dimension)
  const deadline = awsDeadline(bucket.hour, subscription)
  const identity = state.fixed?.identity ?? identityOf(rules.product, subscription)
  const sendable = now + SEND_TIME_MIN_MS <= deadline
  if (identity === undefined && now < deadline - MARGINS.sealBeforeDeadlineMs) return undefined
  const included = takeIncluded(state, rules, amount, unit)
  const billable = amount - included.amount
  const final = state.freeHour === undefined && isFinal(state, now)
  // Another copy may have sent a doubtful hour: what it holds stays with that hour, in doubt where AWS takes it no more.
  const canRecord = identity !== undefined && (sendable || state.doubtful) && !state.keyTaken
  let units = canRecord ? min((carry + billable) / unit, AWS_RULES.quantityMax) : 0n
  const pool = createPool([
    ['carry', carry],
    [source, billable],
  ])
  pool.take(units * unit, 'ready')
  let tagShare = tagAvailability(state, amount, billable)
  const booked: Transfer[] = []
  let refused = final ? (pool.left() / unit) * unit : 0n
  if (final) {
    pool.take(refused, 'refused')
    const rest = pool.left()
    if (rest > 0n && dimension.remainder === 'roundUp' && canRecord && units < AWS_RULES.quantityMax) {
      units += 1n
      pool.take(rest, 'ready')
      booked.push(...transfers(['forgiven', 'ready', unit - rest]))
    } else pool.take(rest, 'forgiven')
  }
  // More than the ledger can carry exactly would take AWS centuries.
  if (!final && pool.left() > CARRY_MAX) {
    refused = pool.left() - CARRY_MAX
    pool.take(refused, 'refused')
  }
  const carried = pool.rest(source, 'carry')
  const record =
    units > 0n ||
    (canRecord && sendable && dimension.reportZero && carry + billable === 0n && included.amount === 0n)
      ? seal(state, rules, identity!, units, unit, deadline, tagShare)
      : undefined
  if (tagShare !== undefined)
    tagShare = final ? new Map() : carryTags(tagShare, record?.allocations ?? [], unit)
  return {
    status: 'closed',
    transfers: [...transfers([source, 'included', included.amount]), ...pool.transfers(), ...booked],
    record,
    carryTags: tagShare,
    included: included.amount > 0n ? { period: included.period, amount: included.amount } : undefined,
    openFrom:
      carried >= unit && !final && state.freeHour === undefined
        ? Math.max(hourOf(now), bucket.hour + 1)
        : undefined,
    openAt: state.freeHour,
    seek:
      final && refused > 0n && identity !== undefined
        ? {
            hours: hoursStillTaken(bucket.hour, subscription, now),
            region: state.fixed?.region ?? rules.product.region,
            identity,
          }
        : undefined,
    alarm: refused > 0n ? lossAlarm(state, refused / unit, now) : undefined,
  }
}

/** Hours inside access that AWS still takes, latest first: a last amount that found its own hour taken may go into one. */
function hoursStillTaken(own: Hour, subscription: Subscription, now: number): Hour[] {
  const hours: Hour[] = []
  const last = lastHour(subscription)
  const first = Math.max(hourOf(subscription.accessStart), last - AWS_RULES.lateWindowMs / HOUR_MS)
  for (let hour = last; hour >= first; hour--) {
    if (hour !== own && now + SEND_TIME_MIN_MS <= awsDeadline(hour, subscription)) hours.push(hour)
  }
  return hours
}

function lossAlarm({ bucket, subscription }: ClosingState, units: bigint, now: number): Alarm {
  const hour = hourText(bucket.hour)
  const heir = subscription.successor === undefined ? '' : `; ${subscription.successor} goes on in its place`
  return {
    kind: 'refused',
    subject: `${bucket.subscription}/${bucket.dimension}/${hour}`,
    message: `${units} ${bucket.dimension} of ${hour} cannot be billed: AWS takes no more for this hour, and no other one can take it${heir}`,
    at: now,
  }
}

/** Nothing of this meter can be billed after this bucket. */
function isFinal(state: ClosingState, now: number): boolean {
  return (
    !state.laterOpen &&
    state.subscription.accessEnd !== undefined &&
    !hasNextHour(state.subscription, Math.max(now, hourStart(state.bucket.hour)))
  )
}

function seal(
  state: ClosingState,
  rules: ClosingRules,
  identity: MeteringIdentityValue,
  units: bigint,
  unitBase: bigint,
  deadline: number,
  tagShare: ReadonlyMap<TagSetKey, bigint> | undefined,
): SealedRecord {
  return {
    id: `rec_${randomUUID()}`,
    product: rules.product.id,
    region: state.fixed?.region ?? rules.product.region,
    identity,
    timestamp: recordTimestamp(state.bucket.hour, state.subscription),
    quantity: Number(units),
    unitBase,
    deadline,
    allocations: tagShare === undefined || units === 0n ? [] : allocate(units, unitBase, tagShare),
  }
}

/** Who AWS is told used it; undefined while a license is not known yet. */
export function identityOf(product: Product, subscription: Subscription): MeteringIdentityValue | undefined {
  if (product.metering === 'legacy') {
    const { customerIdentifier } = subscription
    return customerIdentifier === undefined
      ? undefined
      : { kind: 'legacy', productCode: product.productCode, customerIdentifier }
  }
  const { licenseArn, customerAwsAccountId } = subscription
  return licenseArn === undefined || customerAwsAccountId === undefined
    ? undefined
    : { kind: 'license', licenseArn, customerAwsAccountId }
}

function holdReason(state: ClosingState, { dimension }: ClosingRules): string | undefined {
  const rule = dimension.holdAbove
  const { quantity } = state.bucket
  if (rule === undefined || quantity === 0n) return undefined
  const unit = baseUnitsPerUnit(dimension)
  if ('units' in rule) {
    return quantity > rule.units * unit
      ? `${quantity / unit} units in one hour; more than ${rule.units} are held for a person`
      : undefined
  }
  const { history } = state
  if (history.length < HOLD_HISTORY_MIN) return undefined
  const median = medianOf(history)
  return quantity * 1_000_000n > median * BigInt(Math.round(rule.times * 1_000_000))
    ? `${quantity / unit} units in one hour; more than ${rule.times} times the median of the last ${history.length} hours (${median / unit})`
    : undefined
}

function medianOf(values: readonly bigint[]): bigint {
  const sorted = [...values].sort((a, b) => (a < b ? -1 : 1))
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2n
}

function takeIncluded(
  state: ClosingState,
  { included }: ClosingRules,
  amount: bigint,
  unit: bigint,
): { amount: bigint; period: string } {
  if (included === undefined || amount === 0n) return { amount: 0n, period: '' }
  const { period, units } = included
  const left = units * unit - state.includedUsed(period)
  return { amount: left <= 0n ? 0n : min(left, amount), period }
}

/** What each tag set has, in base units, its carried share included; undefined where nothing is tagged. */
function tagAvailability(
  state: ClosingState,
  amount: bigint,
  billable: bigint,
): Map<TagSetKey, bigint> | undefined {
  if (state.tags.size === 0 && state.carryTags.size === 0) return undefined
  const fresh = new Map(state.tags)
  const tagged = [...fresh.values()].reduce((a, b) => a + b, 0n)
  fresh.set(UNTAGGED, (fresh.get(UNTAGGED) ?? 0n) + state.bucket.quantity - tagged)
  // Included units, and what a person waived, lessen every set alike.
  const scaled =
    billable === state.bucket.quantity && amount === billable ? fresh : apportion(billable, fresh)
  const carriedTagged = [...state.carryTags.values()].reduce((a, b) => a + b, 0n)
  scaled.set(UNTAGGED, (scaled.get(UNTAGGED) ?? 0n) + state.carry - carriedTagged)
  for (const [key, base] of state.carryTags) scaled.set(key, (scaled.get(key) ?? 0n) + base)
  return foldTagSets(scaled, AWS_RULES.allocationsMax, MARGINS.recordBytes)
}

function allocate(units: bigint, unitBase: bigint, available: ReadonlyMap<TagSetKey, bigint>): Allocation[] {
  const split = [...splitUnits(units, unitBase, available)]
    .filter(([, share]) => share > 0n)
    .sort(([a], [b]) => (a < b ? -1 : 1))
  if (split.every(([key]) => key === UNTAGGED)) return []
  return split.map(([key, share]) => ({ quantity: Number(share), tags: parseTagSetKey(key) }))
}

function carryTags(
  available: ReadonlyMap<TagSetKey, bigint>,
  allocations: readonly Allocation[],
  unitBase: bigint,
): Map<TagSetKey, bigint> {
  const left = new Map(available)
  for (const { quantity, tags } of allocations) {
    const key = tags.length === 0 ? UNTAGGED : JSON.stringify(tags)
    left.set(key, left.get(key)! - BigInt(quantity) * unitBase)
  }
  // The untagged share is what the others leave of the whole: it needs no row of its own.
  left.delete(UNTAGGED)
  for (const [key, base] of left) if (base === 0n) left.delete(key)
  return left
}

/** Amounts to draw from, in order; remembers every drawing as a transfer. */
function createPool(sources: readonly (readonly [Account, bigint])[]) {
  const left = new Map(sources)
  const drawn: Transfer[] = []
  return {
    take(amount: bigint, to: Account) {
      let wanted = amount
      for (const [from, has] of left) {
        const part = min(has, wanted)
        if (part > 0n) drawn.push({ from, to, amount: part })
        left.set(from, has - part)
        wanted -= part
      }
    },
    left: () => [...left.values()].reduce((a, b) => a + b, 0n),
    /** Moves what `from` still has to `to` and says how much that account holds then. */
    rest(from: Account, to: Account): bigint {
      drawn.push(...transfers([from, to, left.get(from)!]))
      return (left.get(to) ?? 0n) + left.get(from)!
    },
    transfers: () => drawn,
  }
}

/** Transfers without the empty ones. */
export function transfers(
  ...entries: readonly (readonly [from: Account, to: Account, amount: bigint])[]
): Transfer[] {
  return entries.filter(([, , amount]) => amount > 0n).map(([from, to, amount]) => ({ from, to, amount }))
}

function min(a: bigint, b: bigint): bigint {
  return a < b ? a : b
}
