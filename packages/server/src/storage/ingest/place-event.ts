import { type Hour, hourStart, monthStart } from '../../domain/usage/hour.ts'
import { formatBaseUnits } from '../../domain/usage/quantity.ts'
import { type TagSetKey, UNTAGGED } from '../../domain/usage/tags.ts'
import type { RoutedEvent } from '../../domain/usage/usage-event.ts'
import { ACCEPTED, LATE, OVERFLOW, UNBILLABLE } from './outcomes.ts'

/** An event that counts, and the hour that it is to count in. */
export interface Placed<Meter> {
  readonly routed: RoutedEvent
  /** When it was received, ms. */
  readonly now: number
  readonly meter: Meter
  /** Of its own time. */
  readonly hour: Hour
  /** Base units that it adds. */
  readonly delta: number
  /** Which of its hours to try next. */
  next: number
  /** The hour it counts in. */
  counted: Hour
  state: typeof ACCEPTED | typeof LATE | typeof UNBILLABLE | typeof OVERFLOW
}

/** Places an event in the next hour that may take it, or, as unbillable, in its own. */
export function placeNext<Meter>(placed: Placed<Meter>): void {
  const { hours, isInherited } = placed.routed
  const hour = hours[placed.next++]
  placed.state = hour === undefined ? UNBILLABLE : hour === placed.hour && !isInherited ? ACCEPTED : LATE
  placed.counted = hour ?? placed.hour
}

/** What is added to one bucket at once: all of it or nothing. */
export interface BucketAddition<Meter> {
  readonly meter: Meter
  readonly hour: Hour
  /** Booked beside the bucket's quantity, as what nobody is billed for; whatever the bucket's status. */
  readonly isUnbillable: boolean
  /** Base units. */
  quantity: bigint
  readonly events: Placed<Meter>[]
  /** Shares of the quantity; what is not among them has no tags. Empty for what is unbillable. */
  readonly tags: Map<TagSetKey, bigint>
}

/** Adds events up by bucket, in the order in which the buckets come first. What no hour had room for is left out. */
export function foldByBucket<Meter>(placed: Iterable<Placed<Meter>>): BucketAddition<Meter>[] {
  const additions: BucketAddition<Meter>[] = []
  /** Of each, what is not in its quantity yet: exact numbers are added up sooner than large ones. */
  const sums: number[] = []
  const byMeter = new Map<Meter, Map<number, number>>()
  for (const event of placed) {
    const { state, meter, counted, delta } = event
    if (state === OVERFLOW) continue
    let byHour = byMeter.get(meter)
    if (byHour === undefined) {
      byHour = new Map()
      byMeter.set(meter, byHour)
    }
    const isUnbillable = state === UNBILLABLE
    const key = counted * 2 + (isUnbillable ? 1 : 0)
    let index = byHour.get(key)
    if (index === undefined) {
      index = additions.length
      byHour.set(key, index)
      additions.push({ meter, hour: counted, isUnbillable, quantity: 0n, events: [], tags: new Map() })
      sums.push(0)
    }
    const addition = additions[index]!
    const sum = sums[index]! + delta
    if (sum <= Number.MAX_SAFE_INTEGER) sums[index] = sum
    else {
      addition.quantity += BigInt(sums[index]!)
      sums[index] = delta
    }
    addition.events.push(event)
    const { tags } = event.routed.event
    if (tags !== UNTAGGED && !isUnbillable)
      addition.tags.set(tags, (addition.tags.get(tags) ?? 0n) + BigInt(delta))
  }
  for (const [index, addition] of additions.entries()) addition.quantity += BigInt(sums[index]!)
  return additions
}

/** Late usage of a meter and a month that is billed in another month, or under a later agreement: for a person to see. */
export interface LateAcross {
  readonly subject: string
  readonly product: string
  /** Events that crossed a month's end, and those that crossed an agreement's. */
  months: number
  agreements: number
  /** Base units. */
  amount: bigint
  /** How often to raise the alarm, and when first and last, ms. */
  raised: number
  firstAt: number
  lastAt: number
  /** @param total - with all that came late before, base units */
  message(total: bigint): string
}

/** @param accessStart - of a meter's subscription, ms; asked only for events that are late */
export function foldLateAcross<Meter>(
  placed: Iterable<Placed<Meter>>,
  accessStart: (meter: Meter) => number,
): LateAcross[] {
  const found = new Map<string, LateAcross>()
  for (const { state, routed, meter, counted, delta, now } of placed) {
    if (state !== LATE) continue
    const { time } = routed.event
    const overMonth = monthStart(time) !== monthStart(hourStart(counted))
    const overAgreement = time < accessStart(meter)
    if (!overMonth && !overAgreement) continue
    const month = new Date(time).toISOString().slice(0, 7)
    const subject = `${routed.subscription}/${routed.dimension}/${month}`
    const before = found.get(subject)
    found.set(subject, {
      subject,
      product: routed.product,
      months: (before?.months ?? 0) + Number(overMonth),
      agreements: (before?.agreements ?? 0) + Number(overAgreement),
      amount: (before?.amount ?? 0n) + BigInt(delta),
      raised: (before?.raised ?? 0) + 1,
      firstAt: Math.min(before?.firstAt ?? now, now),
      lastAt: Math.max(before?.lastAt ?? now, now),
      message: (total) =>
        `${formatBaseUnits(total, routed.scale)} ${routed.dimension} used in ${month} came late and is billed ${overAgreement ? 'under a later agreement' : 'in a later month'}`,
    })
  }
  return [...found.values()]
}
