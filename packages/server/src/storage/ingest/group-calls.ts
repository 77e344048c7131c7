import { DomainError } from '../../domain/error.ts'
import type { RecordedEvent } from '../../domain/usage/usage-event.ts'
import type { UsageStore } from '../../domain/usage/usage-store.ts'
import type { IngestCall } from './plan-ingest.ts'

/** Events in one transaction at most: the event loop, or the database, waits for it. */
const GROUP_EVENTS_MAX = 4_000
/** Events and calls that wait at most: memory is bounded, and who comes later is told at once. */
const WAITING_EVENTS_MAX = 100_000
const WAITING_CALLS_MAX = 10_000

export type WriteGroup = (calls: readonly IngestCall[]) => Promise<readonly (readonly RecordedEvent[])[]>

interface WaitingCall extends IngestCall {
  resolve(outcomes: readonly RecordedEvent[]): void
  reject(error: unknown): void
}

/**
 * Group commit: events of all requests that wait are written in one transaction and one flush to the disk.
 *
 * Where a group fails, each call is tried alone, so that one cannot fail the others; a ledger that is busy (`ledger.busy`)
 * fails all that wait.
 *
 * @param lanes - each writes all of a group or nothing of it, one group after the other; the outcomes of each call, in order
 */
export function groupCalls(...lanes: readonly WriteGroup[]): UsageStore['record'] {
  let waiting: WaitingCall[] = []
  let waitingEvents = 0
  const idle = [...lanes]

  const flush = async (write: WriteGroup) => {
    while (waiting.length > 0) {
      const group = takeGroup()
      try {
        const outcomes = await write(group)
        for (const [index, call] of group.entries()) call.resolve(outcomes[index]!)
      } catch (error) {
        if (isBusy(error)) for (const call of [...group, ...takeAll()]) call.reject(error)
        else if (group.length === 1) group[0]!.reject(error)
        else for (const call of group) await alone(call, write)
      }
    }
    // Not before: what comes while the ledger is locked waits here, where it is counted.
    idle.push(write)
  }

  const alone = async (call: WaitingCall, write: WriteGroup) => {
    try {
      const [outcomes] = await write([call])
      call.resolve(outcomes!)
    } catch (error) {
      call.reject(error)
    }
  }

  function takeGroup(): WaitingCall[] {
    let events = 0
    let calls = 0
    while (
      calls < waiting.length &&
      (calls === 0 || events + waiting[calls]!.events.length <= GROUP_EVENTS_MAX)
    ) {
      events += waiting[calls]!.events.length
      calls++
    }
    const group = waiting.slice(0, calls)
    waiting = waiting.slice(calls)
    waitingEvents -= events
    return group
  }

  function takeAll(): WaitingCall[] {
    const all = waiting
    waiting = []
    waitingEvents = 0
    return all
  }

  return (events, now, epoch) =>
    new Promise((resolve, reject) => {
      // One call alone is taken whatever its size.
      const isFull = waiting.length >= WAITING_CALLS_MAX || waitingEvents + events.length > WAITING_EVENTS_MAX
      if (waiting.length > 0 && isFull) {
        reject(new DomainError('ledger.busy', 'more usage waits than the ledger can take in; try again'))
        return
      }
      waiting.push({ events, now, epoch, resolve, reject })
      waitingEvents += events.length
      const lane = idle.pop()
      // After the poll phase: every request that arrived in this turn joins the group.
      if (lane !== undefined) setImmediate(() => void flush(lane))
    })
}

function isBusy(error: unknown): boolean {
  return error instanceof DomainError && error.code === 'ledger.busy'
}
