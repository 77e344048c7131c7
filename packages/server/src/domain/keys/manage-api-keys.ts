import type { Clock } from '../clock.ts'
import { DomainError } from '../error.ts'
import { licenseTail, type SubscriptionReference } from '../subscriptions/subscription.ts'
import type { SubscriptionStore } from '../subscriptions/subscription-store.ts'
import type { ApiKey, ApiKeyFilter, ApiKeyStore } from './api-key.ts'
import {
  type ApiKeyDraft,
  type MadeKey,
  makeApiKey,
  OVERLAP_MS,
  revokeApiKey,
  rotateApiKey,
  traceOfMaking,
} from './change-api-key.ts'
import type { ApiKeyVerifier } from './verify-api-key.ts'

const CANDIDATES_MAX = 20

/** What a key is asked for with. */
export interface KeyRequest extends Omit<ApiKeyDraft, 'product' | 'buyer' | 'subscription'> {
  /** Our id; undefined for any. */
  readonly product: string | undefined
  /** Whose it is. By `subscriptionId` it is bound to that subscription, by all else to the buyer. */
  readonly reference: SubscriptionReference
}

export interface RotatedKey extends MadeKey {
  /** The old one, which works until its `usableUntil`. */
  readonly replaced: ApiKey
}

/** What a seller does with the keys of its users. Every change is audited, told, and holds at once on this node. */
export interface ManageApiKeys {
  /** @throws {DomainError} `request.invalid`, `buyer.not_found`; `subscription.ambiguous` where several buyers fit */
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
}): ManageApiKeys {
  const { apiKeys, clock, verifier } = deps
  return {
    async issue({ product, reference, ...draft }, actor) {
      const owner = await ownerOf(deps.subscriptions, product, reference)
      const made = makeApiKey({ ...draft, ...owner }, clock.now())
      await apiKeys.create(made.key, traceOfMaking(made.key, actor))
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
