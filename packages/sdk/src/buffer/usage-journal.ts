import type { UsageEvent } from '../generated/api.gen.ts'

/** What will be sent, however often: of a usage event, id and time are in it. */
export interface JournaledEvent<T = UsageEvent> {
  /** Of this journal; grows. */
  readonly key: number
  readonly event: T
}

/**
 * Where a usage buffer, or a queue of settlements, keeps what is not answered yet, so that it survives the process.
 *
 * What was appended and not settled comes back from the next `open`, with the same ids: so an event that was sent before
 * a crash is a duplicate afterwards, and counts once.
 */
export interface UsageJournal<T = UsageEvent> {
  /** @returns what an earlier process left, in its order */
  open(): Promise<readonly JournaledEvent<T>[]>
  /** Resolves when it is kept. Rejects where it is not: then it will not come back either. */
  append(entry: JournaledEvent<T>): Promise<void>
  /** These are answered for good. */
  settle(keys: readonly number[]): Promise<void>
  close(): Promise<void>
}

/** Keeps nothing beyond the process. */
export function memoryJournal<T = UsageEvent>(): UsageJournal<T> {
  const nothing = async () => {}
  return { open: async () => [], append: nothing, settle: nothing, close: nothing }
}
