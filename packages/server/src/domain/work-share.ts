import { hash } from 'node:crypto'
import type { Clock } from './clock.ts'
import type { WorkLeases } from './work-leases.ts'

/** How long a node that died keeps others from what it was doing. */
const LEASE_MS = 60_000

/** One of `of` parts, by subscription: a subscription is always in the same. */
export interface Slice {
  readonly index: number
  readonly of: number
}

/** One node's part of the work of all. */
export interface WorkShare {
  /** The parts that closing is cut into, in this node's own order; one `undefined` where it is not cut. */
  readonly slices: readonly (Slice | undefined)[]
  /** The same list in this node's own order, so that nodes begin with different things. */
  inOwnOrder<T>(list: readonly T[]): readonly T[]
  /**
   * Does a work unless another node is doing it.
   *
   * @param work - asks before each step whether it still is this node's, which also renews the lease
   * @returns undefined where another does it
   */
  during<T>(name: string, work: (goesOn: () => Promise<boolean>) => Promise<T>): Promise<T | undefined>
  /**
   * Is this node the one that does a work which comes round again and again? It is until it is stopped, dies, or passes
   * the work on.
   */
  keeps(name: string): Promise<boolean>
  /**
   * Gives such a work to whichever node asks next, since this one may lack what the work needs; it does not ask for it
   * itself until the others have had their turn.
   */
  passOn(name: string): Promise<void>
  /** Does a work that comes round, if it is this node's. What fails is passed on. @returns undefined where another does it */
  whileKept<T>(name: string, work: () => Promise<T>): Promise<T | undefined>
  /** Gives everything back: others need not wait. */
  end(): Promise<void>
}

/** There are no others. */
export const ALL_WORK: WorkShare = {
  slices: [undefined],
  inOwnOrder: (list) => list,
  during: (_, work) => work(async () => true),
  keeps: async () => true,
  passOn: async () => {},
  whileKept: (_, work) => work(),
  end: async () => {},
}

/**
 * @param deps.everyMs - how long until work that comes round is asked for again: its lease outlasts that
 */
export function createWorkShare(deps: {
  readonly leases: WorkLeases
  readonly holder: string
  readonly clock: Clock
  readonly everyMs: number
}): WorkShare {
  const { leases, holder, clock } = deps
  const keepMs = LEASE_MS + 2 * deps.everyMs
  const kept = new Map<string, number>()
  /** Others ask once an interval: in two of them, each that is well has asked. */
  const restMs = 2 * deps.everyMs
  /** What was passed on, and when. */
  const passed = new Map<string, number>()
  const turn = hash('sha256', holder, 'buffer').readUInt32BE()

  /** Until when a lease is ours; undefined: it is another's. Renewed where less than half is left. */
  async function claim(
    name: string,
    until: number | undefined,
    leaseMs: number,
  ): Promise<number | undefined> {
    const now = clock.now()
    const left = (until ?? now) - now
    if (left > leaseMs / 2 && left <= leaseMs) return until
    return (await leases.claim(name, holder, now, leaseMs)) ? now + leaseMs : undefined
  }

  const inOwnOrder = <T>(list: readonly T[]): readonly T[] => {
    const first = turn % Math.max(1, list.length)
    return [...list.slice(first), ...list.slice(0, first)]
  }

  function rests(name: string): boolean {
    const since = clock.now() - (passed.get(name) ?? Number.NEGATIVE_INFINITY)
    return since >= 0 && since < restMs
  }

  async function keeps(name: string): Promise<boolean> {
    if (rests(name)) return false
    const until = await claim(name, kept.get(name), keepMs)
    if (until === undefined) kept.delete(name)
    else kept.set(name, until)
    return until !== undefined
  }

  async function passOn(name: string): Promise<void> {
    passed.set(name, clock.now())
    if (kept.delete(name)) await leases.release(name, holder)
  }

  return {
    slices:
      leases.slices === 1
        ? [undefined]
        : inOwnOrder(Array.from({ length: leases.slices }, (_, index) => ({ index, of: leases.slices }))),
    inOwnOrder,
    async during(name, work) {
      let until = await claim(name, undefined, LEASE_MS)
      if (until === undefined) return undefined
      try {
        return await work(async () => {
          if (until !== undefined) until = await claim(name, until, LEASE_MS)
          return until !== undefined
        })
      } finally {
        await leases.release(name, holder)
      }
    },
    keeps,
    passOn,
    async whileKept(name, work) {
      if (!(await keeps(name))) return undefined
      try {
        return await work()
      } catch (error) {
        // Where it cannot be given back it expires; why the work failed is what matters.
        await passOn(name).catch(() => {})
        throw error
      }
    },
    async end() {
      for (const name of kept.keys()) await leases.release(name, holder)
      kept.clear()
      passed.clear()
    },
  }
}
