import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import { readJson } from '../../domain/usage/read-json.ts'
import { readUsageEvent } from '../../domain/usage/read-usage-event.ts'
import type { HttpDeps } from '../deps.ts'
import { invalidField, sendProblem, toUsageProblem } from '../problem.ts'
import { problems, ref, UsageEventBody } from '../schemas.ts'

/** One event needs no more: its longest texts and tags together. */
const EVENT_BYTES_MAX = 65_536

const Metered = Type.Object({
  meteringRecordId: Type.String({ description: 'The same on every retry of the same event.' }),
  status: Type.Union([Type.Literal('accepted'), Type.Literal('late'), Type.Literal('duplicate')]),
  reason: Type.Optional(Type.String()),
})

/** `POST /meter`: one event, answered when it is on disk. */
export function meterRoutes(deps: Pick<HttpDeps, 'ingest'>): FastifyPluginAsyncTypebox {
  return async (app) => {
    app.removeAllContentTypeParsers()
    app.addContentTypeParser(
      'application/json',
      { parseAs: 'buffer' },
      async (_request: unknown, body: Buffer) => readJson(body),
    )
    app.setValidatorCompiler(() => () => true) // `readUsageEvent` is the check: it names the field
    app.post(
      '/meter',
      {
        config: { access: 'usage:write' },
        bodyLimit: EVENT_BYTES_MAX,
        schema: {
          operationId: 'meter',
          summary: 'Report one use',
          description:
            'Answers when the event is on disk. A repeat answers as `duplicate` and counts once. What the body names but does not exist is 422, not 404; times outside the window are 400; an ended subscription is 410, and its usage is kept and shown as unbillable.',
          tags: ['usage'],
          body: ref(UsageEventBody),
          response: { 200: Metered, ...problems(400, 401, 403, 409, 410, 413, 415, 422, 429, 503) },
        },
      },
      async (request, reply) => {
        const report = readUsageEvent(request.body)
        if ('reason' in report) return sendProblem(reply, invalidField(report.field, report.reason))
        const [outcome] = await deps.ingest([report], { product: request.serviceKey?.product })
        if (outcome === undefined) throw new Error('no outcome for the event')
        if (outcome.status === 'refused' || outcome.status === 'conflict') {
          return sendProblem(reply, toUsageProblem(outcome))
        }
        const { meteringRecordId, status, reason } = outcome
        if (meteringRecordId === undefined) throw new Error('a counted event has a record id')
        return { meteringRecordId, status, ...(reason !== undefined && { reason }) }
      },
    )
  }
}
