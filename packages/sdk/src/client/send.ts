import type { Clock } from '../clock.ts'
import { onAborted } from '../until-aborted.ts'
import type { AnswerHead } from './call.ts'
import { backoffMs, isPassing, RETRY_AFTER_MS_MAX, readRetryAfter } from './retry.ts'
import { type ClientErrorCode, type ProblemDetails, TollkeeperError } from './tollkeeper-error.ts'

export interface Outgoing {
  readonly operation: string
  readonly method: string
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string | undefined
}

export interface Sending {
  readonly fetch: typeof globalThis.fetch
  readonly clock: Clock
  readonly random: () => number
  readonly timeoutMs: number
  readonly retries: number
  readonly retryTooMany: boolean
  readonly signal: AbortSignal | undefined
  readonly onAnswer: ((head: AnswerHead) => void) | undefined
}

/** Sends a request until it is answered for good, or `retries` are used up. The same bytes on every try. */
export async function send(outgoing: Outgoing, sending: Sending): Promise<unknown> {
  const { clock, random, retries, retryTooMany, signal } = sending
  for (let tries = 1; ; tries++) {
    const answer = await tryOnce(outgoing, sending)
    if (!(answer instanceof TollkeeperError)) return answer.json
    const isOver = tries > retries || answer.code === 'client.aborted'
    const isTooMany = answer.status === 429 && !retryTooMany
    const isFinal = isTooMany || (answer.status !== 0 && !isPassing(answer.status))
    const { retryAfterMs = 0 } = answer
    if (isOver || isFinal || retryAfterMs > RETRY_AFTER_MS_MAX) throw answer
    try {
      await clock.sleep(Math.max(retryAfterMs, backoffMs(tries, random())), signal)
    } catch (error) {
      throw failed(outgoing, 'client.aborted', 'ended by its caller', error)
    }
  }
}

async function tryOnce(
  outgoing: Outgoing,
  { fetch, clock, timeoutMs, signal, onAnswer }: Sending,
): Promise<{ readonly json: unknown } | TollkeeperError> {
  if (signal?.aborted) return failed(outgoing, 'client.aborted', 'ended by its caller', signal.reason)
  const { method, url, headers, body } = outgoing
  const ending = new AbortController()
  let isTimeout = false
  const timer = setTimeout(() => {
    isTimeout = true
    ending.abort(new Error('timeout'))
  }, timeoutMs)
  const letGo = signal && onAborted(signal, () => ending.abort(signal.reason))
  try {
    // A redirect could take the key elsewhere. Workers know no `error` here.
    const response = await fetch(url, {
      method,
      headers,
      redirect: 'manual',
      signal: ending.signal,
      ...(body !== undefined && { body }),
    })
    const text = await response.text()
    const json = parse(text)
    if (!response.ok) return toError(outgoing.operation, response, json, clock.now())
    if (json === undefined) {
      return failed(
        outgoing,
        'client.unreadable_answer',
        'the answer is not JSON',
        undefined,
        response.status,
      )
    }
    onAnswer?.({ status: response.status, headers: response.headers })
    return { json }
  } catch (error) {
    if (isTimeout) return failed(outgoing, 'client.timeout', `no answer within ${timeoutMs} ms`, error)
    if (signal?.aborted) return failed(outgoing, 'client.aborted', 'ended by its caller', error)
    return failed(outgoing, 'client.unreachable', `no answer${reasonOf(error)}`, error)
  } finally {
    clearTimeout(timer)
    letGo?.()
  }
}

function toError(operation: string, response: Response, json: unknown, now: number): TollkeeperError {
  const { status, headers } = response
  const retryAfterMs = readRetryAfter(headers.get('retry-after'), now)
  if (isProblem(json)) return new TollkeeperError(operation, { ...json, status }, { retryAfterMs })
  const detail =
    status >= 300 && status < 400
      ? 'redirected: the client’s url is not Tollkeeper’s own'
      : 'the answer is no problem of Tollkeeper’s: something else answers at the client’s url'
  return new TollkeeperError(
    operation,
    { status, code: 'client.unreadable_answer', detail },
    { retryAfterMs },
  )
}

function isProblem(json: unknown): json is ProblemDetails {
  return typeof json === 'object' && json !== null && 'code' in json && typeof json.code === 'string'
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function failed(
  { operation }: Outgoing,
  code: ClientErrorCode,
  detail: string,
  cause?: unknown,
  status = 0,
): TollkeeperError {
  return new TollkeeperError(operation, { status, code, detail }, { cause })
}

/** `fetch failed` says nothing; the code of its cause does: `ECONNREFUSED`. */
function reasonOf(error: unknown): string {
  const cause = error instanceof Error && error.cause !== undefined ? error.cause : error
  return typeof cause === 'object' && cause !== null && 'code' in cause && typeof cause.code === 'string'
    ? ` (${cause.code})`
    : ''
}
