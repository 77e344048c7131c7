import { median } from '../harness/rounds.ts'

/** How long answers took at a steady pace, µs. */
export interface Latency {
  readonly answered: number
  readonly p50Us: number
  readonly p99Us: number
}

export function medianLatency(rounds: readonly Latency[]): Latency {
  return {
    answered: rounds.reduce((sum, { answered }) => sum + answered, 0),
    p50Us: median(rounds.map(({ p50Us }) => p50Us)),
    p99Us: median(rounds.map(({ p99Us }) => p99Us)),
  }
}
