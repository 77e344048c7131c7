import type { IncomingHttpHeaders } from 'node:http'

/** A request as routes see it: read whole, within bounds. */
export interface HttpRequest {
  readonly method: string
  /** Path without query, still percent-encoded. */
  readonly path: string
  readonly query: URLSearchParams
  readonly headers: IncomingHttpHeaders
  readonly body: Buffer
  /** Aborted when the connection is gone before the answer. */
  readonly signal: AbortSignal
}

export interface HttpResponse {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string | Uint8Array
  /** Real milliseconds to wait before sending it. */
  readonly delayMs?: number
}

/** The connection is to be destroyed, without an answer. */
export const CUT = Symbol('cut')

export function jsonResponse(value: unknown, status = 200): HttpResponse {
  return {
    status,
    headers: { 'content-type': 'application/json; charset=utf-8', 'cache-control': 'no-store' },
    body: `${JSON.stringify(value, null, 2)}\n`,
  }
}
