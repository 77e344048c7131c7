import type { PutEvent } from '../delivery/put-events.ts'
import { AwsError } from '../marketplace/aws-error.ts'
import type { Input, JsonService, ServiceCall } from './json-service.ts'

/** Limits of `PutEvents` (EventBridge quotas, read November 2026). */
const ENTRIES_MAX = 10
const REQUEST_BYTES_MAX = 256 * 1024
const DEFAULT_BUS = 'default'

/**
 * EventBridge, as far as a seller puts events of its own on the bus. They are kept for whoever looks, and go to no
 * rule.
 *
 * @see {@link https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEvents.html | PutEvents}
 */
export const EVENTBRIDGE: JsonService = {
  prefix: 'AWSEvents.',
  scope: 'events',
  contentType: 'application/x-amz-json-1.1',
  namespace: '',
  internalError: 'InternalException',
  operations: ['PutEvents'],
  perform(operation, input, call) {
    if (operation !== 'PutEvents') {
      throw new AwsError('UnknownOperationException', 'The simulator knows PutEvents of EventBridge only')
    }
    return putEvents(input, call)
  },
}

function putEvents({ Entries: entries }: Input, call: ServiceCall): object {
  if (!Array.isArray(entries) || entries.length < 1 || entries.length > ENTRIES_MAX) {
    const relation = Array.isArray(entries) && entries.length > 0 ? 'less' : 'greater'
    throw new AwsError(
      'ValidationException',
      `1 validation error detected: Value at 'entries' failed to satisfy constraint: Member must have length ${relation} than or equal to ${relation === 'less' ? ENTRIES_MAX : 1}`,
    )
  }
  const bytes = entries.reduce((sum: number, entry: unknown) => sum + sizeOf(toInput(entry)), 0)
  if (bytes > REQUEST_BYTES_MAX) {
    throw new AwsError('ValidationException', 'Total size of the entries in the request is over the limit.')
  }
  const kept: PutEvent[] = []
  const results = entries.map((entry: unknown) => {
    const refusal = refusalOf(toInput(entry)) ?? (call.fails() ? INTERNAL_FAILURE : undefined)
    if (refusal !== undefined) return refusal
    const event = toEvent(toInput(entry), call.delivery.eventId(kept.length), call.clock.now())
    kept.push(event)
    return { EventId: event.id }
  })
  if (kept.length > 0) call.delivery.keepEvents(kept)
  return { FailedEntryCount: results.length - kept.length, Entries: results }
}

const INTERNAL_FAILURE = { ErrorCode: 'InternalFailure', ErrorMessage: 'Internal failure, as ordered' }

function refusalOf(entry: Input): { ErrorCode: string; ErrorMessage: string } | undefined {
  for (const field of ['Source', 'DetailType', 'Detail']) {
    const value = entry[field]
    if (typeof value !== 'string' || value === '') {
      return {
        ErrorCode: 'InvalidArgument',
        ErrorMessage: `Parameter ${field} is not valid. Reason: ${field} is a required argument.`,
      }
    }
  }
  if (String(entry.Source).startsWith('aws.')) {
    return {
      ErrorCode: 'NotAuthorizedForSourceException',
      ErrorMessage: 'Not authorized for the source.',
    }
  }
  return isJsonObject(String(entry.Detail))
    ? undefined
    : { ErrorCode: 'MalformedDetail', ErrorMessage: 'Detail is malformed.' }
}

function isJsonObject(text: string): boolean {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null && !Array.isArray(value)
  } catch {
    return false
  }
}

function toEvent(entry: Input, id: string, at: number): PutEvent {
  const { Source, DetailType, Detail, Time, Resources, EventBusName, TraceHeader } = entry
  return {
    id,
    source: String(Source),
    detailType: String(DetailType),
    detail: String(Detail),
    at,
    ...(typeof Time === 'number' && { time: Math.round(Time * 1000) }),
    eventBusName: typeof EventBusName === 'string' ? EventBusName : DEFAULT_BUS,
    resources: Array.isArray(Resources) ? Resources.map(String) : [],
    ...(typeof TraceHeader === 'string' && { traceHeader: TraceHeader }),
  }
}

/** As EventBridge counts: 14 bytes for a time, and the text of the rest. */
function sizeOf({ Time, Source, DetailType, Detail, Resources }: Input): number {
  const texts = [Source, DetailType, Detail, ...(Array.isArray(Resources) ? Resources : [])]
  return texts.reduce(
    (sum: number, text) => sum + (typeof text === 'string' ? Buffer.byteLength(text) : 0),
    Time === undefined ? 0 : 14,
  )
}

function toInput(entry: unknown): Input {
  return typeof entry === 'object' && entry !== null ? (entry as Input) : {}
}
