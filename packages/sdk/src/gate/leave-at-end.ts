import { type Clock, systemClock } from '../clock.ts'
import type { Entered } from './gate.ts'

interface Patience {
  /** That a body has to say what it used when nobody wants it any more, ms. Default: 2,000. */
  readonly timeoutMs?: number | undefined
  readonly clock?: Clock | undefined
}

/**
 * Leaves when the answer’s body has ended or was cancelled, or its caller has gone: until then a handler that streams may say what
 * it used. Where there is no body that anybody reads, or nothing is held, at once.
 *
 * @returns the answer to send: its body ends when `leave` has, and nothing else of it waits
 */
export async function leaveAtEnd(
  { method, signal }: Pick<Request, 'method' | 'signal'>,
  response: Response,
  entry: Entered,
  { timeoutMs = 2_000, clock = systemClock }: Patience,
): Promise<Response> {
  const { body, status } = response
  if (!entry.isHolding || body === null || body.locked || method === 'HEAD') {
    await entry.leave(status)
    return response
  }
  const leave = () => entry.leave(status)
  // A platform may drop the body of a caller who is gone, and tell it nothing.
  const leaveSoon = () => void clock.sleep(timeoutMs).then(leave)
  if (signal.aborted) leaveSoon()
  else signal.addEventListener('abort', leaveSoon, { once: true })
  const told = tellingEnd(body, leave, (inTime) => clock.sleep(timeoutMs, inTime))
  return new Response(told, response)
}

/** One chunk is read ahead: a short body ends also where a platform drops it unread. */
const CHUNKS_AHEAD = 2

function tellingEnd(
  body: ReadableStream<Uint8Array>,
  onEnd: () => Promise<void>,
  patience: (inTime: AbortSignal) => Promise<void>,
): ReadableStream<Uint8Array> {
  const reader = body.getReader()
  let isCancelled = false
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        try {
          const { done, value } = await reader.read()
          if (!done) return isCancelled ? undefined : controller.enqueue(value)
        } catch (error) {
          await onEnd()
          throw error
        }
        if (isCancelled) return // what the body does about it comes first
        await onEnd()
        // It may have been cancelled meanwhile: then it is closed.
        if (!isCancelled) controller.close()
      },
      async cancel(reason) {
        isCancelled = true
        const inTime = new AbortController()
        try {
          // A body that waits for somebody else may never be done with it.
          await Promise.race([reader.cancel(reason), patience(inTime.signal).catch(() => {})])
        } finally {
          inTime.abort()
          await onEnd()
        }
      },
    },
    { highWaterMark: CHUNKS_AHEAD },
  )
}
