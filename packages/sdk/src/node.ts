import { constants } from 'node:os'
import type { UsageBuffer } from './buffer/usage-buffer.ts'
import type { UsageEvent } from './generated/api.gen.ts'
import type { Settlements } from './settlements/settlements.ts'

/** The part of a server of `node:http` that is used. */
export interface ClosableServer {
  close(callback: (error?: Error) => void): unknown
  /** Ends connections without a request. */
  closeIdleConnections?(): void
}

type Closable = UsageBuffer | Settlements

export interface CloseOnSignalOptions {
  /** Default: SIGTERM and SIGINT. */
  readonly signals?: readonly NodeJS.Signals[] | undefined
  /** Takes no more connections, and answers what it was asked, before anything is closed: so nothing is added any more. */
  readonly server?: ClosableServer | undefined
  /**
   * What else to do first. Resolve when no request runs any more: `server.close()` alone returns at once.
   */
  readonly before?: (() => unknown) | undefined
  /** For `before` and the requests that run, ms; what still runs then is not waited for. Default: 10,000. */
  readonly drainTimeoutMs?: number | undefined
  /** Then, for sending what is left, ms. Default: 10,000. */
  readonly timeoutMs?: number | undefined
  /** Told the events that were not answered: with a journal the next process goes on with them, else nobody does. */
  readonly onUnsent?: ((events: readonly UsageEvent[]) => unknown) | undefined
  /** Told what failed meanwhile; the process ends all the same. */
  readonly onError?: ((error: unknown) => void) | undefined
}

const IDLE_CHECK_MS = 50
/** Calls that are not through yet: the last one ends the process. */
let closing = 0

/**
 * When the process is told to end, lets the server answer what it was asked, sends what is in the buffers, and lets the process
 * end by the same signal. A second signal ends it at once.
 *
 * @returns takes the listeners away again
 */
export function closeOnSignal(
  closables: Closable | readonly Closable[],
  options: CloseOnSignalOptions = {},
): () => void {
  const { signals = ['SIGTERM', 'SIGINT'], timeoutMs, drainTimeoutMs = 10_000 } = options
  const remove = () => {
    for (const signal of signals) process.removeListener(signal, end)
  }

  async function end(signal: NodeJS.Signals): Promise<void> {
    remove()
    for (const each of signals) process.once(each, endNow)
    closing += 1
    await attempt(() => within(drainTimeoutMs, drain))
    const all: readonly Closable[] = 'close' in closables ? [closables] : closables
    await Promise.all(all.map((each) => attempt(() => closeOne(each))))
    closing -= 1
    if (closing > 0) return
    for (const each of signals) process.removeListener(each, endNow)
    endNow(signal)
  }

  async function drain(): Promise<void> {
    await attempt(options.before)
    if (options.server !== undefined) await drained(options.server)
  }

  async function closeOne(closable: Closable): Promise<void> {
    const rest = await closable.close({ timeoutMs })
    const unsent = rest.filter((one) => 'correlationId' in one)
    if (unsent.length > 0) await options.onUnsent?.(unsent)
  }

  async function attempt(step: (() => unknown) | undefined): Promise<void> {
    try {
      await step?.()
    } catch (error) {
      try {
        options.onError?.(error)
      } catch {}
    }
  }

  for (const signal of signals) process.on(signal, end)
  return remove
}

/** The first process of a container is not ended by a signal of its own: the kernel drops it. */
function endNow(signal: NodeJS.Signals): void {
  if (process.pid === 1) process.exit(128 + constants.signals[signal])
  process.kill(process.pid, signal)
}

/** Resolves when the server has no connection any more. */
function drained(server: ClosableServer): Promise<void> {
  return new Promise((resolve) => {
    // A connection whose request is answered would be kept for the next one.
    const timer = setInterval(() => server.closeIdleConnections?.(), IDLE_CHECK_MS)
    server.close(() => {
      clearInterval(timer)
      resolve()
    })
  })
}

async function within(ms: number, step: () => Promise<void>): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined
  const over = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms)
  })
  await Promise.race([step(), over])
  clearTimeout(timer)
}
