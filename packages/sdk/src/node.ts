import type { UsageBuffer } from './buffer/usage-buffer.ts'
import type { UsageEvent } from './generated/api.gen.ts'

export interface CloseOnSignalOptions {
  /** Default: SIGTERM and SIGINT. */
  readonly signals?: readonly NodeJS.Signals[] | undefined
  /** For sending what is left, ms. Default: 10,000. */
  readonly timeoutMs?: number | undefined
  /** Before the buffer closes: stop taking requests here, so that nothing is added any more. */
  readonly before?: (() => unknown) | undefined
  /** Told what was not answered, and is in no file. */
  readonly onUnsent?: ((events: readonly UsageEvent[]) => unknown) | undefined
}

/**
 * Sends what is in the buffer when the process is told to end, then lets it end by the same signal. A second signal ends it
 * at once.
 *
 * @returns takes the listeners away again
 */
export function closeOnSignal(buffer: UsageBuffer, options: CloseOnSignalOptions = {}): () => void {
  const { signals = ['SIGTERM', 'SIGINT'], timeoutMs, before, onUnsent } = options
  const remove = () => {
    for (const signal of signals) process.removeListener(signal, end)
  }
  async function end(signal: NodeJS.Signals): Promise<void> {
    remove()
    try {
      await before?.()
    } finally {
      const unsent = await buffer.close({ timeoutMs })
      if (unsent.length > 0) await onUnsent?.(unsent)
      process.kill(process.pid, signal)
    }
  }
  for (const signal of signals) process.on(signal, end)
  return remove
}
