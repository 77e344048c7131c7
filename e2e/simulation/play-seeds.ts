import { Worker } from 'node:worker_threads'
import type { Slice } from './player-thread.ts'
import type { RunResult } from './simulation.ts'

const SLICE = 10
/** Where a run takes long, the threads share even a few. */
const SLICE_ON_SERVER = 1
/** A run takes a tenth of a second. */
const RUN_MS_MAX = 60_000
/** On a server each step is a round trip. */
const RUN_MS_MAX_ON_SERVER = 300_000
/** More of them say nothing new. */
const FAILURES_MAX = 20

export interface Played {
  readonly seeds: number
  readonly events: number
  readonly records: number
  readonly crashes: number
  readonly failed: readonly RunResult[]
}

/** Plays seeds on several threads until all are played or too many fail. */
export async function playSeeds(
  {
    from,
    seeds,
    threads,
    store,
  }: { from: number; seeds: number; threads: number; store?: string | undefined },
  onSlice?: (played: number) => void,
): Promise<Played> {
  const played = { seeds: 0, events: 0, records: 0, crashes: 0 }
  const failed: RunResult[] = []
  const last = from + seeds - 1
  const atOnce = store === undefined ? SLICE : SLICE_ON_SERVER
  let next = from
  const playSome = async () => {
    const thread = createThread(store === undefined ? RUN_MS_MAX : RUN_MS_MAX_ON_SERVER)
    try {
      while (next <= last && failed.length < FAILURES_MAX) {
        const slice: Slice = { from: next, to: Math.min(next + atOnce - 1, last), store }
        next = slice.to + 1
        for (const result of await thread.play(slice)) {
          played.seeds++
          played.events += result.events
          played.records += result.records
          played.crashes += result.crashes
          if (result.error !== undefined) failed.push(result)
        }
        onSlice?.(played.seeds)
      }
    } finally {
      await thread.end()
    }
  }
  await Promise.all(Array.from({ length: threads }, playSome))
  return { ...played, failed }
}

/** The command that plays a seed again and shows each step. */
export function replayCommand({ seed }: RunResult, store?: string): string {
  return `npm run simulate -- --seed ${seed} --trace${store === undefined ? '' : ` --store ${store.split('/', 1)[0]}//…`}`
}

function createThread(runMsMax: number) {
  const worker = new Worker(new URL('./player-thread.ts', import.meta.url))
  let stuck: NodeJS.Timeout | undefined
  let settle: { resolve: (results: RunResult[]) => void; reject: (error: Error) => void } | undefined
  worker.on('error', (error) => settle?.reject(error as Error))
  worker.on('message', (message: RunResult[] | number) => {
    clearTimeout(stuck)
    if (typeof message !== 'number') return settle?.resolve(message)
    stuck = setTimeout(() => settle?.reject(new Error(`seed ${message} does not end`)), runMsMax)
  })
  return {
    play: (slice: Slice) =>
      new Promise<RunResult[]>((resolve, reject) => {
        settle = { resolve, reject }
        worker.postMessage(slice)
      }),
    async end() {
      clearTimeout(stuck)
      await worker.terminate()
    },
  }
}
