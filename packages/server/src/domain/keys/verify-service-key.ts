import type { Clock } from '../clock.ts'
import { hashSecret } from './key-secret.ts'
import { isWellFormedSecret, type ServiceKey, type ServiceKeyStore } from './service-key.ts'

/** How long a key that was revoked on another node may still work here, ms. */
export const KEY_CACHE_MS = 5_000
/** Keys kept at hand. A seller has a handful; the bound is against a mistake. */
export const KEYS_CACHED_MAX = 1_000

/** Tells whose a secret is. */
export interface ServiceKeyVerifier {
  /**
   * @param beforeLookUp - called with the secret's hash where this node has not seen the key; what it throws keeps the ledger
   *   from being asked
   * @returns undefined for what is malformed, unknown or revoked: a caller is not told which
   */
  verify(secret: string, beforeLookUp?: (hash: string) => void): Promise<ServiceKey | undefined>
  /** Forgets what is cached: call it after a revocation, which then holds at once on this node. */
  invalidate(): void
}

/** Only keys that were found are cached, so a new key works at once and strangers fill nothing. */
export function createServiceKeyVerifier(deps: {
  readonly keys: Pick<ServiceKeyStore, 'findByHash'>
  readonly clock: Pick<Clock, 'now'>
}): ServiceKeyVerifier {
  const cached = new Map<string, { readonly key: ServiceKey; readonly readAt: number }>()
  /** Of one key that is new here one look-up is under way at a time, however many requests wait for it. */
  const coming = new Map<string, Promise<ServiceKey | undefined>>()
  let generation = 0

  async function lookUp(hash: string, now: number): Promise<ServiceKey | undefined> {
    const before = generation
    const key = await deps.keys.findByHash(hash)
    cached.delete(hash)
    if (key === undefined || key.revokedAt !== undefined) return undefined
    // What was read before a revocation must not be cached after it.
    if (before === generation) {
      if (cached.size >= KEYS_CACHED_MAX) cached.delete(cached.keys().next().value!)
      cached.set(hash, { key, readAt: now })
    }
    return key
  }

  return {
    async verify(secret, beforeLookUp) {
      const hash = hashSecret(secret)
      const now = deps.clock.now()
      const hit = cached.get(hash)
      // A clock that went back (a rehearsal's may) must not make an entry live longer.
      if (hit !== undefined && now >= hit.readAt && now - hit.readAt < KEY_CACHE_MS) return hit.key
      if (!isWellFormedSecret(secret)) return undefined
      if (hit !== undefined) return lookUp(hash, now)
      let found = coming.get(hash)
      if (found === undefined) {
        beforeLookUp?.(hash)
        const own = lookUp(hash, now).finally(() => {
          if (coming.get(hash) === own) coming.delete(hash)
        })
        coming.set(hash, own)
        found = own
      }
      return found
    },
    invalidate() {
      generation++
      cached.clear()
      coming.clear()
    },
  }
}
