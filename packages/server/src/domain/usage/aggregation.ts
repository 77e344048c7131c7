/**
 * How a dimension's events become a quantity.
 *
 * - `sum`: quantities add up
 * - `count`: each event is one; it has no quantity
 * - `max`: the highest quantity of a period, a gauge (gigabytes stored)
 * - `unique`: how many different values a period saw (active users)
 * - `total`: a running total, metered by its growth
 */
export type Aggregation = 'sum' | 'count' | 'max' | 'unique' | 'total'

/**
 * The time over which `max` and `unique` are taken. AWS adds all hours up, so an hour measures only what
 * its period's aggregate grew by: five users active in 720 hours of a month are 5, not 3,600.
 */
export type AggregationPeriod = 'hour' | 'day' | 'month'

/** What a dimension's aggregate is taken over; undefined where its events just add up. */
export function aggregatedPer(dimension: {
  readonly aggregation: Aggregation
  readonly per: AggregationPeriod
}): AggregationPeriod | undefined {
  const { aggregation, per } = dimension
  return aggregation === 'max' || aggregation === 'unique' ? per : undefined
}

/** The period of a time as a sortable key, UTC: `2026-11`, `2026-11-21` or `2026-11-21T07`. */
export function periodKey(period: AggregationPeriod, timeMs: number): string {
  const iso = new Date(timeMs).toISOString()
  return iso.slice(0, period === 'month' ? 7 : period === 'day' ? 10 : 13)
}
