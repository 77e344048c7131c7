import { request as httpRequest } from 'node:http'

/** What came of one attempt to post something. */
export type PostOutcome =
  | { readonly kind: 'answered'; readonly status: number }
  /** No answer: refused, cut or timed out. */
  | { readonly kind: 'failed'; readonly reason: string }

/** SNS waits 15 s for an endpoint. */
const TIMEOUT_MS = 15_000

/** Posts once. Follows no redirect, as SNS. Never throws; an abort is a failure. */
export async function post(
  url: string,
  headers: Readonly<Record<string, string>>,
  body: string,
  signal: AbortSignal,
): Promise<PostOutcome> {
  const isSecure = url.startsWith('https:')
  const request = isSecure ? (await import('node:https')).request : httpRequest
  return new Promise((resolve) => {
    const outgoing = request(
      url,
      {
        method: 'POST',
        headers: { ...headers, 'content-length': Buffer.byteLength(body) },
        signal,
        agent: false,
      },
      (incoming) => {
        incoming.resume()
        incoming.once('error', () => {})
        incoming.once('close', () => resolve({ kind: 'answered', status: incoming.statusCode ?? 0 }))
      },
    )
    outgoing.setTimeout(TIMEOUT_MS, () => outgoing.destroy(new Error(`no answer within ${TIMEOUT_MS} ms`)))
    outgoing.once('error', (error: NodeJS.ErrnoException) =>
      resolve({ kind: 'failed', reason: error.code ?? error.message }),
    )
    outgoing.end(body)
  })
}
