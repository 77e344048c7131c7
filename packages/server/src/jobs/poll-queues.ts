import type { Clock } from '../domain/clock.ts'
import { DomainError } from '../domain/error.ts'
import type { NotificationIntake } from '../domain/subscriptions/notification-intake.ts'
import type { NotificationQueue, QueuedMessage } from '../domain/subscriptions/notification-queue.ts'
import type { UsageStore } from '../domain/usage/usage-store.ts'

/** Takes notifications from queues, until it is stopped. Safe in several processes at once. */
export interface QueuePoller {
  start(): void
  /** Ends waiting at once, lets the message in hand be taken, and gives the others back. */
  stop(): Promise<void>
}

export interface QueuePollerDeps {
  readonly queues: readonly NotificationQueue[]
  readonly intake: Pick<NotificationIntake, 'queued' | 'reject'>
  readonly alarms: Pick<UsageStore, 'raise' | 'clearAlarm'>
  /** `false` while what is received could not be kept: it stays in its queue, uncounted. */
  readonly mayReceive: () => Promise<boolean>
  /** For what is kept; queues live by real time, and so do the pauses. */
  readonly clock: Pick<Clock, 'now'>
  /** Real milliseconds. Rejects when aborted. */
  readonly pause: (ms: number, signal: AbortSignal) => Promise<void>
  /** A message that cannot be read is put aside when it was received so often. */
  readonly receivesMax: number
  /** For the log: what went wrong, and of which queue. Never what a message says. */
  readonly onError: (queue: string, error: unknown) => void
}

const RETRY_SECONDS_MIN = 5
const RETRY_SECONDS_MAX = 900
const PAUSE_MS_MIN = 1_000
const PAUSE_MS_MAX = 60_000
/** While nothing may be received. */
const HOLD_MS = 10_000

export function createQueuePoller(deps: QueuePollerDeps): QueuePoller {
  const stopping = new AbortController()
  let running: Promise<unknown> | undefined
  return {
    start() {
      running ??= Promise.all(deps.queues.map((queue) => poll(deps, queue, stopping.signal)))
    },
    async stop() {
      stopping.abort(new Error('stopping'))
      await running
    },
  }
}

async function poll(deps: QueuePollerDeps, queue: NotificationQueue, signal: AbortSignal): Promise<void> {
  const health = createHealth(deps, queue.name)
  while (!signal.aborted) {
    if (!(await mayReceive(deps, queue))) {
      await deps.pause(HOLD_MS, signal).catch(() => {})
      continue
    }
    let received = 0
    try {
      const messages = await queue.receive(signal)
      received = messages.length
      await takeAll(deps, queue, messages, signal)
      await health.works(received > 0)
    } catch (error) {
      if (signal.aborted) return
      deps.onError(queue.name, error)
      const pauseMs = await health.fails(error, received > 0)
      // Only being stopped ends a pause early.
      await deps.pause(pauseMs, signal).catch(() => {})
    }
  }
}

async function mayReceive(deps: QueuePollerDeps, queue: NotificationQueue): Promise<boolean> {
  try {
    return await deps.mayReceive()
  } catch (error) {
    // Whoever cannot read the ledger cannot write to it.
    deps.onError(queue.name, error)
    return false
  }
}

/** One after the other: those of one agreement are better taken in the order in which they come. */
async function takeAll(
  deps: QueuePollerDeps,
  queue: NotificationQueue,
  messages: readonly QueuedMessage[],
  signal: AbortSignal,
): Promise<void> {
  for (const [index, message] of messages.entries()) {
    if (signal.aborted) {
      await Promise.all(messages.slice(index).map((left) => queue.retryIn(left, 0)))
      return
    }
    await take(deps, queue, message)
  }
}

/** @throws the queue's own error, where it does not take what became of the message */
async function take(deps: QueuePollerDeps, queue: NotificationQueue, message: QueuedMessage): Promise<void> {
  try {
    await deps.intake.queued(message)
  } catch (error) {
    deps.onError(queue.name, error)
    const isHopeless = message.receives >= deps.receivesMax && !mayPass(error)
    if (!isHopeless || !(await putAside(deps, queue, message, error))) {
      await queue.retryIn(message, retrySeconds(message.receives))
      return
    }
  }
  await queue.delete(message)
}

/** @returns whether it is kept, so that the queue may forget it */
async function putAside(
  { intake, onError }: QueuePollerDeps,
  queue: NotificationQueue,
  { id, body: payload }: QueuedMessage,
  error: unknown,
): Promise<boolean> {
  // What was not foreseen may quote anything.
  const reason =
    error instanceof DomainError ? error.message : `an unexpected ${nameOf(error)}; the log has it`
  try {
    await intake.reject({ id, channel: 'sns', reason: `queue ${queue.name}: ${reason}`, payload })
    return true
  } catch (storeError) {
    onError(queue.name, storeError)
    return false
  }
}

/** Is it the world that is wrong, and not the message? Then it is never given up. */
function mayPass(error: unknown): boolean {
  return error instanceof DomainError && /^(ledger|marketplace)\./.test(error.code)
}

/** 5 s, 10 s, 20 s … at most 15 minutes: what is mended meanwhile (a topic in the configuration) is then taken. */
function retrySeconds(receives: number): number {
  return Math.min(RETRY_SECONDS_MAX, RETRY_SECONDS_MIN * 2 ** Math.min(Math.max(0, receives - 1), 10))
}

/** Raises the queue's alarm when it fails, and clears it when it works again, after a restart too. */
function createHealth({ alarms, clock, onError }: QueuePollerDeps, name: string) {
  const subject = `queue ${name}`
  let failures = 0
  let isClear = false
  let failedSettling = false
  return {
    /** @param settled - messages were received and taken off the queue: more than waiting for some works */
    async works(settled: boolean): Promise<void> {
      if (failedSettling && !settled) return
      failures = 0
      failedSettling = false
      if (isClear) return
      try {
        await alarms.clearAlarm('notifications', subject)
        isClear = true
      } catch (error) {
        // The messages are more urgent; the next round tries again.
        onError(name, error)
      }
    },
    /** @returns how long to wait, ms */
    async fails(error: unknown, atSettling: boolean): Promise<number> {
      isClear = false
      failedSettling ||= atSettling
      const pauseMs = Math.min(PAUSE_MS_MAX, PAUSE_MS_MIN * 2 ** Math.min(failures++, 10))
      try {
        await alarms.raise({
          kind: 'notifications',
          subject,
          message: `AWS Marketplace's notifications cannot be fetched from the queue ${name} (${reasonOf(error)}): check its URL in \`notifications.sqsQueues\` and that this process may receive, delete and change visibility`,
          at: clock.now(),
        })
      } catch (alarmError) {
        onError(name, alarmError)
      }
      return pauseMs
    },
  }
}

function reasonOf(error: unknown): string {
  const message = error instanceof Error ? `: ${error.message}` : ''
  return `${nameOf(error)}${message}`.replace(/\s+/g, ' ').slice(0, 300)
}

function nameOf(error: unknown): string {
  return error instanceof Error ? error.name : 'error'
}
