/** A product behind Tollkeeper, as small as it can be: an API, a registration, and an ear for what happens to subscriptions. */
import { randomUUID } from 'node:crypto'
import { createClient, createHealthEndpoint, verifyWebhook, WebhookError } from '@tollkeeper/sdk'
import { admittedOf, expressGate } from '@tollkeeper/sdk/express'
import express from 'express'

const {
  TOLLKEEPER_URL = 'http://127.0.0.1:4000',
  TOLLKEEPER_KEY = '',
  PRODUCT_PORT = '5000',
  PRODUCT_HOOK_SECRET = 'whsec_b25seSBmb3IgdGhlIGV4YW1wbGUgcHJvZHVjdA==',
} = process.env
const PRODUCT = 'quotes'
const QUOTES = [
  { text: 'Trust, but verify.', source: 'a Russian proverb' },
  { text: 'Measure twice, cut once.', source: 'carpenters' },
]

const tollkeeper = createClient({ url: TOLLKEEPER_URL, key: TOLLKEEPER_KEY })
const app = express()

// Who comes past here may have it, and it is counted.
app.use('/api', expressGate({ client: tollkeeper, product: PRODUCT, dimension: 'api_calls' }))

app.get('/api/quote', (request, response) => {
  const admitted = admittedOf(request)
  const { text, source } = QUOTES[Math.floor(Math.random() * QUOTES.length)]!
  response.json({
    quote: text,
    ...(admitted?.features.has('sources') && { source }),
    plan: admitted?.answer?.plan,
    remaining: admitted?.answer?.remaining,
  })
})

// A real product asks first who it is, and keeps the account: this one takes anybody's word.
app.post('/register', async (request, response) => {
  const tenantId = `user-${randomUUID()}`
  const subscription = await tollkeeper.createSubscription(
    { 'idempotency-key': tenantId },
    { product: PRODUCT, channel: 'free', plan: 'registered', tenantId },
  )
  const { key } = await tollkeeper.createKey({ subscriptionId: subscription.id, user: tenantId })
  // The visitor who tried it is the user now: noted once, for whoever asks later what the free calls are worth.
  const visitor = { ip: request.socket.remoteAddress ?? '', userAgent: request.headers['user-agent'] }
  await tollkeeper.convertVisitor({ visitor, product: PRODUCT, subscriptionId: subscription.id })
  response.status(201).json({ key, plan: 'registered' })
})

// What Tollkeeper tells: that somebody bought, is near a limit, or left. It is told at least once.
const seen = new Set<string>()
app.post('/hooks', express.text({ type: '*/*', limit: '1mb' }), async (request, response) => {
  try {
    const { id, event } = await verifyWebhook({
      body: String(request.body),
      headers: request.headers,
      secret: PRODUCT_HOOK_SECRET,
    })
    if (!seen.has(id)) console.log(JSON.stringify({ told: event.type, at: event.timestamp }))
    seen.add(id)
    response.sendStatus(204)
  } catch (error) {
    response.sendStatus(error instanceof WebhookError ? 400 : 500)
  }
})

const health = createHealthEndpoint({ checks: { tollkeeper: () => tollkeeper.getReadiness() } })
app.get('/health', health.node)

app.listen(Number(PRODUCT_PORT), '127.0.0.1', () => {
  console.log(JSON.stringify({ url: `http://127.0.0.1:${PRODUCT_PORT}` }))
})
