import type { Clock } from '../clock.ts'
import { DomainError } from '../error.ts'
import { licenseTail, type SubscriptionReference } from '../subscriptions/subscription.ts'
import type { SubscriptionStore } from '../subscriptions/subscription-store.ts'
import { type ApiKey, type ApiKeyFilter, type ApiKeyStore, LIVE_KEYS_MAX, stateOf } from './api-key.ts'
import {
  type ApiKeyDraft,
  apiKeyIdFor,
  type MadeKey,
  makeApiKey,
  OVERLAP_MS,
  revokeApiKey,
  rotateApiKey,
  traceOfMaking,
} from './change-api-key.ts'
import type { ApiKeyVerifier } from './verify-api-key.ts'

const CANDIDATES_MAX = 20
/** Of `liveKeysMax` keys each. */
const PAGES_MAX = 10

/** What a key is asked for with. */
export interface KeyRequest extends Omit<ApiKeyDraft, 'product' | 'buyer' | 'subscription'> {
  /** Our id; undefined for any. */
  readonly product: string | undefined
  /** Whose it is. By `subscriptionId` it is bound to that subscription, by all else to the buyer. */
  readonly reference: SubscriptionReference
  /** The caller's, the same on every retry: it makes one key. Undefined: each call makes one. */
  readonly requestId?: string | undefined
}

export interface RotatedKey extends MadeKey {
  /** The old one, which works until its `usableUntil`. */
  readonly replaced: ApiKey
}

/** What a seller does with the keys of its users. Every change is audited, told, and holds at once on this node. */
export interface ManageApiKeys {
  /**
   * @throws {DomainError} `request.invalid`, `buyer.not_found`; `subscription.ambiguous` where several buyers fit; `key.exists`
   *   where the request made one before; `key.too_many`
   */
  issue(request: KeyRequest, actor: string): Promise<MadeKey>
  /** @throws {DomainError} `key.not_found`, `key.not_active`, `request.invalid` */
  rotate(
    id: string,
    options: { readonly overlapMs?: number | undefined; readonly expiresAt?: number | undefined },
    actor: string,
  ): Promise<RotatedKey>
  /** To revoke it again is not an error. @throws {DomainError} `key.not_found` */
  revoke(id: string, actor: string): Promise<ApiKey>
  /** @throws {DomainError} `key.not_found` */
  get(id: string): Promise<ApiKey>
  /** Newest first. @param filter - at least one of its fields is given */
  list(
    filter: ApiKeyFilter,
    page: { readonly limit: number; readonly before?: string | undefined },
  ): Promise<readonly ApiKey[]>
}

export function createManageApiKeys(deps: {
  readonly apiKeys: ApiKeyStore
  readonly subscriptions: Pick<SubscriptionStore, 'findMatching'>
  readonly clock: Pick<Clock, 'now'>
  /** Of this process, if it checks keys. */
  readonly verifier?: Pick<ApiKeyVerifier, 'forget'> | undefined
  /** Keys of one buyer that work at the same time. */
  readonly liveKeysMax?: number
}): ManageApiKeys {
  const { apiKeys, clock, verifier, liveKeysMax = LIVE_KEYS_MAX } = deps
  return {
    async issue({ product, reference, requestId, ...draft }, actor) {
      const owner = await ownerOf(deps.subscriptions, product, reference)
      const now = clock.now()
      const id = requestId === undefined ? undefined : apiKeyIdFor({ ...draft, ...owner }, requestId)
      const made = makeApiKey({ ...draft, ...owner }, now, id)
      if (await hasTooMany(apiKeys, owner.buyer, now, liveKeysMax)) {
        // A repeat is told that it is one.
        const before = id === undefined ? undefined : await findKey(apiKeys, id)
        throw before === undefined ? tooMany(owner.buyer, liveKeysMax) : madeBefore(before)
      }
      const before = await apiKeys.create(made.key, traceOfMaking(made.key, actor))
      if (before !== undefined) throw madeBefore(before)
      verifier?.forget(made.key.hash)
      return made
    },
    async rotate(id, { overlapMs = OVERLAP_MS, expiresAt }, actor) {
      const by = { actor, now: clock.now() }
      let made: MadeKey | undefined
      const replaced = await apiKeys.change(id, (before) => {
        const rotated = rotateApiKey(before, { overlapMs, expiresAt }, by)
        made = rotated
        return rotated.change
      })
      verifier?.forget(replaced.hash)
      return { key: made!.key, secret: made!.secret, replaced }
    },
    async revoke(id, actor) {
      const by = { actor, now: clock.now() }
      const key = await apiKeys.change(id, (before) => revokeApiKey(before, by))
      verifier?.forget(key.hash)
      return key
    },
    get: (id) => apiKeys.get(id),
    list: (filter, page) => apiKeys.list(filter, page),
  }
}

/**
 * Whoever makes keys at the same instant may come to a few more. It costs the look at one page, of the buyer's keys alone: only
 * who has that many is counted. Of more pages of dead ones than these, nobody is refused.
 */
async function hasTooMany(
  apiKeys: Pick<ApiKeyStore, 'list'>,
  buyer: string,
  now: number,
  max: number,
): Promise<boolean> {
  let live = 0
  let before: string | undefined
  for (let page = 0; page < PAGES_MAX; page++) {
    const keys = await apiKeys.list({ buyer }, { limit: max, before })
    live += keys.filter((key) => worksAt(key, now)).length
    if (live >= max) return true
    before = keys.at(-1)?.id
    if (keys.length < max) return false
  }
  return false
}

function worksAt(key: ApiKey, now: number): boolean {
  const state = stateOf(key, now)
  return state === 'active' || state === 'replaced'
}

function findKey(apiKeys: Pick<ApiKeyStore, 'get'>, id: string): Promise<ApiKey | undefined> {
  return apiKeys.get(id).catch((error: unknown) => {
    if (error instanceof DomainError && error.code === 'key.not_found') return undefined
    throw error
  })
}

function tooMany(buyer: string, max: number): DomainError {
  return new DomainError(
    'key.too_many',
    `buyer ${buyer} has ${max} keys that work, which is as many as there can be: revoke some, or let them expire`,
  )
}

function madeBefore({ id }: ApiKey): DomainError {
  return new DomainError(
    'key.exists',
    `this requestId made the key ${id} before, whose secret is not shown again: rotate that key to get a secret`,
    { details: { key: id } },
  )
}

async function ownerOf(
  subscriptions: Pick<SubscriptionStore, 'findMatching'>,
  product: string | undefined,
  reference: SubscriptionReference,
): Promise<Pick<ApiKey, 'product' | 'buyer' | 'subscription'>> {
  const matches = await subscriptions.findMatching(product, reference)
  const [first] = matches
  if (first === undefined) throw new DomainError('buyer.not_found', 'no such buyer here')
  // A buyer is one product's.
  if (matches.some(({ buyer }) => buyer !== first.buyer))
    throw new DomainError(
      'subscription.ambiguous',
      'fits several buyers; name one by its buyer id or by a subscription, or say which product',
      {
        details: {
          candidates: matches.slice(0, CANDIDATES_MAX).map(({ id, licenseArn }) => ({
            subscriptionId: id,
            ...(licenseArn !== undefined && { license: licenseTail(licenseArn) }),
          })),
        },
      },
    )
  return { product: first.product, buyer: first.buyer, subscription: reference.subscriptionId }
}
