import type { Clock } from '../domain/clock.ts'
import { type ProbeDeps, probeEndpoints } from '../domain/health/probe-endpoints.ts'
import type { WorkShare } from '../domain/work-share.ts'

/** Asks endpoints how they are, beside all other work: those that are slow to answer hold up nothing else. */
export interface EndpointWatch {
  start(): void
  /** Whoever is being asked is not waited for. */
  stop(): Promise<void>
}

export function createEndpointWatch(
  deps: Omit<ProbeDeps, 'clock' | 'goesOn'> & {
    readonly clock: Clock
    readonly share: Pick<WorkShare, 'keeps'>
    /** From the end of a round to the next, ms. */
    readonly everyMs: number
    /** Asked before each round, with products as they are now; `false` while the ledger waits for a person. */
    readonly mayRun: () => Promise<boolean>
    readonly onError: (error: unknown) => void
  },
): EndpointWatch {
  const { clock, share, mayRun, everyMs, onError } = deps
  const stopping = new AbortController()
  const { signal } = stopping
  let running: Promise<void> | undefined
  // Before each probe: a round may last longer than the lease, which asking renews.
  const goesOn = () => share.keeps('health')

  async function round(): Promise<void> {
    if (await mayRun()) await probeEndpoints({ ...deps, goesOn }, signal)
  }

  async function loop(): Promise<void> {
    while (!signal.aborted) {
      await round().catch(onError)
      await clock.sleep(everyMs, signal).catch((error: unknown) => {
        if (!signal.aborted) throw error
      })
    }
  }

  return {
    start() {
      running ??= loop().catch(onError)
    },
    async stop() {
      stopping.abort(new Error('stopping'))
      await running
    },
  }
}
