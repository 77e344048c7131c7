import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { type Static, Type } from 'typebox'
import { DELIVERY_STATES, type Delivery } from '../../domain/telling/outbox-store.ts'
import { replayEvent } from '../../domain/telling/replay-event.ts'
import { readCursor, writeCursor } from '../cursor.ts'
import type { HttpDeps } from '../deps.ts'
import { findVisible, productFilter } from '../product-scope.ts'
import { Name, pageOf, pageQuery, problems, ref, Time } from '../schemas.ts'

const DeliveryBody = Type.Object(
  {
    event: Type.String(),
    type: Type.String(),
    at: Time,
    product: Type.String(),
    subscription: Type.String(),
    sink: Type.String({ description: '`eventbridge`, `webhook:<id>`, `email:buyer` or `email:seller`.' }),
    state: Type.Enum([...DELIVERY_STATES], {
      description: 'dead: given up; replay it once the cause is mended',
    }),
    attempts: Type.Integer(),
    queuedAt: Time,
    nextAttemptAt: Type.Optional(Time),
    lastError: Type.Optional(Type.String()),
    finishedAt: Type.Optional(Time),
  },
  { $id: 'Delivery' },
)

/** Who was told what, and telling it again. */
export function deliveryRoutes(
  deps: Pick<HttpDeps, 'outbox' | 'sinks' | 'catalog' | 'clock'>,
): FastifyPluginAsyncTypebox {
  return async (app) => {
    app.addSchema(DeliveryBody)

    app.get(
      '/deliveries',
      {
        config: { access: 'usage:read' },
        schema: {
          operationId: 'listDeliveries',
          summary: 'Events on their way to your systems, newest first',
          description: 'Those that were delivered are kept for 30 days, the others until they are.',
          tags: ['events'],
          querystring: Type.Object(
            {
              sink: Type.Optional(Name),
              state: Type.Optional(Type.Enum([...DELIVERY_STATES])),
              product: Type.Optional(Name),
              ...pageQuery,
            },
            { additionalProperties: false },
          ),
          response: { 200: pageOf(ref(DeliveryBody)), ...problems(400, 401, 403, 404) },
        },
      },
      async ({ query, serviceKey }) => {
        const { items, next } = await deps.outbox.list({
          ...query,
          product: productFilter(deps.catalog, serviceKey, query.product),
          cursor: readCursor(query.cursor),
        })
        return { items: items.map(toBody), ...(next !== undefined && { next: writeCursor(next) }) }
      },
    )

    app.post(
      '/deliveries/:eventId/replay',
      {
        config: { access: 'subscriptions:write' },
        schema: {
          operationId: 'replayEvent',
          summary: 'Tell an event again',
          description:
            'To one sink, whatever became of it there; without `sink` to all that it is dead for. It goes out before later events of its subscription that still wait.',
          tags: ['events'],
          params: Type.Object({ eventId: Name }),
          body: Type.Union([
            Type.Object({ sink: Type.Optional(Name) }, { additionalProperties: false }),
            Type.Null(),
          ]),
          response: {
            202: Type.Object({ items: Type.Array(ref(DeliveryBody)) }),
            ...problems(400, 401, 403, 404),
          },
        },
      },
      async ({ params: { eventId }, body, serviceKey }, reply) => {
        await findVisible(serviceKey, 'event.not_found', 'event', () => deps.outbox.getEvent(eventId))
        const actor = `key:${serviceKey?.id}`
        const items = await replayEvent(deps, eventId, body?.sink, actor, deps.clock.now())
        return reply.code(202).send({ items: items.map(toBody) })
      },
    )
  }
}

function toBody(delivery: Delivery): Static<typeof DeliveryBody> {
  const { event, type, product, subscription, sink, state, attempts, nextAttemptAt, lastError } = delivery
  return {
    event,
    type,
    at: timeText(delivery.at),
    product,
    subscription,
    sink,
    state,
    attempts,
    queuedAt: timeText(delivery.queuedAt),
    ...(nextAttemptAt !== undefined && { nextAttemptAt: timeText(nextAttemptAt) }),
    ...(lastError !== undefined && { lastError }),
    ...(delivery.finishedAt !== undefined && { finishedAt: timeText(delivery.finishedAt) }),
  }
}

function timeText(ms: number): string {
  return new Date(ms).toISOString()
}
