import type { QuotaAnswer } from '../generated/api.gen.ts'

/** What this process heard of API keys, for when Tollkeeper cannot be asked. By their fingerprints; so many at most. */
export interface KnownKeys {
  note(fingerprint: string, answer: Pick<QuotaAnswer, 'allowed' | 'reason' | 'remaining'>): void
  /** It stays out, whatever it looks like. */
  isRefused(fingerprint: string): boolean
  /**
   * Was it let in within some minutes, with so much left for it? Then this is taken of what is left: who makes us ask too
   * often gets no more of it than the plan had.
   */
  takeUnasked(fingerprint: string, quantity: number | string): boolean
}

const KEYS_MAX = 10_000
const TRUSTED_MS = 15 * 60_000
const REASONS: readonly string[] = [
  'key_unknown',
  'key_revoked',
  'key_expired',
  // Only said of a key that is nobody's.
  'rate_limited',
  'pending',
  'suspended',
  'cancelling',
  'ended',
]

/** @param now - ms */
export function createKnownKeys(now: () => number): KnownKeys {
  const refused = new Map<string, true>()
  const allowed = new Map<string, { readonly until: number; left: number }>()

  return {
    note(fingerprint, { allowed: isAllowed, reason, remaining }) {
      refused.delete(fingerprint)
      allowed.delete(fingerprint)
      if (isAllowed) {
        const left = typeof remaining === 'number' ? remaining : Number.POSITIVE_INFINITY
        keep(allowed, fingerprint, { until: now() + TRUSTED_MS, left })
      } else if (reason !== undefined && REASONS.includes(reason)) keep(refused, fingerprint, true)
    },
    isRefused: (fingerprint) => refused.has(fingerprint),
    takeUnasked(fingerprint, quantity) {
      const known = allowed.get(fingerprint)
      if (known === undefined || known.until <= now() || !(known.left >= Number(quantity))) return false
      known.left -= Number(quantity)
      return true
    },
  }
}

/** The one that was heard of longest ago goes first. */
function keep<T>(known: Map<string, T>, fingerprint: string, value: T): void {
  known.set(fingerprint, value)
  if (known.size > KEYS_MAX) known.delete(known.keys().next().value!)
}
