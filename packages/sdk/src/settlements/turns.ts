import type { Clock } from '../clock.ts'

/** Whose turn it is: some at once, others when their time has come. */
export interface Turns<T> {
  /** At the next turn that there is. */
  now(one: T): void
  /** Nobody's turn for so long; after that one at a time, until one goes well. */
  pause(ms: number): void
  isPaused(): boolean
  /** Everybody's turn is now. */
  hurry(): void
  /** Resolves when nobody is at it any more. */
  ended(): Promise<void>
}

/** At once. */
const RUNNING_MAX = 16

/**
 * @param options.take - does what there is to do, and never rejects. It says in how many ms it has to be done again; undefined:
 *   it is done
 * @param options.signal - ends it: nobody's turn comes any more
 */
export function createTurns<T>(options: {
  readonly clock: Clock
  readonly signal: AbortSignal
  readonly take: (one: T) => Promise<number | undefined>
}): Turns<T> {
  const { clock, signal, take } = options
  const ready = new Set<T>()
  /** With the time from which it is their turn, ms. */
  const waiting = new Map<T, number>()
  const running = new Map<T, Promise<void>>()
  let earliest = Number.POSITIVE_INFINITY
  let pausedUntil = 0
  let lastLook = 0
  let isCautious = false
  let alarm: { readonly at: number; readonly ending: AbortController } | undefined
  signal.addEventListener('abort', () => alarm?.ending.abort(), { once: true })

  function go(): void {
    if (signal.aborted) return
    const now = clock.now()
    // The clock was set back: who waited for a time waits no longer.
    if (now < lastLook) callAll()
    lastLook = now
    if (now < pausedUntil) {
      if (ready.size + waiting.size > 0) wakeAt(pausedUntil)
      return
    }
    if (now >= earliest) callWhoIsDue(now)
    for (const one of ready) {
      if (running.size >= (isCautious ? 1 : RUNNING_MAX)) break
      ready.delete(one)
      const taken = run(one)
      running.set(one, taken)
    }
    if (waiting.size > 0) wakeAt(earliest)
  }

  async function run(one: T): Promise<void> {
    const ms = await take(one)
    running.delete(one)
    if (ms === undefined) isCautious = false
    else {
      const at = clock.now() + ms
      waiting.set(one, at)
      earliest = Math.min(earliest, at)
    }
    go()
  }

  function callWhoIsDue(now: number): void {
    earliest = Number.POSITIVE_INFINITY
    for (const [one, at] of waiting) {
      if (at > now) {
        earliest = Math.min(earliest, at)
        continue
      }
      waiting.delete(one)
      ready.add(one)
    }
  }

  function callAll(): void {
    pausedUntil = 0
    for (const one of waiting.keys()) ready.add(one)
    waiting.clear()
    earliest = Number.POSITIVE_INFINITY
  }

  function wakeAt(at: number): void {
    if (alarm !== undefined && alarm.at <= at) return
    alarm?.ending.abort()
    const mine = { at, ending: new AbortController() }
    alarm = mine
    clock.sleep(Math.max(0, at - clock.now()), mine.ending.signal).then(
      () => {
        if (alarm === mine) alarm = undefined
        go()
      },
      () => {},
    )
  }

  return {
    now(one) {
      ready.add(one)
      go()
    },
    pause(ms) {
      pausedUntil = Math.max(pausedUntil, clock.now() + ms)
      isCautious = true
    },
    isPaused: () => clock.now() < pausedUntil,
    hurry() {
      callAll()
      go()
    },
    async ended() {
      while (running.size > 0) await Promise.allSettled(running.values())
    },
  }
}
