import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import { DomainError } from '../../domain/error.ts'
import type { IngestOutcome, UsageReport } from '../../domain/usage/ingest-usage.ts'
import { parseJson, readJson, readText } from '../../domain/usage/read-json.ts'
import {
  idOf,
  isObject,
  readCloudEvent,
  readUsageEvent,
  type Unreadable,
} from '../../domain/usage/read-usage-event.ts'
import type { HttpDeps } from '../deps.ts'
import { DoorError } from '../problem.ts'
import { BATCH_EVENTS_MAX, CloudEventBody, problems, ref, UsageEventBody, UsageOutcome } from '../schemas.ts'

/** A batch as it came: not one of its events has been looked at. */
interface Batch {
  readonly read: (event: unknown) => UsageReport | Unreadable
  readonly events: readonly unknown[]
}

/** Stands for a line that is not JSON, so that it is refused alone. */
class BrokenLine {
  readonly reason: string

  constructor(reason: string) {
    this.reason = reason
  }
}

const FORMATS: Readonly<Record<string, (body: Buffer) => Batch>> = {
  'application/json': readJsonBatch,
  'application/x-ndjson': readLines,
  'application/cloudevents+json': (body) => ({ read: readCloudEvent, events: [readJson(body)] }),
  'application/cloudevents-batch+json': (body) => ({
    read: readCloudEvent,
    events: asArray(readJson(body), 'a batch of CloudEvents is an array'),
  }),
}

/** `POST /usage`: a batch, with one outcome for each event. */
export function usageRoutes(deps: Pick<HttpDeps, 'ingest'>): FastifyPluginAsyncTypebox {
  return async (app) => {
    app.removeAllContentTypeParsers()
    for (const [contentType, readBatch] of Object.entries(FORMATS)) {
      app.addContentTypeParser(contentType, { parseAs: 'buffer' }, async (_request: unknown, body: Buffer) =>
        readBatch(body),
      )
    }
    app.setValidatorCompiler(() => () => true) // events are checked one by one: a bad one is refused alone
    app.post<{ Body: Batch | undefined }>(
      '/usage',
      {
        config: { access: 'usage:write' },
        schema: {
          operationId: 'reportUsage',
          summary: 'Report many uses',
          description: `At most ${BATCH_EVENTS_MAX} events and 1 MB. Answers when all accepted events are on disk, with one outcome for each event, in order. An event that cannot be read is refused alone; a body that cannot be read is a problem, and nothing is written.`,
          tags: ['usage'],
          body: {
            content: {
              'application/json': {
                schema: Type.Union([
                  Type.Array(ref(UsageEventBody), { maxItems: BATCH_EVENTS_MAX }),
                  Type.Object({ events: Type.Array(ref(UsageEventBody), { maxItems: BATCH_EVENTS_MAX }) }),
                ]),
              },
              'application/x-ndjson': { schema: ref(UsageEventBody) },
              'application/cloudevents+json': { schema: ref(CloudEventBody) },
              'application/cloudevents-batch+json': {
                schema: Type.Array(ref(CloudEventBody), { maxItems: BATCH_EVENTS_MAX }),
              },
            },
          },
          response: {
            200: Type.Object({ outcomes: Type.Array(ref(UsageOutcome)) }),
            ...problems(400, 401, 403, 413, 415, 429, 503),
          },
        },
      },
      async (request) => {
        // Without a body there was nothing to parse, whatever its type.
        if (request.body === undefined) throw new DomainError('request.invalid', 'the body is empty')
        return { outcomes: await ingestBatch(deps, request.body, request.serviceKey?.product) }
      },
    )
  }
}

async function ingestBatch(
  deps: Pick<HttpDeps, 'ingest'>,
  { read, events }: Batch,
  product: string | undefined,
): Promise<readonly IngestOutcome[]> {
  if (events.length > BATCH_EVENTS_MAX) {
    throw new DoorError(
      'request.too_large',
      `${events.length} events: at most ${BATCH_EVENTS_MAX} in one batch`,
    )
  }
  const reports: UsageReport[] = []
  let refused: Map<number, IngestOutcome> | undefined
  for (let index = 0; index < events.length; index++) {
    const event = events[index]
    const report = event instanceof BrokenLine ? { field: '', reason: event.reason } : read(event)
    if (!('reason' in report)) {
      reports.push(report)
      continue
    }
    refused ??= new Map()
    const reason = `${report.field} ${report.reason}`.trim()
    refused.set(index, { id: idOf(event), status: 'refused', code: 'invalid', reason })
  }
  const ingested = reports.length === 0 ? [] : await deps.ingest(reports, { product })
  if (refused === undefined) return ingested
  const outcomes: IngestOutcome[] = []
  let position = 0
  for (let index = 0; index < events.length; index++) {
    outcomes.push(refused.get(index) ?? ingested[position++]!)
  }
  return outcomes
}

function readJsonBatch(body: Buffer): Batch {
  const json = readJson(body)
  const events = isObject(json) && Object.keys(json).length === 1 ? json.events : json
  return { read: readUsageEvent, events: asArray(events, 'send an array of events, or {"events": […]}') }
}

function readLines(body: Buffer): Batch {
  const events: unknown[] = []
  for (const line of readText(body).split('\n')) {
    if (line.trim() === '') continue
    // One too many is enough to refuse the batch: a body of a million lines is not read to its end.
    if (events.length > BATCH_EVENTS_MAX) break
    try {
      events.push(parseJson(line, 'the line'))
    } catch (error) {
      events.push(new BrokenLine(error instanceof DomainError ? error.message : 'the line is not JSON'))
    }
  }
  return { read: readUsageEvent, events }
}

function asArray(json: unknown, reason: string): readonly unknown[] {
  if (!Array.isArray(json)) throw new DomainError('request.invalid', reason)
  return json
}
