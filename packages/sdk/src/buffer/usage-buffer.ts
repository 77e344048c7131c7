import type { Client } from '../client/create-client.ts'
import { backoffMs } from '../client/retry.ts'
import { TollkeeperError } from '../client/tollkeeper-error.ts'
import { type Clock, systemClock } from '../clock.ts'
import type { UsageEvent } from '../generated/api.gen.ts'
import type { BufferedEvent, OnRefused } from './buffered-event.ts'
import { createPause } from './pause.ts'
import { BATCH_BYTES_LEAST, reportBatch } from './report-batch.ts'
import { type JournaledEvent, memoryJournal, type UsageJournal } from './usage-journal.ts'

/** An event to be added: its id and time are made where they are not given. */
export type NewUsageEvent = Omit<UsageEvent, 'correlationId' | 'usageTime'> &
  Partial<Pick<UsageEvent, 'correlationId' | 'usageTime'>>

export interface UsageBufferOptions {
  readonly client: Pick<Client, 'reportUsage'>
  /**
   * Told what is refused for good, or is in conflict with what the ledger has. Nobody else keeps it. Where this throws,
   * the events stay, and are sent and told again.
   */
  readonly onRefused: OnRefused
  /** Told of each try that failed; what it was about stays in the buffer. */
  readonly onError?: ((error: unknown) => void) | undefined
  /** Keeps what is not answered yet beyond this process. Default: nothing does. */
  readonly journal?: UsageJournal | undefined
  /** The longest that an event waits for others to go with, ms: less where a batch is full. Default: 1,000. */
  readonly intervalMs?: number | undefined
  /** Default and most: 1,000. */
  readonly batchEventsMax?: number | undefined
  /** Of a request's body. Default and most: 1,000,000. */
  readonly batchBytesMax?: number | undefined
  /** Events that wait to be sent or answered. Default: 10,000. */
  readonly pendingEventsMax?: number | undefined
  /** Their size as JSON. Default: 32 MB. */
  readonly pendingBytesMax?: number | undefined
  /** What `add` does when there is no room: wait for some, or reject. Default: `wait`. */
  readonly whenFull?: 'wait' | 'reject' | undefined
  readonly clock?: Clock | undefined
  /** From 0 up to 1, for the chance in waiting. Default: `Math.random`. */
  readonly random?: (() => number) | undefined
}

export interface UsageBuffer {
  /**
   * Resolves when the event is in the buffer, and on file where there is one; it will be sent until it is answered.
   *
   * @returns the event's id
   * @throws {UsageBufferError} `buffer.full`, `buffer.closed`, `buffer.event_too_large`, `buffer.event_invalid`
   */
  add(event: NewUsageEvent): Promise<string>
  /**
   * Sends now. Resolves when all that was added before is answered, also where its `add` is still running; rejects with the
   * first try that fails, and the events stay; where it was closed before that, with `buffer.closed`.
   */
  flush(): Promise<void>
  /**
   * Takes nothing more, and sends what is there until it is answered, or `timeoutMs` (default: 10,000) are over. Where the
   * server asked to wait, it is tried all the same, every second.
   *
   * @returns what was not answered; with a journal the next process goes on with it
   */
  close(options?: { readonly timeoutMs?: number | undefined }): Promise<readonly UsageEvent[]>
  /** Events that are not answered yet. */
  readonly pending: number
}

export class UsageBufferError extends Error {
  readonly code: 'buffer.full' | 'buffer.closed' | 'buffer.event_too_large' | 'buffer.event_invalid'

  constructor(code: UsageBufferError['code'], message: string) {
    super(message)
    this.name = 'UsageBufferError'
    this.code = code
  }
}

interface Waiting {
  readonly bytes: number
  readonly resolve: () => void
  readonly reject: (error: Error) => void
}

interface Flush {
  /** The last key that it is about. */
  readonly upTo: number
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

/** As the server takes them. */
const ID_LENGTH_MAX = 255
const ID = /^[^\p{Cc}\p{Cs}]+$/u
/** However long a server asks to wait, a minute later it is asked again. */
const RETRY_AFTER_MS_MAX = 60_000
/** While it closes there is little time: what was a pause of minutes is none. */
const CLOSING_PAUSE_MS_MAX = 1_000
const EVENTS_MAX = 1_000
const BYTES_MAX = 1_000_000

/**
 * Collects usage events and reports them in batches: each with one id and one time for good, until it is answered.
 *
 * @throws whatever the journal's `open` does: another process has its file, or it is damaged
 */
export async function createUsageBuffer(options: UsageBufferOptions): Promise<UsageBuffer> {
  const { client, onRefused, onError = () => {}, clock = systemClock, random = Math.random } = options
  const { journal = memoryJournal(), intervalMs = 1_000, whenFull = 'wait' } = options
  const { pendingEventsMax = 10_000, pendingBytesMax = 32_000_000 } = options
  const batchEventsMax = Math.min(options.batchEventsMax ?? EVENTS_MAX, EVENTS_MAX)
  const batchBytesMax = Math.min(options.batchBytesMax ?? BYTES_MAX, BYTES_MAX)

  const pending = new Map<number, BufferedEvent>()
  /** Of all that has a place, also while it is written to the journal. */
  const taken = { events: 0, bytes: 0 }
  const waiting: Waiting[] = []
  /** Keys of events whose `add` is still running. */
  const adding = new Set<number>()
  const appending = new Set<Promise<void>>()
  let flushes: Flush[] = []
  let lastKey = 0
  let pendingBytes = 0
  let isClosing = false
  let failuresInRow = 0
  let running: Promise<void> | undefined
  let sendBytesMax = batchBytesMax
  const stopping = new AbortController()
  const pause = createPause(clock, stopping.signal)

  for (const { key, event } of await openJournal(journal)) {
    const entry = { key, event, bytes: sizeOf(event) }
    pending.set(key, entry)
    pendingBytes += entry.bytes
    take(entry.bytes)
    lastKey = Math.max(lastKey, key)
  }
  wake()

  function take(bytes: number): void {
    taken.events += 1
    taken.bytes += bytes
  }

  function hasRoom(bytes: number): boolean {
    return taken.events === 0 || (taken.events < pendingEventsMax && taken.bytes + bytes <= pendingBytesMax)
  }

  function leave(bytes: number): void {
    taken.events -= 1
    taken.bytes -= bytes
    while (waiting.length > 0 && hasRoom(waiting[0]!.bytes)) {
      const next = waiting.shift()!
      take(next.bytes)
      next.resolve()
    }
  }

  async function enter(bytes: number): Promise<void> {
    if (waiting.length === 0 && hasRoom(bytes)) return take(bytes)
    if (whenFull === 'reject') {
      throw new UsageBufferError('buffer.full', `${taken.events} events wait to be sent: there is no room`)
    }
    await new Promise<void>((resolve, reject) => waiting.push({ bytes, resolve, reject }))
  }

  async function keep(entry: BufferedEvent): Promise<void> {
    const { key, event, bytes } = entry
    const appended = journal.append({ key, event })
    appending.add(appended)
    try {
      await appended
    } catch (error) {
      leave(bytes)
      throw error
    } finally {
      appending.delete(appended)
    }
    // Only now may it be sent: what is counted before it is on file could be added anew after a crash.
    pending.set(key, entry)
    pendingBytes += bytes
    wake()
  }

  function wake(): void {
    if (isBatchFull()) pause.end('interval')
    if (running !== undefined || pending.size === 0 || stopping.signal.aborted) return
    running = run().finally(() => {
      running = undefined
      wake() // what came in after its last look
    })
  }

  function isBatchFull(): boolean {
    return pending.size >= batchEventsMax || pendingBytes >= batchBytesMax
  }

  async function run(): Promise<void> {
    failuresInRow = 0
    while (pending.size > 0 && !stopping.signal.aborted) {
      const isHurried = isClosing || flushes.length > 0 || isBatchFull()
      if (!isHurried && failuresInRow === 0) await pause.for(intervalMs, 'interval')
      if (stopping.signal.aborted) return
      try {
        await report()
        failuresInRow = 0
      } catch (error) {
        failuresInRow += 1
        complain(error)
        const { retryAfterMs = 0, status = 0 } = error instanceof TollkeeperError ? error : {}
        if (status === 413) sendBytesMax = Math.max(BATCH_BYTES_LEAST, Math.floor(sendBytesMax / 2))
        const most = isClosing ? CLOSING_PAUSE_MS_MAX : RETRY_AFTER_MS_MAX
        if (retryAfterMs > 0) await pause.for(Math.min(retryAfterMs, most), 'asked')
        else await pause.for(Math.min(backoffMs(failuresInRow, random()), most), 'backoff')
      }
    }
  }

  function complain(error: unknown): void {
    const failed = flushes
    flushes = []
    for (const { reject } of failed) reject(error)
    if (!stopping.signal.aborted) tell(error)
  }

  /** Whatever the listener does, sending goes on. */
  function tell(error: unknown): void {
    try {
      onError(error)
    } catch {}
  }

  async function report(): Promise<void> {
    const batch = nextBatch()
    await reportBatch(batch, { client, onRefused, settle, signal: stopping.signal })
  }

  function nextBatch(): BufferedEvent[] {
    const batch: BufferedEvent[] = []
    let bytes = 2
    for (const entry of pending.values()) {
      bytes += entry.bytes + 1
      if (batch.length > 0 && (bytes > sendBytesMax || batch.length === batchEventsMax)) break
      batch.push(entry)
    }
    return batch
  }

  async function settle(entries: readonly BufferedEvent[]): Promise<void> {
    if (entries.length === 0) return
    // Where the journal cannot note it, the next process sends them again, as duplicates.
    await journal.settle(entries.map(({ key }) => key)).catch(tell)
    for (const { key, bytes } of entries) {
      if (!pending.delete(key)) continue
      pendingBytes -= bytes
      leave(bytes)
    }
    endFlushes()
  }

  function endFlushes(): void {
    const done = flushes.filter(({ upTo }) => isDoneUpTo(upTo))
    flushes = flushes.filter((flush) => !done.includes(flush))
    for (const { resolve } of done) resolve()
  }

  function isDoneUpTo(upTo: number): boolean {
    for (const keys of [pending.keys(), adding]) for (const key of keys) if (key <= upTo) return false
    return true
  }

  return {
    async add(event) {
      if (isClosing) throw closed()
      const { correlationId = crypto.randomUUID() } = event
      if (
        typeof correlationId !== 'string' ||
        correlationId.length > ID_LENGTH_MAX ||
        !ID.test(correlationId)
      ) {
        throw new UsageBufferError(
          'buffer.event_invalid',
          `correlationId: a text of 1 to ${ID_LENGTH_MAX} characters, without control characters`,
        )
      }
      const whole = JSON.parse(
        JSON.stringify({
          ...event,
          correlationId,
          usageTime: event.usageTime ?? new Date(clock.now()).toISOString(),
        }),
      ) as UsageEvent
      const bytes = sizeOf(whole)
      if (bytes + 2 > batchBytesMax) {
        throw new UsageBufferError(
          'buffer.event_too_large',
          `an event of ${bytes} bytes: at most ${batchBytesMax - 2}`,
        )
      }
      lastKey += 1
      const key = lastKey
      adding.add(key)
      try {
        await enter(bytes)
        if (isClosing) {
          leave(bytes)
          throw closed()
        }
        await keep({ key, event: whole, bytes })
      } finally {
        adding.delete(key)
        // Where it was not kept, a flush has nothing to wait for any more.
        endFlushes()
      }
      return correlationId
    },

    flush() {
      if (pending.size === 0 && adding.size === 0) return Promise.resolve()
      if (stopping.signal.aborted) return Promise.reject(closed())
      const upTo = lastKey
      const done = new Promise<void>((resolve, reject) => flushes.push({ upTo, resolve, reject }))
      pause.end('backoff')
      return done
    },

    async close({ timeoutMs = 10_000 } = {}) {
      isClosing = true
      failuresInRow = 0
      for (const { reject } of waiting.splice(0)) reject(closed())
      await Promise.allSettled(appending)
      pause.end('asked')
      const inTime = new AbortController()
      const timeout = clock.sleep(timeoutMs, inTime.signal).then(
        () => stopping.abort(new Error('closed')),
        () => {},
      )
      while (running !== undefined && !stopping.signal.aborted) await Promise.race([running, timeout])
      inTime.abort()
      stopping.abort(new Error('closed'))
      await running
      await journal.close()
      for (const { reject } of flushes.splice(0)) reject(closed())
      return [...pending.values()].map(({ event }) => event)
    },

    get pending() {
      return pending.size
    },
  }
}

/** @throws where it holds something else than usage: two that share a file would send each other's */
async function openJournal(journal: UsageJournal): Promise<readonly JournaledEvent[]> {
  const entries = await journal.open()
  if (entries.every(({ event }) => !('reservation' in event))) return entries
  await journal.close()
  throw new Error('this journal holds settlements: give the usage buffer a file of its own')
}

function closed(): UsageBufferError {
  return new UsageBufferError('buffer.closed', 'the buffer is closed')
}

const encoder = new TextEncoder()

function sizeOf(event: UsageEvent): number {
  return encoder.encode(JSON.stringify(event)).length
}
