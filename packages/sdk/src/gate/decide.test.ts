import { describe, expect, it } from 'vitest'
import { TollkeeperError } from '../client/tollkeeper-error.ts'
import { decide } from './decide.ts'
import { decideUnasked, type FailOpen } from './unasked.ts'

const refused = (reason: string, more: object = {}) =>
  decide({ allowed: false, reason, dimension: 'calls', quantity: 1, limits: [], ...more })

describe('decide', () => {
  it('lets in with the headers', () => {
    const headers = { RateLimit: '"day";r=2;t=60' }
    expect(decide({ allowed: true }, headers)).toEqual({ pass: true, headers })
  })

  it.each([
    ['key_unknown', {}, 401],
    ['key_revoked', {}, 401],
    ['key_expired', {}, 401],
    ['challenge_required', {}, 401],
    ['key_scope', {}, 403],
    ['pending', {}, 403],
    ['suspended', {}, 403],
    ['cancelling', {}, 403],
    ['ended', {}, 403],
    ['not_entitled', {}, 403],
    ['a_reason_of_a_later_version', {}, 403],
    ['trial_ended', {}, 402],
    ['quota_exceeded', { retryAfterSeconds: 60 }, 429],
    ['quota_exceeded', { retryAfterSeconds: 86_400 }, 429],
    ['quota_exceeded', { retryAfterSeconds: 86_401 }, 402],
    ['quota_exceeded', {}, 402],
    ['rate_limited', {}, 429],
  ])('answers %s %j with %i', (reason, more, status) => {
    const decision = refused(reason, more)
    expect(decision).toMatchObject({
      pass: false,
      status,
      problem: { status, code: reason, type: 'about:blank' },
    })
    const headers = decision.pass ? {} : decision.headers
    expect(headers['www-authenticate']).toBe(status === 401 ? 'Bearer' : undefined)
    expect(headers['content-type']).toContain('application/problem+json')
  })

  it('says what to do, and when', () => {
    const upgrade = { plan: 'pro', url: 'https://example.com/pricing', message: 'Get more with Pro.' }
    const decision = refused('quota_exceeded', {
      message: 'The plan’s limit is used up.',
      plan: 'registered',
      retryAfterSeconds: 60,
      remaining: 0,
      upgrade,
    })
    expect(decision).toMatchObject({
      headers: { 'retry-after': '60', 'cache-control': 'no-store' },
      problem: {
        title: 'Too Many Requests',
        detail: 'The plan’s limit is used up.',
        plan: 'registered',
        remaining: 0,
        upgrade,
      },
    })
    expect(refused('challenge_required', { challenge: { salt: 'x' } })).toMatchObject({
      problem: { challenge: { salt: 'x' } },
    })
  })

  it('says `Retry-After` once, as Tollkeeper did', () => {
    const decision = decide(
      { allowed: false, reason: 'quota_exceeded', retryAfterSeconds: 60 },
      { 'Retry-After': '61' },
    )
    expect(decision.headers).toMatchObject({ 'Retry-After': '61' })
    expect(decision.headers).not.toHaveProperty('retry-after')
  })
})

describe('when Tollkeeper cannot be asked', () => {
  const error = (status: number, code = 'x', retryAfterMs?: number) =>
    new TollkeeperError('validateQuota', { status, code }, { retryAfterMs })
  const trust = (isLikely: boolean, isKnown = false) => ({ isLikely, takeKnown: () => isKnown })
  const statusOf = (cause: unknown, failOpen: FailOpen, isTrusted: boolean) =>
    decideUnasked(cause, failOpen, trust(isTrusted))?.problem.code ?? 'passes'

  it.each([0, 500, 503, 401, 403])('lets in whom it should (%i)', (status) => {
    const cause = error(status)
    expect(statusOf(cause, 'paid', true)).toBe('passes')
    expect(statusOf(cause, 'paid', false)).toBe('gate_unavailable')
    expect(statusOf(cause, 'none', true)).toBe('gate_unavailable')
    expect(statusOf(cause, 'all', false)).toBe('passes')
  })

  it('lets nobody in by asking badly, or too often', () => {
    for (const failOpen of ['paid', 'all', 'none'] as const) {
      expect(statusOf(error(400, 'request.invalid'), failOpen, true)).toBe('gate_misconfigured')
      expect(statusOf(new TypeError('a bug'), failOpen, true)).toBe('gate_misconfigured')
      expect(statusOf(error(409, 'quota.id_conflict'), failOpen, true)).toBe('id_conflict')
    }
    expect(statusOf(error(429), 'paid', true)).toBe('gate_unavailable')
    expect(decideUnasked(error(429), 'paid', trust(true, true))).toBeUndefined()
    expect(decideUnasked(error(429), 'none', trust(true, true))).toMatchObject({ status: 503 })
    expect(decideUnasked(error(429, 'x', 7_200), 'paid', trust(true))).toMatchObject({
      status: 503,
      headers: { 'retry-after': '8' },
    })
  })
})
