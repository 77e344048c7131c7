import assert from 'node:assert/strict'
import type { Counter, CounterKey, Gate } from '../../domain/quotas/quota.ts'
import { EMPTY_COUNTER } from '../../domain/quotas/quota.ts'

/** A counter's key, and when its window ends: kept with it, so that it can be forgotten. */
export interface CounterWindow extends CounterKey {
  readonly end: number | undefined
}

/** What counts against the limits of a gate. */
export interface Asked {
  readonly gate: Gate
  readonly dimension: string
}

/** One counter of a step. */
export interface CounterChange {
  readonly key: CounterWindow
  readonly now: Counter
}

/** No name of ours has a newline. */
export function counterName({ holder, dimension, window, start }: CounterKey): string {
  return `${holder}\n${dimension}\n${window}\n${start}`
}

export function countersOf({ gate, dimension }: Asked): readonly CounterWindow[] {
  return gate.limits.map(({ window, start, end }) => ({ holder: gate.holder, dimension, window, start, end }))
}

/** Each once, in one order in all processes: whoever locks them waits for others, and never they for it. */
export function countersToLoad(asked: Iterable<Asked>): readonly CounterWindow[] {
  const found = new Map<string, CounterWindow>()
  for (const one of asked) for (const key of countersOf(one)) found.set(counterName(key), key)
  return [...found.entries()].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, key]) => key)
}

/** Counters that one step has read, which nobody changes until it ends. No other may be counted in: it would be overwritten. */
export interface LoadedCounters {
  /** @param found - by `counterName`; what is not among them was never counted */
  add(keys: readonly CounterKey[], found: ReadonlyMap<string, Counter>): void
  has(key: CounterKey): boolean
  /** @throws for what was not read */
  get(key: CounterKey): Counter
}

export function createLoadedCounters(): LoadedCounters {
  const loaded = new Map<string, Counter>()
  return {
    add(keys, found) {
      for (const name of keys.map(counterName)) loaded.set(name, found.get(name) ?? EMPTY_COUNTER)
    },
    has: (key) => loaded.has(counterName(key)),
    get(key) {
      const counter = loaded.get(counterName(key))
      assert(counter !== undefined, 'a counter that was not read must not be counted in')
      return counter
    },
  }
}

/** Counters of one step: they begin with what was loaded, and keep what changes. */
export interface CounterSheet {
  read(asked: Asked): readonly Counter[]
  add(asked: Asked, change: Partial<Counter>): void
  changes(): readonly CounterChange[]
}

/** @param load - undefined: never counted. It throws for what this step has not read */
export function createCounterSheet(load: (key: CounterKey) => Counter | undefined): CounterSheet {
  const rows = new Map<string, { readonly key: CounterWindow; readonly before: Counter; now: Counter }>()
  const rowOf = (key: CounterWindow) => {
    const name = counterName(key)
    let row = rows.get(name)
    if (row === undefined) {
      const before = load(key) ?? EMPTY_COUNTER
      row = { key, before, now: before }
      rows.set(name, row)
    }
    return row
  }
  return {
    read: (asked) => countersOf(asked).map((key) => rowOf(key).now),
    add(asked, { used = 0, held = 0 }) {
      for (const row of countersOf(asked).map(rowOf))
        row.now = { used: row.now.used + used, held: row.now.held + held }
    },
    changes: () =>
      [...rows.values()].filter(({ before, now }) => before.used !== now.used || before.held !== now.held),
  }
}
