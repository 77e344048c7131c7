import { expect, it } from 'vitest'
import { hourOf } from '../../../domain/usage/hour.ts'
import { utc } from '../../contract/fixtures.ts'
import { startLedger } from '../../contract/ledger-harness.ts'
import { aDynamoPlace, aDynamoTable, describeOnDynamo } from '../dynamodb.fixture.ts'
import { openUsage } from './usage.fixture.ts'

// The sums of a bucket move; its events stay where they were counted first, and are found through what was noted.

describeOnDynamo('usage that becomes another hour’s or another agreement’s', () => {
  const start = async (now: string) =>
    startLedger(async () => openUsage(await aDynamoTable()), undefined, utc(now))
  type Ledger = Awaited<ReturnType<typeof start>>

  const told = async ({ usage }: Ledger, subscription: string, time: string, limit = 100) => {
    const key = { subscription, dimension: 'requests', hour: hourOf(utc(time)) }
    return (await usage.listEvents(key, limit)).map(({ id, status }) => `${id} ${status}`)
  }
  const quantities = async ({ usage }: Ledger, subscription: string) => {
    const { items } = await usage.listBuckets({ subscription, limit: 10 })
    return items.map(({ hour, quantity, events }) => [
      hour - hourOf(utc('2026-11-21T00:00')),
      quantity,
      events,
    ])
  }

  it('folds hours ahead into the last one, with events that were late in them', async () => {
    const ledger = await start('2026-11-21T10:58')
    const { subscribe, report, clock, end, usage, audit } = ledger
    const buyer = await subscribe()
    await report(buyer, 'own', 1)
    await report(buyer, 'ahead', 2, { time: utc('2026-11-21T11:01') })
    clock.set(utc('2026-11-21T10:59'))
    await end(buyer, clock.now())
    expect(await quantities(ledger, buyer.id)).toEqual([
      [11, 0n, 0],
      [10, 3n, 2],
    ])
    expect(await told(ledger, buyer.id, '2026-11-21T10:00')).toEqual(['own accepted', 'ahead late'])
    expect(await told(ledger, buyer.id, '2026-11-21T10:00', 1)).toEqual(['own accepted'])
    expect(await told(ledger, buyer.id, '2026-11-21T11:00')).toEqual([])
    expect(await audit()).toMatchObject({ balanced: true })
    await usage.purge(utc('2026-11-22T00:00'))
    expect(await audit()).toMatchObject({ balanced: true })
  })

  it('hands what was used after an end to two agreements in a row, with its tags', async () => {
    const ledger = await start('2026-11-21T10:20')
    const { subscribe, report, clock, end, close, records, audit } = ledger
    const [first, second, third] = [
      await subscribe(),
      await subscribe({ accessStart: utc('2026-11-21T10:05') }),
      await subscribe({ accessStart: utc('2026-11-21T10:15') }),
    ]
    const use = (id: string, quantity: number, time: string, team: string) =>
      report(first, id, quantity, { time: utc(`2026-11-21T${time}`), tags: { team } })
    await use('before', 1, '10:01', 'a')
    await use('between', 2, '10:06', 'a')
    await use('between too', 4, '10:07', 'b')
    await use('after', 8, '10:16', 'b')
    // Nobody has settled the first when the second is known.
    await end(first, utc('2026-11-21T10:05'), second)
    await end(second, utc('2026-11-21T10:15'), third)
    clock.set(utc('2026-11-21T10:40'))
    await close()
    clock.set(utc('2026-11-21T11:20'))
    await close()
    expect(
      (await records())
        .map(({ subscription, quantity, allocations }) => [
          [first.id, second.id, third.id].indexOf(subscription),
          quantity,
          allocations.map((each) => [each.quantity, each.tags[0]?.[1]]),
        ])
        .sort(),
    ).toEqual([
      [0, 1, [[1, 'a']]],
      [
        1,
        6,
        [
          [2, 'a'],
          [4, 'b'],
        ],
      ],
      [2, 8, [[8, 'b']]],
    ])
    expect(await told(ledger, first.id, '2026-11-21T10:00')).toEqual(['before accepted'])
    expect(await told(ledger, second.id, '2026-11-21T10:00')).toHaveLength(2)
    expect(await told(ledger, third.id, '2026-11-21T10:00')).toHaveLength(1)
    expect(
      await report(first, 'after', 8, { time: utc('2026-11-21T10:16'), tags: { team: 'b' } }),
    ).toMatchObject({
      status: 'duplicate',
    })
    expect(await audit()).toMatchObject({ balanced: true, meters: 3 })
  })

  it('hands over what comes in on another process while the agreement ends', async () => {
    const place = await aDynamoPlace()
    const node = async () =>
      startLedger(async () => openUsage(await aDynamoTable({ place })), undefined, utc('2026-11-21T10:30'))
    const [one, two] = [await node(), await node()]
    const old = await one.subscribe()
    const heir = await one.subscribe({ accessStart: utc('2026-11-21T10:20') })
    const batch = (part: number) =>
      Array.from({ length: 12 }, (_, index) => ({
        reference: { subscriptionId: old.id },
        dimension: 'requests',
        id: `${part}-${index}`,
        time: utc('2026-11-21T10:10') + index * 90_000,
        quantity: 1,
      }))
    await one.ingest(batch(0))
    const [, ...outcomes] = await Promise.all([
      two.end(old, utc('2026-11-21T10:20'), heir),
      ...[1, 2, 3, 4].map((part) => one.ingest(batch(part))),
    ])
    for (const { status } of outcomes.flat()) expect(['accepted', 'late', 'refused']).toContain(status)
    one.clock.set(utc('2026-11-21T11:20'))
    await one.close()
    const counted = outcomes.flat().filter(({ status }) => status !== 'refused').length + 12
    const sums = await Promise.all(
      [old, heir].map(async ({ id }) =>
        (await one.usage.listBuckets({ subscription: id, limit: 9 })).items.reduce(
          (sum, b) => sum + b.events,
          0,
        ),
      ),
    )
    expect(sums[0]! + sums[1]!).toBe(counted)
    // Seven of each twelve were used by the end; it is the moment itself that is still the old one's.
    expect(sums[0]).toBeLessThanOrEqual(7 * 5)
    expect(sums[1]).toBeGreaterThanOrEqual(5)
    expect(await two.audit()).toMatchObject({ balanced: true })
  })
})
