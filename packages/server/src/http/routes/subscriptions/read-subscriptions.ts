import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { type Static, Type } from 'typebox'
import type { AuditEntry } from '../../../domain/audit/audit-trail.ts'
import type { KeptEvent } from '../../../domain/subscriptions/marketplace-event.ts'
import type { Subscription } from '../../../domain/subscriptions/subscription.ts'
import type { HistoryEntry } from '../../../domain/subscriptions/subscription-history.ts'
import { eventView } from '../../../domain/telling/domain-event.ts'
import { isObject } from '../../../domain/usage/read-usage-event.ts'
import { readCursor, writeCursor } from '../../cursor.ts'
import type { HttpDeps } from '../../deps.ts'
import { productFilter } from '../../product-scope.ts'
import { Name, pageOf, pageQuery, problems, ref, Time } from '../../schemas.ts'
import {
  CHANNELS,
  Detail,
  findSubscription,
  readDetail,
  STATUSES,
  SubscriptionBody,
  timeText,
  toSubscription,
} from './subscription-body.ts'

const Entry = Type.Object(
  {
    at: Type.String({ format: 'date-time', description: 'When it was done, or came here.' }),
    kind: Type.Enum(['change', 'event'], {
      description: 'change: of ours, audited · event: a notification of AWS Marketplace',
    }),
    actor: Type.Optional(Type.String()),
    action: Type.Optional(Type.String()),
    before: Type.Optional(Type.Unknown({ description: 'Of a change: the fields that it changed.' })),
    after: Type.Optional(Type.Unknown()),
    event: Type.Optional(
      Type.Object({
        id: Type.String(),
        name: Type.String({ description: 'AWS’s word for it.' }),
        kind: Type.String({ description: 'What it means.' }),
        channel: Type.String(),
        occurredAt: Type.String({ format: 'date-time', description: 'AWS’s own time.' }),
        state: Type.Enum(['followed', 'waiting', 'kept']),
        agreementId: Type.Optional(Type.String()),
        agreementStatus: Type.Optional(Type.String()),
        intent: Type.Optional(Type.String()),
        startsAt: Type.Optional(Time),
        endsAt: Type.Optional(Time),
      }),
    ),
  },
  { $id: 'HistoryEntry' },
)

const filters = {
  product: Type.Optional(Name),
  status: Type.Optional(Type.Enum([...STATUSES])),
  channel: Type.Optional(Type.Enum([...CHANNELS])),
  buyer: Type.Optional(Name),
  tenantId: Type.Optional(Name),
  licenseArn: Type.Optional(Name),
  customerAWSAccountId: Type.Optional(Name),
  customerIdentifier: Type.Optional(Name),
}

/** Subscriptions as they are, and how each came to be so. */
export function readSubscriptionRoutes(
  deps: Pick<HttpDeps, 'subscriptions' | 'history' | 'entitlements' | 'catalog' | 'clock'>,
): FastifyPluginAsyncTypebox {
  return async (app) => {
    app.addSchema(Entry)
    const params = Type.Object({ subscriptionId: Name })

    app.get(
      '/marketplace/subscriptions',
      {
        config: { access: 'usage:read' },
        schema: {
          operationId: 'listSubscriptions',
          summary: 'Subscriptions, newest first',
          description:
            'All filters that are given must fit; license ARNs are compared by their last part, `l-…`.',
          tags: ['subscriptions'],
          querystring: Type.Object({ ...filters, ...pageQuery }, { additionalProperties: false }),
          response: { 200: pageOf(ref(SubscriptionBody)), ...problems(400, 401, 403, 404) },
        },
      },
      async ({ query, serviceKey }) => {
        const { limit, cursor, product, buyer, customerAWSAccountId, ...filter } = query
        const rows = await deps.subscriptions.list({
          ...filter,
          product: productFilter(deps.catalog, serviceKey, product),
          buyerId: buyer,
          customerAwsAccountId: customerAWSAccountId,
          limit,
          before: readCursor(cursor),
        })
        const last = rows.at(-1)
        return {
          items: rows.map(toSubscription),
          ...(last !== undefined && rows.length === limit && { next: writeCursor(last.id) }),
        }
      },
    )

    app.get(
      '/marketplace/subscriptions/:subscriptionId',
      {
        config: { access: 'usage:read' },
        schema: {
          operationId: 'getSubscription',
          summary: 'One subscription, in fields and in words',
          tags: ['subscriptions'],
          params,
          response: { 200: Detail, ...problems(400, 401, 403, 404) },
        },
      },
      async ({ params, serviceKey }) =>
        readDetail(deps, await findSubscription(deps, serviceKey, params.subscriptionId)),
    )

    app.get(
      '/marketplace/subscriptions/:subscriptionId/history',
      {
        config: { access: 'usage:read' },
        schema: {
          operationId: 'listSubscriptionHistory',
          summary: 'What changed a subscription, and what AWS said of its agreement; newest first',
          tags: ['subscriptions'],
          params,
          querystring: Type.Object(pageQuery, { additionalProperties: false }),
          response: { 200: pageOf(ref(Entry)), ...problems(400, 401, 403, 404) },
        },
      },
      async ({ params, query, serviceKey }) => {
        const subscription = await findSubscription(deps, serviceKey, params.subscriptionId)
        const { items, next } = await deps.history.list(subscription, {
          limit: query.limit,
          cursor: readCursor(query.cursor),
        })
        return { items: items.map(toEntry), ...(next !== undefined && { next: writeCursor(next) }) }
      },
    )
  }
}

function toEntry(item: HistoryEntry): Static<typeof Entry> {
  return item.kind === 'change' ? fromChange(item.entry) : fromEvent(item.kept)
}

function fromChange({ at, actor, action, before, after }: AuditEntry): Static<typeof Entry> {
  const [was, is] = [viewOf(action, before), viewOf(action, after)]
  const isChanged = (name: string) => JSON.stringify(was?.[name]) !== JSON.stringify(is?.[name])
  const changed = (view: Readonly<Record<string, unknown>> | undefined) =>
    view && Object.fromEntries(Object.entries(view).filter(([name]) => isChanged(name)))
  return {
    at: timeText(at),
    kind: 'change',
    actor,
    action,
    ...(was !== undefined && { before: changed(was) }),
    ...(is !== undefined && { after: changed(is) }),
  }
}

/** As the API names its fields. */
function viewOf(action: string, value: unknown): Readonly<Record<string, unknown>> | undefined {
  if (!isObject(value)) return undefined
  // What these actions keep is the subscription itself.
  return action === 'subscription.create' || action === 'subscription.change'
    ? eventView(value as unknown as Subscription)
    : value
}

function fromEvent({ event, receivedAt, state }: KeptEvent): Static<typeof Entry> {
  const { id, name, kind, channel, occurredAt, agreementId, agreementStatus, intent, startsAt, endsAt } =
    event
  return {
    at: timeText(receivedAt),
    kind: 'event',
    event: {
      id,
      name,
      kind,
      channel,
      occurredAt: timeText(occurredAt),
      state,
      ...(agreementId !== undefined && { agreementId }),
      ...(agreementStatus !== undefined && { agreementStatus }),
      ...(intent !== undefined && { intent }),
      ...(startsAt !== undefined && { startsAt: timeText(startsAt) }),
      ...(endsAt !== undefined && { endsAt: timeText(endsAt) }),
    },
  }
}
