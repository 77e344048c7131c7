import { afterEach, describe, expect, it } from 'vitest'
import { aSpec } from '../storage/contract/outbox-harness.ts'
import { createSqlAuditTrail } from '../storage/sql/audit-trail.ts'
import { appendDomainEvent } from '../storage/sql/domain-events.ts'
import { createSqlMailbox } from '../storage/sql/mailbox.ts'
import { migrate } from '../storage/sql/migrations.ts'
import { createSqlOutboxStore } from '../storage/sql/outbox-store.ts'
import { openSqlite } from '../storage/sql/sqlite.ts'
import { anApp, NOW } from './app.fixture.ts'

const SINKS = [aSpec('webhook:crm'), aSpec('email:buyer')]

let close = async () => {}
afterEach(() => close())

/** The app with one event of each product, one of them dead for the webhook. */
async function start(mode: 'simulated' | 'live' = 'simulated') {
  const database = openSqlite(':memory:')
  await migrate(database)
  const outbox = createSqlOutboxStore(database)
  const mailbox = createSqlMailbox(database)
  await outbox.register(SINKS, NOW)
  for (const [id, product] of [
    ['evt_acme', 'acme'],
    ['evt_other', 'other'],
  ] as const) {
    await database.transaction((sql) =>
      appendDomainEvent(sql, {
        id,
        type: 'subscription.activated',
        at: NOW,
        product,
        buyer: 'buy_1',
        subscription: `sub_${product}`,
        data: {},
      }),
    )
  }
  await outbox.fanOut(SINKS, NOW, 10)
  for (const claimed of await outbox.claim('webhook:crm', NOW, { limit: 1, leaseMs: 1_000 })) {
    await outbox.settle(claimed, NOW, ({ sink }) => ({
      state: 'dead',
      failures: 1,
      nextAt: NOW,
      error: 'HTTP 410',
      sink,
      raise: [],
      clear: [],
    }))
  }
  const audit = createSqlAuditTrail(database)
  const app = await anApp({ outbox, mailbox, audit, sinks: SINKS, mode })
  close = async () => {
    await app.close()
    database.close()
  }
  const get = async (url: string, secret: string = app.secret) => {
    const answer = await app.app.inject({ url, headers: { authorization: `Bearer ${secret}` } })
    return { status: answer.statusCode, body: answer.json() }
  }
  const replay = async (event: string, payload: object | undefined, secret: string) => {
    const answer = await app.app.inject({
      method: 'POST',
      url: `/deliveries/${event}/replay`,
      headers: { authorization: `Bearer ${secret}` },
      ...(payload && { payload }),
    })
    return { status: answer.statusCode, body: answer.json() }
  }
  return { ...app, mailbox, get, replay }
}

describe('GET /deliveries', () => {
  it('lists who is told what, and what was given up', async () => {
    const { get } = await start()
    const { body } = await get('/deliveries?state=dead')
    expect(body).toEqual({
      items: [
        {
          event: 'evt_acme',
          type: 'subscription.activated',
          at: '2026-11-21T07:30:00.000Z',
          product: 'acme',
          subscription: 'sub_acme',
          sink: 'webhook:crm',
          state: 'dead',
          attempts: 1,
          queuedAt: '2026-11-21T07:30:00.000Z',
          lastError: 'HTTP 410',
          finishedAt: '2026-11-21T07:30:00.000Z',
        },
      ],
    })
    expect((await get('/deliveries?sink=email:buyer')).body.items).toHaveLength(2)
    expect((await get('/deliveries?state=lost')).status).toBe(400)
  })

  it('goes page by page to its end', async () => {
    const { get } = await start()
    const seen: string[] = []
    let url: string | undefined = '/deliveries?limit=3'
    while (url !== undefined) {
      const { body } = await get(url)
      seen.push(...body.items.map((item: { event: string; sink: string }) => `${item.event} ${item.sink}`))
      url = body.next && `/deliveries?limit=3&cursor=${body.next}`
    }
    expect(seen).toHaveLength(4)
    expect(new Set(seen).size).toBe(4)
  })

  it('shows a key of one product that product alone', async () => {
    const { get, aKey } = await start()
    const { secret } = await aKey(['usage:read'], 'acme')
    const { body } = await get('/deliveries', secret)
    expect(new Set(body.items.map(({ product }: { product: string }) => product))).toEqual(new Set(['acme']))
    expect((await get('/deliveries?product=other', secret)).status).toBe(404)
  })
})

describe('POST /deliveries/{event}/replay', () => {
  it('lets what is dead wait again, audited', async () => {
    const { replay, aKey, get, deps } = await start()
    const { secret, key } = await aKey(['subscriptions:write'])
    const { status, body } = await replay('evt_acme', undefined, secret)
    expect(status).toBe(202)
    expect(body.items).toMatchObject([{ event: 'evt_acme', sink: 'webhook:crm', state: 'waiting' }])
    expect((await get('/deliveries?state=dead')).body.items).toEqual([])
    expect((await deps.audit.list({ limit: 1 })).items).toMatchObject([
      { action: 'delivery.replay', subject: 'evt_acme', actor: `key:${key.id}` },
    ])
  })

  it('tells any event again to the sink that is named', async () => {
    const { replay, aKey } = await start()
    const { secret } = await aKey(['subscriptions:write'])
    const { status, body } = await replay('evt_other', { sink: 'email:buyer' }, secret)
    expect(status).toBe(202)
    expect(body.items).toMatchObject([{ event: 'evt_other', sink: 'email:buyer', state: 'waiting' }])
  })

  it.each([
    ['evt_none', undefined, 404, 'no such event'],
    ['evt_acme', { sink: 'webhook:none' }, 400, 'there is webhook:crm, email:buyer'],
    ['evt_other', undefined, 400, 'not dead for any sink'],
    ['evt_acme', { snik: 'webhook:crm' }, 400, 'snik'],
  ])('refuses %s with %j', async (event, payload, status, detail) => {
    const { replay, aKey } = await start()
    const { secret } = await aKey(['subscriptions:write'])
    const answer = await replay(event, payload, secret)
    expect(answer).toMatchObject({ status, body: { detail: expect.stringContaining(detail) } })
  })

  it('needs the scope, and the product', async () => {
    const { replay, aKey } = await start()
    const [reader, stranger] = [await aKey(['usage:read']), await aKey(['subscriptions:write'], 'other')]
    expect((await replay('evt_acme', undefined, reader.secret)).status).toBe(403)
    expect(await replay('evt_acme', undefined, stranger.secret)).toMatchObject({
      status: 404,
      body: { detail: 'no such event' },
    })
  })
})

describe('the mailbox', () => {
  const MAIL = {
    id: 'evt_1.abc',
    at: NOW,
    from: 'Demo <demo@seller.example>',
    to: 'Ada <ada@example.com>',
    subject: 'Welcome to <b>Demo</b>',
    text: 'Hello Ada,\n\nSign in: https://demo.example/login?a=1&b="2".\n',
    html: '<p>Hello</p>',
  }

  it('lists mail, newest first, and shows each with links that can be followed', async () => {
    const { app, mailbox } = await start()
    expect((await app.inject('/mailbox')).body).toContain('There is no mail yet')
    await mailbox.keep(MAIL)
    await mailbox.keep({ ...MAIL, id: 'evt_2.abc', subject: 'Second' })
    await mailbox.keep(MAIL) // told twice, kept once
    const list = await app.inject('/mailbox')
    expect(list.headers['content-type']).toBe('text/html; charset=utf-8')
    expect(list.headers['cache-control']).toBe('no-store')
    expect(list.headers['content-security-policy']).toContain("default-src 'none'")
    expect(list.body.match(/<li>/g)).toHaveLength(2)
    expect(list.body.indexOf('Second')).toBeLessThan(list.body.indexOf('Welcome'))
    const shown = await app.inject('/mailbox/evt_1.abc')
    expect(shown.body).toContain('Welcome to &#60;b&#62;Demo&#60;/b&#62;')
    expect(shown.body).toContain('To Ada &#60;ada@example.com&#62;')
    expect(shown.body).toContain('<a href="https://demo.example/login?a=1&#38;b=" rel="noreferrer">')
    expect((await app.inject('/mailbox/evt_none')).statusCode).toBe(404)
  })

  it('is for this machine only', async () => {
    const { app } = await start()
    for (const url of ['/mailbox', '/mailbox/evt_1.abc']) {
      expect((await app.inject({ url, remoteAddress: '192.0.2.7' })).statusCode).toBe(403)
      expect((await app.inject({ url, headers: { host: 'evil.example' } })).statusCode).toBe(403)
    }
  })

  it('is not there where mail is real', async () => {
    const { app } = await start('live')
    expect((await app.inject('/mailbox')).statusCode).toBe(404)
  })
})

it('describes what is told in the OpenAPI document', async () => {
  const { app } = await start()
  const { openapi, webhooks } = (await app.inject('/openapi.json')).json()
  expect(openapi).toBe('3.1.0')
  const { post } = webhooks['subscription.activated']
  expect(post.summary).toBe('Access starts: provision now.')
  expect(post.parameters.map(({ name }: { name: string }) => name)).toEqual([
    'webhook-id',
    'webhook-timestamp',
    'webhook-signature',
  ])
})
