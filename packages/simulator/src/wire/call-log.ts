import type { CallCounts } from '../marketplace/marketplace.ts'

/** One AWS call, as it was answered. */
export interface Call {
  readonly number: number
  /** Virtual time, epoch milliseconds. */
  readonly at: number
  readonly operation: string
  readonly region: string
  /** `ok`, an AWS error code, `html503` or `cut`. */
  readonly outcome: string
  /** The fault that hit it. */
  readonly fault?: string
}

/** The latest calls, and counts of all since the start. It lives in memory only. */
export interface CallLog {
  add(call: Omit<Call, 'number'>): void
  /** Newest first. */
  list(): Call[]
  counts(): CallCounts
}

const CALLS_KEPT_MAX = 1_000

export function createCallLog(): CallLog {
  const kept: Call[] = []
  const counts = new Map<string, Map<string, number>>()
  let number = 0
  return {
    add(call) {
      kept[number % CALLS_KEPT_MAX] = { number: ++number, ...call }
      let outcomes = counts.get(call.operation)
      if (outcomes === undefined) {
        outcomes = new Map()
        counts.set(call.operation, outcomes)
      }
      outcomes.set(call.outcome, (outcomes.get(call.outcome) ?? 0) + 1)
    },
    list: () => [...kept].sort((a, b) => b.number - a.number),
    counts: () =>
      Object.fromEntries(
        [...counts].map(([operation, outcomes]) => [operation, Object.fromEntries(outcomes)]),
      ),
  }
}
