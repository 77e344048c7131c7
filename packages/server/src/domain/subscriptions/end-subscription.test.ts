import { beforeEach, expect, it } from 'vitest'
import { aSubscription, utc } from '../../storage/contract/fixtures.ts'
import { migrate } from '../../storage/sql/migrations.ts'
import { openSqlite } from '../../storage/sql/sqlite.ts'
import { createSqlSubscriptionStore } from '../../storage/sql/subscription-store.ts'
import { endSubscription } from './end-subscription.ts'
import type { Subscription } from './subscription.ts'
import type { SubscriptionStore } from './subscription-store.ts'

const NOW = utc('2026-11-21T12:00')
let subscriptions: SubscriptionStore
let buyer: Subscription

beforeEach(async () => {
  const database = openSqlite(':memory:')
  await migrate(database)
  subscriptions = createSqlSubscriptionStore(database)
  buyer = (await subscriptions.create(aSubscription(), 'test')).subscription
})

function end(values: { endedAt?: number; successor?: string } = {}) {
  return endSubscription({ subscriptions }, buyer.id, { endedAt: NOW, ...values }, 'test', NOW)
}

it('keeps the first word of an end, and takes the successor from a later one', async () => {
  const heir = (await subscriptions.create(aSubscription(), 'test')).subscription
  await end({ endedAt: NOW - 60_000 })
  expect(await end()).toMatchObject({ status: 'cancelling', accessEnd: NOW - 60_000 })
  expect(await end({ successor: heir.id })).toMatchObject({
    status: 'superseded',
    successor: heir.id,
    accessEnd: NOW - 60_000,
  })
})

it('takes no successor that is unknown, of another product, or its own ancestor', async () => {
  const stranger = (await subscriptions.create(aSubscription({ product: 'other' }), 'test')).subscription
  for (const successor of ['sub_nobody', stranger.id]) {
    await expect(end({ successor })).rejects.toMatchObject({ code: 'subscription.not_found' })
  }
  await expect(end({ successor: buyer.id })).rejects.toMatchObject({ code: 'request.invalid' })
  expect(await subscriptions.get(buyer.id)).toMatchObject({ status: 'active', accessEnd: undefined })
})
