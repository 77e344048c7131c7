import type { Clock } from '../domain/clock.ts'
import {
  type DeliverDeps,
  type DeliverReport,
  deliverDue,
  fanOutAll,
  KEEP_DELIVERED_MS,
  PURGE_MAX,
} from '../domain/telling/deliver-due.ts'
import type { Sink } from '../domain/telling/sink.ts'

/** Looks for work so often: a change by another process is told within this time, one of our own at once. */
const LOOK_EVERY_MS = 1_000
const PURGE_EVERY_MS = 3_600_000
/** What is under way at a stop may take so long to end. */
const STOP_MS = 5_000

/** Tells the seller's systems what happens, beside all that goes to AWS. */
export interface Telling {
  /** Tells all that is due now, and returns when it is told. */
  runOnce(): Promise<DeliverReport>
  /** Tells what happens from now on, each sink in its own time: a slow one holds up nobody else. */
  start(): void
  /** Lets what is under way end; what does not within seconds is cut off, and told again later. */
  stop(): Promise<void>
}

export function createTelling(
  deps: Omit<DeliverDeps, 'clock'> & {
    readonly clock: Clock
    readonly sinks: readonly Sink[]
    /** `false` while the ledger waits for a person: a copy must not write to buyers. */
    readonly mayRun: () => boolean
    readonly onError: (step: string, error: unknown) => void
  },
): Telling {
  const { outbox, clock, sinks, mayRun, onError } = deps
  const stopping = new AbortController()
  const cut = new AbortController()
  const busy = new Map<string, Promise<unknown>>()
  let looking: Promise<void> | undefined
  let isWoken = false
  let wake = () => {}
  let purgeAt = Number.NEGATIVE_INFINITY

  function begin(sink: Sink): void {
    const run = deliverDue(deps, sink, stopping.signal, cut.signal)
      .catch((error) => onError(`deliver ${sink.name}`, error))
      .finally(() => busy.delete(sink.name))
    busy.set(sink.name, run)
  }

  /** @param isSure - something was written, perhaps not committed yet: only a step of the writer's queue comes after it */
  async function look(isSure: boolean): Promise<void> {
    if (isSure || (await outbox.findWork(sinks, clock.now())).unsorted)
      await fanOutAll(deps, sinks, stopping.signal)
    const { due } = await outbox.findWork(sinks, clock.now())
    for (const sink of sinks) if (due.includes(sink.name) && !busy.has(sink.name)) begin(sink)
    if (clock.now() < purgeAt) return
    const purged = await outbox.purge(clock.now() - KEEP_DELIVERED_MS, PURGE_MAX)
    if (purged < PURGE_MAX) purgeAt = clock.now() + PURGE_EVERY_MS
  }

  async function pause(): Promise<void> {
    const awake = new AbortController()
    const signal = AbortSignal.any([awake.signal, stopping.signal])
    // By the clock, or at once when something is written.
    await new Promise<void>((resolve) => {
      wake = resolve
      if (isWoken) resolve()
      clock.sleep(LOOK_EVERY_MS, signal).then(resolve, () => resolve())
    })
    awake.abort()
  }

  async function loop(): Promise<void> {
    const end = outbox.onEvent(() => {
      isWoken = true
      wake()
    })
    while (!stopping.signal.aborted) {
      const isSure = isWoken
      isWoken = false
      if (mayRun()) await look(isSure).catch((error) => onError('tell', error))
      await pause()
    }
    end()
  }

  return {
    async runOnce() {
      const total = { delivered: 0, waiting: 0, dead: 0 }
      if (!mayRun()) return total
      await fanOutAll(deps, sinks)
      const reports = await Promise.all(sinks.map((sink) => deliverDue(deps, sink)))
      for (const report of reports)
        for (const state of ['delivered', 'waiting', 'dead'] as const) total[state] += report[state]
      return total
    },
    start() {
      if (sinks.length === 0) return
      looking ??= loop().catch((error) => onError('tell', error))
    },
    async stop() {
      stopping.abort(new Error('stopping'))
      const tooLong = setTimeout(() => cut.abort(new Error('stopping')), STOP_MS)
      await looking
      await Promise.all(busy.values())
      clearTimeout(tooLong)
      for (const sink of sinks) sink.close()
    },
  }
}
