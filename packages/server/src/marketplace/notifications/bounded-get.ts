/** What came of one GET. `failed`: no answer, or not all of it. */
export type GetAnswer =
  | { readonly kind: 'answered'; readonly status: number; readonly body: string }
  | { readonly kind: 'failed'; readonly reason: string }

/** Gets what is at a URL, once. */
export type Get = (url: URL) => Promise<GetAnswer>

const TIMEOUT_MS = 5_000
/** A certificate has two thousand bytes. */
const BODY_BYTES_MAX = 65_536

/**
 * Follows no redirect, which would lead past every check of the host; takes at most 5 s and 64 KB. Never throws, and
 * checks nothing about the URL: that is the caller's.
 */
export function createBoundedGet(
  options: { readonly timeoutMs?: number; readonly bytesMax?: number } = {},
): Get {
  const { timeoutMs = TIMEOUT_MS, bytesMax = BODY_BYTES_MAX } = options
  return async (url) => {
    const signal = AbortSignal.timeout(timeoutMs)
    try {
      const response = await fetch(url, {
        redirect: 'manual',
        signal,
        headers: { accept: '*/*', 'accept-encoding': 'identity' },
      })
      const body = await readText(response, bytesMax)
      return body === undefined
        ? { kind: 'failed', reason: `the answer is longer than ${bytesMax} bytes` }
        : { kind: 'answered', status: response.status, body }
    } catch (error) {
      return {
        kind: 'failed',
        reason: signal.aborted ? `no answer within ${timeoutMs} ms` : reasonOf(error),
      }
    }
  }
}

/** @returns undefined where it is too long: the rest is not read */
async function readText(response: Response, bytesMax: number): Promise<string | undefined> {
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of response.body ?? []) {
    size += chunk.byteLength
    if (size > bytesMax) return undefined
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

/** `fetch` says "fetch failed"; why is in its cause. */
function reasonOf(error: unknown): string {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error
  if (!(cause instanceof Error)) return 'unknown error'
  const code = 'code' in cause ? String(cause.code) : ''
  return (code || cause.message).slice(0, 200)
}
