import { DomainError } from '../error.ts'
import { keepOn } from '../kept-on.ts'
import { COUNTER_MAX, type CountedLimit, type Counter, type CounterKey, EMPTY_COUNTER } from './quota.ts'
import type { QuotaStore } from './quota-store.ts'

/** A limit below is exact in the store at every use. In whole units. */
export const LEASED_FROM = 10_000
/** A slice is at most this part of a limit, and so many units. */
const SLICE_PART = 100
const SLICE_MAX = 1_000
/** Of what is left, so that the last units go to whoever asks. */
const REST_PART = 10
/** How long a node counts a slice by itself, ms: so long a limit that was lowered elsewhere may still hold here. */
export const LEASE_MS = 5_000
/** What the store has no room for is not asked for again so soon, ms. */
const EXHAUSTED_MS = 1_000

export interface Leased {
  readonly isAllowed: boolean
  /** Of each limit, in order: what the store knew when it was last asked, and what was counted here since. */
  readonly counters: readonly Counter[]
}

/**
 * Counts large limits in memory, by slices that are taken from the store. Never more than the limit, whatever happens to a
 * node: what it has not used of a slice counts as used until it is given back or the window ends.
 */
export interface Leases {
  /** @param unit - base units in one whole unit */
  consume(
    asked: { readonly holder: string; readonly dimension: string; readonly limits: readonly CountedLimit[] },
    quantity: number,
    unit: number,
    now: number,
  ): Leased | Promise<Leased>
  /** What this node holds of a counter unused, base units. */
  unused(key: CounterKey): number
  /** Gives back what is left of slices whose time is over. */
  sweep(now: number): Promise<void>
  /** Gives everything back: this node stops. */
  close(now: number): Promise<void>
}

interface Slice {
  readonly key: CounterKey
  readonly end: number | undefined
  max: number
  left: number
  until: number
  /** The store's, with what is left here. */
  counter: Counter
  /** The store had no room for so much, base units; not asked again before `exhaustedUntil`. */
  exhaustedFrom: number
  exhaustedUntil: number
  /** One exchange at a time. */
  pending: Promise<void> | undefined
  /** How many wait for it. */
  waiting: number
  /** Nothing was left of it, and it was forgotten. */
  isGone: boolean
}

/** The slices of one question. */
interface Asked {
  readonly holder: string
  readonly dimension: string
  readonly slices: readonly Slice[]
}

export function createLeases(quotas: Pick<QuotaStore, 'exchange'>): Leases {
  const slices = new Map<string, Slice>()
  /** Limits stay the same object from one question to the next: no names have to be made of them. */
  const OWN = Symbol('slices of this node')

  function slicesOf(
    holder: string,
    dimension: string,
    limits: readonly CountedLimit[] & { readonly [OWN]?: Asked },
  ): readonly Slice[] {
    const asked = limits[OWN]
    if (asked?.holder === holder && asked.dimension === dimension && asked.slices.every(isKept))
      return asked.slices
    const found = limits.map((limit) => sliceOf(holder, dimension, limit))
    keepOn(limits, OWN, { holder, dimension, slices: found })
    return found
  }

  function sliceOf(holder: string, dimension: string, limit: CountedLimit): Slice {
    const { window, start, end } = limit
    const name = `${holder}\n${dimension}\n${window}\n${start}`
    // What does not block is counted all the same.
    const max = limit.blocks && limit.max !== undefined ? limit.max : COUNTER_MAX
    let slice = slices.get(name)
    if (slice === undefined) {
      slice = {
        key: { holder, dimension, window, start },
        end,
        max,
        left: 0,
        until: 0,
        counter: EMPTY_COUNTER,
        exhaustedFrom: 0,
        exhaustedUntil: 0,
        pending: undefined,
        waiting: 0,
        isGone: false,
      }
      slices.set(name, slice)
    }
    if (slice.max !== max) {
      // Another limit than it was taken under.
      slice.max = max
      slice.until = 0
      slice.exhaustedUntil = 0
    }
    return slice
  }

  // A clock that went back makes nothing last longer.
  const isGood = ({ until, left }: Slice, quantity: number, now: number) =>
    now < until && now >= until - LEASE_MS && left >= quantity
  const isExhausted = ({ exhaustedFrom, exhaustedUntil }: Slice, quantity: number, now: number) =>
    quantity >= exhaustedFrom && now < exhaustedUntil && now >= exhaustedUntil - EXHAUSTED_MS

  async function exchange(slice: Slice, want: number, least: number, now: number): Promise<void> {
    const giveBack = slice.left
    slice.left = 0
    slice.until = 0
    const { key, end, max } = slice
    try {
      const { granted, counter } = await quotas.exchange({ key, end, max, giveBack, want, least }, now)
      slice.left = granted
      slice.until = now + LEASE_MS
      slice.counter = counter
      if (granted < least) {
        slice.exhaustedFrom = least
        slice.exhaustedUntil = now + EXHAUSTED_MS
      }
    } catch (error) {
      // Where the answer is lost, so is what was left: it counts as used. A refusal has written nothing.
      if (isRefusal(error)) slice.left = giveBack
      throw error
    }
  }

  /** One after the other: what one answer says must not overwrite what another has granted. */
  async function alone(slice: Slice, work: () => Promise<void>): Promise<void> {
    while (slice.pending !== undefined) await slice.pending.catch(() => {})
    slice.pending = work()
    try {
      await slice.pending
    } finally {
      slice.pending = undefined
    }
  }

  const refill = (slice: Slice, quantity: number, unit: number, now: number) =>
    alone(slice, async () => {
      if (isGood(slice, quantity, now) || isExhausted(slice, quantity, now)) return
      const { used, held } = slice.counter
      const whole = Math.floor(slice.max / unit / SLICE_PART)
      const rest = Math.floor((slice.max - used - held) / unit / REST_PART)
      const units = Math.max(1, Math.min(SLICE_MAX, whole, rest))
      await exchange(slice, Math.max(quantity, units * unit), quantity, now)
    })

  const seen = ({ counter: { used, held }, left }: Slice): Counter => ({ used: used - left, held })

  function take(of: readonly Slice[], quantity: number): Leased {
    for (const slice of of) slice.left -= quantity
    return { isAllowed: true, counters: of.map(seen) }
  }

  async function consumeSlowly(
    of: readonly Slice[],
    quantity: number,
    unit: number,
    now: number,
  ): Promise<Leased> {
    for (const slice of of) slice.waiting++
    try {
      for (;;) {
        for (const slice of of) if (!isGood(slice, quantity, now)) await refill(slice, quantity, unit, now)
        if (of.every((slice) => isGood(slice, quantity, now))) return take(of, quantity)
        // Else others were quicker.
        if (of.some((slice) => !isGood(slice, quantity, now) && isExhausted(slice, quantity, now)))
          return { isAllowed: false, counters: of.map(seen) }
      }
    } finally {
      for (const slice of of) slice.waiting--
    }
  }

  /** Each by itself: one that fails does not keep the others. */
  async function giveBack(
    some: readonly Slice[],
    now: number,
    mayGoOn: (slice: Slice) => boolean,
  ): Promise<void> {
    const results = await Promise.allSettled(
      some.map((slice) =>
        alone(slice, async () => {
          if (mayGoOn(slice)) return
          if (slice.left > 0) await exchange(slice, 0, 0, now)
          slice.until = 0
        }),
      ),
    )
    const failed = results.find(({ status }) => status === 'rejected')
    if (failed?.status === 'rejected') throw failed.reason
  }

  const isLive = ({ until }: Slice, now: number) => now < until && now >= until - LEASE_MS

  return {
    consume({ holder, dimension, limits }, quantity, unit, now) {
      const of = slicesOf(holder, dimension, limits)
      return of.every((slice) => slice.pending === undefined && isGood(slice, quantity, now))
        ? take(of, quantity)
        : consumeSlowly(of, quantity, unit, now)
    },
    unused: ({ holder, dimension, window, start }) =>
      slices.get(`${holder}\n${dimension}\n${window}\n${start}`)?.left ?? 0,
    async sweep(now) {
      const over = [...slices].filter(([, slice]) => !isLive(slice, now))
      try {
        await giveBack(
          over.map(([, slice]) => slice),
          now,
          (slice) => isLive(slice, now),
        )
      } finally {
        for (const [name, slice] of over)
          if (slice.left === 0 && slice.waiting === 0 && slice.pending === undefined && !isLive(slice, now)) {
            slices.delete(name)
            slice.isGone = true
          }
      }
    },
    close: (now) => giveBack([...slices.values()], now, () => false),
  }
}

function isKept({ isGone }: Slice): boolean {
  return !isGone
}

/** Nothing was written: the ledger waits for a person. */
function isRefusal(error: unknown): boolean {
  return error instanceof DomainError && error.code === 'ledger.waiting_for_release'
}
