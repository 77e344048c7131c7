import { hash, randomBytes, timingSafeEqual } from 'node:crypto'

const RANDOM_BYTES = 32
const RANDOM_CHARS = 43
const CHECKSUM_CHARS = 6
const HINT_CHARS = 4

/** How secrets of one kind look: `<prefix>_<43 random characters>_<6 of a checksum>`. */
export interface SecretFormat {
  /** A new one. */
  make(): string
  /** Could this be one of ours at all? Told without a look-up: so typos cost nothing, and strangers little. */
  fits(secret: string): boolean
  /** What people may be shown of it, to tell it from others: the last of its random characters. */
  hintOf(secret: string): string
}

/** @param prefix - secret scanners know the kind by it */
export function secretFormat(prefix: string): SecretFormat {
  const shape = new RegExp(`^${prefix}_([A-Za-z0-9_-]{${RANDOM_CHARS}})_([0-9a-f]{${CHECKSUM_CHARS}})$`)
  const start = prefix.length + 1
  const length = start + RANDOM_CHARS + 1 + CHECKSUM_CHARS
  return {
    make() {
      const random = randomBytes(RANDOM_BYTES).toString('base64url')
      return `${prefix}_${random}_${checksum(random)}`
    },
    fits(secret) {
      if (secret.length !== length) return false
      const match = shape.exec(secret)
      return match !== null && timingSafeEqual(Buffer.from(checksum(match[1]!)), Buffer.from(match[2]!))
    },
    hintOf: (secret) => secret.slice(start + RANDOM_CHARS - HINT_CHARS, start + RANDOM_CHARS),
  }
}

/** SHA-256, hex: 256 random bits need no slow hash. */
export function hashSecret(secret: string): string {
  return hash('sha256', secret, 'hex')
}

function checksum(text: string): string {
  return hash('sha256', text, 'hex').slice(0, CHECKSUM_CHARS)
}
