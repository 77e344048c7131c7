import type { UsageEvent } from '../generated/api.gen.ts'

/** An event as it will be sent, however often: id and time are in it. */
export interface JournaledEvent {
  /** Of this journal; grows. */
  readonly key: number
  readonly event: UsageEvent
}

/**
 * Where a usage buffer keeps what is not answered yet, so that it survives the process.
 *
 * What was appended and not settled comes back from the next `open`, with the same ids: so an event that was sent before
 * a crash is a duplicate afterwards, and counts once.
 */
export interface UsageJournal {
  /** @returns what an earlier process left, in its order */
  open(): Promise<readonly JournaledEvent[]>
  /** Resolves when it is kept. Rejects where it is not: then it will not come back either. */
  append(entry: JournaledEvent): Promise<void>
  /** These are answered for good. */
  settle(keys: readonly number[]): Promise<void>
  close(): Promise<void>
}

/** Keeps nothing beyond the process. */
export function memoryJournal(): UsageJournal {
  const nothing = async () => {}
  return { open: async () => [], append: nothing, settle: nothing, close: nothing }
}
