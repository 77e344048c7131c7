import { hash, randomBytes, timingSafeEqual } from 'node:crypto'

/** What a service key may do. `admin` may do all. */
export type KeyScope =
  | 'usage:write'
  | 'usage:read'
  | 'access:check'
  | 'subscriptions:write'
  | 'events:write'
  | 'admin'
export const KEY_SCOPES: readonly KeyScope[] = [
  'usage:write',
  'usage:read',
  'access:check',
  'subscriptions:write',
  'events:write',
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
  readonly createdAt: number
  readonly revokedAt: number | undefined
}

/** `tk_` so that secret scanners know it, 32 random bytes, and a checksum so that a typo is caught without a look-up. */
export function generateSecret(): string {
  const random = randomBytes(32).toString('base64url')
  return `tk_${random}_${checksum(random)}`
}

/** Could this be a key of ours at all? */
export function isWellFormedSecret(secret: string): boolean {
  const match = /^tk_([A-Za-z0-9_-]{43})_([0-9a-f]{6})$/.exec(secret)
  return match !== null && timingSafeEqual(Buffer.from(checksum(match[1]!)), Buffer.from(match[2]!))
}

/** 256 random bits need no slow hash. */
export function hashSecret(secret: string): string {
  return hash('sha256', secret, 'hex')
}

function checksum(text: string): string {
  return hash('sha256', text, 'hex').slice(0, 6)
}

/** What the domain asks of storage about keys. */
export interface ServiceKeyStore {
  create(key: ServiceKey, actor: string): Promise<void>
  findByHash(hash: string): Promise<ServiceKey | undefined>
  list(): Promise<readonly ServiceKey[]>
  /** @throws {DomainError} `key.not_found` */
  revoke(id: string, actor: string, now: number): Promise<void>
}
