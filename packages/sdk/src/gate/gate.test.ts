import { describe, expect, it } from 'vitest'
import type { CallOptions } from '../client/call.ts'
import { TollkeeperError } from '../client/tollkeeper-error.ts'
import type { QuotaAnswer, ValidateQuotaBody } from '../generated/api.gen.ts'
import { anApiKey } from './api-key.fixture.ts'
import { createGate, type GateOptions, type Seen } from './gate.ts'

const ANSWER: QuotaAnswer = { allowed: true, dimension: 'calls', quantity: 1, limits: [] }

/** A gate whose questions are answered as the test says. */
function aGate(
  answer: (question: Readonly<Record<string, unknown>>) => object,
  options: Partial<GateOptions<string>> = {},
) {
  const questions: Readonly<Record<string, unknown>>[] = []
  const calls: (CallOptions | undefined)[] = []
  const gate = createGate<string>({
    dimension: 'calls',
    client: {
      async validateQuota(question: ValidateQuotaBody, call?: CallOptions) {
        questions.push({ ...question })
        calls.push(call)
        return answer({ ...question }) as QuotaAnswer
      },
    },
    ...options,
  })
  return {
    enter: (seen: Partial<Seen> = {}) => gate.enter('request', { ...SEEN, ...seen }),
    questions,
    calls,
  }
}

const SEEN: Seen = { method: 'GET', path: '/api', header: () => undefined, address: '203.0.113.9' }

function headers(values: Readonly<Record<string, string>>): Seen['header'] {
  return (name) => values[name]
}

describe('the gate, for who has no key', () => {
  it('counts by the connection’s address and the user agent, whatever else is claimed', async () => {
    const { enter, questions } = aGate(() => ANSWER)
    const header = headers({
      'user-agent': 'curl/8',
      'x-forwarded-for': '198.51.100.1',
      forwarded: 'for=198.51.100.1',
    })
    expect(await enter({ header })).toMatchObject({ pass: true })
    expect(questions).toEqual([
      {
        visitor: { ip: '203.0.113.9', userAgent: 'curl/8' },
        dimension: 'calls',
        quantity: 1,
        id: expect.stringMatching(/^[0-9a-f-]{36}$/),
      },
    ])
  })

  it('hands a challenge over, and its solution back', async () => {
    const challenge = { algorithm: 'SHA-256', salt: 'x' }
    const { enter } = aGate(({ visitor }) =>
      (visitor as { challenge?: string }).challenge === 'solved'
        ? ANSWER
        : { ...ANSWER, allowed: false, reason: 'challenge_required', challenge, challengeProblem: 'wrong' },
    )
    expect(await enter()).toMatchObject({
      status: 401,
      problem: { code: 'challenge_required', challenge, challengeProblem: 'wrong' },
    })
    expect(await enter({ header: headers({ 'tollkeeper-challenge': 'solved' }) })).toMatchObject({
      pass: true,
    })
  })

  it('asks for a key where it does not know the address, or counts nobody', async () => {
    const missing = { status: 401, problem: { code: 'key_missing' } }
    const { enter, questions } = aGate(() => ANSWER)
    expect(await enter({ address: undefined })).toMatchObject(missing)
    expect(await aGate(() => ANSWER, { anonymous: 'refuse' }).enter()).toMatchObject(missing)
    expect(questions).toEqual([])
  })

  it('does not take a bad key for none', async () => {
    const { enter, questions } = aGate(() => ANSWER)
    const typo = `${anApiKey().slice(0, -1)}x`
    for (const key of ['x'.repeat(201), 'ä', 'a b', 'tka_x', typo, anApiKey().replace('tka', 'tk')]) {
      expect(await enter({ header: headers({ 'x-api-key': key }) })).toMatchObject({
        status: 401,
        problem: { code: 'key_unknown', detail: 'This API key is not known.' },
      })
    }
    expect(questions).toEqual([])
  })

  it('is asked about with a service key of its own, where there is one', async () => {
    const visitors: unknown[] = []
    const anonymousClient = {
      validateQuota: async (question: ValidateQuotaBody) => {
        visitors.push(question)
        return ANSWER
      },
    }
    const { enter, questions } = aGate(() => ANSWER, { anonymousClient })
    await enter()
    await enter({ header: headers({ 'x-api-key': anApiKey() }) })
    expect(visitors).toMatchObject([{ visitor: { ip: '203.0.113.9' } }])
    expect(questions).toMatchObject([{ key: anApiKey() }])
  })
})

describe('the gate', () => {
  it('asks what the options say of the request', async () => {
    const { enter, questions, calls } = aGate(() => ANSWER, {
      key: (request) => anApiKey(request),
      product: 'acme',
      dimension: (request) => `${request}s`,
      quantity: () => '2.5',
      scope: () => 'write',
      feature: 'export',
      id: () => 'my-id',
      timeoutMs: 700,
    })
    await enter()
    expect(questions).toEqual([
      {
        key: anApiKey('request'),
        product: 'acme',
        dimension: 'requests',
        quantity: '2.5',
        scope: 'write',
        feature: 'export',
        id: 'my-id',
      },
    ])
    expect(calls[0]).toMatchObject({ timeoutMs: 700, signal: expect.any(AbortSignal) })
  })

  it('makes each request a use of its own, unless its idempotency key is to count', async () => {
    const header = headers({ 'idempotency-key': 'mine', 'x-api-key': anApiKey() })
    const each = aGate(() => ANSWER)
    await each.enter({ header })
    await each.enter({ header })
    expect(new Set(each.questions.map(({ id }) => id)).size).toBe(2)
    const once = aGate(() => ANSWER, { id: 'idempotency-key' })
    await once.enter({ header })
    await once.enter({ header })
    await once.enter({ header, path: '/other' })
    await once.enter({ header, method: 'POST' })
    await once.enter({ header: headers({ 'x-api-key': anApiKey() }) })
    const ids = once.questions.map(({ id }) => id)
    expect(ids[0]).toBe(ids[1])
    expect(new Set(ids).size).toBe(4)
  })

  it('answers 409 where an idempotency key was used for something else', async () => {
    const { enter } = aGate(() => {
      throw new TollkeeperError('validateQuota', { status: 409, code: 'quota.id_conflict' })
    })
    expect(await enter()).toMatchObject({ status: 409, problem: { code: 'id_conflict' } })
  })

  it('gives the plan’s features to who is let in', async () => {
    const { enter } = aGate(() => ({ ...ANSWER, features: { sso: true } }))
    const entry = await enter()
    expect(entry.pass && entry.admitted.features.has('sso')).toBe(true)
  })

  it('takes a key that is null, or empty, for none', async () => {
    for (const none of [null, '', undefined]) {
      const { enter, questions } = aGate(() => ANSWER, { key: () => none })
      await enter()
      expect(questions).toMatchObject([{ visitor: { ip: '203.0.113.9' } }])
    }
  })

  it('tells callers their own limits, not the rate of the product’s service key', async () => {
    const { enter, calls } = aGate(() => {
      calls.at(-1)?.onAnswer?.({
        status: 200,
        headers: new Headers({
          ratelimit: '"requests";r=3;t=4, "day";r=1;t=60',
          'ratelimit-policy': '"requests";q=30000;w=5, "day";q=2;w=86400, "month";q=9',
        }),
      })
      return ANSWER
    })
    expect((await enter()).headers).toEqual({
      RateLimit: '"day";r=1;t=60',
      'RateLimit-Policy': '"day";q=2;w=86400, "month";q=9',
    })
    const alone = aGate(() => {
      alone.calls.at(-1)?.onAnswer?.({ status: 200, headers: new Headers({ ratelimit: '"requests";r=3' }) })
      return ANSWER
    })
    expect((await alone.enter()).headers).toEqual({})
  })

  it('goes on, whatever its listener does', async () => {
    const { enter } = aGate(
      () => {
        throw new TollkeeperError('validateQuota', { status: 503, code: 'ledger.busy' })
      },
      {
        onError: () => {
          throw new Error('the listener is ill')
        },
      },
    )
    expect(await enter()).toMatchObject({ status: 503 })
    expect(await enter({ header: headers({ 'x-api-key': anApiKey() }) })).toMatchObject({ pass: true })
  })
})

describe('the gate, where it asks too often', () => {
  const tooMany = () => {
    throw new TollkeeperError('validateQuota', { status: 429, code: 'request.too_many' })
  }

  /** @returns asks with the key of that name */
  function aFloodedGate(answer: object) {
    let isFlooded = false
    let now = 0
    const clock = { now: () => now, sleep: async () => {} }
    const gate = aGate(() => (isFlooded ? tooMany() : answer), { clock })
    return {
      ask: async (name: string) =>
        (await gate.enter({ header: headers({ 'x-api-key': anApiKey(name) }) })).pass,
      flood: () => {
        isFlooded = true
      },
      pass: (ms: number) => {
        now += ms
      },
    }
  }

  it('lets in whom it lately saw let in, and no forged key', async () => {
    const { ask, flood, pass } = aFloodedGate(ANSWER)
    expect(await ask('mine')).toBe(true)
    flood()
    expect([await ask('mine'), await ask('forged')]).toEqual([true, false])
    pass(16 * 60_000)
    expect(await ask('mine')).toBe(false)
  })

  it('lets in nobody for a scope, feature or dimension that was not asked about', async () => {
    for (const option of ['scope', 'feature', 'dimension'] as const) {
      let isFlooded = false
      const what = headers({ 'x-api-key': anApiKey() })
      let asked = 'mine'
      const { enter } = aGate(() => (isFlooded ? tooMany() : ANSWER), { [option]: () => asked })
      expect((await enter({ header: what })).pass).toBe(true)
      isFlooded = true
      expect((await enter({ header: what })).pass).toBe(true)
      asked = 'another'
      expect((await enter({ header: what })).pass).toBe(false)
    }
  })

  it('gives nobody more than the plan had left', async () => {
    const { ask, flood } = aFloodedGate({ ...ANSWER, remaining: 2 })
    await ask('mine')
    flood()
    expect([await ask('mine'), await ask('mine'), await ask('mine')]).toEqual([true, true, false])
  })

  it('lets in nobody who was refused', async () => {
    const { ask, flood } = aFloodedGate({ ...ANSWER, allowed: false, reason: 'quota_exceeded' })
    expect(await ask('mine')).toBe(false)
    flood()
    expect(await ask('mine')).toBe(false)
  })
})
