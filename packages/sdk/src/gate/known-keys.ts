import type { QuotaAnswer } from '../generated/api.gen.ts'
import { quantityText } from '../settlements/quantity.ts'

type Quantity = number | string

/** What a key is asked about. Whoever has it for one of them may lack the scope or the feature of another. */
export interface KeyUse {
  /** Of the key. */
  readonly fingerprint: string
  readonly dimension: string
  readonly scope?: string | undefined
  readonly feature?: string | undefined
}

/** What this process heard of API keys, for when Tollkeeper cannot be asked. By their fingerprints; so many at most. */
export interface KnownKeys {
  note(use: KeyUse, answer: Pick<QuotaAnswer, 'allowed' | 'reason' | 'remaining'>): void
  /** It stays out, whatever it looks like and whatever it is for. */
  isRefused(fingerprint: string): boolean
  /**
   * Was it let in for the same within some minutes, with so much left for it? Then this is taken of what is left: who makes us
   * ask too often gets no more of it than the plan had, also where the answers in between do not know what was taken.
   */
  takeUnasked(use: KeyUse, quantity: Quantity): boolean
}

/** Of one key in one dimension. */
interface Balance {
  /** As Tollkeeper said last, which counted nothing of `taken`. */
  remaining: number
  readonly taken: { readonly from: number; until: number; quantity: number }[]
}

interface Known {
  /** Until when it is believed that it may, ms: by what it is asked about. */
  readonly uses: Map<string, number>
  readonly balances: Map<string, Balance>
}

const KEYS_MAX = 10_000
const USES_MAX = 100
const TRUSTED_MS = 15 * 60_000
/** What is taken within so long is remembered, and forgotten, together. */
const TOGETHER_MS = 60_000
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
  const known = new Map<string, Known>()

  function noteAllowed(use: KeyUse, remaining: QuotaAnswer['remaining']): void {
    const { fingerprint, dimension } = use
    const { uses, balances } = known.get(fingerprint) ?? { uses: new Map(), balances: new Map() }
    keep(known, fingerprint, { uses, balances }, KEYS_MAX)
    keep(uses, nameOf(use), now() + TRUSTED_MS, USES_MAX)
    const left = typeof remaining === 'number' ? remaining : Number.POSITIVE_INFINITY
    keep(balances, dimension, { taken: balances.get(dimension)?.taken ?? [], remaining: left }, USES_MAX)
  }

  function noteRefused(use: KeyUse, remaining: QuotaAnswer['remaining']): void {
    const { uses, balances } = known.get(use.fingerprint) ?? {}
    uses?.delete(nameOf(use))
    const balance = balances?.get(use.dimension)
    if (balance !== undefined && typeof remaining === 'number') balance.remaining = remaining
  }

  return {
    note(use, { allowed, reason, remaining }) {
      const { fingerprint } = use
      refused.delete(fingerprint)
      if (allowed) return noteAllowed(use, remaining)
      if (reason === undefined || !REASONS.includes(reason)) return noteRefused(use, remaining)
      known.delete(fingerprint)
      keep(refused, fingerprint, true, KEYS_MAX)
    },
    isRefused: (fingerprint) => refused.has(fingerprint),
    takeUnasked(use, quantity) {
      const { uses, balances } = known.get(use.fingerprint) ?? {}
      const balance = balances?.get(use.dimension)
      if (balance === undefined || !((uses?.get(nameOf(use)) ?? 0) > now()) || !isQuantity(quantity))
        return false
      return take(balance, Number(quantity), now())
    },
  }
}

function take({ remaining, taken }: Balance, quantity: number, now: number): boolean {
  while (taken.length > 0 && taken[0]!.until <= now) taken.shift()
  const sum = taken.reduce((sum, each) => sum + each.quantity, 0)
  if (!(remaining - sum >= quantity)) return false
  const last = taken.at(-1)
  const until = now + TRUSTED_MS
  if (last === undefined || now - last.from >= TOGETHER_MS) taken.push({ from: now, until, quantity })
  else {
    last.until = until
    last.quantity += quantity
  }
  return true
}

/** One below 0 would give back what others took. */
function isQuantity(quantity: Quantity): boolean {
  try {
    quantityText(quantity)
    return true
  } catch {
    return false
  }
}

function nameOf({ dimension, scope, feature }: KeyUse): string {
  return JSON.stringify([dimension, scope, feature])
}

/** The one that was heard of longest ago goes first. */
function keep<T>(map: Map<string, T>, name: string, value: T, max: number): void {
  map.delete(name)
  map.set(name, value)
  if (map.size > max) map.delete(map.keys().next().value!)
}
