import type { Clock } from '../../packages/server/src/domain/clock.ts'
import { ask } from '../processes.ts'

/** As far as one machine's clock may be behind another's after a jump. */
const LOOK_EVERY_MS = 25

/** The clock of a simulator in another process, which runs and is set ahead now and then. */
export async function followClock(simulator: string): Promise<Clock & { stop(): void }> {
  const sleepers = new Set<() => void>()
  let virtual = 0
  let readAt = 0
  const look = async () => {
    const { epochMs } = await ask<{ epochMs: number }>(`${simulator}/_control/clock`)
    virtual = Math.max(epochMs, virtual)
    readAt = performance.now()
    for (const check of [...sleepers]) check()
  }
  const now = () => Math.floor(virtual + (performance.now() - readAt))
  await look()
  let looking = false
  const timer = setInterval(() => {
    if (looking) return
    looking = true
    // While the simulator is too busy to say, time goes on.
    look()
      .catch(() => undefined)
      .finally(() => {
        looking = false
      })
  }, LOOK_EVERY_MS)
  return {
    now,
    stop: () => clearInterval(timer),
    sleep: (ms, signal) =>
      new Promise((resolve, reject) => {
        const end = now() + ms
        const done = () => {
          sleepers.delete(check)
          clearTimeout(soon)
          signal?.removeEventListener('abort', onAbort)
        }
        const check = () => {
          if (now() < end) return
          done()
          resolve()
        }
        const onAbort = () => {
          done()
          reject(signal!.reason)
        }
        const soon = setTimeout(check, ms)
        sleepers.add(check)
        if (signal?.aborted) return onAbort()
        signal?.addEventListener('abort', onAbort)
      }),
  }
}
