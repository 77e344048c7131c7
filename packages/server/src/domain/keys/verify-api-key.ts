import type { Clock } from '../clock.ts'
import { type Prompt, whenKnown } from '../prompt.ts'
import { API_SECRET, type ApiKey, type ApiKeyStore, type KeyUse, stateOf } from './api-key.ts'
import { hashSecret } from './key-secret.ts'

/** How long a key that was revoked, or rotated without an overlap, on another node may still work here, ms. */
export const API_KEY_CACHE_MS = 5_000
/** How long a key that was made on another node may still be unknown here, ms. */
export const UNKNOWN_KEY_CACHE_MS = 1_000
/** Half a kilobyte each. */
export const API_KEYS_CACHED_MAX = 100_000
export const UNKNOWN_KEYS_CACHED_MAX = 10_000
/** Keys whose last use waits to be written down; of more than these it is left out. */
export const KEY_USES_MAX = 100_000

export type ApiKeyRefusal = 'key_unknown' | 'key_revoked' | 'key_expired' | 'key_scope'

/** Those who ask are the seller's backends: they may know of a key that it was revoked. */
export type ApiKeyVerdict =
  | { readonly refusal: undefined; readonly key: ApiKey }
  /** `key` is that of a known one. */
  | { readonly refusal: ApiKeyRefusal; readonly key: ApiKey | undefined }

export const KEY_CHECK_RESULTS = ['valid', 'malformed', 'unknown', 'revoked', 'expired', 'scope'] as const
export type KeyCheckResult = (typeof KEY_CHECK_RESULTS)[number]

interface Asked {
  readonly product?: string | undefined
  readonly scope?: string | undefined
}

/** Tells whose an API key is: what stands before every request of a product. */
export interface ApiKeyVerifier {
  /**
   * @param asked.product - another product's key is unknown
   * @param asked.scope - the key must have it
   */
  verify(secret: string, asked?: Asked): Prompt<ApiKeyVerdict>
  /** A key was made or changed on this node: from here on that holds here. */
  forget(hash: string): void
  /** Checks since the start. */
  counts(): Readonly<Record<KeyCheckResult, number>>
  /** Last uses that nobody has taken yet. */
  takeUses(): readonly KeyUse[]
  /** Gives back what could not be written down. */
  returnUses(uses: readonly KeyUse[]): void
}

/** Found keys are kept whatever their state: what is revoked stays so, and expiry is told by the clock at each check. */
export function createApiKeyVerifier(deps: {
  readonly apiKeys: Pick<ApiKeyStore, 'findByHash'>
  readonly clock: Pick<Clock, 'now'>
}): ApiKeyVerifier {
  const { clock } = deps
  const known = createCache<ApiKey>(API_KEYS_CACHED_MAX, API_KEY_CACHE_MS)
  const unknown = createCache<true>(UNKNOWN_KEYS_CACHED_MAX, UNKNOWN_KEY_CACHE_MS)
  /** Of one key one look-up is under way at a time, however many wait for it. */
  const reading = new Map<string, { found: Promise<ApiKey | undefined> }>()
  const uses = new Map<string, number>()
  const counts: Record<KeyCheckResult, number> = {
    valid: 0,
    malformed: 0,
    unknown: 0,
    revoked: 0,
    expired: 0,
    scope: 0,
  }

  async function read(hash: string, own: object): Promise<ApiKey | undefined> {
    const readAt = clock.now()
    try {
      const key = await deps.apiKeys.findByHash(hash)
      // What was read before a change must not be kept after it: then this look-up has been forgotten.
      if (reading.get(hash) === own) {
        if (key === undefined) unknown.set(hash, true, readAt)
        else known.set(hash, key, readAt)
      }
      return key
    } finally {
      if (reading.get(hash) === own) reading.delete(hash)
    }
  }

  function lookUp(hash: string): Promise<ApiKey | undefined> {
    let look = reading.get(hash)
    if (look === undefined) {
      look = { found: NOTHING }
      reading.set(hash, look)
      look.found = read(hash, look)
    }
    return look.found
  }

  function refuse(refusal: ApiKeyRefusal, key?: ApiKey): ApiKeyVerdict {
    counts[RESULTS[refusal]]++
    return { refusal, key }
  }

  function noteUse(id: string, at: number): void {
    if (uses.size < KEY_USES_MAX || uses.has(id)) uses.set(id, at)
  }

  function judge(key: ApiKey | undefined, asked: Asked, askedAt: number): ApiKeyVerdict {
    if (key === undefined || (asked.product !== undefined && key.product !== asked.product))
      return refuse('key_unknown')
    const state = stateOf(key, clock.now())
    if (state === 'revoked') return refuse('key_revoked', key)
    if (state === 'expired') return refuse('key_expired', key)
    if (asked.scope !== undefined && !key.scopes.includes(asked.scope)) return refuse('key_scope', key)
    counts.valid++
    noteUse(key.id, askedAt)
    return { refusal: undefined, key }
  }

  return {
    verify(secret, asked = {}) {
      const now = clock.now()
      const hash = secret.length > SECRET_LENGTH_MAX ? '' : hashSecret(secret)
      const key = known.get(hash, now)
      if (key !== undefined) return judge(key, asked, now)
      if (!API_SECRET.fits(secret)) {
        counts.malformed++
        return { refusal: 'key_unknown', key: undefined }
      }
      const found = unknown.get(hash, now) ? undefined : lookUp(hash)
      return whenKnown(found, (key) => judge(key, asked, now))
    },
    forget(hash) {
      known.delete(hash)
      unknown.delete(hash)
      reading.delete(hash)
    },
    counts: () => counts,
    takeUses() {
      const taken = [...uses].map(([id, at]) => ({ id, at }))
      uses.clear()
      return taken
    },
    returnUses(returned) {
      for (const { id, at } of returned) noteUse(id, Math.max(at, uses.get(id) ?? 0))
    },
  }
}

const NOTHING = Promise.resolve(undefined)
/** Longer is none of ours, and not worth hashing. */
const SECRET_LENGTH_MAX = 100

const RESULTS = {
  key_unknown: 'unknown',
  key_revoked: 'revoked',
  key_expired: 'expired',
  key_scope: 'scope',
} as const satisfies Record<ApiKeyRefusal, KeyCheckResult>

/** Keeps what was read for a time, and of too many the latest. */
function createCache<T>(entriesMax: number, lifeMs: number) {
  const entries = new Map<string, { readonly value: T; readonly readAt: number }>()
  return {
    get(name: string, now: number): T | undefined {
      const entry = entries.get(name)
      // A clock that went back (a rehearsal's may) must not make an entry live longer.
      return entry !== undefined && now >= entry.readAt && now - entry.readAt < lifeMs
        ? entry.value
        : undefined
    },
    set(name: string, value: T, readAt: number): void {
      entries.delete(name)
      if (entries.size >= entriesMax) entries.delete(entries.keys().next().value!)
      entries.set(name, { value, readAt })
    },
    delete: (name: string) => void entries.delete(name),
  }
}
