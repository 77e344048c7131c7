import { DomainError } from '../error.ts'
import type { Delivery, OutboxStore } from './outbox-store.ts'
import type { SinkSpec } from './sink.ts'

/**
 * Tells an event again: to one sink, whatever became of it there, or to all that it is dead for.
 *
 * @throws {DomainError} `event.not_found`; `request.invalid` for a sink that is not configured, or where nothing is dead
 */
export async function replayEvent(
  { outbox, sinks }: { readonly outbox: OutboxStore; readonly sinks: readonly SinkSpec[] },
  id: string,
  sink: string | undefined,
  actor: string,
  now: number,
): Promise<readonly Delivery[]> {
  const event = await outbox.getEvent(id)
  // One product's endpoint is never told of another's buyers, by nobody's word.
  const hearers = sinks.filter(({ product }) => product === undefined || product === event.product)
  if (sink !== undefined && !hearers.some(({ name }) => name === sink)) {
    const known = hearers.map(({ name }) => name).join(', ') || 'none'
    throw new DomainError('request.invalid', `sink: nobody of that name is told of it; there is ${known}`)
  }
  const replayed = await outbox.replay(id, sink === undefined ? undefined : [sink], actor, now)
  if (replayed.length === 0) {
    throw new DomainError('request.invalid', 'it is not dead for any sink; name the sink to tell it again')
  }
  return replayed
}
