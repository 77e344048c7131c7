import { describe, expect, it } from 'vitest'
import { PLAIN_PLAN } from '../domain/plans/plan.ts'
import { aDimension, aProduct, aSubscription } from '../storage/contract/fixtures.ts'
import { anApp, NOW } from './app.fixture.ts'

const PRODUCT = aProduct({
  dimensions: [aDimension({ key: 'minutes', meteredBy: 'gate' }), aDimension({ key: 'jobs' })],
  plans: [
    {
      ...PLAIN_PLAN,
      id: 'pro',
      title: 'Pro',
      limits: [
        { dimension: 'minutes', quantity: 10, window: 'month', onExceed: 'block' },
        { dimension: 'jobs', quantity: 10, window: 'day', onExceed: 'block' },
      ],
    },
  ],
})

async function start() {
  const { app, deps, aKey } = await anApp({ products: [PRODUCT] })
  const { secret } = await aKey(['access:check'])
  const { subscription } = await deps.subscriptions.create(aSubscription({ plan: 'pro' }), 'test')
  const sink = { name: 'all', types: [], product: undefined }
  await deps.outbox.register([sink], NOW)
  const post = async (url: string, payload: object) => {
    const headers = { authorization: `Bearer ${secret}` }
    const response = await app.inject({ method: 'POST', url, payload, headers })
    expect(response.statusCode).toBe(200)
    return response.json()
  }
  const told = async () => {
    while (await deps.outbox.fanOut([sink], NOW, 100));
    const { items } = await deps.outbox.list({ sink: 'all', limit: 100 })
    const events = await Promise.all(items.toReversed().map(({ event }) => deps.outbox.getEvent(event)))
    return events
      .filter(({ type }) => type === 'quota.threshold_reached')
      .map(({ data }) => [data.percent, data.used])
  }
  const use = (dimension: string, quantity: number) =>
    post('/quota/validate', { subscriptionId: subscription.id, dimension, quantity })
  const reserve = async (dimension: string, quantity: number, id: string) => {
    const asked = { subscriptionId: subscription.id, dimension, quantity, id }
    const { allowed, reservation } = await post('/quota/reservations', asked)
    expect(allowed).toBe(true)
    const path = `/quota/reservations/${reservation.id}`
    return {
      settle: (used: number) => post(`${path}/settle`, { quantity: used }),
      release: () => post(`${path}/release`, {}),
    }
  }
  return { told, use, reserve }
}

describe.each(['minutes', 'jobs'])('what is reserved of %s', (dimension) => {
  it('is not told as used while it may be let go of, and is when it is settled', async () => {
    const { told, use, reserve } = await start()
    await use(dimension, 1)
    const freed = await reserve(dimension, 9, 'a')
    await freed.release()
    const partly = await reserve(dimension, 9, 'b')
    await partly.settle(2)
    expect(await told()).toEqual([])
    const nearly = await reserve(dimension, 7, 'c')
    await nearly.settle(5)
    expect(await told()).toEqual([[80, '8']])
    const wholly = await reserve(dimension, 2, 'd')
    expect(await told()).toEqual([[80, '8']])
    await wholly.settle(2)
    await wholly.settle(2)
    // What was held back before is told when it is true.
    expect(await told()).toEqual([
      [80, '8'],
      [100, '10'],
    ])
  })
})
