import type { Clock } from '../clock.ts'
import { judgeDelivery } from './judge-delivery.ts'
import type { ClaimedDelivery, OutboxStore } from './outbox-store.ts'
import type { DeliveryOutcome, Sink, SinkSpec } from './sink.ts'

export interface DeliverDeps {
  readonly outbox: OutboxStore
  readonly clock: Pick<Clock, 'now'>
  /** From 0 to 1, for the jitter of delays. */
  readonly random: () => number
}

export interface DeliverReport {
  readonly delivered: number
  readonly waiting: number
  readonly dead: number
}

/** Longer than any sink may take: what is not settled by then was cut off, and goes out again. */
export const LEASE_MS = 60_000
const FAN_OUT_MAX = 500
/** Done deliveries are kept so long, for a person to look at. */
export const KEEP_DELIVERED_MS: number = 30 * 86_400_000
export const PURGE_MAX = 1_000

/** Hands all new events to their sinks. Safe to stop half-way, and in several processes at once. */
export async function fanOutAll(
  { outbox, clock }: Pick<DeliverDeps, 'outbox' | 'clock'>,
  sinks: readonly SinkSpec[],
  signal?: AbortSignal,
): Promise<void> {
  while (signal?.aborted !== true && (await outbox.fanOut(sinks, clock.now(), FAN_OUT_MAX)));
}

/**
 * Tells one sink all that is due to it, until nothing is.
 *
 * What was told and could not be written down as told is told again: at least once, each with the same id.
 *
 * @param signal - begins no more calls
 * @param cut - ends those that are under way
 */
export async function deliverDue(
  deps: DeliverDeps,
  sink: Sink,
  signal?: AbortSignal,
  cut: AbortSignal = new AbortController().signal,
): Promise<DeliverReport> {
  const report = { delivered: 0, waiting: 0, dead: 0 }
  while (signal?.aborted !== true) {
    const claimed = await deps.outbox.claim(sink.name, deps.clock.now(), {
      limit: sink.batchMax * sink.callsMax,
      leaseMs: LEASE_MS,
    })
    if (claimed.length === 0) break
    const calls: Promise<void>[] = []
    for (let from = 0; from < claimed.length; from += sink.batchMax) {
      calls.push(deliverBatch(deps, sink, claimed.slice(from, from + sink.batchMax), cut, report))
    }
    // All end before an error of one is thrown: what they told must be written down.
    for (const call of await Promise.allSettled(calls)) if (call.status === 'rejected') throw call.reason
  }
  return report
}

async function deliverBatch(
  { outbox, clock, random }: DeliverDeps,
  sink: Sink,
  batch: readonly ClaimedDelivery[],
  cut: AbortSignal,
  report: { delivered: number; waiting: number; dead: number },
): Promise<void> {
  const outcomes = await tell(sink, batch, cut)
  for (const [index, claimed] of batch.entries()) {
    const outcome = outcomes[index] ?? { kind: 'failed', reason: 'the sink gave no answer for it' }
    const now = clock.now()
    const jitter = random()
    const judge = (state: Parameters<typeof judgeDelivery>[2]) =>
      judgeDelivery(claimed, outcome, state, now, jitter)
    let state: 'delivered' | 'waiting' | 'dead' | undefined
    const isSettled = await outbox.settle(claimed, now, (found) => {
      const verdict = judge(found)
      state = verdict.state
      return verdict
    })
    if (isSettled && state !== undefined) report[state]++
  }
}

/** A sink does not reject; one that does has a fault of ours, which must not keep what it carries from being tried again. */
async function tell(
  sink: Sink,
  batch: readonly ClaimedDelivery[],
  cut: AbortSignal,
): Promise<readonly DeliveryOutcome[]> {
  try {
    return await sink.deliver(
      batch.map(({ event }) => event),
      cut,
    )
  } catch (error) {
    // Its name only: a message may quote what was told.
    const reason = `an unexpected ${error instanceof Error ? error.name : 'error'}`
    return batch.map(() => ({ kind: 'failed', reason }))
  }
}
