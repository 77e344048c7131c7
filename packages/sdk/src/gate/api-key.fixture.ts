import { hash } from 'node:crypto'

/** An API key of the right form. The same name makes the same one. */
export function anApiKey(name = 'mine'): string {
  const random = hash('sha256', name, 'base64url')
  return `tka_${random}_${hash('sha256', random, 'hex').slice(0, 6)}`
}
