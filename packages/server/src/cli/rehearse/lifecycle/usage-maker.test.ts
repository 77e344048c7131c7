import { describe, expect, it } from 'vitest'
import type { Dimension } from '../../../domain/products/product.ts'
import { aDimension } from '../../../storage/contract/fixtures.ts'
import { createUsageMaker, eventsFor } from './usage-maker.ts'

const NOON = Date.UTC(2026, 10, 10, 12)
const DAY = 86_400_000

describe('usage that bills so many units', () => {
  it('is one event of a quantity in the product’s own unit, whatever AWS sells', () => {
    const maker = createUsageMaker('a')
    const [event] = maker.make(aDimension({ unitSize: 1000n, scale: 2 }), 3, NOON)
    expect(event).toMatchObject({
      dimension: 'requests',
      quantity: '3000',
      usageTime: '2026-11-10T12:00:00.000Z',
    })
  })

  it('is so many events where each is one, and so many different values where those count', () => {
    const maker = createUsageMaker('a')
    const counted = maker.make(aDimension({ aggregation: 'count', unitSize: 10n }), 2, NOON)
    expect(new Set(counted.map(({ correlationId }) => correlationId)).size).toBe(20)
    expect(counted.every(({ quantity }) => quantity === undefined)).toBe(true)
    const unique = aDimension({ aggregation: 'unique' })
    const values = [...maker.make(unique, 2, NOON), ...maker.make(unique, 1, NOON)].map(({ value }) => value)
    expect(new Set(values).size).toBe(3)
    expect(eventsFor(unique, 7)).toBe(7)
  })

  it('goes on from what a running total or the peak of the period has come to', () => {
    const maker = createUsageMaker('a')
    const quantity = (dimension: Dimension, units: number, time = NOON) =>
      maker.make(dimension, units, time)[0]?.quantity
    const total = aDimension({ key: 'scans', aggregation: 'total' })
    expect([quantity(total, 4), quantity(total, 5, NOON + 40 * DAY)]).toEqual(['4', '9'])
    const daily = aDimension({ key: 'storage', aggregation: 'max', per: 'day' })
    expect([quantity(daily, 4), quantity(daily, 2), quantity(daily, 3, NOON + DAY)]).toEqual(['4', '6', '3'])
  })
})
