import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createSimulator, createVirtualClock } from '@tollkeeper/simulator'
import { Webhook } from 'standardwebhooks'
import { afterEach, expect, it } from 'vitest'
import { toSimulated } from './cli/commands/dev.ts'
import { composeEngine, openLedger } from './compose.ts'
import { parseConfig } from './config.ts'
import { decideEnd, decideGrant } from './domain/subscriptions/decide.ts'
import { createCompleteRegistration, createRegisterBuyer } from './domain/subscriptions/register-buyer.ts'

const SECRET = `whsec_${Buffer.from('a secret of thirty-two bytes, ok').toString('base64')}`

const closing: (() => unknown)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})

/** The seller's endpoint, which keeps what it can verify. */
async function anEndpoint() {
  const received: { type: string; data: Record<string, never> }[] = []
  const server = createServer(async (request, response) => {
    let body = ''
    for await (const chunk of request) body += String(chunk)
    const message = new Webhook(SECRET).verify(body, request.headers as Record<string, string>)
    received.push(message as (typeof received)[number])
    response.writeHead(204).end()
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  closing.push(() => server.close())
  return { received, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/` }
}

it('tells webhook, bus and mailbox of a buyer’s whole life, in order, whatever the virtual clock says', async () => {
  const clock = createVirtualClock({ start: Date.parse('2030-01-01T00:00Z'), running: false })
  const simulator = await createSimulator({
    clock,
    products: [],
    settings: { licenseDelayMs: 0, createdDelayMs: 0 },
  })
  closing.push(() => simulator.close())
  const marketplace = await simulator.listen()
  const crm = await anEndpoint()
  const config = parseConfig(
    `
store: {url: "sqlite::memory:"}
log: {level: silent}
aws: {endpoint: "${marketplace.url}"}
events:
  eventBridge: {bus: sales}
  webhooks: [{id: crm, url: "${crm.url}", secret: ${SECRET}}]
  email: {from: "Demo <demo@seller.example>", sellerTo: [ops@seller.example]}
products:
  - {id: demo, title: Demo, productCode: demo0code0of0twenty0five0, dimensions: [{key: calls}]}
`,
    { name: 'tollkeeper.yaml', directory: '/', env: {} },
  )
  simulator.marketplace.addProduct(toSimulated(config.products[0]!, 'http://127.0.0.1:4000'))
  const ledger = await openLedger(config, clock)
  const engine = await composeEngine(ledger, { clock })
  closing.push(async () => {
    await engine.jobs.stop()
    await ledger.close()
  })
  engine.telling.start()

  const { cases, catalog } = ledger
  const order = simulator.marketplace.subscribe({
    productCode: config.products[0]!.productCode,
    accountId: '123456789012',
    buyerName: 'Ada’s company',
  })
  const register = createRegisterBuyer({ metering: engine.metering, cases, catalog, clock })
  const token = simulator.marketplace.registrationToken(order.id)
  const { subscription } = await register('demo', token)
  const contact = { email: 'ada@example.com', name: 'Ada', company: undefined, phone: undefined }
  const { id } = subscription
  await createCompleteRegistration({ cases, clock })(id, { ...contact, registeredAt: clock.now() })
  const now = clock.now()
  await cases.settleOf(id, (buyerCase) => decideGrant(buyerCase, id, { at: now }, now), 'test', now)
  const end = { endedAt: now, reason: 'CANCELLED' }
  await cases.settleOf(id, (buyerCase) => decideEnd(buyerCase, id, end, now), 'test', now)

  const types = [
    'subscription.created',
    'buyer.registered',
    'subscription.activated',
    'subscription.cancelling',
  ]
  await expect.poll(() => crm.received.map(({ type }) => type)).toEqual(types)
  expect(crm.received[1]!.data).toMatchObject({
    product: 'demo',
    subscription: { id, customerAWSAccountId: '123456789012', licenseArn: order.licenseArn },
    buyer: { contacts: [{ email: 'ada@example.com', name: 'Ada' }] },
  })
  const put = async () => {
    const { events } = (await (await fetch(`${marketplace.url}/_control/events`)).json()) as {
      events: { detailType: string; detail: string; resources: string[] }[]
    }
    return events
  }
  await expect.poll(async () => (await put()).map(({ detailType }) => detailType)).toEqual(types)
  expect(JSON.stringify(await put())).not.toContain('ada@example.com')
  expect((await put())[0]!.resources).toEqual([order.licenseArn])

  const mails = async () =>
    (await ledger.mailbox.list(10)).map(({ to, subject }) => `${to}: ${subject}`).sort()
  await expect
    .poll(mails)
    .toEqual([
      'Ada <ada@example.com>: Welcome to Demo',
      'Ada <ada@example.com>: Your access to Demo has ended',
      'Ada <ada@example.com>: Your access to Demo has started',
      'ops@seller.example: Demo: a buyer registered',
      'ops@seller.example: Demo: a subscription is active',
      'ops@seller.example: Demo: a subscription is ending',
    ])
  // What was told is kept without anybody's name.
  expect(JSON.stringify(await ledger.outbox.list({ limit: 100 }))).not.toMatch(/Ada|ada@example/)
})
