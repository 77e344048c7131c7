import type { AuditEntry } from '../audit/audit-trail.ts'
import type { DomainEvent } from '../telling/domain-event.ts'
import { secretFormat } from './key-secret.ts'

/** `tka_…`: what an end user of a product shows to it. The product's backend asks us whose it is. */
export const API_SECRET = secretFormat('tka')

/** A secret of one end user, of which only the hash is stored. Bound to a product and one of its buyers for good. */
export interface ApiKey {
  /** `apk_` and a UUID. */
  readonly id: string
  readonly product: string
  readonly buyer: string
  /** Bound to one subscription of the buyer; undefined: whichever lives. */
  readonly subscription: string | undefined
  /** The seller's own id of the user. */
  readonly user: string | undefined
  readonly name: string | undefined
  /** What it may do, in the seller's own words; none: nothing that a scope is asked for. */
  readonly scopes: readonly string[]
  /** SHA-256 of the secret, hex. */
  readonly hash: string
  /** The last characters of the secret's random part: to tell it from others. */
  readonly hint: string
  readonly createdAt: number
  /** From then on it is refused, ms. */
  readonly expiresAt: number | undefined
  readonly revokedAt: number | undefined
  /** The id of the key that was made in its place. */
  readonly replacedBy: string | undefined
  /** Set with `replacedBy`: from then on it is refused, ms. */
  readonly usableUntil: number | undefined
  /** To the minute or so, and later than it happened: it is written down now and then. */
  readonly lastUsedAt: number | undefined
}

/** `replaced`: it was rotated; it works until `usableUntil`, and is `expired` then. */
export type ApiKeyState = 'active' | 'replaced' | 'expired' | 'revoked'

/** A backend that makes keys without end is mistaken, or misused. */
export const LIVE_KEYS_MAX = 1_000

export function stateOf(key: ApiKey, now: number): ApiKeyState {
  if (key.revokedAt !== undefined) return 'revoked'
  if (key.expiresAt !== undefined && key.expiresAt <= now) return 'expired'
  if (key.usableUntil === undefined) return 'active'
  return key.usableUntil <= now ? 'expired' : 'replaced'
}

/** How a change is written down, and told. */
export interface KeyTrace {
  readonly audits: readonly Omit<AuditEntry, 'id'>[]
  readonly event: DomainEvent
}

export interface KeyChange {
  /** As it is afterwards: only `revokedAt`, `replacedBy` and `usableUntil` ever change. */
  readonly key: ApiKey
  /** A key that is made in the same step. */
  readonly successor?: ApiKey | undefined
  readonly trace: KeyTrace
}

/** All that are given must fit. */
export interface ApiKeyFilter {
  readonly product?: string | undefined
  readonly buyer?: string | undefined
  readonly subscription?: string | undefined
  readonly user?: string | undefined
}

/** What the domain asks of storage about API keys. Every store passes `apiKeysContract`. */
export interface ApiKeyStore {
  /**
   * Nothing is written where there is a key of this id, however many make it at once.
   *
   * @returns the key that was there already
   */
  create(key: ApiKey, trace: KeyTrace): Promise<ApiKey | undefined>
  /**
   * Decides on what the key is now and applies the change, all in one step. `undefined` changes nothing.
   *
   * @param decide - pure
   * @returns the key as it is afterwards
   * @throws {DomainError} `key.not_found`
   */
  change(id: string, decide: (before: ApiKey) => KeyChange | undefined): Promise<ApiKey>
  /** @throws {DomainError} `key.not_found` */
  get(id: string): Promise<ApiKey>
  /** For each check of a key that is not in memory: one look-up. */
  findByHash(hash: string): Promise<ApiKey | undefined>
  /**
   * Newest first.
   *
   * @param filter - at least one of its fields is given
   * @param page.before - an id: from the one that is listed after it
   */
  list(
    filter: ApiKeyFilter,
    page: { readonly limit: number; readonly before?: string | undefined },
  ): Promise<readonly ApiKey[]>
  /** Writes down when keys were used last, unless a later use is known. What it does not know it leaves out. */
  noteUses(uses: readonly KeyUse[]): Promise<void>
}

export interface KeyUse {
  /** The key's id. */
  readonly id: string
  /** ms. */
  readonly at: number
}
