import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { SMTPServer, type SMTPServerOptions } from 'smtp-server'
import { afterEach, describe, expect, it } from 'vitest'
import { createProductCatalog } from '../domain/products/product.ts'
import type { Contact } from '../domain/subscriptions/buyer.ts'
import type { DomainEvent } from '../domain/telling/domain-event.ts'
import type { Mail } from '../domain/telling/mail.ts'
import { whereIsHost } from '../marketplace/loopback.ts'
import { aProduct } from '../storage/contract/fixtures.ts'
import { createBuyerMailSink, createSellerMailSink } from './mail-sink.ts'
import { createSmtpTransport } from './smtp-transport.ts'

const NEVER_CUT = new AbortController().signal
const MAIL: Mail = {
  id: 'evt_1.abc',
  to: [{ name: 'Ada', address: 'ada@example.com' }],
  subject: 'Welcome',
  text: 'Hello Ada,\n\nyou can start now.\n',
  html: '<p>Hello Ada,</p>',
}

const closing: (() => Promise<unknown> | undefined)[] = []
afterEach(async () => {
  for (const close of closing.splice(0)) await close()
})

interface Arrived {
  readonly from: string
  readonly to: readonly string[]
  readonly secure: boolean
  readonly message: string
}

/** A mail server that takes all, unless a test says otherwise. */
async function aMailServer(options: SMTPServerOptions = {}) {
  const arrived: Arrived[] = []
  const server = new SMTPServer({
    authOptional: true,
    logger: false,
    onData(stream, session, done) {
      const chunks: Buffer[] = []
      stream.on('data', (chunk: Buffer) => chunks.push(chunk))
      stream.on('end', () => {
        const { mailFrom, rcptTo } = session.envelope
        arrived.push({
          from: mailFrom === false ? '' : mailFrom.address,
          to: rcptTo.map(({ address }) => address),
          secure: session.secure,
          message: Buffer.concat(chunks).toString(),
        })
        done()
      })
    },
    ...options,
  })
  server.on('error', () => {}) // a client that hangs up is what some tests are about
  server.listen(0, '127.0.0.1')
  await once(server.server, 'listening')
  closing.push(() => new Promise<void>((resolve) => server.close(() => resolve())))
  return { arrived, port: (server.server.address() as AddressInfo).port }
}

function aTransport(url: string, values: { timeoutMs?: number; from?: string } = {}) {
  const transport = createSmtpTransport({ url, from: 'Demo <demo@seller.example>', whereIsHost, ...values })
  closing.push(async () => transport.close())
  return transport
}

function refusal(responseCode: number, text: string): Error {
  return Object.assign(new Error(text), { responseCode })
}

describe('mail by SMTP', () => {
  it('arrives, by TLS where the server offers it', async () => {
    const { arrived, port } = await aMailServer()
    expect(await aTransport(`smtp://127.0.0.1:${port}`).send(MAIL, NEVER_CUT)).toEqual({ kind: 'delivered' })
    const [{ from, to, secure, message }] = arrived as [Arrived]
    expect({ from, to, secure }).toEqual({
      from: 'demo@seller.example',
      to: ['ada@example.com'],
      secure: true,
    })
    expect(message).toMatch(/^From: Demo <demo@seller\.example>\r$/m)
    expect(message).toMatch(/^To: Ada <ada@example\.com>\r$/m)
    expect(message).toMatch(/^Subject: Welcome\r$/m)
    expect(message).toMatch(/^Message-ID: <evt_1\.abc@seller\.example>\r$/m)
    expect(message).toMatch(/^Auto-Submitted: auto-generated\r$/m)
    expect(message).toContain('you can start now.')
    expect(message).toContain('<p>Hello Ada,</p>')
  })

  it('arrives in clear where the server offers no TLS, unless the URL insists on it', async () => {
    const { arrived, port } = await aMailServer({ disabledCommands: ['STARTTLS'] })
    expect(await aTransport(`smtp://127.0.0.1:${port}`).send(MAIL, NEVER_CUT)).toEqual({ kind: 'delivered' })
    expect(arrived.map(({ secure }) => secure)).toEqual([false])
    const insisting = await aTransport(`smtps://127.0.0.1:${port}`, { timeoutMs: 2_000 }).send(
      MAIL,
      NEVER_CUT,
    )
    expect(insisting.kind).toBe('unreachable')
    expect(arrived).toHaveLength(1)
  })

  it('arrives over TLS from the start, with a password', async () => {
    const seen: unknown[] = []
    const { arrived, port } = await aMailServer({
      secure: true,
      authOptional: false,
      onAuth({ username, password }, _session, done) {
        seen.push([username, password])
        done(null, { user: username })
      },
    })
    const url = `smtps://us%40er:p%3Ass%2Fword@127.0.0.1:${port}`
    expect(await aTransport(url).send(MAIL, NEVER_CUT)).toEqual({ kind: 'delivered' })
    expect(seen).toEqual([['us@er', 'p:ss/word']])
    expect(arrived[0]!.secure).toBe(true)
  })

  it.each([
    ["o'hara+aws@example.com", "o'hara+aws@example.com"],
    ['"a,b;c"@example.com', '"a,b;c"@example.com'],
    ['!#$%&*/=?^_`{|}~@example.com', '!#$%&*/=?^_`{|}~@example.com'],
    ['ada@büro.example', 'ada@büro.example'],
    ['x@[127.0.0.1]', 'x@[127.0.0.1]'],
  ])('reaches %s alone', async (address, arrivedAs) => {
    const { arrived, port } = await aMailServer()
    const mail = { ...MAIL, to: [{ name: undefined, address }] }
    expect(await aTransport(`smtp://127.0.0.1:${port}`).send(mail, NEVER_CUT)).toEqual({ kind: 'delivered' })
    expect(arrived.map(({ to }) => to)).toEqual([[arrivedAs]])
  })

  it.each([
    ['a@example.com\r\nBcc: eve@evil.example', 'Ada'],
    ['a@example.com>\r\nRCPT TO:<eve@evil.example', 'Ada'],
    ['a@example.com, eve@evil.example', 'Ada'],
    ['a@example.com', 'Ada\r\nBcc: eve@evil.example'],
    ['a@example.com', 'Ada" <eve@evil.example>, "'],
  ])('lets nobody add a header or a recipient: %j as %j', async (address, name) => {
    const { arrived, port } = await aMailServer()
    const mail = { ...MAIL, to: [{ name, address }], subject: 'Welcome\r\nBcc: eve@evil.example' }
    await aTransport(`smtp://127.0.0.1:${port}`).send(mail, NEVER_CUT)
    for (const { to, message } of arrived) {
      expect(to).not.toContain('eve@evil.example')
      expect(to.length).toBeLessThanOrEqual(1)
      expect(message).not.toMatch(/^Bcc:/im)
    }
  })

  it('is given up where the mailbox does not exist, and names nobody', async () => {
    const { port } = await aMailServer({
      onRcptTo: ({ address }, _session, done) => done(refusal(550, `5.1.1 <${address}> unknown`)),
    })
    expect(await aTransport(`smtp://127.0.0.1:${port}`).send(MAIL, NEVER_CUT)).toEqual({
      kind: 'refused',
      reason: 'SMTP 550 5.1.1',
    })
  })

  it('is tried again where the mailbox is full', async () => {
    const { port } = await aMailServer({
      onRcptTo: (_address, _session, done) => done(refusal(452, '4.2.2 full')),
    })
    expect(await aTransport(`smtp://127.0.0.1:${port}`).send(MAIL, NEVER_CUT)).toEqual({
      kind: 'failed',
      reason: 'SMTP 452 4.2.2',
    })
  })

  it.each([
    ['a password that is not accepted', { onAuth: (_auth, _session, done) => done(refusal(535, 'no')) }],
    ['a sender that is not accepted', { onMailFrom: (_from, _session, done) => done(refusal(553, 'no')) }],
    ['a server that is busy', { onConnect: (_session, done) => done(refusal(421, 'busy')) }],
  ] as [string, SMTPServerOptions][])('is held up for all by %s', async (_, options) => {
    const { port } = await aMailServer(options)
    const outcome = await aTransport(`smtp://user:wrong@127.0.0.1:${port}`).send(MAIL, NEVER_CUT)
    expect(outcome.kind).toBe('unreachable')
    expect(JSON.stringify(outcome)).not.toContain('wrong')
  })

  it('is held up for all when nobody listens, or nobody speaks', async () => {
    const sockets: Socket[] = []
    const mute = createServer((socket) => sockets.push(socket)).listen(0, '127.0.0.1')
    await once(mute, 'listening')
    closing.push(async () => {
      for (const socket of sockets) socket.destroy()
      mute.close()
    })
    const { port } = mute.address() as AddressInfo
    const silent = await aTransport(`smtp://127.0.0.1:${port}`, { timeoutMs: 100 }).send(MAIL, NEVER_CUT)
    expect(silent.kind).toBe('unreachable')
    const refused = await aTransport('smtp://127.0.0.1:1').send(MAIL, NEVER_CUT)
    expect(refused).toMatchObject({ kind: 'unreachable', reason: 'ECONNREFUSED' })
  })
})

describe('the mail of an event', () => {
  const AT = Date.parse('2026-11-21T10:00Z')
  const event: DomainEvent = {
    id: 'evt_9',
    type: 'subscription.cancelling',
    at: AT,
    product: 'demo',
    buyer: 'buy_1',
    subscription: 'sub_1',
    data: {},
  }
  const aContact = (email: string): Contact => ({
    email,
    name: undefined,
    company: undefined,
    phone: undefined,
    registeredAt: AT,
  })
  const parts = (port: number) => ({
    transport: aTransport(`smtp://127.0.0.1:${port}`),
    catalog: createProductCatalog([aProduct()]),
    spec: { name: 'email:buyer', product: undefined, types: [] },
  })

  it('goes to each of the buyer’s people; one whose mailbox is gone stops no other', async () => {
    const { arrived, port } = await aMailServer({
      onRcptTo: ({ address }, _session, done) =>
        address.startsWith('gone') ? done(refusal(550, '5.1.1 gone')) : done(),
    })
    const sink = createBuyerMailSink({
      ...parts(port),
      buyers: { listContacts: async () => ['gone@example.com', 'ada@example.com'].map(aContact) },
      outbox: { earlierTypes: async () => [] },
    })
    expect(await sink.deliver([event], NEVER_CUT)).toEqual([{ kind: 'delivered' }])
    expect(arrived.map(({ to }) => to)).toEqual([['ada@example.com']])
  })

  it('goes to the seller’s people in one message', async () => {
    const { arrived, port } = await aMailServer()
    const to = ['ops@seller.example', 'sales@seller.example']
    const sink = createSellerMailSink({ ...parts(port), to })
    expect(await sink.deliver([event], NEVER_CUT)).toEqual([{ kind: 'delivered' }])
    expect(arrived.map((mail) => mail.to)).toEqual([to])
  })

  it('is done where there is nobody to write to', async () => {
    const { port, arrived } = await aMailServer()
    const sink = createBuyerMailSink({
      ...parts(port),
      buyers: { listContacts: async () => [] },
      outbox: { earlierTypes: async () => [] },
    })
    expect(await sink.deliver([event], NEVER_CUT)).toEqual([{ kind: 'delivered' }])
    expect(arrived).toEqual([])
  })
})
