import type { Client } from '../client/create-client.ts'
import { TollkeeperError } from '../client/tollkeeper-error.ts'
import type { UsageOutcome } from '../generated/api.gen.ts'
import type { BufferedEvent, OnRefused, RefusedUsage } from './buffered-event.ts'

interface Reporting {
  readonly onRefused: OnRefused
  readonly client: Pick<Client, 'reportUsage'>
  /** These are answered for good. */
  readonly settle: (entries: readonly BufferedEvent[]) => Promise<void>
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
    const answer = await client.reportUsage(
      batch.map(({ event }) => event),
      { retries: 0, signal },
    )
    outcomes = Array.isArray(answer.outcomes) ? answer.outcomes : []
  } catch (error) {
    if (!isRefusalOfAll(error)) throw error
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
  batch.forEach((entry, index) => {
    const outcome = outcomes[index]
    if (outcome?.id !== entry.event.correlationId) return
    if (outcome.status === 'refused' || outcome.status === 'conflict') {
      refused.push({ entry, event: entry.event, outcome })
    } else counted.push(entry)
  })
  await settle(counted)
  if (refused.length > 0) {
    // Told before it is forgotten: a crash in between tells it twice, never not at all.
    await onRefused(refused.map(({ event, outcome }) => ({ event, outcome })))
    await settle(refused.map(({ entry }) => entry))
  }
  const missing = batch.length - counted.length - refused.length
  if (missing > 0)
    throw new Error(`${missing} of ${batch.length} events were not answered: they are sent again`)
}

/** Tollkeeper itself cannot read the batch. What a proxy says is not about the events. */
function isRefusalOfAll(error: unknown): error is TollkeeperError {
  return (
    error instanceof TollkeeperError &&
    (error.status === 400 || error.status === 422) &&
    !error.code.startsWith('client.')
  )
}
