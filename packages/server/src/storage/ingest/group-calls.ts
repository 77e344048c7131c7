import { DomainError } from '../../domain/error.ts'
import type { RecordedEvent } from '../../domain/usage/usage-event.ts'
import type { UsageStore } from '../../domain/usage/usage-store.ts'
import type { IngestCall } from './plan-ingest.ts'

/** Events in one transaction at most: the event loop, or the database, waits for it. */
const GROUP_WEIGHT_MAX = 4_000
/** Events and calls that wait at most: memory is bounded, and who comes later is told at once. */
const WAITING_WEIGHT_MAX = 100_000
const WAITING_CALLS_MAX = 10_000

/** Writes all of a group or nothing of it. @returns what became of each call, in order */
export type Write<Call, Outcome> = (calls: readonly Call[]) => Promise<readonly Outcome[]>
export type WriteGroup = Write<IngestCall, readonly RecordedEvent[]>

interface Waiting<Call, Outcome> {
  readonly call: Call
  readonly weight: number
  resolve(outcome: Outcome): void
  reject(error: unknown): void
}

/** Group commit of usage: a call weighs what it has events. */
export function groupCalls(...lanes: readonly WriteGroup[]): UsageStore['record'] {
  const add = groupWrites({ what: 'usage', weightOf: ({ events }: IngestCall) => events.length }, ...lanes)
  return (events, now, epoch) => add({ events, now, epoch })
}

/**
 * Group commit: what all requests that wait want to write is written in one transaction and one flush to the disk.
 *
 * Where a group fails, each call is tried alone, so that one cannot fail the others; a ledger that is busy (`ledger.busy`)
 * fails all that wait.
 *
 * @param lanes - each writes one group after the other
 */
export function groupWrites<Call, Outcome>(
  {
    what,
    weightOf,
    groupMax = GROUP_WEIGHT_MAX,
    isRepeatable = true,
  }: {
    /** For messages. */
    readonly what: string
    readonly weightOf: (call: Call) => number
    /** Weight of one group at most. */
    readonly groupMax?: number
    /** False: what failed may have been written all the same, and must not be written twice: all of its group fails. */
    readonly isRepeatable?: boolean
  },
  ...lanes: readonly Write<Call, Outcome>[]
): (call: Call) => Promise<Outcome> {
  type WaitingCall = Waiting<Call, Outcome>
  let waiting: WaitingCall[] = []
  let waitingWeight = 0
  const idle = [...lanes]

  const flush = async (write: Write<Call, Outcome>) => {
    while (waiting.length > 0) {
      const group = takeGroup()
      try {
        const outcomes = await write(group.map(({ call }) => call))
        for (const [index, one] of group.entries()) one.resolve(outcomes[index]!)
      } catch (error) {
        if (isBusy(error)) for (const one of [...group, ...takeAll()]) one.reject(error)
        else if (group.length === 1 || !isRepeatable) for (const one of group) one.reject(error)
        else for (const one of group) await alone(one, write)
      }
    }
    // Not before: what comes while the ledger is locked waits here, where it is counted.
    idle.push(write)
  }

  const alone = async (one: WaitingCall, write: Write<Call, Outcome>) => {
    try {
      const [outcome] = await write([one.call])
      one.resolve(outcome!)
    } catch (error) {
      one.reject(error)
    }
  }

  function takeGroup(): WaitingCall[] {
    let weight = 0
    let calls = 0
    while (calls < waiting.length && (calls === 0 || weight + waiting[calls]!.weight <= groupMax)) {
      weight += waiting[calls]!.weight
      calls++
    }
    const group = waiting.slice(0, calls)
    waiting = waiting.slice(calls)
    waitingWeight -= weight
    return group
  }

  function takeAll(): WaitingCall[] {
    const all = waiting
    waiting = []
    waitingWeight = 0
    return all
  }

  return (call) =>
    new Promise((resolve, reject) => {
      const weight = weightOf(call)
      // One call alone is taken whatever its size.
      const isFull = waiting.length >= WAITING_CALLS_MAX || waitingWeight + weight > WAITING_WEIGHT_MAX
      if (waiting.length > 0 && isFull) {
        reject(new DomainError('ledger.busy', `more ${what} waits than the ledger can take in; try again`))
        return
      }
      waiting.push({ call, weight, resolve, reject })
      waitingWeight += weight
      const lane = idle.pop()
      // After the poll phase: every request that arrived in this turn joins the group.
      if (lane !== undefined) setImmediate(() => void flush(lane))
    })
}

function isBusy(error: unknown): boolean {
  return error instanceof DomainError && error.code === 'ledger.busy'
}
