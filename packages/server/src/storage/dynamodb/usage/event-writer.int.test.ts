import { expect, it } from 'vitest'
import { eventKey } from '../../../domain/usage/ingest-usage.ts'
import type { RoutedEvent } from '../../../domain/usage/usage-event.ts'
import type { UsageStore } from '../../../domain/usage/usage-store.ts'
import { aSubscription, utc } from '../../contract/fixtures.ts'
import { aDynamoTable, describeOnDynamo } from '../dynamodb.fixture.ts'
import { openUsage } from './usage.fixture.ts'

const NOW = utc('2026-11-21T10:30')
const HOUR = NOW / 3_600_000 - 0.5

// Requests that arrive together are written in as few transactions as hold them: each is told the same as if it had come alone.

describeOnDynamo('usage that is taken in', () => {
  async function start() {
    const table = await aDynamoTable()
    const { usage, subscriptions } = openUsage(table)
    const { subscription } = await subscriptions.create(aSubscription(), 'test')
    const epoch = await usage.epoch()
    const anEvent = (
      id: string,
      values: { quantity?: number; hours?: readonly number[] } = {},
    ): RoutedEvent => ({
      key: eventKey('demo', 'requests', '', id),
      event: { id, source: '', time: NOW, quantity: values.quantity ?? 1, value: undefined, tags: '' },
      subscription: subscription.id,
      product: 'demo',
      dimension: 'requests',
      scale: 0,
      aggregation: 'sum',
      hours: values.hours ?? [HOUR],
      unbillable: 'subscription_ended',
      period: '',
      hasHeir: false,
      isInherited: false,
    })
    /** Calls of one turn. */
    const together = async (...calls: (readonly RoutedEvent[])[]) => {
      const recorded = await Promise.all(calls.map((events) => usage.record(events, NOW, epoch)))
      return recorded.map((outcomes) => outcomes.map(({ status }) => status))
    }
    return { table, usage, subscriptions, subscription, anEvent, together, buckets: () => bucketsOf(usage) }
  }

  async function bucketsOf(usage: Pick<UsageStore, 'listBuckets'>) {
    const { items } = await usage.listBuckets({ limit: 10 })
    return items.map(({ hour, quantity, events }) => [hour, quantity, events] as const)
  }

  it('counts an event once that comes twice in one turn', async () => {
    const { together, anEvent, buckets } = await start()
    expect(await together([anEvent('a'), anEvent('b')], [anEvent('a')], [anEvent('c')])).toEqual([
      ['accepted', 'accepted'],
      ['duplicate'],
      ['accepted'],
    ])
    expect(await buckets()).toEqual([[HOUR, 3n, 3]])
  })

  it('tells of a conflict with another request of the same turn', async () => {
    const { together, anEvent, buckets } = await start()
    expect(await together([anEvent('a')], [anEvent('a', { quantity: 2 })])).toEqual([
      ['accepted'],
      ['conflict'],
    ])
    expect(await buckets()).toEqual([[HOUR, 1n, 1]])
  })

  it('writes every event of a group of any size', async () => {
    const { together, anEvent, buckets } = await start()
    const sizes = [1, 31, 7, 64, 3]
    const calls = sizes.map((size, call) =>
      Array.from({ length: size }, (_, index) => anEvent(`${call}-${index}`)),
    )
    expect((await together(...calls)).flat()).toEqual(new Array(106).fill('accepted'))
    expect(await buckets()).toEqual([[HOUR, 106n, 106]])
    expect((await together(...calls)).flat()).toEqual(new Array(106).fill('duplicate'))
    expect(await buckets()).toEqual([[HOUR, 106n, 106]])
  })

  it('tells a retry of the same turn where its event went when the hour had closed', async () => {
    const { together, anEvent, usage, subscription } = await start()
    await together([anEvent('first')])
    await usage.close(
      [{ subscription: subscription.id, dimension: 'requests', hour: HOUR }],
      NOW,
      () => ({ status: 'closed', transfers: [] }),
      { history: false, contract: false },
    )
    const nobody = anEvent('a', { hours: [HOUR] })
    const late = anEvent('b', { hours: [HOUR, HOUR + 1] })
    expect(await together([nobody, late], [nobody], [late])).toEqual([
      ['unbillable', 'late'],
      ['unbillable'],
      ['duplicate'],
    ])
  })
})
