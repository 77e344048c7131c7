import { randomUUID } from 'node:crypto'
import type { Clock } from '../clock.ts'
import { hashSecret } from './key-secret.ts'
import { generateSecret, type KeyScope, type ServiceKey, type ServiceKeyStore } from './service-key.ts'

/**
 * Makes a service key and stores its hash.
 *
 * @param request - `product` binds the key to one product; undefined: all of them. `ratePerSecond`: see `ServiceKey`
 * @param actor - who asked, for the audit trail
 * @returns the secret too: it is shown once and cannot be read again
 */
export async function issueServiceKey(
  deps: { readonly keys: ServiceKeyStore; readonly clock: Clock },
  request: {
    readonly name: string
    readonly scopes: readonly KeyScope[]
    readonly product: string | undefined
    readonly ratePerSecond?: number | undefined
  },
  actor: string,
): Promise<{ readonly key: ServiceKey; readonly secret: string }> {
  const secret = generateSecret()
  const key: ServiceKey = {
    id: `key_${randomUUID()}`,
    name: request.name,
    scopes: request.scopes,
    product: request.product,
    ratePerSecond: request.ratePerSecond,
    hash: hashSecret(secret),
    createdAt: deps.clock.now(),
    revokedAt: undefined,
  }
  await deps.keys.create(key, actor)
  return { key, secret }
}
