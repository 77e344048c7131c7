import { secretFormat } from './key-secret.ts'

/** What a service key may do. `admin` may do all. */
export type KeyScope =
  | 'usage:write'
  | 'usage:read'
  | 'access:check'
  | 'subscriptions:write'
  | 'products:write'
  | 'events:write'
  | 'keys:write'
  | 'admin'
export const KEY_SCOPES: readonly KeyScope[] = [
  'usage:write',
  'usage:read',
  'access:check',
  'subscriptions:write',
  'products:write',
  'events:write',
  'keys:write',
  'admin',
]

/** A secret that a seller's service shows. Only its hash is stored. */
export interface ServiceKey {
  /** `key_` and a UUID. */
  readonly id: string
  readonly name: string
  readonly scopes: readonly KeyScope[]
  /** Bound to one product, or to all. */
  readonly product: string | undefined
  /** SHA-256 of the secret, hex. */
  readonly hash: string
  /** Requests a second that it may report usage or ask the gate with; undefined: as the configuration says, 0: any number. */
  readonly ratePerSecond: number | undefined
  readonly createdAt: number
  readonly revokedAt: number | undefined
}

const FORMAT = secretFormat('tk')

export function generateSecret(): string {
  return FORMAT.make()
}

export function isWellFormedSecret(secret: string): boolean {
  return FORMAT.fits(secret)
}

/** What the domain asks of storage about keys. */
export interface ServiceKeyStore {
  create(key: ServiceKey, actor: string): Promise<void>
  findByHash(hash: string): Promise<ServiceKey | undefined>
  list(): Promise<readonly ServiceKey[]>
  /** @throws {DomainError} `key.not_found` */
  revoke(id: string, actor: string, now: number): Promise<void>
}
