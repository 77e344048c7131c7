import type { WebhookEvent } from '../generated/api.gen.ts'

export interface WebhookRequest {
  /** The body as it came: its very bytes are signed, so no parsed and written anew one. */
  readonly body: string | Uint8Array
  readonly headers: Headers | Readonly<Record<string, string | readonly string[] | undefined>>
  /** The endpoint's secret, `whsec_…`; while it is rotated, the old one and the new one. */
  readonly secret: string | readonly string[]
  /** How far the sender's clock and yours may be apart, or a message be on its way, seconds. Default: 300. */
  readonly toleranceSeconds?: number | undefined
  /** Milliseconds since the epoch. Default: the system's. */
  readonly now?: number | undefined
}

export interface VerifiedWebhook {
  /** The same on every try: what you have seen is a repeat. */
  readonly id: string
  /** When it was sent, ms since the epoch. */
  readonly sentAt: number
  readonly event: WebhookEvent
}

export class WebhookError extends Error {
  readonly code:
    | 'webhook.headers_missing'
    | 'webhook.too_old'
    | 'webhook.signature_wrong'
    | 'webhook.unreadable'

  constructor(code: WebhookError['code'], message: string) {
    super(message)
    this.name = 'WebhookError'
    this.code = code
  }
}

/** More than one while a key is rotated; a header may not make us compute for ever. */
const SIGNATURES_MAX = 8
const encoder = new TextEncoder()

/**
 * Is this message Tollkeeper's, and of now? Compares in constant time.
 *
 * @throws {WebhookError} answer 4xx: it is forged, replayed or broken
 * @throws {TypeError} for a secret that is none
 * @see {@link https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md | Standard Webhooks}
 */
export async function verifyWebhook(request: WebhookRequest): Promise<VerifiedWebhook> {
  const { body, toleranceSeconds = 300, now = Date.now() } = request
  const secrets = typeof request.secret === 'string' ? [request.secret] : request.secret
  if (secrets.length === 0) throw new TypeError('secret: none is given')
  const id = headerOf(request.headers, 'webhook-id')
  const timestamp = headerOf(request.headers, 'webhook-timestamp')
  const signatures = headerOf(request.headers, 'webhook-signature')
  if (id === undefined || timestamp === undefined || signatures === undefined) {
    throw new WebhookError(
      'webhook.headers_missing',
      'webhook-id, webhook-timestamp and webhook-signature are needed',
    )
  }
  const sentAt = /^\d{1,12}$/.test(timestamp) ? Number(timestamp) * 1000 : Number.NaN
  if (!(Math.abs(now - sentAt) <= toleranceSeconds * 1000)) {
    throw new WebhookError('webhook.too_old', `sent more than ${toleranceSeconds} seconds from now`)
  }
  const bytes = typeof body === 'string' ? encoder.encode(body) : body
  if (!(await isSigned(joined(encoder.encode(`${id}.${timestamp}.`), bytes), signatures, secrets))) {
    throw new WebhookError('webhook.signature_wrong', 'no signature of this message fits')
  }
  return { id, sentAt, event: read(bytes) }
}

async function isSigned(
  signed: Uint8Array<ArrayBuffer>,
  header: string,
  secrets: readonly string[],
): Promise<boolean> {
  const signatures = header
    .split(' ')
    .slice(0, SIGNATURES_MAX)
    .filter((text) => text.startsWith('v1,'))
    .map((text) => fromBase64(text.slice(3)))
  let isGood = false
  for (const secret of secrets) {
    const raw = fromBase64(secret.replace(/^whsec_/, ''))
    if (raw === undefined || raw.length === 0) throw new TypeError('secret: expected whsec_ and base64')
    const key = await crypto.subtle.importKey('raw', raw, { name: 'HMAC', hash: 'SHA-256' }, false, [
      'verify',
    ])
    for (const signature of signatures) {
      // All of them, whatever fits: time tells nothing. WebCrypto compares in constant time.
      if (signature !== undefined && (await crypto.subtle.verify('HMAC', key, signature, signed)))
        isGood = true
    }
  }
  return isGood
}

function read(bytes: Uint8Array): WebhookEvent {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
  } catch {
    throw new WebhookError('webhook.unreadable', 'the body is not JSON')
  }
}

function headerOf(headers: WebhookRequest['headers'], name: string): string | undefined {
  if (headers instanceof Headers) return headers.get(name) ?? undefined
  for (const [key, value] of Object.entries(headers)) {
    if (key.toLowerCase() === name) return typeof value === 'string' ? value : value?.[0]
  }
  return undefined
}

function fromBase64(text: string): Uint8Array<ArrayBuffer> | undefined {
  try {
    return Uint8Array.from(atob(text), (character) => character.charCodeAt(0))
  } catch {
    return undefined
  }
}

function joined(one: Uint8Array, other: Uint8Array): Uint8Array<ArrayBuffer> {
  const both = new Uint8Array(one.length + other.length)
  both.set(one)
  both.set(other, one.length)
  return both
}
