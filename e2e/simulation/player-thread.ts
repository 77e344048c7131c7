import { parentPort } from 'node:worker_threads'
import { type RunResult, simulate } from './simulation.ts'

/** Plays slices of seeds; says which one it is at, so that one that does not end can be named. */
export interface Slice {
  readonly from: number
  readonly to: number
  /** See `createSharedLedger`. */
  readonly store: string | undefined
}

parentPort?.on('message', (slice: Slice) => {
  void (async () => {
    const results: RunResult[] = []
    for (let seed = slice.from; seed <= slice.to; seed++) {
      parentPort?.postMessage(seed)
      const result = await simulate(seed, undefined, slice.store)
      results.push({ ...result, trace: [] })
    }
    parentPort?.postMessage(results)
  })()
})
