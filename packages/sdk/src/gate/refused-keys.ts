import type { QuotaAnswer } from '../generated/api.gen.ts'
import { sha256 } from './api-key.ts'

/** Keys that Tollkeeper refused: they stay out also while it cannot be asked. Hashes only. */
export interface RefusedKeys {
  has(key: string): Promise<boolean>
  note(key: string, answer: Pick<QuotaAnswer, 'allowed' | 'reason'>): Promise<void>
}

const KEYS_MAX = 10_000
const REASONS: readonly string[] = [
  'key_unknown',
  'key_revoked',
  'key_expired',
  'pending',
  'suspended',
  'cancelling',
  'ended',
]

export function createRefusedKeys(): RefusedKeys {
  const hashes = new Set<string>()
  return {
    async has(key) {
      return hashes.size > 0 && hashes.has(await sha256(key))
    },
    async note(key, { allowed, reason }) {
      if (!allowed && reason !== undefined && REASONS.includes(reason)) {
        hashes.add(await sha256(key))
        // The oldest goes first.
        if (hashes.size > KEYS_MAX) hashes.delete(hashes.values().next().value!)
      } else if (hashes.size > 0) hashes.delete(await sha256(key))
    },
  }
}
