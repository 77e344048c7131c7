import { expect, it, onTestFinished } from 'vitest'
import { PLAIN_PLAN } from '../../../server/src/domain/plans/plan.ts'
import { anApp } from '../../../server/src/http/app.fixture.ts'
import { aProduct, aSubscription } from '../../../server/src/storage/contract/fixtures.ts'
import { createClient } from '../client/create-client.ts'
import { anApiKey } from './api-key.fixture.ts'
import { fetchGate } from './fetch.ts'

/** As many questions as a service key has at once, where it may ask one a second. */
const AT_ONCE = 5

it('serves who pays while others use up the rate of the service key, and visitors cannot use it up at all', async () => {
  const plan = { ...PLAIN_PLAN, id: 'pro', title: 'Pro', features: {} }
  const limit = { dimension: 'calls', quantity: 3, window: 'day', onExceed: 'block' } as const
  const product = aProduct({ plans: [{ ...plan, limits: [limit] }] })
  // Its clock stands still: nothing of a rate flows back.
  const { app, deps, aKey, close } = await anApp({ products: [product], elapsed: () => 0 })
  onTestFinished(close)
  const { subscription } = await deps.subscriptions.create(
    aSubscription({ product: product.id, plan: 'pro', channel: 'free' }),
    'test',
  )
  const url = await app.listen({ port: 0, host: '127.0.0.1' })
  const { secret: forKeys } = await aKey(['keys:write'])
  const { key } = await createClient({ url, key: forKeys }).createKey({ subscriptionId: subscription.id })
  const aClientOfItsOwn = async () =>
    createClient({ url, key: (await aKey(['access:check'], undefined, 1)).secret })
  const options = {
    client: await aClientOfItsOwn(),
    anonymousClient: await aClientOfItsOwn(),
    dimension: 'calls',
    visitorAddress: () => '203.0.113.9',
  }
  const serve = fetchGate(options, () => new Response('served'))
  const ask = async (apiKey?: string) => {
    const headers: Record<string, string> = apiKey === undefined ? {} : { 'x-api-key': apiKey }
    return (await serve(new Request('https://product.example.com/', { headers }))).status
  }

  for (let n = 0; n < 2 * AT_ONCE; n++) {
    await ask()
    expect(await ask(`junk ${n}`)).toBe(401)
  }
  expect(await ask()).toBe(503)
  expect(await ask(key)).toBe(200)
  for (let n = 1; n < AT_ONCE; n++) expect(await ask(anApiKey(`forged ${n}`))).toBe(401)
  expect(await ask(anApiKey('forged'))).toBe(503)
  // Of three there were two left.
  expect([await ask(key), await ask(key), await ask(key)]).toEqual([200, 200, 503])
})
