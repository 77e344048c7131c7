export const START = Date.parse('2026-11-21T10:00:00Z')

/** Time that passes by being waited for: whoever waits for the earliest moment is woken next. */
export function aClock() {
  let now = START
  let isPumping = false
  const slept: number[] = []
  const sleepers = new Set<{ readonly at: number; readonly wake: () => void }>()
  const pump = async () => {
    isPumping = true
    while (sleepers.size > 0) {
      await turns(3)
      const [first] = [...sleepers].sort((one, other) => one.at - other.at)
      if (first === undefined) break
      sleepers.delete(first)
      now = Math.max(now, first.at)
      first.wake()
    }
    isPumping = false
  }
  return {
    slept,
    now: () => now,
    sleep: (ms: number, signal?: AbortSignal) =>
      new Promise<void>((resolve, reject) => {
        if (signal?.aborted) return reject(signal.reason)
        const sleeper = {
          at: now + ms,
          wake: () => {
            slept.push(ms)
            resolve()
          },
        }
        sleepers.add(sleeper)
        signal?.addEventListener('abort', () => {
          sleepers.delete(sleeper)
          reject(signal.reason)
        })
        if (!isPumping) void pump()
      }),
  }
}

/** Time that stands still until it is told to pass. */
export function aStillClock() {
  const sleeping: (() => void)[] = []
  return {
    now: () => START,
    sleep: (_ms: number, signal?: AbortSignal) =>
      new Promise<void>((resolve, reject) => {
        sleeping.push(resolve)
        signal?.addEventListener('abort', () => reject(signal.reason))
      }),
    pass: () => {
      for (const wake of sleeping.splice(0)) wake()
    },
  }
}

/** Lets everything go on that waits for nothing but its turn. */
export async function turns(count = 30): Promise<void> {
  for (let n = 0; n < count; n++) await new Promise((resolve) => setImmediate(resolve))
}
