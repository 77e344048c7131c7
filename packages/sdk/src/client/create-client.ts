import { type Clock, systemClock } from '../clock.ts'
import { type HowToAsk, OPERATIONS, type Operations } from '../generated/api.gen.ts'
import type { CallOptions } from './call.ts'
import { send } from './send.ts'

export interface ClientOptions {
  /** Where Tollkeeper is, e.g. `https://tollkeeper.internal`. */
  readonly url: string
  /** A service key, `tk_…`; `tollkeeper key create` makes one. */
  readonly key: string
  /** Default: the global one. */
  readonly fetch?: typeof globalThis.fetch | undefined
  /** Of one try, ms. Default: 10,000. */
  readonly timeoutMs?: number | undefined
  /** Further tries of what may be sent again, after the first. Default: 2. */
  readonly retries?: number | undefined
  readonly clock?: Clock | undefined
  /** From 0 up to 1, for the chance in waiting. Default: `Math.random`. */
  readonly random?: (() => number) | undefined
}

/** One method for each operation of the API. Each throws a `TollkeeperError` where it is not done. */
export type Client = Operations

type Input = Readonly<Record<string, unknown>>

/**
 * @throws {TypeError} for a URL or key that cannot be used; the message has neither
 */
export function createClient(options: ClientOptions): Client {
  const { key, timeoutMs = 10_000, retries = 2, clock = systemClock, random = Math.random } = options
  // What fetch says of a header or URL that it does not take quotes it.
  if (!/^[\x21-\x7e]+$/.test(key)) throw new TypeError('key: a service key is printable and without spaces')
  const base = readBase(options.url)
  const ask = options.fetch ?? ((...request) => globalThis.fetch(...request))

  const method = (operation: string, how: HowToAsk) => {
    const { input } = how
    const takes = input === 'both' ? 2 : input === 'none' ? 0 : 1
    return async (...given: unknown[]) => {
      const params = (input === 'params' || input === 'both' ? (given[0] ?? {}) : {}) as Input
      const body = input === 'body' ? given[0] : input === 'both' ? given[1] : undefined
      const call = (given[takes] ?? {}) as CallOptions
      return send(
        {
          operation,
          method: how.method,
          url: base + addressOf(operation, how, params),
          headers: headersOf(how, params, key, body),
          body: body === undefined ? undefined : JSON.stringify(body),
        },
        {
          fetch: ask,
          clock,
          random,
          timeoutMs: call.timeoutMs ?? timeoutMs,
          retries: mayRepeat(how, params, body) ? (call.retries ?? retries) : 0,
          retryTooMany: call.retryTooMany ?? true,
          signal: call.signal,
          onAnswer: call.onAnswer,
        },
      )
    }
  }
  return Object.fromEntries(
    Object.entries(OPERATIONS).map(([operation, how]) => [operation, method(operation, how)]),
  ) as unknown as Client
}

function readBase(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url === undefined || !/^https?:$/.test(url.protocol)) {
    throw new TypeError('url: an address that begins with https:// or http://')
  }
  if (url.username !== '' || url.password !== '') throw new TypeError('url: without a user name and password')
  return `${url.origin}${url.pathname.replace(/\/+$/, '')}`
}

function addressOf(operation: string, { path, query = [] }: HowToAsk, params: Input): string {
  const filled = path.replaceAll(/\{(\w+)\}/g, (_, name: string) => {
    const value = params[name]
    // An empty one, or dots, would name another address.
    if (value === undefined || value === '' || value === '.' || value === '..') {
      throw new TypeError(`${operation}: ${name} is missing`)
    }
    return encodeURIComponent(String(value))
  })
  const asked = new URLSearchParams()
  for (const name of query) {
    const value = params[name]
    if (value !== undefined) asked.append(name, String(value))
  }
  const text = asked.toString()
  return text === '' ? filled : `${filled}?${text}`
}

function headersOf({ headers = [] }: HowToAsk, params: Input, key: string, body: unknown) {
  const found: Record<string, string> = { accept: 'application/json', authorization: `Bearer ${key}` }
  if (body !== undefined) found['content-type'] = 'application/json'
  for (const name of headers) if (params[name] !== undefined) found[name] = String(params[name])
  return found
}

function mayRepeat({ repeat, headers = [] }: HowToAsk, params: Input, body: unknown): boolean {
  if (repeat === 'header') return headers.some((name) => params[name] !== undefined)
  if (repeat !== 'id') return repeat === 'always'
  if (typeof body !== 'object' || body === null) return false
  return ('id' in body && body.id !== undefined) || ('mode' in body && body.mode === 'look')
}
