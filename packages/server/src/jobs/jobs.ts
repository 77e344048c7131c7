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
  /** @param runMs - begins no call later than this; undefined: until all is sent */
  submitDue(signal: AbortSignal, runMs?: number): Promise<SubmitReport>
  purge(now: number): Promise<number>
  /** What else has to be looked after: in a loop of its own, so that none of it holds up closing or sending. */
  readonly upkeep?: readonly UpkeepStep[]
}

/** Work that comes round again and again. Safe in several processes at once. */
export interface UpkeepStep {
  readonly name: string
  /** How long until it comes round again, ms by the clock; each interval of the jobs by default. */
  readonly everyMs?: number
  run(now: number, signal: AbortSignal): Promise<unknown>
}

export interface Jobs {
  /** Does the upkeep, closes what is due, seals silence, sends until all is sent, forgets old ids. Errors of one step do not stop the others. */
  runOnce(): Promise<JobReport>
  /** Does the same again and again; closing does not wait for sending, which AWS may slow down. */
  start(): void
  /** Instead of `start`, where another process does the work: says again and again that this one has the ledger open, and sees whether that waits. */
  watch(): void
  /** Lets what is in progress end what it has begun. */
  stop(): Promise<void>
  /** When closing and sending last ended a run, by the clock: the earlier of both; undefined before the first. */
  lastRunAt(): number | undefined
}

const NOTHING_CLOSED: CloseReport = { closed: 0, held: 0, expired: 0, failed: 0, losses: [] }
const NOTHING_SENT: SubmitReport = {
  calls: 0,
  accepted: 0,
  unanswered: 0,
  expired: 0,
  halted: [],
  more: false,
}

const NOTHING: JobReport = { close: NOTHING_CLOSED, silence: 0, submit: NOTHING_SENT, purged: 0 }

/** Runs the ledger's jobs again and again. Safe in several processes at once: each step claims what it does. */
export function createJobs(deps: {
  readonly steps: JobSteps
  readonly clock: Clock
  readonly intervalMs: number
  readonly onError: (step: string, error: unknown) => void
  readonly onReport?: (report: JobReport) => void
  /** Each runs beside all this, in its own time. */
  readonly beside?: readonly { start(): void; stop(): Promise<void> }[]
}): Jobs {
  const stopping = new AbortController()
  let running: Promise<void> | undefined
  let sending: Promise<void> | undefined
  let tending: Promise<void> | undefined
  let mayGoOn = false
  let closedAt: number | undefined
  let sentAt: number | undefined

  async function attempt<T>(step: string, work: () => Promise<T>, otherwise: T): Promise<T> {
    try {
      return await work()
    } catch (error) {
      deps.onError(step, error)
      return otherwise
    }
  }

  async function mayRun(): Promise<boolean> {
    return attempt('beat', () => deps.steps.mayRun(deps.clock.now()), false)
  }

  async function close(): Promise<JobReport> {
    const { steps, clock } = deps
    const { signal } = stopping
    const closed = await attempt('close', () => steps.closeDue(clock.now(), signal), NOTHING_CLOSED)
    const silence = await attempt('silence', () => steps.reportSilence(clock.now(), signal), 0)
    closedAt = clock.now()
    return { ...NOTHING, close: closed, silence }
  }

  async function send(runMs?: number): Promise<SubmitReport> {
    const submit = await attempt('submit', () => deps.steps.submitDue(stopping.signal, runMs), NOTHING_SENT)
    sentAt = deps.clock.now()
    return submit
  }

  async function purge(): Promise<number> {
    return attempt('purge', () => deps.steps.purge(deps.clock.now()), 0)
  }

  const upkeepAt = new Map<string, number>()

  async function upkeep(all: boolean): Promise<void> {
    for (const { name, everyMs, run } of deps.steps.upkeep ?? []) {
      const { signal } = stopping
      const now = deps.clock.now()
      if (signal.aborted) return
      if (!all && now < (upkeepAt.get(name) ?? Number.NEGATIVE_INFINITY)) continue
      upkeepAt.set(name, now + (everyMs ?? 0))
      await attempt(name, () => run(now, signal), undefined)
    }
  }

  async function runOnce(): Promise<JobReport> {
    if (!(await mayRun())) return NOTHING
    await upkeep(true)
    const closed = await close()
    const report = { ...closed, submit: await send(), purged: await purge() }
    deps.onReport?.(report)
    return report
  }

  /** Run after run while more is due: each sees anew what is most urgent by then. */
  async function sendAll(): Promise<void> {
    for (;;) {
      const submit = await send(deps.intervalMs)
      deps.onReport?.({ ...NOTHING, submit })
      if (!submit.more || stopping.signal.aborted || !mayGoOn) return
    }
  }

  async function sleep(): Promise<void> {
    try {
      await deps.clock.sleep(deps.intervalMs, stopping.signal)
    } catch (error) {
      if (!stopping.signal.aborted) throw error
    }
  }

  async function beat(): Promise<void> {
    while (!stopping.signal.aborted) {
      await mayRun()
      await sleep()
    }
  }

  async function loop(): Promise<void> {
    while (!stopping.signal.aborted) {
      mayGoOn = await mayRun()
      if (mayGoOn) {
        const closed = await close()
        sending ??= sendAll()
          .catch((error) => deps.onError('submit', error))
          .finally(() => {
            sending = undefined
          })
        deps.onReport?.({ ...closed, purged: await purge() })
        tending ??= upkeep(false)
          .catch((error) => deps.onError('upkeep', error))
          .finally(() => {
            tending = undefined
          })
      }
      await sleep()
    }
  }

  return {
    runOnce,
    lastRunAt: () =>
      closedAt === undefined || sentAt === undefined ? undefined : Math.min(closedAt, sentAt),
    start() {
      for (const other of deps.beside ?? []) other.start()
      running ??= loop().catch((error) => deps.onError('loop', error))
    },
    watch() {
      running ??= beat().catch((error) => deps.onError('loop', error))
    },
    async stop() {
      stopping.abort(new Error('stopping'))
      const besides = Promise.all((deps.beside ?? []).map((other) => other.stop()))
      await running
      await sending
      await besides
      await tending
    },
  }
}
