import type { VirtualClock } from '../clock/virtual-clock.ts'
import { parseDuration } from '../http/duration.ts'
import type { DeliveryOutcome, DeliveryState } from './delivery-state.ts'
import type {
  NotificationFault,
  NotificationFaultBook,
  NotificationFaultKind,
} from './notification-faults.ts'
import type { IdentifiedNotification } from './notification-id.ts'
import type { PostOutcome } from './post.ts'

/** One place where notifications end up: a subscription of a topic, or a rule's target. */
export interface Destination {
  /** The same for the same place, after a restart too. */
  readonly id: string
  /** What is behind it, a URL or a queue: all that goes there goes one after the other. */
  readonly line: string
  /** Virtual time from which it gets notifications. */
  readonly since: number
  /** Whether messages to it carry a signature that can be tampered with. */
  readonly isSigned: boolean
  /** Whether anything may be sent yet: a subscription that is not confirmed gets nothing. */
  isOpen(): boolean
  accepts(notification: IdentifiedNotification): boolean
  /** Sends once. */
  send(
    notification: IdentifiedNotification,
    fault: SigningFault | undefined,
    signal: AbortSignal,
  ): Promise<PostOutcome>
  /** Whether an answer of this status is worth another attempt. */
  isRetried(status: number): boolean
}

export type SigningFault = Extract<NotificationFaultKind, 'tamper' | 'forge' | 'wrongTopic' | 'wrongCertHost'>

/** Where a notification stands at one destination. */
export interface DeliveryView {
  readonly destination: string
  readonly state: 'waiting' | 'held' | DeliveryOutcome['state']
  /** How often it was sent, repeats included. */
  readonly attempts: number
  /** Virtual time at which it was delivered or given up. */
  readonly at?: number
  /** The latest failure. */
  readonly error?: string
}

export interface DeliveryEngine {
  /** Looks, soon, for what there is to deliver. Cheap to call often. */
  poke(): void
  /** Runs until nothing is left that is due by the virtual clock and may go. @throws `signal.reason` when aborted */
  flush(signal?: AbortSignal): Promise<void>
  /** Sends a notification once more to each destination that it was delivered to, failed at or was dropped for. */
  redeliver(notificationId: string): number
  /** Where a notification stands, at each destination that it goes or went to. */
  deliveriesOf(notification: IdentifiedNotification): DeliveryView[]
  /** Runs something that `flush` waits for. Its failure is its own to handle. */
  run(task: (signal: AbortSignal) => Promise<void>): void
  /**
   * Sends until it works, is refused for good, or was tried often enough: at once at first, then with a back-off in
   * real time.
   */
  attempt(request: AttemptRequest, signal: AbortSignal): Promise<{ isDone: boolean; error?: string }>
  close(): Promise<void>
}

export interface AttemptRequest {
  send(): Promise<PostOutcome>
  isRetried(status: number): boolean
  /** Told of each failure. */
  failed?(error: string): void
}

interface Job {
  readonly notification: IdentifiedNotification
  /** Virtual time from which it may go. */
  readonly readyAt: number
  readonly copies: number
  readonly signingFault: SigningFault | undefined
  /** Orders that keep it while they stand. */
  readonly keptBy: readonly string[]
  /** Place among those that may go: time, then the order of the log. */
  rank: readonly [number, number]
  attempts: number
  error?: string
}

interface Lane {
  destination: Destination
  readonly jobs: Map<string, Job>
}

/** How often a running clock is looked at. */
const LOOK_MS = 200
/** A look that took long makes the next wait longer, so that looking costs at most a twentieth of the time. */
const LOOK_SHARE = 20
/** Attempts without a pause between them, and the pauses after those. */
const IMMEDIATE_ATTEMPTS = 3
const BACK_OFF_MS = [1_000, 2_000, 4_000, 8_000, 16_000, 20_000]
const DELAY_DEFAULT = '1h'
const SIGNING_FAULTS: readonly string[] = ['tamper', 'forge', 'wrongTopic', 'wrongCertHost']

/**
 * Delivers each notification once its virtual time has come: to each endpoint one after the other, in order of
 * time, to several endpoints side by side. What was delivered is remembered by `settle`; a process that dies in
 * between delivers it again.
 */
export function createDeliveryEngine(options: {
  readonly clock: VirtualClock
  readonly state: DeliveryState
  readonly faults: NotificationFaultBook
  /** All that is due now, in order of time. */
  readonly notifications: () => readonly IdentifiedNotification[]
  /** As of now; may begin and end subscriptions. */
  readonly destinations: () => readonly Destination[]
  readonly settle: (outcome: DeliveryOutcome) => void
  readonly attemptsMax: () => number
}): DeliveryEngine {
  const { clock, state, faults } = options
  const lanes = new Map<string, Lane>()
  /** Lines that something is being delivered on. */
  const busyLines = new Set<string>()
  /** What `reorder` has collected so far, by order. */
  const groups = new Map<string, Job[]>()
  const tasks = new Set<Promise<void>>()
  const closing = new AbortController()
  let lookTimer: NodeJS.Timeout | undefined
  let isPoked = false
  let planned = 0
  /** What stopped it: a state file that takes nothing any more. Going on would deliver the same again and again. */
  let failure: unknown

  function run(task: (signal: AbortSignal) => Promise<void>): void {
    if (closing.signal.aborted) return
    const promise = task(closing.signal)
      .catch((error: unknown) => {
        if (!closing.signal.aborted) failure ??= error
      })
      .finally(() => {
        tasks.delete(promise)
        poke()
      })
    tasks.add(promise)
  }

  function poke(): void {
    if (isPoked || closing.signal.aborted) return
    isPoked = true
    setImmediate(() => {
      isPoked = false
      look()
    })
  }

  function look(): void {
    clearTimeout(lookTimer)
    if (closing.signal.aborted || failure !== undefined) return
    const started = performance.now()
    try {
      const destinations = options.destinations()
      updateLanes(destinations)
      if (destinations.length === 0) return
      plan(options.notifications())
      for (const line of new Set(destinations.map(({ line }) => line))) start(line)
    } catch (error) {
      failure = error
    }
    const lookMs = performance.now() - started
    if (clock.running) lookTimer = setTimeout(look, Math.max(LOOK_MS, lookMs * LOOK_SHARE)).unref()
  }

  function updateLanes(destinations: readonly Destination[]): void {
    const ids = new Set(destinations.map(({ id }) => id))
    for (const id of lanes.keys()) if (!ids.has(id)) lanes.delete(id)
    for (const destination of destinations) {
      const lane = lanes.get(destination.id)
      if (lane === undefined) lanes.set(destination.id, { destination, jobs: new Map() })
      else lane.destination = destination
    }
  }

  function plan(notifications: readonly IdentifiedNotification[]): void {
    for (const notification of notifications) {
      for (const lane of lanes.values()) {
        const { destination, jobs } = lane
        if (notification.at < destination.since || jobs.has(notification.id)) continue
        if (!destination.accepts(notification)) continue
        if (state.outcomes.get(notification.id)?.has(destination.id)) continue
        const hits = faults.strike(notification, destination.isSigned)
        if (hits.some(({ kind }) => kind === 'drop')) settle(lane, notification, 'dropped', 0)
        else jobs.set(notification.id, toJob(notification, hits))
      }
    }
  }

  function toJob(notification: IdentifiedNotification, hits: readonly NotificationFault[]): Job {
    const of = (kind: NotificationFaultKind) => hits.find((fault) => fault.kind === kind)
    const delay = of('delay')
    const readyAt = notification.at + (delay === undefined ? 0 : parseDuration(delay.by ?? DELAY_DEFAULT))
    const repeat = of('repeat')
    const signingFault = hits.find(({ kind }) => SIGNING_FAULTS.includes(kind))?.kind
    const keepers = hits.filter(({ kind }) => kind === 'hold' || kind === 'reorder')
    const job: Job = {
      notification,
      readyAt,
      copies: repeat === undefined ? 1 : (repeat.copies ?? 2),
      signingFault: signingFault as SigningFault | undefined,
      keptBy: keepers.map(({ id }) => id),
      rank: [readyAt, planned++],
      attempts: 0,
    }
    for (const { id, kind, times } of keepers) if (kind === 'reorder') collect(job, id, times ?? 2)
    return job
  }

  /** Adds to what an order keeps; the last one lets all go, in reverse. */
  function collect(job: Job, faultId: string, times: number): void {
    const group = groups.get(faultId) ?? []
    groups.set(faultId, group)
    group.push(job)
    if (group.length < times) return
    groups.delete(faultId)
    faults.withdraw(faultId)
    const ranks = group.map(({ rank }) => rank)
    for (const member of group) member.rank = ranks.pop() ?? member.rank
  }

  function isKept({ keptBy }: Job): boolean {
    return keptBy.some((id) => faults.has(id))
  }

  /** The next that may go now on a line, in order of time. */
  function nextOn(line: string): { lane: Lane; job: Job } | undefined {
    const now = clock.now()
    let next: { lane: Lane; job: Job } | undefined
    for (const lane of lanes.values()) {
      if (lane.destination.line !== line || !lane.destination.isOpen()) continue
      for (const job of lane.jobs.values()) {
        if (job.readyAt > now || isKept(job)) continue
        if (next === undefined || isBefore(job, next.job)) next = { lane, job }
      }
    }
    return next
  }

  function start(line: string): void {
    if (busyLines.has(line) || nextOn(line) === undefined) return
    busyLines.add(line)
    run(async (signal) => {
      try {
        for (let next = nextOn(line); next !== undefined; next = nextOn(line)) {
          await deliver(next.lane, next.job, signal)
        }
      } finally {
        busyLines.delete(line)
      }
    })
  }

  async function deliver(lane: Lane, job: Job, signal: AbortSignal): Promise<void> {
    const { notification, signingFault } = job
    for (let copy = 0; copy < job.copies; copy++) {
      const { isDone, error } = await attempt(
        {
          send: () => {
            job.attempts++
            return lane.destination.send(notification, signingFault, signal)
          },
          isRetried: (status) => lane.destination.isRetried(status),
          failed: (reason) => {
            job.error = reason
          },
        },
        signal,
      )
      if (!isDone || copy === job.copies - 1) {
        lane.jobs.delete(notification.id)
        settle(lane, notification, isDone ? 'delivered' : 'failed', job.attempts, isDone ? undefined : error)
        return
      }
    }
  }

  function settle(
    { destination }: Lane,
    { id }: IdentifiedNotification,
    outcome: DeliveryOutcome['state'],
    attempts: number,
    error?: string,
  ): void {
    options.settle({
      notificationId: id,
      destination: destination.id,
      state: outcome,
      attempts,
      at: clock.now(),
      ...(error !== undefined && { error }),
    })
  }

  async function attempt(
    { send, isRetried, failed }: AttemptRequest,
    signal: AbortSignal,
  ): Promise<{ isDone: boolean; error?: string }> {
    for (let tried = 1; ; tried++) {
      const outcome = await send()
      signal.throwIfAborted()
      const isAnswered = outcome.kind === 'answered'
      if (isAnswered && outcome.status >= 200 && outcome.status < 300) return { isDone: true }
      const error = isAnswered ? `status ${outcome.status}` : outcome.reason
      failed?.(error)
      if (isAnswered && !isRetried(outcome.status)) return { isDone: false, error }
      if (tried >= options.attemptsMax()) return { isDone: false, error }
      if (tried >= IMMEDIATE_ATTEMPTS) {
        await pause(BACK_OFF_MS[tried - IMMEDIATE_ATTEMPTS] ?? BACK_OFF_MS.at(-1) ?? 0, signal)
      }
    }
  }

  const stopWatching = clock.onChange(poke)

  return {
    poke,
    run,
    attempt,
    async flush(signal) {
      for (;;) {
        signal?.throwIfAborted()
        closing.signal.throwIfAborted()
        look()
        if (failure !== undefined) throw failure
        if (tasks.size === 0) return
        await Promise.race([Promise.all(tasks), aborted(signal)])
      }
    },
    redeliver(notificationId) {
      const notification = options.notifications().find(({ id }) => id === notificationId)
      if (notification === undefined) return 0
      let count = 0
      const settled = state.outcomes.get(notificationId)
      look()
      for (const { destination, jobs } of lanes.values()) {
        if (settled?.has(destination.id) !== true || jobs.has(notificationId)) continue
        jobs.set(notificationId, toJob(notification, []))
        count++
      }
      poke()
      return count
    },
    deliveriesOf(notification) {
      const settled = state.outcomes.get(notification.id)
      const ids = new Set([...lanes.keys(), ...(settled?.keys() ?? [])])
      return [...ids].flatMap((id): DeliveryView[] => {
        const job = lanes.get(id)?.jobs.get(notification.id)
        if (job !== undefined) {
          const { attempts, error } = job
          return [
            {
              destination: id,
              state: isKept(job) ? 'held' : 'waiting',
              attempts,
              ...(error !== undefined && { error }),
            },
          ]
        }
        const outcome = settled?.get(id)
        if (outcome === undefined) return []
        const { notificationId: _, ...view } = outcome
        return [view]
      })
    },
    async close() {
      closing.abort()
      clearTimeout(lookTimer)
      stopWatching()
      await Promise.allSettled(tasks)
    },
  }
}

function isBefore({ rank: [at, order] }: Job, { rank: [otherAt, otherOrder] }: Job): boolean {
  return at < otherAt || (at === otherAt && order < otherOrder)
}

/** Real milliseconds. @throws `signal.reason` when aborted */
function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const abort = () => {
      clearTimeout(timer)
      reject(signal.reason)
    }
    const timer = setTimeout(() => {
      signal.removeEventListener('abort', abort)
      resolve()
    }, ms)
    signal.addEventListener('abort', abort, { once: true })
  })
}

function aborted(signal: AbortSignal | undefined): Promise<never> {
  return new Promise((_, reject) => {
    signal?.addEventListener('abort', () => reject(signal.reason), { once: true })
  })
}
