import type { UsageEvent, UsageOutcome } from '../generated/api.gen.ts'

/** One event in the buffer. */
export interface BufferedEvent {
  /** Of this buffer and its journal. */
  readonly key: number
  readonly event: UsageEvent
  /** As JSON. */
  readonly bytes: number
}

export interface RefusedUsage {
  readonly event: UsageEvent
  /** `refused` or `conflict`, with a reason. */
  readonly outcome: UsageOutcome
}

export type OnRefused = (refused: readonly RefusedUsage[]) => void | Promise<void>
