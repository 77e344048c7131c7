import type { IncomingMessage } from 'node:http'
import type { Seen } from './gate.ts'

/** Of the connection itself: `X-Forwarded-For` is whatever its sender likes, so only the product can say when to believe it. */
export function seenOf(request: IncomingMessage, url: string, address: string | undefined): Seen {
  return {
    method: request.method ?? 'GET',
    path: url.split('?', 1)[0]!,
    header: (name) => {
      const value = request.headers[name]
      return typeof value === 'string' ? value : value?.[0]
    },
    address,
  }
}
