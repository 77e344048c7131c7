import { describe, expect, it } from 'vitest'
import { issueServiceKey } from './issue-service-key.ts'
import { hashSecret } from './key-secret.ts'
import { generateSecret, isWellFormedSecret, type ServiceKey } from './service-key.ts'
import { createServiceKeyVerifier, KEY_CACHE_MS } from './verify-service-key.ts'

describe('a service key', () => {
  it('is known by its shape and checksum, so that a typo needs no look-up', () => {
    const secret = generateSecret()
    expect(isWellFormedSecret(secret)).toBe(true)
    const typo = secret.slice(0, 10) + (secret[10] === 'a' ? 'b' : 'a') + secret.slice(11)
    for (const wrong of ['', 'tk_', typo, `${secret} `, secret.toUpperCase(), secret.slice(0, -1)]) {
      expect(isWellFormedSecret(wrong)).toBe(false)
    }
  })

  it('is stored without its secret', async () => {
    const stored: ServiceKey[] = []
    const { key, secret } = await issueServiceKey(
      { keys: { ...unused, create: async (added) => void stored.push(added) }, clock: aClock() },
      { name: 'ci', scopes: ['usage:write'], product: undefined },
      'cli:someone',
    )
    expect(stored).toEqual([key])
    expect(JSON.stringify(stored)).not.toContain(secret)
    expect(key.hash).toBe(hashSecret(secret))
  })
})

describe('verification', () => {
  it('reads a key once within the cache life, and anew after it', async () => {
    const { store, clock, secret, reads } = await aKeyInUse()
    const verifier = createServiceKeyVerifier({ keys: store, clock })
    await verifier.verify(secret)
    await verifier.verify(secret)
    expect(reads()).toBe(1)
    clock.time += KEY_CACHE_MS
    await verifier.verify(secret)
    expect(reads()).toBe(2)
  })

  it('does not keep an entry longer when the clock goes back', async () => {
    const { store, clock, secret, reads } = await aKeyInUse()
    const verifier = createServiceKeyVerifier({ keys: store, clock })
    await verifier.verify(secret)
    clock.time -= 60_000
    await verifier.verify(secret)
    expect(reads()).toBe(2)
  })

  it('asks the store for nothing malformed, and caches nothing unknown', async () => {
    const { store, clock, reads } = await aKeyInUse()
    const verifier = createServiceKeyVerifier({ keys: store, clock })
    expect(await verifier.verify('tk_nonsense')).toBeUndefined()
    expect(reads()).toBe(0)
    const unknown = generateSecret()
    await verifier.verify(unknown)
    await verifier.verify(unknown)
    expect(reads()).toBe(2)
  })

  it('asks once for a key that many show at the same time, and lets the caller refuse it', async () => {
    const { store, clock, secret, reads } = await aKeyInUse()
    const verifier = createServiceKeyVerifier({ keys: store, clock })
    const asked: string[] = []
    const show = () => verifier.verify(secret, (hash) => void asked.push(hash))
    const found = await Promise.all(Array.from({ length: 50 }, show))
    expect(found.every((key) => key !== undefined)).toBe(true)
    expect([reads(), asked.length]).toEqual([1, 1])
    const refuse = () => {
      throw new Error('too many')
    }
    await expect(verifier.verify(generateSecret(), refuse)).rejects.toThrow('too many')
    // What is known, or malformed, is not asked about.
    clock.time += KEY_CACHE_MS
    expect(await verifier.verify(secret, refuse)).toBeDefined()
    expect(await verifier.verify('tk_nonsense', refuse)).toBeUndefined()
    expect(reads()).toBe(2)
  })

  it('ends a revoked key at once when told, even if it was being read meanwhile', async () => {
    const { store, clock, secret, revoke } = await aKeyInUse()
    const verifier = createServiceKeyVerifier({ keys: store, clock })
    const reading = verifier.verify(secret)
    revoke()
    verifier.invalidate()
    await reading
    expect(await verifier.verify(secret)).toBeUndefined()
  })

  it('ends a key revoked elsewhere within the cache life', async () => {
    const { store, clock, secret, revoke } = await aKeyInUse()
    const verifier = createServiceKeyVerifier({ keys: store, clock })
    expect(await verifier.verify(secret)).toBeDefined()
    revoke()
    clock.time += KEY_CACHE_MS
    expect(await verifier.verify(secret)).toBeUndefined()
  })
})

const unused = {
  create: async () => {},
  findByHash: async () => undefined,
  list: async () => [],
  revoke: async () => {},
}

function aClock() {
  const clock = { time: Date.UTC(2026, 10, 21, 7), now: () => clock.time, sleep: async () => {} }
  return clock
}

async function aKeyInUse() {
  const clock = aClock()
  let reads = 0
  const { key, secret } = await issueServiceKey(
    { keys: unused, clock },
    { name: 'app', scopes: ['usage:write'], product: undefined },
    'cli:someone',
  )
  let stored = key
  return {
    clock,
    secret,
    reads: () => reads,
    revoke: () => {
      stored = { ...stored, revokedAt: clock.time }
    },
    store: {
      findByHash: async (hash: string) => {
        reads++
        const found = stored
        await Promise.resolve()
        return found.hash === hash ? found : undefined
      },
    },
  }
}
