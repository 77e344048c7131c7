import { once } from 'node:events'
import { createServer, type IncomingMessage, type RequestListener, type Server } from 'node:http'
import { createServer as createSecureServer } from 'node:https'
import { type AddressInfo, createServer as createSocketServer } from 'node:net'
import { getCACertificates, setDefaultCACertificates } from 'node:tls'
import forge from 'node-forge'
import { Webhook } from 'standardwebhooks'
import { afterEach, describe, expect, it } from 'vitest'
import { DomainError } from '../domain/error.ts'
import type { Buyer, Contact } from '../domain/subscriptions/buyer.ts'
import type { DomainEvent } from '../domain/telling/domain-event.ts'
import { createWebhookSink, type WebhookSinkOptions } from './webhook-sink.ts'

const SECRET = `whsec_${Buffer.from('a secret of thirty-two bytes, ok').toString('base64')}`
const BUYER: Buyer = {
  id: 'buy_1',
  product: 'demo',
  customerAwsAccountId: '123456789012',
  customerIdentifier: undefined,
  createdAt: 0,
}
const CONTACT: Contact = {
  email: 'ada@example.com',
  name: 'Ada',
  company: undefined,
  phone: undefined,
  registeredAt: Date.parse('2026-11-21T09:00Z'),
}
const EVENT: DomainEvent = {
  id: 'evt_7d0c',
  type: 'subscription.activated',
  at: Date.parse('2026-11-21T10:00Z'),
  product: 'demo',
  buyer: 'buy_1',
  subscription: 'sub_1',
  data: { subscription: { id: 'sub_1', plan: 'pro' } },
}
const NEVER_CUT = new AbortController().signal

const servers: Server[] = []
const closers: (() => void)[] = []
afterEach(async () => {
  for (const close of closers.splice(0)) close()
  for (const server of servers.splice(0)) {
    server.closeAllConnections()
    server.close()
    await once(server, 'close')
  }
})

async function listen(server: Server, host = '127.0.0.1'): Promise<number> {
  servers.push(server)
  server.listen(0, host)
  await once(server, 'listening')
  return (server.address() as AddressInfo).port
}

interface Received {
  readonly method: string | undefined
  readonly path: string | undefined
  readonly headers: IncomingMessage['headers']
  readonly body: string
}

/** A seller's endpoint. */
async function anEndpoint(answer: RequestListener = (_, response) => response.writeHead(204).end()) {
  const received: Received[] = []
  const port = await listen(
    createServer(async (request, response) => {
      let body = ''
      for await (const chunk of request) body += String(chunk)
      received.push({ method: request.method, path: request.url, headers: request.headers, body })
      answer(request, response)
    }),
  )
  return { port, received, url: `http://127.0.0.1:${port}/hooks?tenant=a` }
}

function aSink(values: Partial<WebhookSinkOptions> & Pick<WebhookSinkOptions, 'url'>) {
  const sink = createWebhookSink({
    spec: { name: 'webhook:crm', product: undefined, types: [] },
    secret: SECRET,
    policy: 'private',
    buyers: { get: async () => BUYER, listContacts: async () => [CONTACT] },
    now: Date.now,
    userAgent: 'tollkeeper/test',
    ...values,
  })
  closers.push(() => sink.close())
  return sink
}

async function tell(sink: ReturnType<typeof aSink>, event = EVENT, cut = NEVER_CUT) {
  const [outcome] = await sink.deliver([event], cut)
  return outcome!
}

const answering = (status: number, headers: Record<string, string> = {}) =>
  anEndpoint((_, response) => response.writeHead(status, headers).end('thanks'))

describe('a webhook', () => {
  it('is a Standard Webhook that its receiver can verify, with the buyer’s contacts', async () => {
    const endpoint = await anEndpoint()
    expect(await tell(aSink({ url: endpoint.url }))).toEqual({ kind: 'delivered' })
    const [{ method, path, headers, body }] = endpoint.received as [Received]
    expect({ method, path }).toEqual({ method: 'POST', path: '/hooks?tenant=a' })
    expect(headers['content-type']).toBe('application/json')
    expect(headers['webhook-id']).toBe('evt_7d0c')
    const verified = new Webhook(SECRET).verify(body, headers as Record<string, string>)
    expect(verified).toEqual({
      type: 'subscription.activated',
      timestamp: '2026-11-21T10:00:00.000Z',
      data: {
        product: 'demo',
        subscription: { id: 'sub_1', plan: 'pro' },
        buyer: {
          id: 'buy_1',
          customerAWSAccountId: '123456789012',
          contacts: [{ email: 'ada@example.com', name: 'Ada', registeredAt: '2026-11-21T09:00:00.000Z' }],
        },
      },
    })
    const forged = { ...(headers as Record<string, string>), 'webhook-id': 'evt_other' }
    expect(() => new Webhook(SECRET).verify(body, forged)).toThrow()
  })

  it('that answers with another protocol is a failure, and holds nobody up', async () => {
    const port = await listen(
      createServer().on('connection', (socket) => {
        socket.once('data', () =>
          socket.write(
            'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n',
          ),
        )
      }),
    )
    expect(await tell(aSink({ url: `http://127.0.0.1:${port}/` }))).toMatchObject({ kind: 'failed' })
  })

  it('keeps its id on every try, and is signed anew', async () => {
    const endpoint = await answering(500)
    let now = Date.now()
    const sink = aSink({ url: endpoint.url, now: () => now })
    await tell(sink)
    now += 300_000
    await tell(sink)
    const [first, second] = endpoint.received as [Received, Received]
    expect(second.headers['webhook-id']).toBe(first.headers['webhook-id'])
    expect(Number(second.headers['webhook-timestamp'])).toBe(Number(first.headers['webhook-timestamp']) + 300)
    expect(second.headers['webhook-signature']).not.toBe(first.headers['webhook-signature'])
  })

  it('says only an id of a buyer who is gone', async () => {
    const endpoint = await anEndpoint()
    const get = async () => {
      throw new DomainError('buyer.not_found', 'no buyer')
    }
    await tell(aSink({ url: endpoint.url, buyers: { get, listContacts: async () => [CONTACT] } }))
    expect(JSON.parse(endpoint.received[0]!.body).data.buyer).toEqual({ id: 'buy_1', contacts: [] })
  })
})

describe('an answer', () => {
  it.each([200, 201, 202, 204, 299])('of %i is a delivery', async (status) => {
    const { url } = await answering(status)
    expect(await tell(aSink({ url }))).toEqual({ kind: 'delivered' })
  })

  it.each([400, 401, 404, 500, 502])('of %i is a failure that names it', async (status) => {
    const { url } = await answering(status)
    expect(await tell(aSink({ url }))).toEqual({ kind: 'failed', reason: `HTTP ${status}` })
  })

  it('of 410 says that the endpoint is gone', async () => {
    const { url } = await answering(410)
    expect(await tell(aSink({ url }))).toEqual({
      kind: 'refused',
      reason: expect.stringContaining('the endpoint is gone'),
    })
  })

  it.each([
    [429, '7', 7_000],
    [503, '120', 120_000],
    [429, new Date(1_000_000_060_000).toUTCString(), 60_000],
  ])('of %i with Retry-After: %s asks for a pause', async (status, retryAfter, retryAfterMs) => {
    const { url } = await answering(status, { 'retry-after': retryAfter })
    const outcome = await tell(aSink({ url, now: () => 1_000_000_000_000 }))
    expect(outcome).toEqual({ kind: 'busy', reason: `HTTP ${status}`, retryAfterMs })
  })

  it.each(['', 'soon', '-1', '9'.repeat(30)])(
    'of 503 with Retry-After: %j is a failure like others',
    async (text) => {
      const { url } = await answering(503, { 'retry-after': text })
      expect(await tell(aSink({ url }))).toEqual({ kind: 'failed', reason: 'HTTP 503' })
    },
  )

  it('of a redirect is not followed', async () => {
    const target = await anEndpoint()
    const { url } = await answering(307, { location: target.url })
    expect(await tell(aSink({ url }))).toEqual({
      kind: 'failed',
      reason: 'HTTP 307: redirects are not followed',
    })
    expect(target.received).toEqual([])
  })

  it('without end is a delivery by its head, and is not read on', async () => {
    let written = 0
    let isCut = false
    const { url } = await anEndpoint((_, response) => {
      response.on('close', () => {
        isCut = true
      })
      response.writeHead(200)
      const write = () => {
        while (!isCut && written < 50_000_000) {
          written += 16_384
          if (!response.write(Buffer.alloc(16_384))) return void response.once('drain', write)
        }
      }
      write()
    })
    expect(await tell(aSink({ url }))).toEqual({ kind: 'delivered' })
    await expect.poll(() => isCut).toBe(true)
    expect(written).toBeLessThan(50_000_000)
  })

  it('that does not come in time is a failure', async () => {
    const { url } = await anEndpoint(() => {})
    expect(await tell(aSink({ url, timeoutMs: 50 }))).toEqual({ kind: 'failed', reason: 'no answer in time' })
  })

  it('that breaks off is a failure', async () => {
    const { url } = await anEndpoint((request) => request.socket.destroy())
    expect(await tell(aSink({ url }))).toEqual({
      kind: 'failed',
      reason: 'the connection broke (ECONNRESET)',
    })
  })

  it('is not waited for when we stop', async () => {
    const cut = new AbortController()
    const { url } = await anEndpoint(() => cut.abort())
    expect(await tell(aSink({ url }), EVENT, cut.signal)).toEqual({ kind: 'cancelled' })
  })
})

describe('an endpoint that cannot be reached at all', () => {
  it('is down for everybody when nobody listens', async () => {
    const closed = createSocketServer().listen(0, '127.0.0.1')
    await once(closed, 'listening')
    const { port } = closed.address() as AddressInfo
    closed.close()
    await once(closed, 'close')
    expect(await tell(aSink({ url: `http://127.0.0.1:${port}/?key=hunter2` }))).toEqual({
      kind: 'unreachable',
      reason: 'connection refused',
    })
  })

  it('is down when its name leads nowhere', async () => {
    const resolve = async () => {
      throw Object.assign(new Error('getaddrinfo ENOTFOUND hooks.example'), { code: 'ENOTFOUND' })
    }
    expect(await tell(aSink({ url: 'https://hooks.example/', resolve }))).toEqual({
      kind: 'unreachable',
      reason: 'its name cannot be resolved (ENOTFOUND)',
    })
  })

  it('is down when its name is not resolved in time', async () => {
    const resolve = () => new Promise<never>(() => {})
    expect(await tell(aSink({ url: 'https://hooks.example/', resolve, timeoutMs: 20 }))).toEqual({
      kind: 'unreachable',
      reason: 'its name was not resolved in time',
    })
  })

  it('is not believed without a certificate that is trusted', async () => {
    let requests = 0
    const secure = createSecureServer(aCertificate('localhost'), (_, response) => {
      requests++
      response.end()
    })
    const port = await listen(secure)
    expect(await tell(aSink({ url: `https://127.0.0.1:${port}/` }))).toEqual({
      kind: 'unreachable',
      reason: 'no trusted TLS connection (DEPTH_ZERO_SELF_SIGNED_CERT)',
    })
    expect(requests).toBe(0)
  })

  it('shows a certificate of its name, not of its address', async () => {
    const certificate = aCertificate('hooks.example')
    const before = getCACertificates('default')
    setDefaultCACertificates([...before, certificate.cert])
    closers.push(() => setDefaultCACertificates(before))
    const port = await listen(createSecureServer(certificate, (_, response) => response.end()))
    const resolve = async () => [{ address: '127.0.0.1', family: 4 }]
    expect(await tell(aSink({ url: `https://hooks.example:${port}/`, resolve }))).toEqual({
      kind: 'delivered',
    })
    expect(await tell(aSink({ url: `https://other.example:${port}/`, resolve }))).toEqual({
      kind: 'unreachable',
      reason: 'no trusted TLS connection (ERR_TLS_CERT_ALTNAME_INVALID)',
    })
  })
})

describe('a private address', () => {
  it.each([
    ['public', 'http://127.0.0.1:PORT/'],
    ['public', 'http://[::1]:PORT/'],
    ['public', 'http://localhost:PORT/'],
    ['public', 'http://0x7f000001:PORT/'],
    ['public', 'http://127.1:PORT/'],
    ['public', 'http://[::ffff:127.0.0.1]:PORT/'],
    ['private', 'http://[::ffff:127.0.0.1]:PORT/'],
    ['private', 'http://169.254.169.254/latest/meta-data/'],
    ['private', 'http://0.0.0.0:PORT/'],
    ['loopback', 'http://10.0.0.1/'],
    ['loopback', 'http://8.8.8.8/'],
  ] as const)('under the policy %s is not connected to: %s', async (policy, url) => {
    const endpoint = await anEndpoint()
    const outcome = await tell(aSink({ policy, url: url.replace('PORT', String(endpoint.port)) }))
    expect(outcome).toMatchObject({ kind: 'unreachable', reason: expect.stringContaining('address') })
    expect(endpoint.received).toEqual([])
  })

  it('behind a name is found out, also among public ones', async () => {
    const endpoint = await anEndpoint()
    const url = `http://hooks.example:${endpoint.port}/`
    for (const private_ of ['127.0.0.1', '10.1.2.3', '169.254.169.254']) {
      const resolve = async () => [
        { address: '93.184.215.14', family: 4 },
        { address: private_, family: 4 },
      ]
      expect(await tell(aSink({ url, policy: 'public', resolve }))).toMatchObject({
        kind: 'unreachable',
        reason: expect.stringContaining('set `allowPrivate` if it is meant'),
      })
    }
    expect(endpoint.received).toEqual([])
  })

  it('cannot slip in between look-up and connection: the name is resolved once for a call', async () => {
    const endpoint = await anEndpoint()
    let lookUps = 0
    const resolve = async () => {
      lookUps++
      // Whoever asks a second time is sent elsewhere.
      return [{ address: lookUps === 1 ? '127.0.0.1' : '127.0.0.2', family: 4 }]
    }
    const url = `http://hooks.example:${endpoint.port}/`
    expect(await tell(aSink({ url, policy: 'loopback', resolve }))).toEqual({ kind: 'delivered' })
    expect(lookUps).toBe(1)
    expect(endpoint.received[0]!.headers.host).toBe(`hooks.example:${endpoint.port}`)
  })
})

/** A certificate that nobody vouches for. */
function aCertificate(name: string): { key: string; cert: string } {
  const keys = forge.pki.rsa.generateKeyPair(2048)
  const certificate = forge.pki.createCertificate()
  certificate.publicKey = keys.publicKey
  certificate.serialNumber = '01'
  certificate.validity.notBefore = new Date(Date.now() - 3_600_000)
  certificate.validity.notAfter = new Date(Date.now() + 86_400_000)
  const subject = [{ name: 'commonName', value: name }]
  certificate.setSubject(subject)
  certificate.setIssuer(subject)
  certificate.setExtensions([{ name: 'subjectAltName', altNames: [{ type: 2, value: name }] }])
  certificate.sign(keys.privateKey, forge.md.sha256.create())
  return { key: forge.pki.privateKeyToPem(keys.privateKey), cert: forge.pki.certificateToPem(certificate) }
}
