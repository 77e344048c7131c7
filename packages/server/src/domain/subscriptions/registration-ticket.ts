import { createHmac, timingSafeEqual } from 'node:crypto'
import type { Subscription } from './subscription.ts'

/** How long a registration can be completed; after that its buyer presses “Set up your account” again. */
export const TICKET_MS = 3_600_000
/** Bytes of the key that signs. */
export const TICKET_KEY_BYTES = 32
/** Longer is none of ours: not even looked at. */
const TICKET_LENGTH_MAX = 512

/**
 * Shows that a buyer's browser came from AWS Marketplace with a token that AWS resolved, for the hour in which the
 * buyer gives their details. Whoever holds it may see the subscription's state and add a contact; nothing else.
 *
 * It is text of URL-safe characters: the subscription's id, when it expires, and an HMAC-SHA256 over both and the product.
 */
export interface RegistrationTickets {
  /** @param now - ms */
  issue(subscription: Pick<Subscription, 'id' | 'product'>, now: number): string
  /** @param product - our id: a ticket for another product is not valid */
  read(ticket: string, product: string, now: number): TicketReading
}

export type TicketReading =
  | { readonly state: 'valid'; readonly subscription: string; readonly expiresAt: number }
  /** It was ours. */
  | { readonly state: 'expired' }
  /** Cut off, changed, or never ours. */
  | { readonly state: 'invalid' }

/** @param key - random, of this ledger, the same in every process */
export function createRegistrationTickets(key: Uint8Array): RegistrationTickets {
  const sign = (name: string, product: string, expiry: string) =>
    createHmac('sha256', key)
      // As JSON, so that no two lists of parts are one text.
      .update(JSON.stringify(['registration', name, product, expiry]))
      .digest('base64url')

  return {
    issue({ id, product }, now) {
      const name = Buffer.from(id).toString('base64url')
      const expiry = (now + TICKET_MS).toString(36)
      return [name, expiry, sign(name, product, expiry)].join('.')
    },
    read(ticket, product, now) {
      if (ticket.length > TICKET_LENGTH_MAX) return { state: 'invalid' }
      const [name, expiry, signature, ...more] = ticket.split('.')
      if (!name || !expiry || !signature || more.length > 0) return { state: 'invalid' }
      if (!isSame(signature, sign(name, product, expiry))) return { state: 'invalid' }
      const expiresAt = Number.parseInt(expiry, 36)
      if (now >= expiresAt) return { state: 'expired' }
      return { state: 'valid', subscription: Buffer.from(name, 'base64url').toString(), expiresAt }
    },
  }
}

/** Takes the same time wherever they differ. */
function isSame(given: string, right: string): boolean {
  const [a, b] = [Buffer.from(given), Buffer.from(right)]
  return a.length === b.length && timingSafeEqual(a, b)
}
