import { hash, randomUUID } from 'node:crypto'
import { DomainError } from '../error.ts'
import { hashUuid } from '../hash-uuid.ts'
import type { DomainEvent, DomainEventType } from '../telling/domain-event.ts'
import { API_SECRET, type ApiKey, type KeyChange, type KeyTrace, stateOf } from './api-key.ts'
import { hashSecret } from './key-secret.ts'

/** How long a rotated key works on, ms, where nobody says otherwise. */
export const OVERLAP_MS = 86_400_000
export const OVERLAP_MS_MAX = 30 * 86_400_000
export const KEY_SCOPES_MAX = 20
/** A scope in the seller's own words: as one in OAuth, without what would need quoting. */
export const KEY_SCOPE_PATTERN = '^[a-z0-9:._-]{1,64}$'

const KEY_SCOPE = new RegExp(KEY_SCOPE_PATTERN)

/** What a key is made from. */
export type ApiKeyDraft = Pick<
  ApiKey,
  'product' | 'buyer' | 'subscription' | 'user' | 'name' | 'scopes' | 'expiresAt'
>

/** Who does it, and when, ms. */
export interface By {
  readonly actor: string
  readonly now: number
}

export interface MadeKey {
  readonly key: ApiKey
  /** Shown once: it cannot be read again. */
  readonly secret: string
}

/**
 * The id of the key that is made for a request: the same on every retry, so that no store takes it twice. Whose it is is a part of
 * it: who says one `requestId` of two users is never shown the one's key for the other's.
 *
 * @param requestId - the caller's own
 */
export function apiKeyIdFor(
  { product, buyer, subscription, user }: Pick<ApiKeyDraft, 'product' | 'buyer' | 'subscription' | 'user'>,
  requestId: string,
): string {
  const of = JSON.stringify([product, buyer, subscription, user, requestId])
  return `apk_${hashUuid(hash('sha256', of, 'buffer').subarray(0, 16))}`
}

/**
 * @param id - of one that is made for a request
 * @throws {DomainError} `request.invalid`
 */
export function makeApiKey(draft: ApiKeyDraft, now: number, id = `apk_${randomUUID()}`): MadeKey {
  checkScopes(draft.scopes)
  checkExpiry(draft.expiresAt, now)
  const secret = API_SECRET.make()
  const { product, buyer, subscription, user, name, scopes, expiresAt } = draft
  const key: ApiKey = {
    id,
    product,
    buyer,
    subscription,
    user,
    name,
    scopes: [...new Set(scopes)],
    hash: hashSecret(secret),
    hint: API_SECRET.hintOf(secret),
    createdAt: now,
    expiresAt,
    revokedAt: undefined,
    replacedBy: undefined,
    usableUntil: undefined,
    lastUsedAt: undefined,
  }
  return { key, secret }
}

export function traceOfMaking(key: ApiKey, actor: string): KeyTrace {
  const by = { actor, now: key.createdAt }
  return { audits: [audit('api_key.create', key, undefined, by)], event: event('key.created', key, by) }
}

/**
 * A new secret in the place of an old one, for the same user, with the same rights. The old one works on for a while.
 *
 * @param options.overlapMs - 0: the old one is refused at once
 * @param options.expiresAt - of the new one; undefined: it lives as long as the old one was made for
 * @throws {DomainError} `key.not_active`, `request.invalid`
 */
export function rotateApiKey(
  before: ApiKey,
  options: { readonly overlapMs: number; readonly expiresAt: number | undefined },
  by: By,
): MadeKey & { readonly change: KeyChange } {
  const { now } = by
  checkActive(before, now)
  const { overlapMs } = options
  if (!Number.isSafeInteger(overlapMs) || overlapMs < 0 || overlapMs > OVERLAP_MS_MAX)
    throw new DomainError(
      'request.invalid',
      `the old key may work on for up to ${OVERLAP_MS_MAX / 1000} seconds, and for no less than 0`,
    )
  const expiresAt = options.expiresAt ?? (before.expiresAt && now + (before.expiresAt - before.createdAt))
  const { key, secret } = makeApiKey({ ...before, expiresAt }, now)
  const old: ApiKey = { ...before, replacedBy: key.id, usableUntil: now + overlapMs }
  const audits = [audit('api_key.rotate', old, before, by), audit('api_key.create', key, undefined, by)]
  const told = event('key.rotated', old, by, { replacement: viewOf(key) })
  return { key, secret, change: { key: old, successor: key, trace: { audits, event: told } } }
}

/** `undefined` where it is revoked already. */
export function revokeApiKey(before: ApiKey, by: By): KeyChange | undefined {
  if (before.revokedAt !== undefined) return undefined
  const key: ApiKey = { ...before, revokedAt: by.now }
  const audits = [audit('api_key.revoke', key, before, by)]
  return { key, trace: { audits, event: event('key.revoked', key, by) } }
}

function checkActive(key: ApiKey, now: number): void {
  const state = stateOf(key, now)
  if (state === 'active') return
  const why =
    key.replacedBy === undefined || state === 'revoked'
      ? `is ${state}: make a new one`
      : `was replaced by ${key.replacedBy}: rotate that one`
  throw new DomainError('key.not_active', `the key ${key.id} ${why}`, {
    details: { state, ...(key.replacedBy !== undefined && { replacedBy: key.replacedBy }) },
  })
}

function checkScopes(scopes: readonly string[]): void {
  if (scopes.length > KEY_SCOPES_MAX)
    throw new DomainError('request.invalid', `scopes: a key has at most ${KEY_SCOPES_MAX}`)
  const wrong = scopes.find((scope) => !KEY_SCOPE.test(scope))
  if (wrong !== undefined)
    throw new DomainError(
      'request.invalid',
      `scopes: ${JSON.stringify(wrong)} is none: 1 to 64 of a-z, 0-9, colon, dot, underscore and hyphen`,
    )
}

function checkExpiry(expiresAt: number | undefined, now: number): void {
  if (expiresAt !== undefined && expiresAt <= now)
    throw new DomainError('request.invalid', 'expiresAt: a key expires in the future')
}

function audit(action: string, key: ApiKey, before: ApiKey | undefined, { actor, now }: By) {
  return {
    at: now,
    actor,
    action,
    subject: key.id,
    before: before && viewOf(before),
    after: viewOf(key),
  }
}

function event(
  type: DomainEventType,
  key: ApiKey,
  { now }: By,
  more: Readonly<Record<string, unknown>> = {},
): DomainEvent {
  const { product, buyer, subscription } = key
  return {
    id: `evt_${randomUUID()}`,
    type,
    at: now,
    product,
    buyer,
    subscription: subscription ?? buyer,
    data: { key: viewOf(key), ...more },
  }
}

/**
 * What of a key stands in the audit trail and in events, which are for ever: neither secret nor hash, and neither user nor
 * name, which may be a person's.
 */
function viewOf(key: ApiKey): Readonly<Record<string, unknown>> {
  const iso = (ms: number | undefined) => (ms === undefined ? undefined : new Date(ms).toISOString())
  const { id, product, buyer, subscription, scopes, hint, replacedBy } = key
  return {
    id,
    product,
    buyer,
    subscription,
    scopes,
    hint,
    createdAt: iso(key.createdAt),
    expiresAt: iso(key.expiresAt),
    revokedAt: iso(key.revokedAt),
    replacedBy,
    usableUntil: iso(key.usableUntil),
  }
}
