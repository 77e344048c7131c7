import { beforeEach, expect, it } from 'vitest'
import { eventKey } from '../../domain/usage/ingest-usage.ts'
import type { RoutedEvent } from '../../domain/usage/usage-event.ts'
import type { UsageStore } from '../../domain/usage/usage-store.ts'
import { aSubscription, utc } from '../contract/fixtures.ts'
import { migrate } from './migrations.ts'
import { openSqlite } from './sqlite.ts'
import { createSqliteUsageStore } from './sqlite-stores.ts'
import { createSqlSubscriptionStore } from './subscription-store.ts'

// Requests that arrive together are written in one transaction: each is told the same as if it had come alone.

const NOW = utc('2026-11-21T10:30')
const HOUR = NOW / 3_600_000 - 0.5

let usage: UsageStore
let subscription: string
let epoch: number

beforeEach(async () => {
  const database = openSqlite(':memory:')
  await migrate(database)
  usage = createSqliteUsageStore(database)
  const created = await createSqlSubscriptionStore(database).create(aSubscription(), 'test')
  subscription = created.subscription.id
  epoch = await usage.epoch()
})

function anEvent(id: string, values: { quantity?: number; hours?: readonly number[] } = {}): RoutedEvent {
  return {
    key: eventKey('demo', 'requests', '', id),
    event: { id, source: '', time: NOW, quantity: values.quantity ?? 1, value: undefined, tags: '' },
    subscription,
    product: 'demo',
    dimension: 'requests',
    scale: 0,
    aggregation: 'sum',
    hours: values.hours ?? [HOUR],
    unbillable: 'subscription_ended',
    period: '',
    hasHeir: false,
    isInherited: false,
  }
}

/** Calls of one turn: they are written together. */
async function together(...calls: (readonly RoutedEvent[])[]): Promise<string[][]> {
  const recorded = await Promise.all(calls.map((events) => usage.record(events, NOW, epoch)))
  return recorded.map((outcomes) => outcomes.map(({ status }) => status))
}

async function buckets(): Promise<(readonly [hour: number, quantity: bigint, events: number])[]> {
  const { items } = await usage.listBuckets({ limit: 10 })
  return items.map(({ hour, quantity, events }) => [hour, quantity, events] as const)
}

it('counts an event once that comes twice in one turn', async () => {
  expect(await together([anEvent('a'), anEvent('b')], [anEvent('a')], [anEvent('c')])).toEqual([
    ['accepted', 'accepted'],
    ['duplicate'],
    ['accepted'],
  ])
  expect(await buckets()).toEqual([[HOUR, 3n, 3]])
})

it('tells of a conflict with another request of the same turn', async () => {
  expect(await together([anEvent('a')], [anEvent('a', { quantity: 2 })])).toEqual([
    ['accepted'],
    ['conflict'],
  ])
  expect(await buckets()).toEqual([[HOUR, 1n, 1]])
})

it('writes every row of a group of any size', async () => {
  const sizes = [1, 31, 7, 64, 3]
  const calls = sizes.map((size, call) =>
    Array.from({ length: size }, (_, index) => anEvent(`${call}-${index}`)),
  )
  expect((await together(...calls)).flat()).toEqual(new Array(106).fill('accepted'))
  expect(await buckets()).toEqual([[HOUR, 106n, 106]])
  expect((await together(...calls)).flat()).toEqual(new Array(106).fill('duplicate'))
})

it('tells a retry of the same turn where its event went when the hour had closed', async () => {
  await together([anEvent('first')])
  await usage.close(
    [{ subscription, dimension: 'requests', hour: HOUR }],
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
