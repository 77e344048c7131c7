const SHAPE = /^tka_([A-Za-z0-9_-]{43})_([0-9a-f]{6})$/
const encoder = new TextEncoder()

/**
 * @returns what tells this API key from all others, and does not open anything; undefined where it has not the form and
 *   checksum of one: whether it is one, only Tollkeeper knows
 */
export async function fingerprintOf(key: string): Promise<string | undefined> {
  const match = SHAPE.exec(key)
  if (match === null) return undefined
  const hash = await sha256(match[1]!)
  return hash.startsWith(match[2]!) ? hash : undefined
}

/** @returns hex */
export async function sha256(text: string): Promise<string> {
  const digest = await crypto.subtle.digest('SHA-256', encoder.encode(text))
  return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, '0')).join('')
}

/** `Authorization: Bearer …`, else `X-API-Key`. */
export function readKey(header: (name: string) => string | undefined): string | undefined {
  const bearer = /^Bearer +(\S+) *$/i.exec(header('authorization') ?? '')?.[1]
  return bearer ?? (header('x-api-key')?.trim() || undefined)
}
