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
   * @param mayLookUp - asked where this node has not seen the key: `false` takes it for unknown without a look at the ledger
   * @returns undefined for what is malformed, unknown or revoked: a caller is not told which
   */
  verify(secret: string, mayLookUp?: () => boolean): Promise<ServiceKey | undefined>
  /** Forgets what is cached: call it after a revocation, which then holds at once on this node. */
  invalidate(): void
}

/** Only keys that were found are cached, so a new key works at once and strangers fill nothing. */
export function createServiceKeyVerifier(deps: {
  readonly keys: Pick<ServiceKeyStore, 'findByHash'>
  readonly clock: Pick<Clock, 'now'>
}): ServiceKeyVerifier {
  const cached = new Map<string, { readonly key: ServiceKey; readonly readAt: number }>()
  let generation = 0
  return {
    async verify(secret, mayLookUp) {
      const hash = hashSecret(secret)
      const now = deps.clock.now()
      const hit = cached.get(hash)
      // A clock that went back (a rehearsal's may) must not make an entry live longer.
      if (hit !== undefined && now >= hit.readAt && now - hit.readAt < KEY_CACHE_MS) return hit.key
      if (!isWellFormedSecret(secret)) return undefined
      if (hit === undefined && mayLookUp?.() === false) return undefined
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
    },
    invalidate() {
      generation++
      cached.clear()
    },
  }
}
