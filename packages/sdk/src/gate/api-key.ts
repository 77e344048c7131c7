/** Longer ones are none, and are not asked about. */
const LENGTH_MAX = 200
const SHAPE = /^tka_([A-Za-z0-9_-]{43})_([0-9a-f]{6})$/
const encoder = new TextEncoder()

/** May it be asked about at all? */
export function isKeyText(key: string): boolean {
  return key.length <= LENGTH_MAX && /^[\x21-\x7e]+$/.test(key)
}

/** Has it the form and checksum of an API key? A typo has not; whether it is one, only Tollkeeper knows. */
export async function hasKeyForm(key: string): Promise<boolean> {
  const match = SHAPE.exec(key)
  return match !== null && (await sha256(match[1]!)).startsWith(match[2]!)
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
