import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import { readCursor, writeCursor } from '../cursor.ts'
import type { HttpDeps } from '../deps.ts'
import { DoorError } from '../problem.ts'
import { Name, pageOf, pageQuery, problems, Time } from '../schemas.ts'

const Entry = Type.Object({
  id: Type.String(),
  at: Time,
  actor: Type.String(),
  action: Type.String(),
  subject: Type.String(),
  before: Type.Optional(Type.Unknown()),
  after: Type.Optional(Type.Unknown()),
})

/** `GET /audit`: who did what, newest first. */
export function auditRoutes(deps: Pick<HttpDeps, 'audit'>): FastifyPluginAsyncTypebox {
  return async (app) => {
    app.get(
      '/audit',
      {
        config: { access: 'admin' },
        schema: {
          operationId: 'listAuditEntries',
          summary: 'Who did what, when, and what it was before and after',
          tags: ['operations'],
          querystring: Type.Object(
            { subject: Type.Optional(Name), ...pageQuery },
            { additionalProperties: false },
          ),
          response: { 200: pageOf(Entry), ...problems(400, 401, 403) },
        },
      },
      async ({ query, serviceKey }) => {
        // An entry does not say which product it is about, so a key of one product may see none.
        if (serviceKey?.product !== undefined) {
          throw new DoorError('key.bound_to_product', 'the audit trail is for admin keys of all products')
        }
        const { limit, subject } = query
        const { items, next } = await deps.audit.list({ limit, subject, cursor: readCursor(query.cursor) })
        return {
          items: items.map((entry) => ({ ...entry, at: new Date(entry.at).toISOString() })),
          ...(next !== undefined && { next: writeCursor(next) }),
        }
      },
    )
  }
}
