/**
 * The time that every rule, window and quota of the simulated AWS follows.
 *
 * A running clock advances with real time, from wherever it was put; a frozen one stands still until told.
 */
export interface VirtualClock {
  /** Virtual now, in epoch milliseconds. */
  now(): number
  readonly running: boolean
  /** Moves forward by `ms` (whole, zero or more) and wakes those whose time has come. */
  advance(ms: number): void
  /** Jumps to `epochMs`, also backwards: sleepers then wait for their original deadline. */
  set(epochMs: number): void
  /** Starts or stops the hands, without a jump. */
  run(running: boolean): void
  /**
   * Resolves once virtual time is `ms` later than now: by `advance` or `set`, or by a real timer while running.
   *
   * @throws `signal.reason` when aborted, also if aborted before the call
   */
  sleep(ms: number, signal?: AbortSignal): Promise<void>
  /** Calls `listener` after each `advance`, `set` and `run`. @returns a function that stops it */
  onChange(listener: () => void): () => void
}

/** Longest delay that a Node.js timer takes; longer sleeps are taken in several. */
const TIMER_MS_MAX = 2_147_483_647

/** Latest instant an ECMAScript `Date` can hold. */
const EPOCH_MS_MAX = 8_640_000_000_000_000

interface Sleeper {
  readonly deadline: number
  readonly wake: () => void
  timer: NodeJS.Timeout | undefined
}

/**
 * @param options.start - defaults to the real now
 * @param options.running - defaults to `true`
 * @throws {RangeError} for an instant or a step that is no whole number of milliseconds
 */
export function createVirtualClock(options: { start?: Date | number; running?: boolean } = {}): VirtualClock {
  const sleepers = new Set<Sleeper>()
  const listeners = new Set<() => void>()
  let running = options.running ?? true
  /** While running: what to add to real time. While frozen: the time itself. */
  let base = 0
  put(options.start === undefined ? Date.now() : Number(options.start))

  function now(): number {
    return running ? Date.now() + base : base
  }

  function put(epochMs: number): void {
    if (!Number.isInteger(epochMs) || Math.abs(epochMs) > EPOCH_MS_MAX) {
      throw new RangeError(`${epochMs} is not a time in whole milliseconds`)
    }
    base = running ? epochMs - Date.now() : epochMs
  }

  function changed(): void {
    for (const sleeper of [...sleepers]) check(sleeper)
    for (const listener of [...listeners]) listener()
  }

  function check(sleeper: Sleeper): void {
    clearTimeout(sleeper.timer)
    const remaining = sleeper.deadline - now()
    if (remaining <= 0) sleeper.wake()
    else if (running) {
      sleeper.timer = setTimeout(() => check(sleeper), Math.min(remaining, TIMER_MS_MAX))
    }
  }

  return {
    now,
    get running() {
      return running
    },
    advance(ms) {
      if (!(ms >= 0)) throw new RangeError(`cannot advance by ${ms} ms: set the clock to go backwards`)
      put(now() + ms)
      changed()
    },
    set(epochMs) {
      put(epochMs)
      changed()
    },
    run(next) {
      const at = now()
      running = next
      put(at)
      changed()
    },
    sleep(ms, signal) {
      if (signal?.aborted) return Promise.reject(signal.reason)
      return new Promise((resolve, reject) => {
        const sleeper: Sleeper = { deadline: now() + ms, wake: () => settle(resolve), timer: undefined }
        const abort = () => settle(() => reject(signal?.reason))
        function settle(finish: () => void): void {
          clearTimeout(sleeper.timer)
          sleepers.delete(sleeper)
          signal?.removeEventListener('abort', abort)
          finish()
        }
        signal?.addEventListener('abort', abort, { once: true })
        sleepers.add(sleeper)
        check(sleeper)
      })
    },
    onChange(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
  }
}
