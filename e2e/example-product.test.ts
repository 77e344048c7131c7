import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { aFolder } from './a-folder.ts'
import { freePort } from './dynamodb-local.ts'
import { marketplaceAt } from './marketplace.ts'
import { ask, eventually, MAIN, NODE, ROOT, start } from './processes.ts'

const EXAMPLE = join(ROOT, 'examples/product')
const PRODUCT_CODE = 'quotes0tollkeeper00000000'

it('serves a visitor ten times, then asks to register; who registers a hundred times, then asks to upgrade; what is bought is billed by what the gate let through', async () => {
  const folder = aFolder()
  const PRODUCT_PORT = String(await freePort())
  const tollkeeper = await start(
    NODE,
    [
      MAIN,
      'dev',
      '--config',
      join(EXAMPLE, 'tollkeeper.yaml'),
      ...['--port', '0', '--simulator-port', '0', '--json', '--data', folder],
    ],
    { cwd: folder, env: { PRODUCT_PORT, TOLLKEEPER_STORE: `sqlite:${join(folder, 'ledger.db')}` } },
  )
  onTestFinished(() => tollkeeper.stop())
  const { url, storefront, key: serviceKey } = tollkeeper.ready as Record<string, string>
  const product = await start(NODE, [join(EXAMPLE, 'server.ts')], {
    cwd: folder,
    env: { PRODUCT_PORT, TOLLKEEPER_URL: url!, TOLLKEEPER_KEY: serviceKey! },
  })
  onTestFinished(() => product.stop())
  const shop = product.ready.url!
  const quote = async (headers: Record<string, string>) => {
    const response = await fetch(`${shop}/api/quote`, { headers })
    return { status: response.status, headers: response.headers, body: await response.json() }
  }
  expect((await fetch(`${shop}/health`)).status).toBe(200)

  const visitor = { 'user-agent': 'a visitor' }
  for (let left = 9; left >= 0; left--) {
    expect(await quote(visitor)).toMatchObject({ status: 200, body: { plan: 'anonymous', remaining: left } })
  }
  const asked = { code: 'quota_exceeded', plan: 'anonymous', upgrade: { plan: 'registered' } }
  expect(await quote(visitor)).toMatchObject({ status: 402, body: asked })
  expect(await quote({ ...visitor, 'x-forwarded-for': '198.51.100.7' })).toMatchObject({ status: 402 })

  const registration = await fetch(`${shop}/register`, { method: 'POST', headers: visitor })
  const { key } = (await registration.json()) as { key: string }
  const registered = { 'x-api-key': key }
  for (let left = 99; left >= 0; left--) {
    expect(await quote(registered)).toMatchObject({
      status: 200,
      body: { plan: 'registered', remaining: left },
    })
  }
  const refused = await quote(registered)
  expect(refused).toMatchObject({
    status: 402,
    body: { code: 'quota_exceeded', upgrade: { plan: 'pro', url: 'https://example.com/pricing' } },
  })
  expect(refused.headers.get('ratelimit')).toBe('"lifetime";r=0')
  await eventually('the visitor’s becoming a user is told', async () =>
    product.output().includes('"visitor.converted"'),
  )

  const marketplace = marketplaceAt(storefront!)
  const { licenseArn } = await marketplace.subscribe('Acme', PRODUCT_CODE)
  await marketplace.advance('5m')
  const bought = await eventually('the subscription is active', async () => {
    const { items } = await ask<{ items: { id: string; plan?: string }[] }>(
      `${url}/marketplace/subscriptions?status=active&channel=aws`,
      { key: serviceKey! },
    )
    return items[0]
  })
  expect(bought.plan).toBe('pro')
  await eventually('the product is told', async () => product.output().includes('"subscription.activated"'))
  const made = await ask<{ key: string }>(`${url}/keys`, {
    body: { subscriptionId: bought.id },
    key: serviceKey!,
  })
  for (let n = 0; n < 7; n++) {
    expect(await quote({ authorization: `Bearer ${made.key}` })).toMatchObject({
      status: 200,
      body: { plan: 'pro', source: expect.any(String) },
    })
  }
  await marketplace.advance('2h')
  await eventually('the bill has it', async () => (await marketplace.ledger()).length > 0)
  expect(await marketplace.ledger()).toMatchObject([{ licenseArn, dimension: 'api_calls', quantity: 7 }])
})
