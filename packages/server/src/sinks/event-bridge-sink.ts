import type {
  EventBridgeClient,
  EventBridgeClientConfig,
  PutEventsRequestEntry,
  PutEventsResultEntry,
} from '@aws-sdk/client-eventbridge'
import type { DomainEvent } from '../domain/telling/domain-event.ts'
import { eventMessage, licenseOf } from '../domain/telling/event-message.ts'
import type { DeliveryOutcome, Sink, SinkSpec } from '../domain/telling/sink.ts'

export interface EventBridgeSinkOptions {
  readonly spec: SinkSpec
  /** Name or ARN. */
  readonly bus: string
  readonly region: string
  readonly source: string
  /** What every AWS client of the server is made from: address, credentials, no retries. */
  readonly client: EventBridgeClientConfig
  /** May a call go there? Pretend and real never mix. */
  readonly isAllowedHost: (hostname: string) => boolean
  /** For one call. */
  readonly timeoutMs: number
}

/** @see {@link https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEvents.html | PutEvents}, read November 2026 */
const ENTRIES_MAX = 10
/** Of all entries of a call. AWS takes more since January 2026, but not everywhere. */
const BYTES_MAX = 262_144

/** Puts events on an EventBridge bus. AWS judges each entry by itself; one that it did not take goes out again alone. */
export function createEventBridgeSink(options: EventBridgeSinkOptions): Sink {
  const { spec, isAllowedHost, timeoutMs } = options
  let client: Promise<EventBridgeClient> | undefined

  async function put(entries: readonly PutEventsRequestEntry[], cut: AbortSignal) {
    const { PutEventsCommand } = await import('@aws-sdk/client-eventbridge')
    const command = new PutEventsCommand({ Entries: [...entries] })
    // Next to the wire, where the address is final.
    command.middlewareStack.add(
      (next) => (args) => {
        if (!isAllowedHost(hostOf(args.request))) throw new Unreachable('its address does not fit the mode')
        return next(args)
      },
      { step: 'deserialize', priority: 'low', name: 'checkHost' },
    )
    client ??= createClient(options)
    const abortSignal = AbortSignal.any([cut, AbortSignal.timeout(timeoutMs)])
    return (await client).send(command, { abortSignal })
  }

  async function deliver(
    entries: readonly PutEventsRequestEntry[],
    cut: AbortSignal,
  ): Promise<readonly DeliveryOutcome[]> {
    try {
      const { Entries: results = [] } = await put(entries, cut)
      return entries.map((_, index) => outcomeOf(results[index]))
    } catch (error) {
      if (isInvalid(error)) return deliverEach(entries, cut)
      const outcome: DeliveryOutcome = cut.aborted ? { kind: 'cancelled' } : failureOf(error)
      return entries.map(() => outcome)
    }
  }

  /** AWS refused a request for what it says: one entry must not stop the others. */
  async function deliverEach(
    entries: readonly PutEventsRequestEntry[],
    cut: AbortSignal,
  ): Promise<readonly DeliveryOutcome[]> {
    if (entries.length === 1) return [{ kind: 'failed', reason: 'ValidationException' }]
    const outcomes: DeliveryOutcome[] = []
    for (const entry of entries) outcomes.push(...(await deliver([entry], cut)))
    return outcomes
  }

  return {
    ...spec,
    batchMax: ENTRIES_MAX,
    callsMax: 1,
    async deliver(events, cut) {
      const outcomes: DeliveryOutcome[] = []
      for (const call of packed(events.map((event) => toEntry(event, options)))) {
        const size = call.reduce((sum, entry) => sum + sizeOf(entry), 0)
        if (size < BYTES_MAX) outcomes.push(...(await deliver(call, cut)))
        else outcomes.push({ kind: 'refused', reason: `larger than EventBridge takes (${size} bytes)` })
      }
      return outcomes
    },
    close() {
      client?.then(
        (made) => made.destroy(),
        () => {}, // it was never made
      )
    },
  }
}

/** Why nothing can be put there at all. */
class Unreachable extends Error {}

/** Importing the SDK takes longer than the rest of a start, so it waits for the first call. */
async function createClient({ client, region }: EventBridgeSinkOptions): Promise<EventBridgeClient> {
  const { EventBridgeClient } = await import('@aws-sdk/client-eventbridge')
  return new EventBridgeClient({ ...client, region })
}

function hostOf(request: unknown): string {
  return typeof request === 'object' && request !== null && 'hostname' in request
    ? String(request.hostname)
    : ''
}

function toEntry(event: DomainEvent, { bus, source }: EventBridgeSinkOptions): PutEventsRequestEntry {
  const license = licenseOf(event)
  return {
    EventBusName: bus,
    Source: source,
    DetailType: event.type,
    Time: new Date(event.at),
    // EventBridge gives each entry an id of its own: ours is how a receiver knows a repeat.
    Detail: JSON.stringify({ id: event.id, ...eventMessage(event) }),
    ...(license !== undefined && { Resources: [license] }),
  }
}

/** As AWS counts: {@link https://docs.aws.amazon.com/eventbridge/latest/userguide/calculate-putevents-entry-size.html | entry size} */
function sizeOf({
  Source = '',
  DetailType = '',
  Detail = '',
  Resources = [],
}: PutEventsRequestEntry): number {
  const texts = [Source, DetailType, Detail, ...Resources]
  return 14 + texts.reduce((sum, text) => sum + Buffer.byteLength(text), 0)
}

/** In their order, as many in a call as it takes. */
function packed(entries: readonly PutEventsRequestEntry[]): readonly (readonly PutEventsRequestEntry[])[] {
  const calls: PutEventsRequestEntry[][] = []
  let free = 0
  for (const entry of entries) {
    const size = sizeOf(entry)
    if (calls.length === 0 || size >= free) {
      calls.push([])
      free = BYTES_MAX
    }
    calls.at(-1)!.push(entry)
    free -= size
  }
  return calls
}

function outcomeOf(result: PutEventsResultEntry | undefined): DeliveryOutcome {
  if (result?.EventId !== undefined) return { kind: 'delivered' }
  return { kind: 'failed', reason: result?.ErrorCode ?? 'EventBridge did not say what became of it' }
}

function isInvalid(error: unknown): boolean {
  return error instanceof Error && error.name === 'ValidationException'
}

const THROTTLED = ['ThrottlingException', 'TooManyRequestsException', 'RequestLimitExceeded']
const THROTTLED_MS = 5_000

/** By the error's name alone: its message may quote what was sent. */
function failureOf(error: unknown): DeliveryOutcome {
  if (error instanceof Unreachable) return { kind: 'unreachable', reason: error.message }
  const name = error instanceof Error ? error.name : 'unknown error'
  const code = error instanceof Error && 'code' in error ? ` (${String(error.code)})` : ''
  if (THROTTLED.includes(name)) return { kind: 'busy', reason: name, retryAfterMs: THROTTLED_MS }
  // Bus, credentials, permission, connection: whatever it is, it is not about one event.
  return { kind: 'unreachable', reason: `${name}${code}` }
}
