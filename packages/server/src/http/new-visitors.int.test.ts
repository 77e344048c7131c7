import { solveChallenge } from 'altcha-lib'
import { deriveKey } from 'altcha-lib/algorithms/pbkdf2'
import { describe, expect, it } from 'vitest'
import { PLAIN_PLAN, type Plan } from '../domain/plans/plan.ts'
import { aDimension, aProduct } from '../storage/contract/fixtures.ts'
import { anApp, NOW } from './app.fixture.ts'

const DAY = 86_400_000
const ANONYMOUS: Plan = {
  ...PLAIN_PLAN,
  id: 'anonymous',
  title: 'Anonymous',
  audience: 'anonymous',
  trial: { days: 15 },
  limits: [{ dimension: 'calls', quantity: 10, window: 'lifetime', onExceed: 'block' }],
}
const PRODUCT = aProduct({ dimensions: [aDimension({ key: 'reports' })], plans: [ANONYMOUS] })
const ADA = { ip: '192.0.2.17', userAgent: 'Mozilla/5.0 (Ada)' }

async function start(newPerAddress: number) {
  const seller = await anApp({ products: [PRODUCT], newPerAddress })
  const { app, database, aKey } = seller
  const { secret } = await aKey(['access:check'])
  const headers = { authorization: `Bearer ${secret}` }
  const post = async (url: string, payload: object) => {
    const response = await app.inject({ method: 'POST', url, payload, headers })
    return { status: response.statusCode, ...response.json() }
  }
  const validate = (visitor: object, more: object = {}) =>
    post('/quota/validate', { visitor, dimension: 'calls', ...more })
  const rows = (table: string) => database.read((sql) => sql.all(`SELECT * FROM ${table}`))
  return { ...seller, post, validate, rows }
}

// biome-ignore lint/suspicious/noExplicitAny: what came over the wire
async function solve(challenge: any): Promise<string> {
  const solution = await solveChallenge({ challenge, deriveKey })
  return Buffer.from(JSON.stringify({ challenge, solution })).toString('base64')
}

describe('a visitor’s trial', () => {
  it('does not begin with what the plan does not have, or never has room for', async () => {
    const { post, validate, rows, clock } = await start(1)
    const never = [
      [{ dimension: 'reports' }, { reason: 'not_entitled' }],
      [{ dimension: 'none' }, { reason: 'not_entitled' }],
      [{ quantity: 11 }, { reason: 'quota_exceeded', remaining: 10 }],
      [{ quantity: -1 }, { status: 400 }],
    ] as const
    for (const [more, answer] of never) {
      expect(await validate(ADA, more)).toMatchObject(answer)
      const reserved = { visitor: ADA, dimension: 'calls', id: 'r', ...more }
      expect(await post('/quota/reservations', reserved)).toMatchObject({ ...answer })
    }
    for (const table of ['visitor', 'quota_counter', 'quota_admission', 'quota_reservation'])
      expect(await rows(table)).toEqual([])
    clock.set(NOW + 20 * DAY)
    // Neither is one of the hour's new visitors used up.
    expect(await validate(ADA)).toMatchObject({
      allowed: true,
      remaining: 9,
      trialEndsAt: new Date(NOW + 35 * DAY).toISOString(),
    })
    expect(await validate(ADA, { quantity: 10 })).toMatchObject({ reason: 'quota_exceeded', remaining: 9 })
  })
})

describe('a look with a solved challenge', () => {
  it('says that one would be let in, and does not use the solution up', async () => {
    const { validate, rows } = await start(0)
    const look = (challenge?: string) => validate({ ...ADA, challenge }, { mode: 'look' })
    const asked = await look()
    expect(asked).toMatchObject({ reason: 'challenge_required', challenge: expect.anything() })
    expect(await look('nonsense')).toMatchObject({ reason: 'challenge_required', challengeProblem: 'wrong' })
    const challenge = await solve(asked.challenge)
    for (let n = 0; n < 2; n++) expect(await look(challenge)).toMatchObject({ allowed: true, remaining: 10 })
    expect(await rows('visitor')).toEqual([])
    expect(await validate({ ...ADA, challenge })).toMatchObject({ allowed: true, remaining: 9 })
  })
})

describe('many addresses of one network', () => {
  it.each([
    ['a /48 of IPv6', (n: number) => `2001:db8:7:${n.toString(16)}::1`, '2001:db8:8::1'],
    ['a /24 of IPv4', (n: number) => `198.51.100.${n}`, '198.51.101.1'],
  ])('are asked for a challenge together: %s', async (_network, address, elsewhere) => {
    const { validate, rows, clock } = await start(2)
    for (let n = 0; n < 20; n++) expect(await validate({ ip: address(n) })).toMatchObject({ allowed: true })
    const asked = await validate({ ip: address(20) })
    expect(asked).toMatchObject({ reason: 'challenge_required' })
    const kept = (await rows('quota_counter')).length
    for (let n = 21; n < 200; n++)
      expect(await validate({ ip: address(n) })).toMatchObject({ reason: 'challenge_required' })
    // However many they are, they leave nothing.
    expect(await rows('quota_counter')).toHaveLength(kept)
    expect(await validate({ ip: address(20) }, { mode: 'look' })).toMatchObject({ allowed: false })
    // Who is known goes on, as do another network, and who solves it.
    expect(await validate({ ip: address(3) })).toMatchObject({ allowed: true, remaining: 8 })
    expect(await validate({ ip: elsewhere })).toMatchObject({ allowed: true })
    const challenge = await solve(asked.challenge)
    expect(await validate({ ip: address(20), challenge })).toMatchObject({ allowed: true })
    clock.set(NOW + 3_600_000)
    expect(await validate({ ip: address(99) })).toMatchObject({ allowed: true })
  })
})
