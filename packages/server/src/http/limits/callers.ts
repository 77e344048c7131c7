/** What is kept of callers, in memory: of so many at most. */
export interface Callers<T> {
  /** What is kept of this one; made where nothing is. */
  of(caller: string, now: number): T
  /** How many are kept. */
  count(): number
}

/** So many are asked for their place before one who still needs it loses it. */
const ASKED_MAX = 8

/**
 * The longest known make room for new ones, whoever is idle first: a stream of strangers pushes out those whom nothing is
 * held against before it can make anybody's debt be forgotten.
 */
export function createCallers<T>(options: {
  readonly callersMax: number
  readonly make: () => T
  /** Forgetting this one changes nothing. */
  readonly isIdle: (kept: T, now: number) => boolean
}): Callers<T> {
  const { callersMax, make, isIdle } = options
  const known = new Map<string, T>()

  function makeRoom(now: number): void {
    for (let asked = 1; ; asked++) {
      const [caller, kept] = known.entries().next().value!
      known.delete(caller)
      if (asked === ASKED_MAX || isIdle(kept, now)) return
      known.set(caller, kept)
    }
  }

  return {
    of(caller, now) {
      const found = known.get(caller)
      if (found !== undefined) return found
      if (known.size >= callersMax) makeRoom(now)
      const made = make()
      known.set(caller, made)
      return made
    },
    count: () => known.size,
  }
}
