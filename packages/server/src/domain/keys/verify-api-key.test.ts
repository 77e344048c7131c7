import { describe, expect, it } from 'vitest'
import { API_SECRET, type ApiKey, type KeyChange } from './api-key.ts'
import { makeApiKey, revokeApiKey, rotateApiKey } from './change-api-key.ts'
import {
  API_KEY_CACHE_MS,
  API_KEYS_CACHED_MAX,
  createApiKeyVerifier,
  UNKNOWN_KEY_CACHE_MS,
  UNKNOWN_KEYS_CACHED_MAX,
} from './verify-api-key.ts'

const NOON = Date.UTC(2026, 10, 21, 12)
const MINUTE = 60_000
const BY = { actor: 'test', now: NOON }

/** One node's verifier, and a store that others change as well. */
function aNode() {
  const clock = { time: NOON, now: () => clock.time }
  const stored = new Map<string, ApiKey>()
  const asked: string[] = []
  /** Look-ups wait for it. */
  const store = { ready: Promise.resolve() }
  const verifier = createApiKeyVerifier({
    clock,
    apiKeys: {
      async findByHash(hash) {
        asked.push(hash)
        const found = stored.get(hash)
        await store.ready
        return found
      },
    },
  })
  const put = (change: ApiKey) => void stored.set(change.hash, change)
  return {
    clock,
    store,
    verifier,
    /** How often the store was asked. */
    reads: () => asked.length,
    put,
    apply: ({ key, successor }: KeyChange) => {
      put(key)
      if (successor !== undefined) put(successor)
    },
    make(values: Partial<ApiKey> = {}) {
      const owner = { product: 'demo', buyer: 'buy_1', subscription: undefined, user: undefined }
      const made = makeApiKey(
        { ...owner, name: undefined, scopes: ['read'], expiresAt: undefined, ...values },
        clock.time,
      )
      put(made.key)
      return made
    },
    refusalOf: async (secret: string, what?: { product?: string; scope?: string }) =>
      (await verifier.verify(secret, what)).refusal,
  }
}

describe('an API key’s secret', () => {
  it('is told from a typo, a service key and anything else without a look-up', async () => {
    const { verifier, make, reads } = aNode()
    const { secret, key } = make()
    expect(secret).toMatch(/^tka_[A-Za-z0-9_-]{43}_[0-9a-f]{6}$/)
    expect(secret.slice(0, -7).endsWith(key.hint)).toBe(true)
    const typo = secret.slice(0, 10) + (secret[10] === 'a' ? 'b' : 'a') + secret.slice(11)
    for (const wrong of [typo, secret.replace('tka_', 'tk_'), `${secret} `, '', 'x'.repeat(1_000_000)])
      expect(await verifier.verify(wrong)).toEqual({ refusal: 'key_unknown', key: undefined })
    expect(reads()).toBe(0)
    expect(verifier.counts()).toMatchObject({ malformed: 5, unknown: 0 })
  })

  it('is never in what is stored', () => {
    const { secret, key } = aNode().make()
    expect(JSON.stringify(key)).not.toContain(secret)
    expect(API_SECRET.fits(secret)).toBe(true)
  })
})

describe('a check of an API key', () => {
  it('says whose it is, or why not', async () => {
    const { verifier, make, put, refusalOf, clock } = aNode()
    const { secret, key } = make({ expiresAt: NOON + MINUTE })
    expect(await verifier.verify(secret, { product: 'demo', scope: 'read' })).toEqual({
      refusal: undefined,
      key,
    })
    expect(await refusalOf(secret, { scope: 'write' })).toBe('key_scope')
    expect(await verifier.verify(secret, { product: 'other' })).toEqual({
      refusal: 'key_unknown',
      key: undefined,
    })
    clock.time = NOON + MINUTE - 1
    expect(await refusalOf(secret)).toBeUndefined()
    clock.time = NOON + MINUTE
    expect(await refusalOf(secret)).toBe('key_expired')
    const revoked = make()
    put(revokeApiKey(revoked.key, BY)!.key)
    expect(await refusalOf(revoked.secret)).toBe('key_revoked')
    expect(verifier.counts()).toEqual({
      valid: 2,
      malformed: 0,
      unknown: 1,
      revoked: 1,
      expired: 1,
      scope: 1,
    })
  })

  it('asks the store once in a cache’s life, and once for all that ask at once', async () => {
    const { verifier, make, clock, reads } = aNode()
    const { secret } = make()
    await Promise.all(Array.from({ length: 50 }, () => verifier.verify(secret)))
    clock.time += API_KEY_CACHE_MS - 1
    await verifier.verify(secret)
    expect(reads()).toBe(1)
    clock.time += 1
    await verifier.verify(secret)
    expect(reads()).toBe(2)
    clock.time -= MINUTE
    await verifier.verify(secret)
    expect(reads()).toBe(3)
  })

  it('sees what another node did within the cache’s life', async () => {
    const { make, apply, clock, refusalOf } = aNode()
    const { secret, key } = make()
    expect(await refusalOf(secret)).toBeUndefined()
    apply(revokeApiKey(key, BY)!)
    clock.time += API_KEY_CACHE_MS
    expect(await refusalOf(secret)).toBe('key_revoked')
  })

  it('sees at once what was done on this node, even if it was being read meanwhile', async () => {
    const { verifier, make, apply, store, refusalOf } = aNode()
    const { secret, key } = make()
    const { promise, resolve } = Promise.withResolvers<void>()
    store.ready = promise
    const before = refusalOf(secret)
    apply(revokeApiKey(key, BY)!)
    verifier.forget(key.hash)
    const after = refusalOf(secret)
    resolve()
    expect(await Promise.all([before, after])).toEqual([undefined, 'key_revoked'])
    expect(await refusalOf(secret)).toBe('key_revoked')
  })

  it('lets a rotated key work on until its overlap ends, to the millisecond', async () => {
    const { verifier, make, apply, clock, refusalOf } = aNode()
    const { secret, key } = make()
    const rotated = rotateApiKey(key, { overlapMs: 2_000, expiresAt: undefined }, BY)
    apply(rotated.change)
    verifier.forget(key.hash)
    expect(await refusalOf(rotated.secret)).toBeUndefined()
    clock.time += 1_999
    expect(await refusalOf(secret)).toBeUndefined()
    clock.time += 1
    expect(await refusalOf(secret)).toBe('key_expired')
    expect(await refusalOf(rotated.secret)).toBeUndefined()
  })

  it('knows a new key at once on its node, and soon on others, though it was asked for before', async () => {
    const { verifier, make, put, clock, refusalOf, reads } = aNode()
    const [here, elsewhere] = [make(), make()]
    for (const { key } of [here, elsewhere]) put({ ...key, hash: `gone ${key.id}` })
    const other = aNode()
    const { secret, key } = other.make()
    expect(await refusalOf(secret)).toBe('key_unknown')
    expect(await refusalOf(secret)).toBe('key_unknown')
    expect(reads()).toBe(1)
    put(key)
    expect(await refusalOf(secret)).toBe('key_unknown')
    clock.time += UNKNOWN_KEY_CACHE_MS
    expect(await refusalOf(secret)).toBeUndefined()
    const third = other.make()
    expect(await refusalOf(third.secret)).toBe('key_unknown')
    put(third.key)
    verifier.forget(third.key.hash)
    expect(await refusalOf(third.secret)).toBeUndefined()
  })

  it('does not take a store that fails for an unknown key', async () => {
    const { make, store, refusalOf } = aNode()
    const { secret } = make()
    store.ready = Promise.reject(new Error('not reached'))
    await expect(refusalOf(secret)).rejects.toThrow('not reached')
    store.ready = Promise.resolve()
    expect(await refusalOf(secret)).toBeUndefined()
  })
})

describe('what a verifier keeps', () => {
  it('is bounded, whatever strangers show', async () => {
    const { verifier, reads, refusalOf } = aNode()
    const strangers = Array.from({ length: UNKNOWN_KEYS_CACHED_MAX + 1 }, () => API_SECRET.make())
    for (const secret of strangers) await verifier.verify(secret)
    const asked = reads()
    await refusalOf(strangers.at(-1)!)
    expect(reads()).toBe(asked)
    await refusalOf(strangers[0]!)
    expect(reads()).toBe(asked + 1)
    expect(API_KEYS_CACHED_MAX).toBeLessThanOrEqual(100_000)
  })

  it('is the last use of each key, for somebody to write down once', async () => {
    const { verifier, make, clock, refusalOf } = aNode()
    const [one, two] = [make(), make()]
    await refusalOf(one.secret)
    await refusalOf(two.secret)
    await refusalOf(two.secret, { scope: 'write' })
    clock.time += 1_000
    await refusalOf(one.secret)
    const uses = [
      { id: one.key.id, at: NOON + 1_000 },
      { id: two.key.id, at: NOON },
    ]
    expect(verifier.takeUses()).toEqual(uses)
    expect(verifier.takeUses()).toEqual([])
    clock.time += 1_000
    await refusalOf(two.secret)
    verifier.returnUses(uses)
    expect(verifier.takeUses()).toEqual([
      { id: two.key.id, at: NOON + 2_000 },
      { id: one.key.id, at: NOON + 1_000 },
    ])
  })
})

describe('a new or rotated key', () => {
  it('has scopes of a few plain characters, and expires in the future', () => {
    const { make } = aNode()
    expect(make({ scopes: ['a', 'reports:read', 'v1.x_y-z', 'a'] }).key.scopes).toEqual([
      'a',
      'reports:read',
      'v1.x_y-z',
    ])
    const tooMany = Array.from({ length: 21 }, (_, number) => `s${number}`)
    for (const scopes of [[''], ['A'], ['a b'], ['ä'], ['a'.repeat(65)], ['a\n'], tooMany])
      expect(() => make({ scopes }), JSON.stringify(scopes)).toThrow('scopes')
    expect(() => make({ expiresAt: NOON })).toThrow('expiresAt')
  })

  it('works on beside its successor for no longer than 30 days', () => {
    const { key } = aNode().make()
    for (const overlapMs of [-1, 0.5, 30 * 86_400_000 + 1, Number.NaN])
      expect(() => rotateApiKey(key, { overlapMs, expiresAt: undefined }, BY)).toThrow('0')
    expect(rotateApiKey(key, { overlapMs: 0, expiresAt: undefined }, BY).change.key.usableUntil).toBe(NOON)
  })
})
