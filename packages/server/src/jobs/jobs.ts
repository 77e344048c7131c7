import type { Clock } from '../domain/clock.ts'
import type { CloseReport } from '../domain/usage/close-due-buckets.ts'
import type { SubmitReport } from '../domain/usage/submit-due-records.ts'

/** What one run did. */
export interface JobReport {
  readonly close: CloseReport
  readonly silence: number
  readonly submit: SubmitReport
  readonly purged: number
}

export interface JobSteps {
  /** `false` while the ledger waits for a person. */
  mayRun(now: number): Promise<boolean>
  closeDue(now: number, signal: AbortSignal): Promise<CloseReport>
  reportSilence(now: number, signal: AbortSignal): Promise<number>
  submitDue(signal: AbortSignal): Promise<SubmitReport>
  purge(now: number): Promise<number>
}

export interface Jobs {
  /** Closes what is due, seals silence, sends, forgets old ids. Errors of one step do not stop the others. */
  runOnce(): Promise<JobReport>
  start(): void
  /** Lets the run in progress end what it has begun. */
  stop(): Promise<void>
  /** When the last run ended, by the clock; undefined before the first. */
  lastRunAt(): number | undefined
}

const NOTHING_CLOSED: CloseReport = { closed: 0, held: 0, expired: 0, failed: 0, losses: [] }
const NOTHING_SENT: SubmitReport = { calls: 0, accepted: 0, unanswered: 0, expired: 0, halted: [] }

const NOTHING: JobReport = { close: NOTHING_CLOSED, silence: 0, submit: NOTHING_SENT, purged: 0 }

/** Runs the ledger's jobs again and again. Safe in several processes at once: each step claims what it does. */
export function createJobs(deps: {
  readonly steps: JobSteps
  readonly clock: Clock
  readonly intervalMs: number
  readonly onError: (step: string, error: unknown) => void
  readonly onReport?: (report: JobReport) => void
}): Jobs {
  const stopping = new AbortController()
  let running: Promise<void> | undefined
  let lastRunAt: number | undefined

  async function attempt<T>(step: string, work: () => Promise<T>, otherwise: T): Promise<T> {
    try {
      return await work()
    } catch (error) {
      deps.onError(step, error)
      return otherwise
    }
  }

  async function runOnce(): Promise<JobReport> {
    const { steps, clock } = deps
    const { signal } = stopping
    if (!(await attempt('beat', () => steps.mayRun(clock.now()), false))) return NOTHING
    const close = await attempt('close', () => steps.closeDue(clock.now(), signal), NOTHING_CLOSED)
    const silence = await attempt('silence', () => steps.reportSilence(clock.now(), signal), 0)
    const submit = await attempt('submit', () => steps.submitDue(signal), NOTHING_SENT)
    const purged = await attempt('purge', () => steps.purge(clock.now()), 0)
    lastRunAt = clock.now()
    const report = { close, silence, submit, purged }
    deps.onReport?.(report)
    return report
  }

  async function loop(): Promise<void> {
    while (!stopping.signal.aborted) {
      await runOnce()
      try {
        await deps.clock.sleep(deps.intervalMs, stopping.signal)
      } catch (error) {
        if (!stopping.signal.aborted) throw error
      }
    }
  }

  return {
    runOnce,
    lastRunAt: () => lastRunAt,
    start() {
      running ??= loop().catch((error) => deps.onError('loop', error))
    },
    async stop() {
      stopping.abort(new Error('stopping'))
      await running
    },
  }
}
