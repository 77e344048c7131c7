import type { Client } from '../client/create-client.ts'
import { TollkeeperError } from '../client/tollkeeper-error.ts'
import type { UsageOutcome } from '../generated/api.gen.ts'
import { untilAborted } from '../until-aborted.ts'
import type { BufferedEvent, OnRefused, RefusedUsage } from './buffered-event.ts'

/** A batch may always be as large as this, where it is more than one event. */
export const BATCH_BYTES_LEAST = 1_000

interface Reporting {
  readonly onRefused: OnRefused
  readonly client: Pick<Client, 'reportUsage'>
  /** These are answered for good. */
  readonly settle: (entries: readonly BufferedEvent[]) => Promise<void>
  /** Ends it, whatever the client or the listener does. */
  readonly signal: AbortSignal
}

/**
 * Sends a batch once, and settles what was answered.
 *
 * @throws where the batch, or a part of it, was not answered
 */
export async function reportBatch(batch: readonly BufferedEvent[], reporting: Reporting): Promise<void> {
  const { client, settle, onRefused, signal } = reporting
  let outcomes: readonly UsageOutcome[]
  try {
    const events = batch.map(({ event }) => event)
    const answer = await untilAborted(client.reportUsage(events, { retries: 0, signal }), signal)
    outcomes = Array.isArray(answer.outcomes) ? answer.outcomes : []
  } catch (error) {
    if (!isRefusalOfAll(error) && !(isTooLarge(error) && isSmall(batch))) throw error
    // One event that cannot be read must not hold up the others: halves find it.
    if (batch.length > 1) {
      const middle = Math.ceil(batch.length / 2)
      await reportBatch(batch.slice(0, middle), reporting)
      return await reportBatch(batch.slice(middle), reporting)
    }
    const id = batch[0]!.event.correlationId
    outcomes = [{ id, status: 'refused', code: error.code, reason: error.detail }]
  }
  const counted: BufferedEvent[] = []
  const refused: (RefusedUsage & { readonly entry: BufferedEvent })[] = []
  for (const { entry, outcome } of pairs(batch, outcomes)) {
    if (outcome.status === 'refused' || outcome.status === 'conflict') {
      refused.push({ entry, event: entry.event, outcome })
    } else counted.push(entry)
  }
  await settle(counted)
  if (refused.length > 0) {
    // Told before it is forgotten: a crash in between tells it twice, never not at all.
    const told = (async () => onRefused(refused.map(({ event, outcome }) => ({ event, outcome }))))()
    await untilAborted(told, signal)
    await settle(refused.map(({ entry }) => entry))
  }
  const missing = batch.length - counted.length - refused.length
  if (missing > 0)
    throw new Error(`${missing} of ${batch.length} events were not answered: they are sent again`)
}

/**
 * Outcomes come in the order of the events. An id that Tollkeeper cannot read comes back cut, or not at all: there the place
 * tells, or the event would be sent for ever.
 */
function pairs(batch: readonly BufferedEvent[], outcomes: readonly UsageOutcome[]) {
  const isWhole = outcomes.length === batch.length
  const ids = new Set(batch.map(({ event }) => event.correlationId))
  return batch.flatMap((entry, index) => {
    const outcome = outcomes[index]
    if (outcome === undefined) return []
    const isAnother = isWhole ? ids.has(outcome.id) : true
    return outcome.id === entry.event.correlationId || !isAnother ? [{ entry, outcome }] : []
  })
}

/** Tollkeeper itself cannot read the batch. What a proxy says is not about the events. */
function isRefusalOfAll(error: unknown): error is TollkeeperError {
  return (
    error instanceof TollkeeperError &&
    (error.status === 400 || error.status === 422) &&
    !error.code.startsWith('client.')
  )
}

/** Nothing is gained by sending less at once. */
function isSmall(batch: readonly BufferedEvent[]): boolean {
  return batch.length === 1 || batch.reduce((sum, { bytes }) => sum + bytes, 0) <= BATCH_BYTES_LEAST
}

/** Whoever says so: it would not be taken next time either. */
function isTooLarge(error: unknown): error is TollkeeperError {
  return error instanceof TollkeeperError && error.status === 413
}
