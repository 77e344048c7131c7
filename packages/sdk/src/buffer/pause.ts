import type { Clock } from '../clock.ts'

/** What is waited for, and what may end it: enough events end the first, a caller who asks the second as well. */
export const PAUSES = { interval: 1, backoff: 2, asked: 3 } as const

/** Waiting that can be ended early. One at a time. */
export interface Pause {
  /** Resolves when `ms` have passed, when it is ended, or when all is stopped. */
  for(ms: number, kind: keyof typeof PAUSES): Promise<void>
  /** Ends what is waited for now, if it is of this kind or one that ends sooner. */
  end(kind: keyof typeof PAUSES): void
}

export function createPause(clock: Clock, stop: AbortSignal): Pause {
  let current: { readonly ending: AbortController; readonly kind: keyof typeof PAUSES } | undefined
  stop.addEventListener('abort', () => current?.ending.abort(), { once: true })
  return {
    async for(ms, kind) {
      if (stop.aborted) return
      const ending = new AbortController()
      current = { ending, kind }
      try {
        await clock.sleep(ms, ending.signal)
      } catch (error) {
        if (!ending.signal.aborted) throw error
      } finally {
        current = undefined
      }
    },
    end(kind) {
      if (current !== undefined && PAUSES[current.kind] <= PAUSES[kind]) current.ending.abort()
    },
  }
}
