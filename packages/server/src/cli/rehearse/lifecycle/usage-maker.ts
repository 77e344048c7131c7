import type { Dimension } from '../../../domain/products/product.ts'
import { periodKey } from '../../../domain/usage/aggregation.ts'

/** An event of `POST /usage`, but for whose it is. */
export interface MadeEvent {
  readonly dimension: string
  readonly correlationId: string
  readonly usageTime: string
  readonly quantity?: string
  readonly value?: string
}

/** Makes events that bill exactly so many units more, whatever the dimension's aggregation. Of one subscription. */
export interface UsageMaker {
  make(dimension: Dimension, units: number, time: number): readonly MadeEvent[]
}

/** A rehearsal does not report more than this for one thing that it wants to see. */
export const EVENTS_MAX = 20_000

/** How many events it takes to bill so many units. */
export function eventsFor(dimension: Dimension, units: number): number {
  const { aggregation } = dimension
  return aggregation === 'count' || aggregation === 'unique' ? units * Number(dimension.unitSize) : 1
}

export function createUsageMaker(name: string): UsageMaker {
  /** By dimension and period: what `max` and `total` have come to, in billed units. */
  const reached = new Map<string, number>()
  let made = 0

  return {
    make(dimension, units, time) {
      const { key, aggregation } = dimension
      const usageTime = new Date(time).toISOString()
      const event = (more: Partial<MadeEvent>): MadeEvent => ({
        dimension: key,
        correlationId: `${name}-${++made}`,
        usageTime,
        ...more,
      })
      if (aggregation === 'count' || aggregation === 'unique') {
        return Array.from({ length: eventsFor(dimension, units) }, () =>
          event(aggregation === 'unique' ? { value: `user-${name}-${made}` } : {}),
        )
      }
      if (aggregation === 'sum') return [event({ quantity: quantityOf(dimension, units) })]
      const slot = `${key} ${aggregation === 'max' ? periodKey(dimension.per, time) : ''}`
      const level = (reached.get(slot) ?? 0) + units
      reached.set(slot, level)
      return [event({ quantity: quantityOf(dimension, level) })]
    },
  }
}

/** Billed units as the product reports them: 3 units of 1000 requests are "3000". */
function quantityOf({ unitSize }: Dimension, units: number): string {
  return (BigInt(units) * unitSize).toString()
}
