import { type Hour, hourOf } from '../../../domain/usage/hour.ts'
import type { RoutedEvent } from '../../../domain/usage/usage-event.ts'
import { type RunningTotal, unbilledPeriod } from '../../ingest/count-event.ts'
import type { IngestPlan } from '../../ingest/plan-ingest.ts'
import { int } from '../fields.ts'
import { peakKey, totalKey, valueKey } from '../keys.ts'
import type { Item, Key, Transaction } from '../table.ts'

/** What `max`, `unique` and `total` are counted against: unchanged until the step is committed. */
export interface LoadedCounters {
  peak(meter: string, period: string): number | undefined
  hasValue(meter: string, period: string, value: Uint8Array): boolean
  total(meter: string, source: string): RunningTotal | undefined
}

/** Keys of what an event is counted against, for each of its meter's kin. */
export function counterKeys(routed: RoutedEvent, kin: readonly string[]): Key[] {
  const { aggregation, period, event, hours } = routed
  if (aggregation === 'total') return kin.map((meter) => totalKey(meter, event.source))
  const periods = hours.length > 0 ? [period] : [period, unbilledPeriod(period)]
  if (aggregation === 'max') return kin.flatMap((meter) => periods.map((one) => peakKey(meter, one)))
  if (aggregation === 'unique')
    return kin.flatMap((meter) => periods.map((one) => valueKey(meter, one, event.value!)))
  return []
}

export async function loadCounters(
  tx: Transaction,
  events: readonly RoutedEvent[],
  kin: readonly string[],
): Promise<LoadedCounters> {
  const keys = new Map<string, Key>()
  for (const routed of events) for (const key of counterKeys(routed, kin)) keys.set(nameOf(key), key)
  const items = keys.size === 0 ? [] : await tx.getMany([...keys.values()])
  const found = new Map<string, Item>()
  for (const item of items) if (item !== undefined) found.set(nameOf(item), item)
  return {
    peak(meter, period) {
      const item = found.get(nameOf(peakKey(meter, period)))
      return item && int(item.peak)
    },
    hasValue: (meter, period, value) => found.has(nameOf(valueKey(meter, period, value))),
    total(meter, source) {
      const item = found.get(nameOf(totalKey(meter, source)))
      return item && { total: int(item.total), time: int(item.time) }
    },
  }
}

/** @param expiry - of what is only for one period, seconds; undefined: it is kept */
export function writeCounters(
  tx: Transaction,
  { peaks, values, totals }: IngestPlan<string>,
  expiry: number | undefined,
): void {
  for (const { meter, period, peak } of peaks)
    tx.put({ ...peakKey(meter, period), period, peak, expiresAt: expiry })
  for (const { meter, period, value } of values)
    tx.put({ ...valueKey(meter, period, value), expiresAt: expiry })
  for (const { meter, source, total, time } of totals)
    tx.put({ ...totalKey(meter, source), source, total, time })
}

function nameOf({ pk, sk }: Key): string {
  return `${pk} ${sk}`
}

/** Hours that events are timed in, where another counts them, with how many. */
export function straysOf(placed: IngestPlan<string>['placed']): ReadonlyMap<Hour, number> {
  const strays = new Map<Hour, number>()
  for (const { routed, counted } of placed) {
    const own = hourOf(routed.event.time)
    if (counted !== own) strays.set(own, (strays.get(own) ?? 0) + 1)
  }
  return strays
}
