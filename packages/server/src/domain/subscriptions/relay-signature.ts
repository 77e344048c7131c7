import { createHmac, timingSafeEqual } from 'node:crypto'
import { readTime } from '../usage/read-time.ts'

/** What a relay shows with a message: headers as they came, undefined where they did not. */
export interface RelayProof {
  /** HMAC-SHA256 over timestamp, `.` and body, in hex; `sha256=` may stand before it. */
  readonly signature: string | undefined
  /** Seconds since the epoch, or RFC 3339; signed exactly as it is written. */
  readonly timestamp: string | undefined
}

export type RelayVerdict =
  | { readonly sentAt: number }
  | { readonly why: 'unsigned' | 'forged' | 'expired'; readonly reason: string }

/** Is a message what a relay that knows the secret sent, and lately? Compared in constant time. */
export function checkRelay(
  given: { readonly proof: RelayProof; readonly body: Buffer },
  relay: { readonly secret: string; readonly toleranceMs: number },
  now: number,
): RelayVerdict {
  const { signature = '', timestamp = '' } = given.proof
  const hex = /^(?:sha256=)?([0-9a-f]{64})$/i.exec(signature)?.[1]
  if (hex === undefined)
    return { why: 'unsigned', reason: 'X-Signature must be an HMAC-SHA256 in hex, 64 digits' }
  const sentAt = readTimestamp(timestamp)
  if (sentAt === undefined)
    return { why: 'unsigned', reason: 'X-Timestamp must be seconds since the epoch, or an RFC 3339 time' }
  const expected = createHmac('sha256', relay.secret).update(`${timestamp}.`).update(given.body).digest()
  if (!timingSafeEqual(expected, Buffer.from(hex, 'hex'))) {
    return {
      why: 'forged',
      reason:
        'X-Signature is not the HMAC-SHA256 of X-Timestamp, `.` and the body with the secret of this relay',
    }
  }
  // Only now, so that a stranger learns nothing of our clock.
  if (Math.abs(now - sentAt) > relay.toleranceMs) {
    const seconds = Math.round(relay.toleranceMs / 1000)
    return { why: 'expired', reason: `X-Timestamp is more than ${seconds} s from our time: sign it anew` }
  }
  return { sentAt }
}

function readTimestamp(text: string): number | undefined {
  return /^\d{9,11}$/.test(text) ? Number(text) * 1000 : readTime(text)
}
