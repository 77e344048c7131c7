import { type Window, windowAt } from './window.ts'

/** More than this is never counted: integers stay exact as numbers. */
export const COUNTER_MAX = Number.MAX_SAFE_INTEGER

/** One limit of a plan, as it counts for a holder now. */
export interface CountedLimit {
  readonly window: Window
  /** Of the window, ms; 0 for `lifetime`. */
  readonly start: number
  /** ms; undefined: it never ends. */
  readonly end: number | undefined
  /** Base units; undefined: unlimited. */
  readonly max: number | undefined
  /** False: what exceeds it is let through, and billed. */
  readonly blocks: boolean
}

/** What a holder has used of a dimension in one window. */
export interface CounterKey {
  /** A subscription's id or a visitor's. */
  readonly holder: string
  readonly dimension: string
  readonly window: Window
  readonly start: number
}

/** Base units. */
export interface Counter {
  /** Consumed, and leased to nodes. */
  readonly used: number
  /** Reserved and not settled. */
  readonly held: number
}

export const EMPTY_COUNTER: Counter = { used: 0, held: 0 }

/** The limits that a quantity is let through by; counted in the same step as what it lets through is written. */
export interface Gate {
  readonly holder: string
  readonly limits: readonly CountedLimit[]
  /** What is used was reserved before. */
  readonly reservation?: string | undefined
}

/** A limit as a plan says it, in base units. */
export interface PlanLimit {
  readonly window: Window
  readonly max: number | undefined
  readonly blocks: boolean
}

/** @param anchor - what months are counted from, ms */
export function limitsAt(limits: readonly PlanLimit[], time: number, anchor: number): CountedLimit[] {
  return limits.map(({ window, max, blocks }) => ({ window, max, blocks, ...windowAt(window, time, anchor) }))
}

/**
 * Is there room for so much more?
 *
 * @param limits - and of each what is counted, in the same order
 * @param quantity - base units
 */
export function hasRoom(
  limits: readonly Pick<CountedLimit, 'max' | 'blocks'>[],
  counters: readonly Counter[],
  quantity: number,
): boolean {
  return limits.every(({ max, blocks }, index) => {
    const { used, held } = counters[index]!
    // Each term is exact, and so are differences of exact numbers below 2^53.
    return quantity <= (blocks && max !== undefined ? max : COUNTER_MAX) - used - held
  })
}

/** What is left of what blocks, base units; undefined: nothing does. Never below zero: a limit may have been lowered. */
export function remainingOf({ max, blocks }: CountedLimit, { used, held }: Counter): number | undefined {
  return max === undefined || !blocks ? undefined : Math.max(0, max - used - held)
}
