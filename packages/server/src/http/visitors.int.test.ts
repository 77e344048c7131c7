import { solveChallenge } from 'altcha-lib'
import { deriveKey } from 'altcha-lib/algorithms/pbkdf2'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { PLAIN_PLAN, type Plan } from '../domain/plans/plan.ts'
import { aDimension, aProduct, aSubscription } from '../storage/contract/fixtures.ts'
import { anApp, NOW } from './app.fixture.ts'

const DAY = 86_400_000

const ANONYMOUS: Plan = {
  ...PLAIN_PLAN,
  id: 'anonymous',
  title: 'Anonymous',
  audience: 'anonymous',
  trial: { days: 15 },
  upgradeTo: 'registered',
  features: { export: false, preview: true },
  limits: [
    { dimension: 'calls', quantity: 10, window: 'lifetime', onExceed: 'block' },
    { dimension: 'scans', quantity: 2, window: 'day', onExceed: 'bill' },
    { dimension: 'views', quantity: 1_000_000, window: 'day', onExceed: 'block' },
  ],
}
const REGISTERED: Plan = { ...PLAIN_PLAN, id: 'registered', title: 'Registered', audience: 'registered' }

const PRODUCT = aProduct({
  dimensions: [aDimension({ key: 'scans', meteredBy: 'gate' }), aDimension({ key: 'reports' })],
  plans: [ANONYMOUS, REGISTERED],
  upgradeUrl: { aws: undefined, direct: 'https://example.com/register' },
})

const ADA = { ip: '192.0.2.17', userAgent: 'Mozilla/5.0 (Ada)' }

async function start(options: Partial<Parameters<typeof anApp>[0]> = {}) {
  const it = await anApp({ products: [PRODUCT], ...options })
  const { app, aKey } = it
  const { secret } = await aKey(['access:check', 'subscriptions:write'])
  const headers = { authorization: `Bearer ${secret}` }
  const post = async (url: string, payload: object) => {
    const response = await app.inject({ method: 'POST', url, payload, headers })
    return { status: response.statusCode, headers: response.headers, ...response.json() }
  }
  const validate = (visitor: object, more: object = {}) =>
    post('/quota/validate', { visitor, dimension: 'calls', ...more })
  return { ...it, post, validate }
}

// biome-ignore lint/suspicious/noExplicitAny: what came over the wire
async function solve(challenge: any): Promise<string> {
  const solution = await solveChallenge({ challenge, deriveKey })
  return Buffer.from(JSON.stringify({ challenge, solution })).toString('base64')
}

describe('seed 003, section 1: anonymous user tracking via IP fingerprinting', () => {
  it('knows a visitor again by address and browser, and one IPv6 household as one', async () => {
    const { validate } = await start()
    const first = await validate(ADA)
    expect(first).toMatchObject({
      status: 200,
      allowed: true,
      plan: 'anonymous',
      product: 'demo',
      visitor: expect.stringMatching(/^vis_/),
      remaining: 9,
      features: { preview: true },
    })
    expect(first.subscription).toBeUndefined()
    expect(await validate({ ...ADA, ip: '::ffff:192.0.2.17' })).toMatchObject({
      visitor: first.visitor,
      remaining: 8,
    })
    expect((await validate({ ...ADA, userAgent: 'curl' })).visitor).not.toBe(first.visitor)
    expect((await validate({ ...ADA, ip: '192.0.2.18' })).visitor).not.toBe(first.visitor)
    const six = await validate({ ip: '2001:db8::1' })
    expect(await validate({ ip: '2001:db8::ffff:1' })).toMatchObject({ visitor: six.visitor, remaining: 8 })
    expect((await validate({ ip: '2001:db8:0:1::1' })).visitor).not.toBe(six.visitor)
  })

  it('stores and logs neither address nor user agent', async () => {
    const { validate, post, database, logged, deps } = await start({ newPerAddress: 1 })
    const { subscription } = await deps.subscriptions.create(aSubscription(), 'test')
    const claims = [
      ADA,
      { ip: '2001:db8:77:88::99', userAgent: 'Mozilla/5.0 (Six)' },
      { ...ADA, userAgent: 'Mozilla/5.0 (Bob)' },
    ]
    for (const claim of claims) {
      await validate(claim)
      await post('/quota/reservations', { visitor: claim, dimension: 'calls', id: 'r' })
      await post('/quota/conversions', { visitor: claim, buyerId: subscription.buyer })
      await validate({ ...claim, ip: `${claim.ip}:443` })
      await validate({ ...claim, challenge: 'nonsense' }, { dimension: 1 })
    }
    const tables = await database.read((sql) =>
      sql.all(`SELECT name FROM sqlite_schema WHERE type = 'table'`),
    )
    const texts: string[] = [logged()]
    for (const { name } of tables)
      for (const row of await database.read((sql) => sql.all(`SELECT * FROM "${name}"`)))
        for (const value of Object.values(row))
          texts.push(value instanceof Uint8Array ? Buffer.from(value).toString('latin1') : String(value))
    const all = texts.join('\n')
    expect(all).toContain('vis_')
    const bytes = (...some: number[]) => Buffer.from(some).toString('latin1')
    for (const personal of ['192.0.2.17', '2001:db8:77', 'Mozilla', '(Ada)', '(Six)', '(Bob)'])
      expect(all).not.toContain(personal)
    expect(all).not.toContain(bytes(192, 0, 2, 17))
    expect(all).not.toContain(bytes(0x20, 0x01, 0x0d, 0xb8, 0, 0x77, 0, 0x88))
    for (const hex of ['c0000211', '20010db800770088']) expect(all.toLowerCase()).not.toContain(hex)
  })

  it('knows a visitor through a change of the salt, and forgets who they were after the next', async () => {
    const { validate, clock, database } = await start()
    const first = await validate(ADA, { dimension: 'views' })
    for (const days of [14, 31, 45, 62]) {
      clock.set(NOW + days * DAY)
      expect((await validate(ADA, { dimension: 'views' })).visitor).toBe(first.visitor)
    }
    const salts = await database.read((sql) => sql.all('SELECT number FROM visitor_salt ORDER BY number'))
    expect(salts).toEqual([{ number: 2n }, { number: 3n }])
    clock.set(NOW + 200 * DAY)
    expect((await validate(ADA, { dimension: 'views' })).visitor).not.toBe(first.visitor)
  })

  it('refuses what is no address, and who is named twice or by nothing', async () => {
    const { validate } = await start()
    for (const ip of ['nonsense', '192.0.2.17:80', '1.2.3.4.5', '2001:db8::g'])
      expect(await validate({ ip })).toMatchObject({ status: 400, code: 'request.invalid' })
    expect(await validate(ADA, { key: 'tka_x' })).toMatchObject({ status: 400 })
    expect(await validate({})).toMatchObject({ status: 400 })
    expect(await validate(ADA, { product: 'none' })).toMatchObject({ status: 404 })
  })

  it('answers whatever claims to be a visitor', async () => {
    const { validate } = await start({ newPerAddress: 3 })
    const text = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.ipV4(),
      fc.ipV6(),
      fc.constantFrom('::', '::ffff:1.2.3.4', '%00', '\ud800', '0x7f.1', '1.2.3.4\u0000'),
      fc.base64String(),
    )
    const claims = fc.record(
      { ip: text, userAgent: text, challenge: text },
      { requiredKeys: ['ip'], noNullPrototype: true },
    )
    await fc.assert(
      fc.asyncProperty(claims, async (claim) => {
        expect([200, 400]).toContain((await validate(claim)).status)
      }),
      { numRuns: 300 },
    )
  })

  it('notes once that a visitor became a buyer, in the history and for the seller’s systems', async () => {
    const { validate, post, deps, clock } = await start()
    await deps.outbox.register([{ name: 'all', product: undefined, types: [] }], NOW)
    const { subscription } = await deps.subscriptions.create(aSubscription({ plan: 'registered' }), 'test')
    const { visitor } = await validate(ADA)
    clock.set(NOW + DAY)
    const convert = (claim: object, more: object = { buyerId: subscription.buyer }) =>
      post('/quota/conversions', { visitor: claim, ...more })
    expect(await convert(ADA)).toMatchObject({
      status: 'converted',
      visitor,
      buyer: subscription.buyer,
      subscription: subscription.id,
      firstSeenAt: new Date(NOW).toISOString(),
      convertedAt: new Date(NOW + DAY).toISOString(),
    })
    clock.set(NOW + 2 * DAY)
    expect(await convert(ADA, { subscriptionId: subscription.id })).toMatchObject({
      status: 'repeated',
      convertedAt: new Date(NOW + DAY).toISOString(),
    })
    const { subscription: other } = await deps.subscriptions.create(aSubscription(), 'test')
    expect(await convert(ADA, { buyerId: other.buyer })).toEqual(
      expect.not.objectContaining({ visitor: expect.anything() }),
    )
    expect(await convert({ ip: '192.0.2.99' })).toMatchObject({ status: 'unknown' })
    expect(await convert(ADA, { buyerId: 'none' })).toMatchObject({ code: 'buyer.not_found' })
    expect(await convert(ADA, {})).toMatchObject({ code: 'request.invalid' })
    const { items } = await deps.history.list(subscription, { limit: 10 })
    expect(
      items.filter((item) => item.kind === 'change' && item.entry.action === 'visitor.convert'),
    ).toHaveLength(1)
    await deps.outbox.fanOut([{ name: 'all', product: undefined, types: [] }], NOW, 100)
    const told = (await deps.outbox.list({ limit: 100 })).items
    const events = await Promise.all(told.map(({ event }) => deps.outbox.getEvent(event)))
    expect(events.filter(({ type }) => type === 'visitor.converted')).toMatchObject([
      { subscription: subscription.id, data: { visitor: { id: visitor } } },
    ])
  })
})

describe('seed 003, section 3: the anonymous tier', () => {
  it('is 10 calls, and then asks to register', async () => {
    const { validate } = await start()
    for (let left = 9; left >= 0; left--)
      expect(await validate(ADA)).toMatchObject({ allowed: true, remaining: left })
    const refused = await validate(ADA)
    expect(refused).toMatchObject({
      allowed: false,
      reason: 'quota_exceeded',
      remaining: 0,
      upgrade: { plan: 'registered', url: 'https://example.com/register' },
    })
    // Waiting does not help.
    expect(refused.headers['retry-after']).toBeUndefined()
  })

  it('is 15 days from the first call, whatever is left, also across a change of the salt', async () => {
    const { validate, clock } = await start()
    // Somebody else's first call made the salt.
    await validate({ ip: '192.0.2.99' })
    clock.set(NOW + 20 * DAY)
    const first = await validate(ADA)
    expect(first).toMatchObject({ allowed: true, trialEndsAt: new Date(NOW + 35 * DAY).toISOString() })
    clock.set(NOW + 35 * DAY - 1)
    expect(await validate(ADA)).toMatchObject({ allowed: true, visitor: first.visitor, remaining: 8 })
    clock.set(NOW + 35 * DAY)
    expect(await validate(ADA)).toMatchObject({
      allowed: false,
      reason: 'trial_ended',
      visitor: first.visitor,
    })
    clock.set(NOW + 60 * DAY)
    expect(await validate(ADA)).toMatchObject({ allowed: false, reason: 'trial_ended' })
  })

  it('counts what is metered for buyers, and bills nobody', async () => {
    const { validate, deps } = await start()
    const scan = () => validate(ADA, { dimension: 'scans' })
    expect(await scan()).toMatchObject({ allowed: true, limits: [{ onExceed: 'block', used: 1 }] })
    expect((await scan()).recordId).toBeUndefined()
    expect(await scan()).toMatchObject({ allowed: false, reason: 'quota_exceeded' })
    expect((await deps.usage.listBuckets({ limit: 10 })).items).toEqual([])
  })

  it('has what its plan names, and no more', async () => {
    const { validate } = await start()
    for (const more of [
      { dimension: 'reports' },
      { dimension: 'other' },
      { feature: 'export' },
      { feature: 'none' },
    ])
      expect(await validate(ADA, more)).toMatchObject({ allowed: false, reason: 'not_entitled' })
    expect(await validate(ADA, { feature: 'preview' })).toMatchObject({ allowed: true })
    const closed = await start({ products: [{ ...PRODUCT, plans: [REGISTERED] }] })
    expect(await closed.validate(ADA)).toMatchObject({
      allowed: false,
      reason: 'not_entitled',
      product: 'demo',
    })
  })

  it('is asked for by product where there are several', async () => {
    const other = aProduct({
      ...PRODUCT,
      id: 'other',
      productCode: 'other0code0of0twenty0five',
      listing: 'other',
    })
    const { validate } = await start({ products: [PRODUCT, other] })
    expect(await validate(ADA)).toMatchObject({ status: 400 })
    const one = await validate(ADA, { product: 'demo' })
    const two = await validate(ADA, { product: 'other' })
    expect(one).toMatchObject({ remaining: 9 })
    expect(two).toMatchObject({ remaining: 9 })
    // Nobody can follow a visitor from one product to another.
    expect(two.visitor).not.toBe(one.visitor)
  })

  it('may be looked at without leaving a trace', async () => {
    const { validate, database } = await start()
    const look = () => validate(ADA, { mode: 'look' })
    expect(await look()).toMatchObject({ allowed: true, remaining: 10 })
    expect((await look()).visitor).toBeUndefined()
    expect(await database.read((sql) => sql.all('SELECT id FROM visitor'))).toEqual([])
    const { visitor } = await validate(ADA)
    expect(await look()).toMatchObject({ remaining: 9, visitor })
  })

  it('holds, settles and lets go of quantities', async () => {
    const { validate, post } = await start()
    const reserve = (id: string) =>
      post('/quota/reservations', { visitor: ADA, dimension: 'calls', quantity: 4, id })
    const { reservation } = await reserve('a')
    expect(await reserve('b')).toMatchObject({ allowed: true, remaining: 2 })
    const refused = await reserve('c')
    expect(refused).toMatchObject({ allowed: false, reason: 'quota_exceeded' })
    expect(refused.reservation).toBeUndefined()
    const path = `/quota/reservations/${reservation.id}`
    expect(await post(`${path}/settle`, { quantity: 1 })).toMatchObject({ settled: true, used: 1 })
    expect(await validate(ADA, { mode: 'look' })).toMatchObject({ remaining: 5 })
    const second = await reserve('b')
    await post(`/quota/reservations/${second.reservation.id}/release`, {})
    expect(await validate(ADA, { mode: 'look' })).toMatchObject({ remaining: 9 })
  })
})

describe('many new visitors of one address', () => {
  const browser = (n: number) => ({ ...ADA, userAgent: `browser ${n}` })

  it('have to solve a challenge, which lets in once', async () => {
    const { validate } = await start({ newPerAddress: 2 })
    const first = await validate(browser(1))
    expect(await validate(browser(2))).toMatchObject({ allowed: true })
    const asked = await validate(browser(3))
    expect(asked).toMatchObject({
      allowed: false,
      reason: 'challenge_required',
      message: expect.any(String),
      challenge: { parameters: { algorithm: 'PBKDF2/SHA-256' }, signature: expect.any(String) },
    })
    expect(asked.visitor).toBeUndefined()
    expect(JSON.stringify(asked)).not.toContain(ADA.ip)
    // Who is known is not asked, and neither is another address.
    expect(await validate(browser(1))).toMatchObject({ allowed: true, visitor: first.visitor })
    expect(await validate({ ...browser(3), ip: '192.0.2.18' })).toMatchObject({ allowed: true })

    const challenge = await solve(asked.challenge)
    expect(await validate({ ...browser(3), ip: '192.0.2.19', challenge })).toMatchObject({ allowed: true })
    const solved = await validate({ ...browser(3), challenge })
    expect(solved).toMatchObject({ allowed: true, remaining: 9, visitor: expect.any(String) })
    // The answer may be lost: what is known goes on.
    expect(await validate({ ...browser(3), challenge })).toMatchObject({
      visitor: solved.visitor,
      remaining: 8,
    })
    expect(await validate(browser(3))).toMatchObject({ visitor: solved.visitor, remaining: 7 })
    expect(await validate({ ...browser(4), challenge })).toMatchObject({
      allowed: false,
      reason: 'challenge_required',
      challengeProblem: 'used',
      challenge: expect.anything(),
    })
  })

  it('are told what is wrong with a solution', async () => {
    const { validate, clock } = await start({ newPerAddress: 0 })
    const [asked, late] = [await validate(browser(1)), await validate(browser(2))]
    expect(asked).toMatchObject({ reason: 'challenge_required' })
    expect(asked.challengeProblem).toBeUndefined()
    for (const challenge of ['nonsense', Buffer.from('{}').toString('base64')])
      expect(await validate({ ...browser(1), challenge })).toMatchObject({ challengeProblem: 'wrong' })
    const challenge = await solve(asked.challenge)
    expect(await validate({ ...browser(1), ip: '192.0.2.18', challenge })).toMatchObject({
      challengeProblem: 'wrong',
    })
    expect(await validate({ ...browser(1), challenge })).toMatchObject({ allowed: true })
    const tooLate = await solve(late.challenge)
    clock.set(NOW + 600_000)
    expect(await validate({ ...browser(2), challenge: tooLate })).toMatchObject({
      challengeProblem: 'expired',
    })
  })

  it('come again in the next hour, and always where nobody minds', async () => {
    const { validate, clock } = await start({ newPerAddress: 1 })
    expect(await validate(browser(1))).toMatchObject({ allowed: true })
    expect(await validate(browser(2))).toMatchObject({ allowed: false })
    expect(await validate(browser(2), { mode: 'look' })).toMatchObject({ reason: 'challenge_required' })
    clock.set(NOW + 3_600_000)
    expect(await validate(browser(2), { mode: 'look' })).toMatchObject({ allowed: true })
    expect(await validate(browser(2))).toMatchObject({ allowed: true })
    const open = await start({ newPerAddress: 'off' })
    for (let n = 0; n < 30; n++) expect(await open.validate(browser(n))).toMatchObject({ allowed: true })
  })

  it('are one where one page asks for many things at once', async () => {
    const { validate } = await start({ newPerAddress: 1 })
    const answers = await Promise.all(Array.from({ length: 8 }, () => validate(ADA)))
    expect(new Set(answers.map(({ visitor }) => visitor)).size).toBe(1)
    expect(answers.every(({ allowed }) => allowed)).toBe(true)
  })
})
