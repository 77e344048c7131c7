import { hourEnd, hourOf } from '../../../../domain/usage/hour.ts'
import { activeBuyer } from '../buyer.ts'
import { type ItemGroup, unlessMetered } from '../checklist.ts'
import { expectSame } from '../finding.ts'
import {
  acceptedRecords,
  allowanceOf,
  expectBilled,
  plainDimension,
  send,
  tooMany,
  untilHourIsSent,
  use,
} from '../usage.ts'

export const meteringItems: ItemGroup = {
  title: 'BatchMeterUsage called successfully for every dimension',
  items: [
    {
      title: 'Usage of every dimension is accepted by AWS, to the unit',
      unless: unlessMetered,
      play: async (world) => {
        const { product } = world
        const buyer = await activeBuyer(world)
        const expected: Record<string, number> = {}
        const left: string[] = []
        for (const [index, dimension] of product.dimensions.entries()) {
          const units = dimension.unitSize > 1n ? 2 : index + 3
          const reported = units + allowanceOf(product, dimension.key)
          const why = tooMany(dimension, reported)
          if (why !== undefined) {
            left.push(`not ${why}`)
            continue
          }
          await use(world, buyer, reported, { dimension })
          expected[dimension.key] = units
        }
        await untilHourIsSent(world)
        expectBilled(world, buyer, expected)
        return [...Object.entries(expected).map(([key, units]) => `${key} ${units}`), ...left].join(', ')
      },
    },
    {
      title: 'A report that is sent again is billed once',
      unless: unlessMetered,
      play: async (world) => {
        const buyer = await activeBuyer(world)
        const events = buyer.usage.make(plainDimension(world.product), 4, world.now())
        const statuses = new Set<string>()
        for (let time = 0; time < 3; time++)
          for (const { status } of await send(world, buyer, events)) statuses.add(status)
        expectSame('the same events, sent three times, to be', {
          expected: ['accepted', 'duplicate'],
          seen: [...statuses],
          look: 'POST /usage: a correlationId counts once',
        })
        await untilHourIsSent(world)
        expectBilled(world, buyer, 4)
        return undefined
      },
    },
    {
      title: 'Hours without usage are reported as zero where the product asks for it',
      unless: (product) =>
        unlessMetered(product) ??
        (product.dimensions.some(({ reportZero }) => reportZero)
          ? undefined
          : 'no dimension says reportZero'),
      play: async (world) => {
        const buyer = await activeBuyer(world)
        const silent = hourOf(world.now()) + 1
        await world.passUntil(hourEnd(silent) - 1)
        await untilHourIsSent(world)
        const zeros = acceptedRecords(world, buyer).filter(({ timestamp }) => hourOf(timestamp) === silent)
        expectSame('records of a silent hour', {
          expected: world.product.dimensions
            .filter(({ reportZero }) => reportZero)
            .map(({ key }) => `${key} 0`),
          seen: zeros.map(({ dimension, quantity }) => `${dimension} ${quantity}`),
          look: 'reportZero of the dimensions, and GET /usage/records',
        })
        return zeros.map(({ dimension }) => dimension).join(', ')
      },
    },
  ],
}
