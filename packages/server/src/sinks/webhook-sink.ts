import { createHmac } from 'node:crypto'
import type { LookupAddress } from 'node:dns'
import { type ClientRequest, request as httpRequest, type IncomingMessage } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { DomainError } from '../domain/error.ts'
import type { Buyer, BuyerStore } from '../domain/subscriptions/buyer.ts'
import type { DomainEvent } from '../domain/telling/domain-event.ts'
import { eventMessage, isOfBuyer, provisioningMessage } from '../domain/telling/event-message.ts'
import type { DeliveryOutcome, Sink, SinkSpec } from '../domain/telling/sink.ts'
import type { AddressPolicy } from './address-policy.ts'
import { onlyThese, Refused, resolveAllowed, resolveFailure } from './allowed-addresses.ts'
import type { LookUp } from './look-ups.ts'

export interface WebhookSinkOptions {
  readonly spec: SinkSpec
  readonly url: string
  /** `whsec_` and base64. */
  readonly secret: string
  readonly policy: AddressPolicy
  readonly buyers: Pick<BuyerStore, 'get' | 'listContacts'>
  /** The machine's own time, ms: receivers compare the signature's with theirs. */
  readonly now: () => number
  readonly userAgent: string
  /** All addresses of a name. */
  readonly resolve?: LookUp
  /** For one call, from the name's look-up to the answer's head. */
  readonly timeoutMs?: number
}

const TIMEOUT_MS = 15_000
/** An answer's body means nothing here; so much of it is read, so that its sender is not cut off. */
const BODY_BYTES_MAX = 65_536
const CALLS_MAX = 8

/**
 * Posts events to a seller's endpoint as Standard Webhooks says: signed, with the event's id on every try.
 *
 * The name is resolved once for a call, every address is checked, and the connection goes to a checked one: a name that
 * answers differently the second time gets nowhere. Redirects are not followed.
 *
 * @see {@link https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md | Standard Webhooks}, read November 2026
 */
export function createWebhookSink(options: WebhookSinkOptions): Sink {
  const { spec, buyers, timeoutMs = TIMEOUT_MS } = options
  const url = new URL(options.url)
  const key = Buffer.from(options.secret.replace(/^whsec_/, ''), 'base64')
  const open = new Set<ClientRequest>()

  async function post(event: DomainEvent, signal: AbortSignal): Promise<DeliveryOutcome> {
    const timeout = AbortSignal.timeout(timeoutMs)
    const body = await bodyOf(event, buyers)
    let addresses: readonly LookupAddress[]
    try {
      addresses = await resolveAllowed(url, options, AbortSignal.any([signal, timeout]))
    } catch (error) {
      if (signal.aborted) return { kind: 'cancelled' }
      return { kind: 'unreachable', reason: error instanceof Refused ? error.message : resolveFailure(error) }
    }
    const timestamp = Math.floor(options.now() / 1000)
    const signature = createHmac('sha256', key).update(`${event.id}.${timestamp}.${body}`).digest('base64')
    const headers = {
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(body),
      'user-agent': options.userAgent,
      'webhook-id': event.id,
      'webhook-timestamp': String(timestamp),
      'webhook-signature': `v1,${signature}`,
    }
    return exchange(url, { addresses, headers, body, signal, timeout, open, now: options.now })
  }

  return {
    ...spec,
    batchMax: 1,
    callsMax: CALLS_MAX,
    deliver: (events, signal) => Promise.all(events.map((event) => post(event, signal))),
    close() {
      for (const request of open) request.destroy()
    },
  }
}

/** With the buyer's contacts as they are now. A buyer who is gone is an id. */
async function bodyOf(event: DomainEvent, buyers: Pick<BuyerStore, 'get' | 'listContacts'>): Promise<string> {
  if (!isOfBuyer(event)) return JSON.stringify(eventMessage(event))
  let buyer: Buyer | undefined
  try {
    buyer = await buyers.get(event.buyer)
  } catch (error) {
    if (!(error instanceof DomainError && error.code === 'buyer.not_found')) throw error
  }
  const contacts = buyer === undefined ? [] : await buyers.listContacts(buyer.id)
  return JSON.stringify(provisioningMessage(event, buyer, contacts))
}

interface Call {
  readonly addresses: readonly LookupAddress[]
  readonly headers: Readonly<Record<string, string | number>>
  readonly body: string
  readonly signal: AbortSignal
  readonly timeout: AbortSignal
  readonly open: Set<ClientRequest>
  readonly now: () => number
}

function exchange(url: URL, call: Call): Promise<DeliveryOutcome> {
  const { addresses, headers, body, signal, timeout, open, now } = call
  const isSecure = url.protocol === 'https:'
  return new Promise((resolve) => {
    let isConnected = false
    const request = (isSecure ? httpsRequest : httpRequest)(url, {
      method: 'POST',
      headers,
      agent: false, // a connection of its own: one that is kept was checked for another call
      lookup: onlyThese(addresses),
      signal: AbortSignal.any([signal, timeout]),
      rejectUnauthorized: true,
    })
    open.add(request)
    request.once('close', () => {
      open.delete(request)
      // Whatever else ends a call without an answer: nobody waits for it for ever.
      resolve(signal.aborted ? { kind: 'cancelled' } : { kind: 'failed', reason: 'closed without an answer' })
    })
    request.once('upgrade', ({ statusCode }, socket) => {
      socket.destroy()
      resolve({ kind: 'failed', reason: `HTTP ${statusCode}` })
    })
    request.once('socket', (socket) =>
      socket.once(isSecure ? 'secureConnect' : 'connect', () => {
        isConnected = true
      }),
    )
    request.on('error', (error) => {
      if (signal.aborted) resolve({ kind: 'cancelled' })
      else resolve(failureOf(error, isConnected, timeout.aborted))
    })
    request.once('response', (response) => {
      drain(response)
      resolve(outcomeOf(response, now()))
    })
    request.end(body)
  })
}

function drain(response: IncomingMessage): void {
  let size = 0
  response.on('error', () => {}) // the answer's head has said all
  response.on('data', (chunk: Buffer) => {
    size += chunk.length
    if (size > BODY_BYTES_MAX) response.destroy()
  })
}

function outcomeOf({ statusCode = 0, headers }: IncomingMessage, now: number): DeliveryOutcome {
  if (statusCode >= 200 && statusCode < 300) return { kind: 'delivered' }
  const reason = `HTTP ${statusCode}`
  if (statusCode === 410) {
    return {
      kind: 'refused',
      reason: `${reason}: the endpoint is gone; change its url, or take it out of \`events.webhooks\``,
    }
  }
  if (statusCode === 429 || statusCode === 503) {
    const retryAfterMs = readRetryAfter(headers['retry-after'], now)
    if (retryAfterMs !== undefined) return { kind: 'busy', reason, retryAfterMs }
  }
  const isRedirect = statusCode >= 300 && statusCode < 400
  return { kind: 'failed', reason: isRedirect ? `${reason}: redirects are not followed` : reason }
}

/** Seconds or a date. */
function readRetryAfter(text: string | undefined, now: number): number | undefined {
  if (text === undefined) return undefined
  if (/^\d{1,9}$/.test(text)) return Number(text) * 1000
  const time = /^[A-Z][a-z]{2}, /.test(text) ? Date.parse(text) : Number.NaN
  return Number.isNaN(time) ? undefined : time - now
}

/** In our own words, by the code alone: a message may quote an address with what is secret in it. */
function failureOf(error: Error, isConnected: boolean, isTimeout: boolean): DeliveryOutcome {
  const code = 'code' in error && typeof error.code === 'string' ? error.code : error.name
  if (isConnected) {
    return { kind: 'failed', reason: isTimeout ? 'no answer in time' : `the connection broke (${code})` }
  }
  if (isTimeout) return { kind: 'unreachable', reason: 'no connection in time' }
  if (code === 'ECONNREFUSED') return { kind: 'unreachable', reason: 'connection refused' }
  if (/CERT|SIGNATURE|ISSUER|TLS|SSL|EPROTO/.test(code)) {
    return { kind: 'unreachable', reason: `no trusted TLS connection (${code})` }
  }
  return { kind: 'unreachable', reason: `no connection (${code})` }
}
