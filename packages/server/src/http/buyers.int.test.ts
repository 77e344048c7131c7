import type { InjectOptions } from 'fastify'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { aSubscription } from '../storage/contract/fixtures.ts'
import { anApp, NOW } from './app.fixture.ts'

let seller: Awaited<ReturnType<typeof anApp>>
let buyer: string

beforeEach(async () => {
  seller = await anApp()
  buyer = (await seller.deps.subscriptions.get(seller.subscription.id)).buyer
  await register('ada@example.com', 'Ada Lovelace')
  await register('grace@example.com', 'Grace Hopper')
})
afterEach(() => seller.close())

/** Somebody gives their details on the landing page, and is written to. */
async function register(email: string, name: string) {
  await seller.deps.completeRegistration(seller.subscription.id, {
    email,
    name,
    company: 'Analytical Engines',
    phone: '+44 20 7946 0000',
    registeredAt: NOW,
  })
  await seller.database.transaction(async (sql) => {
    const event = await sql.get('SELECT id FROM domain_event ORDER BY seq DESC LIMIT 1')
    const columns = (await sql.all('SELECT name FROM pragma_table_info(?)', 'mail')).map(({ name }) => name)
    const values: Readonly<Record<string, string | number>> = {
      id: `${event!.id}.0`,
      at: NOW,
      recipient: `${name} <${email}>`,
      subject: 'Welcome',
      text: `Dear ${name}`,
    }
    const used = columns.filter((column) => column !== 'seq') as string[]
    await sql.run(
      `INSERT INTO mail (${used.join(', ')}) VALUES (${used.map(() => '?').join(', ')})`,
      ...used.map((column) => values[column] ?? ''),
    )
  })
}

async function call(
  method: NonNullable<InjectOptions['method']>,
  url: string,
  payload?: object,
  headers = seller.auth,
) {
  const response = await seller.app.inject({ method, url, headers, ...(payload && { payload }) })
  return { status: response.statusCode, body: response.json(), text: response.payload }
}

/** Nothing that a random id could have in it. */
const PEOPLE = /ada[ @]|grace[ @]|lovelace|hopper|7946 |analytical/i

describe('buyers', () => {
  it('are listed without their people, and found by their AWS account', async () => {
    const other = aSubscription({ product: 'other' })
    await seller.deps.subscriptions.create(other, 'system')
    const { body, text } = await call('GET', '/buyers')
    expect(body.items.map(({ id }: { id: string }) => id)).toEqual([other.buyer, buyer])
    expect(text).not.toMatch(PEOPLE)
    const { customerAwsAccountId } = seller.subscription
    const found = await call('GET', `/buyers?customerAWSAccountId=${customerAwsAccountId}`)
    expect(found.body.items).toMatchObject([{ id: buyer, customerAWSAccountId: customerAwsAccountId }])
    const page = (await call('GET', '/buyers?limit=1')).body
    const next = (await call('GET', `/buyers?limit=1&cursor=${page.next}`)).body
    expect([page.items[0].id, next.items[0].id]).toEqual([other.buyer, buyer])
  })

  it('show their people to those only who may change subscriptions', async () => {
    const { body } = await call('GET', `/buyers/${buyer}`)
    expect(body.contacts.map(({ email }: { email: string }) => email).sort()).toEqual([
      'ada@example.com',
      'grace@example.com',
    ])
    expect(body.subscriptions).toMatchObject([{ id: seller.subscription.id, status: 'active' }])
    const { secret } = await seller.aKey(['usage:read'])
    const seen = await call('GET', `/buyers/${buyer}`, undefined, { authorization: `Bearer ${secret}` })
    expect(seen.body).toMatchObject({ id: buyer, subscriptions: [{ id: seller.subscription.id }] })
    expect(seen.text).not.toMatch(PEOPLE)
  })

  it('give out all that is kept of their people', async () => {
    const { body: key } = await call('POST', '/keys', { buyerId: buyer, user: 'u-1', name: 'CI' })
    const { body } = await call('GET', `/buyers/${buyer}/export`)
    expect(body).toMatchObject({
      buyer: { id: buyer },
      contacts: expect.arrayContaining([
        expect.objectContaining({ email: 'ada@example.com', phone: '+44 20 7946 0000' }),
      ]),
      mails: [
        { to: 'Grace Hopper <grace@example.com>', subject: 'Welcome' },
        { to: 'Ada Lovelace <ada@example.com>', text: 'Dear Ada Lovelace' },
      ],
      subscriptions: [{ id: seller.subscription.id }],
      keys: [{ id: key.id, user: 'u-1', name: 'CI' }],
    })
    expect(JSON.stringify(body)).not.toContain(key.key)
  })

  it('are exported whole, however many keys they have', async () => {
    const { id } = (await call('POST', '/keys', { buyerId: buyer })).body
    await seller.database.transaction((sql) =>
      sql.run(
        `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1200)
         INSERT INTO api_key (id, product, buyer, subscription, user_id, name, scopes, hash, hint, created_at, expires_at)
         SELECT 'apk_' || i, product, buyer, subscription, user_id, 'many', scopes, 'hash ' || i, hint, created_at - i % 7, expires_at
         FROM n, (SELECT * FROM api_key WHERE id = ?)`,
        id,
      ),
    )
    const { body } = await call('GET', `/buyers/${buyer}/export`)
    const ids = body.keys.map(({ id }: { id: string }) => id)
    expect(new Set(ids).size).toBe(ids.length)
    expect(ids.length).toBeGreaterThan(1_200)
    await seller.database.transaction((sql) => sql.run(`DELETE FROM api_key WHERE name = 'many'`))
  })

  it('forget one person, and leave the others', async () => {
    const { body } = await call('POST', `/buyers/${buyer}/erase`, { email: 'Ada@example.com' })
    expect(body).toEqual({ contacts: 1, mails: 1 })
    const { text } = await call('GET', `/buyers/${buyer}/export`)
    expect(text).not.toMatch(/ada[ @]|lovelace/i)
    expect(text).toContain('grace@example.com')
    const again = await call('POST', `/buyers/${buyer}/erase`, { email: 'ada@example.com' })
    expect([again.status, again.body]).toEqual([200, { contacts: 0, mails: 0 }])
  })

  it('forget everybody, keep what was bought and used, and the audit trail names nobody', async () => {
    const before = await call('GET', `/marketplace/subscriptions/${seller.subscription.id}`)
    expect((await call('POST', `/buyers/${buyer}/erase`)).body).toEqual({ contacts: 2, mails: 2 })
    expect((await call('GET', `/buyers/${buyer}/export`)).text).not.toMatch(PEOPLE)
    expect((await call('GET', `/marketplace/subscriptions/${seller.subscription.id}`)).body).toEqual(
      before.body,
    )
    const audit = await call('GET', '/audit?limit=500')
    expect(audit.text).not.toMatch(PEOPLE)
    expect(audit.body.items).toContainEqual(
      expect.objectContaining({
        action: 'buyer.erase',
        subject: buyer,
        actor: expect.stringMatching(/^key:/),
        after: { contacts: 2, mails: 2, everybody: true },
      }),
    )
    // Nor does anything else that is stored.
    const tables = await seller.database.read((sql) =>
      sql.all(`SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'`),
    )
    for (const { name } of tables) {
      const rows = await seller.database.read((sql) => sql.all(`SELECT * FROM "${name}"`))
      const kept = JSON.stringify(rows, (_, value) => (typeof value === 'bigint' ? String(value) : value))
      expect(kept, String(name)).not.toMatch(PEOPLE)
    }
  })

  it('that there are not are not found', async () => {
    for (const [method, path] of [
      ['GET', ''],
      ['GET', '/export'],
      ['POST', '/erase'],
    ] as const) {
      const { status, body } = await call(method, `/buyers/buy_nope${path}`)
      expect([status, body.code]).toEqual([404, 'buyer.not_found'])
    }
  })
})
