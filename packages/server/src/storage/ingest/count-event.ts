import type { RecordedEvent, RoutedEvent } from '../../domain/usage/usage-event.ts'
import { fell } from './outcomes.ts'

export interface RunningTotal {
  readonly total: number
  /** Of the event that reported it, ms. */
  readonly time: number
}

/**
 * What `max`, `unique` and `total` are counted against. Relatives (`kinOf`) are meters of the same dimension whose
 * subscriptions renew each other, the meter itself among them: they share peaks, values and totals.
 */
export interface Counters<Meter> {
  kinOf(meter: Meter): readonly Meter[]
  peak(meter: Meter, period: string): number | undefined
  setPeak(meter: Meter, period: string, peak: number): void
  hasValue(meter: Meter, period: string, value: Uint8Array): boolean
  addValue(meter: Meter, period: string, value: Uint8Array): void
  total(meter: Meter, source: string): RunningTotal | undefined
  setTotal(meter: Meter, source: string, total: RunningTotal): void
}

/** Where peaks and values that nobody is billed for are kept: they must not hide the same ones from a bill. */
export function unbilledPeriod(period: string): string {
  return `${period}!`
}

/** What an event adds to its hour, in base units, or why it adds nothing. Notes what later ones are counted against. */
export function countEvent<Meter>(
  routed: RoutedEvent,
  meter: Meter,
  counters: Counters<Meter>,
): number | RecordedEvent {
  switch (routed.aggregation) {
    case 'sum':
    case 'count':
      return routed.event.quantity
    case 'max':
      return countPeak(routed, meter, counters)
    case 'unique':
      return countValue(routed, meter, counters)
    case 'total':
      return countGrowth(routed, meter, counters)
  }
}

function countPeak<Meter>({ event, period, hours }: RoutedEvent, meter: Meter, counters: Counters<Meter>) {
  const isBilled = hours.length > 0
  const unbilled = unbilledPeriod(period)
  let peak = 0
  for (const relative of counters.kinOf(meter)) {
    peak = Math.max(peak, counters.peak(relative, period) ?? 0)
    if (!isBilled) peak = Math.max(peak, counters.peak(relative, unbilled) ?? 0)
  }
  if (event.quantity <= peak) return 0
  counters.setPeak(meter, isBilled ? period : unbilled, event.quantity)
  return event.quantity - peak
}

function countValue<Meter>(
  { event, period, hours, scale }: RoutedEvent,
  meter: Meter,
  counters: Counters<Meter>,
) {
  const isBilled = hours.length > 0
  const unbilled = unbilledPeriod(period)
  const value = event.value!
  const wasSeen = counters
    .kinOf(meter)
    .some(
      (relative) =>
        counters.hasValue(relative, period, value) ||
        (!isBilled && counters.hasValue(relative, unbilled, value)),
    )
  if (wasSeen) return 0
  counters.addValue(meter, isBilled ? period : unbilled, value)
  return 10 ** scale
}

/** A running total is metered by its growth. One that came late and was overtaken adds nothing; one that falls is a conflict. */
function countGrowth<Meter>({ event }: RoutedEvent, meter: Meter, counters: Counters<Meter>) {
  const { source, time, quantity } = event
  let last: RunningTotal | undefined
  for (const relative of counters.kinOf(meter)) {
    const found = counters.total(relative, source)
    if (found !== undefined && (last === undefined || found.total > last.total)) last = found
  }
  if (last !== undefined && time < last.time) return quantity <= last.total ? 0 : fell(quantity, last.total)
  if (last !== undefined && quantity < last.total) return fell(last.total, quantity)
  counters.setTotal(meter, source, { total: quantity, time })
  return quantity - (last?.total ?? 0)
}
