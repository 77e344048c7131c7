import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { type Static, Type } from 'typebox'
import { type Agreement, latestSpell } from '../../domain/subscriptions/agreement.ts'
import {
  EVENT_STATES,
  type KeptEvent,
  MARKETPLACE_EVENT_KINDS,
  type RejectedMessage,
} from '../../domain/subscriptions/marketplace-event.ts'
import { readCursor, writeCursor } from '../cursor.ts'
import type { HttpDeps } from '../deps.ts'
import { DoorError } from '../problem.ts'
import { productFilter } from '../product-scope.ts'
import { Name, pageOf, pageQuery, problems, ref, Time } from '../schemas.ts'

/** Agreements that are looked through for those of one product. */
const UNATTACHED_MAX = 10_000

const optionalText = Type.Optional(Type.String())

const Channel = Type.Enum(['sns', 'eventbridge', 'relay', 'agreements', 'import'])

const MarketplaceEventBody = Type.Object(
  {
    id: Type.String({ description: 'AWS’s own id of the message.' }),
    channel: Channel,
    kind: Type.Enum([...MARKETPLACE_EVENT_KINDS]),
    name: Type.String({ description: 'AWS’s word for it: the detail-type, or the action.' }),
    state: Type.Enum([...EVENT_STATES], {
      description:
        'followed: a subscription follows its agreement · waiting: nobody has registered for it yet, or its product is not known · kept: nothing follows from it',
    }),
    subscription: optionalText,
    occurredAt: Time,
    receivedAt: Time,
    agreementId: optionalText,
    previousAgreementId: optionalText,
    agreementStatus: optionalText,
    intent: optionalText,
    startsAt: Type.Optional(Time),
    endsAt: Type.Optional(Time),
    acceptedAt: Type.Optional(Time),
    offerId: optionalText,
    productCode: optionalText,
    productId: optionalText,
    licenseArn: optionalText,
    customerAWSAccountId: optionalText,
    customerIdentifier: optionalText,
    proposerAccountId: optionalText,
    throughPartner: Type.Optional(Type.Boolean()),
    freeTrial: Type.Optional(Type.Boolean()),
    payload: Type.String({ description: 'The message as it came: JSON.' }),
  },
  { $id: 'MarketplaceEvent' },
)

const RejectedMessageBody = Type.Object(
  { id: Type.String(), channel: Channel, reason: Type.String(), receivedAt: Time, payload: Type.String() },
  { $id: 'RejectedMessage' },
)

const AgreementBody = Type.Object(
  {
    key: Type.String({ description: 'AWS’s agreement id; for a legacy product, its code and the customer.' }),
    product: optionalText,
    productCode: optionalText,
    agreementId: optionalText,
    previousAgreementId: optionalText,
    licenseArn: optionalText,
    customerAWSAccountId: optionalText,
    customerIdentifier: optionalText,
    intent: optionalText,
    endStatus: optionalText,
    offerId: optionalText,
    startsAt: Type.Optional(Time),
    endsAt: Type.Optional(Time),
    acceptedAt: Type.Optional(Time),
    accessFrom: Type.Optional(Time),
    accessTo: Type.Optional(Time),
    throughPartner: Type.Optional(Type.Boolean()),
    freeTrial: Type.Optional(Type.Boolean()),
  },
  { $id: 'Agreement' },
)

/** What AWS Marketplace has told, what of it could not be taken, and whom it told of who has not registered. */
export function marketplaceEventRoutes(deps: Pick<HttpDeps, 'cases' | 'catalog'>): FastifyPluginAsyncTypebox {
  const { cases, catalog } = deps
  return async (app) => {
    for (const schema of [MarketplaceEventBody, RejectedMessageBody, AgreementBody]) app.addSchema(schema)

    app.get(
      '/marketplace/events',
      {
        config: { access: 'usage:read' },
        schema: {
          operationId: 'listMarketplaceEvents',
          summary: 'Notifications of AWS Marketplace, newest first',
          tags: ['subscriptions'],
          querystring: Type.Object(
            {
              product: Type.Optional(Name),
              state: Type.Optional(Type.Enum([...EVENT_STATES])),
              kind: Type.Optional(Type.Enum([...MARKETPLACE_EVENT_KINDS])),
              ...pageQuery,
            },
            { additionalProperties: false },
          ),
          response: { 200: pageOf(ref(MarketplaceEventBody)), ...problems(400, 401, 403, 404) },
        },
      },
      async ({ query, serviceKey }) => {
        const { items, next } = await cases.listEvents({
          product: productFilter(catalog, serviceKey, query.product),
          state: query.state,
          kind: query.kind,
          limit: query.limit,
          cursor: readCursor(query.cursor),
        })
        return { items: items.map(toEvent), ...(next !== undefined && { next: writeCursor(next) }) }
      },
    )

    app.get(
      '/marketplace/events/rejected',
      {
        config: { access: 'usage:read' },
        schema: {
          operationId: 'listRejectedMessages',
          summary: 'Messages of AWS Marketplace that could not be taken, newest first',
          tags: ['subscriptions'],
          querystring: Type.Object({ limit: pageQuery.limit }, { additionalProperties: false }),
          response: {
            200: Type.Object({ items: Type.Array(ref(RejectedMessageBody)) }),
            ...problems(400, 401, 403),
          },
        },
      },
      async ({ query, serviceKey }) => {
        // What could not be read does not say whose it is.
        if (serviceKey?.product !== undefined)
          throw new DoorError('key.bound_to_product', 'rejected messages are for keys of all products')
        return { items: (await cases.listRejected(query.limit)).map(toRejected) }
      },
    )

    app.get(
      '/marketplace/agreements/unattached',
      {
        config: { access: 'usage:read' },
        schema: {
          operationId: 'listUnattachedAgreements',
          summary: 'Agreements that no subscription follows, newest first',
          description:
            'Buyers who subscribed and have not registered, renewals that wait for their license, and agreements of products that are not configured.',
          tags: ['subscriptions'],
          querystring: Type.Object(
            { product: Type.Optional(Name), limit: pageQuery.limit },
            { additionalProperties: false },
          ),
          response: {
            200: Type.Object({ items: Type.Array(ref(AgreementBody)) }),
            ...problems(400, 401, 403, 404),
          },
        },
      },
      async ({ query, serviceKey }) => {
        const product = productFilter(catalog, serviceKey, query.product)
        const agreements =
          product === undefined
            ? await cases.listUnattached(query.limit)
            : (await cases.listUnattached(UNATTACHED_MAX)).filter(
                (agreement) => agreement.product === product,
              )
        return { items: agreements.slice(0, query.limit).map(toAgreement) }
      },
    )
  }
}

function toEvent({ event, state, receivedAt, subscription }: KeptEvent): Static<typeof MarketplaceEventBody> {
  const { id, channel, kind, name, occurredAt, customerAwsAccountId, payload } = event
  return {
    id,
    channel,
    kind,
    name,
    state,
    ...known({ subscription }),
    occurredAt: timeText(occurredAt),
    receivedAt: timeText(receivedAt),
    ...known({
      agreementId: event.agreementId,
      previousAgreementId: event.previousAgreementId,
      agreementStatus: event.agreementStatus,
      intent: event.intent,
      offerId: event.offerId,
      productCode: event.productCode,
      productId: event.productId,
      licenseArn: event.licenseArn,
      customerAWSAccountId: customerAwsAccountId,
      customerIdentifier: event.customerIdentifier,
      proposerAccountId: event.proposerAccountId,
      throughPartner: event.throughPartner,
      freeTrial: event.freeTrial,
    }),
    ...times({ startsAt: event.startsAt, endsAt: event.endsAt, acceptedAt: event.acceptedAt }),
    payload,
  }
}

function toRejected(message: RejectedMessage): Static<typeof RejectedMessageBody> {
  return { ...message, receivedAt: timeText(message.receivedAt) }
}

function toAgreement(agreement: Agreement): Static<typeof AgreementBody> {
  const { startsAt, endsAt, acceptedAt } = agreement
  const spell = latestSpell(agreement)
  return {
    key: agreement.key,
    ...known({
      product: agreement.product,
      productCode: agreement.productCode,
      agreementId: agreement.agreementId,
      previousAgreementId: agreement.previousAgreementId,
      licenseArn: agreement.licenseArn,
      customerAWSAccountId: agreement.customerAwsAccountId,
      customerIdentifier: agreement.customerIdentifier,
      intent: agreement.intent,
      endStatus: agreement.endStatus,
      offerId: agreement.offerId,
      throughPartner: agreement.throughPartner,
      freeTrial: agreement.freeTrial,
    }),
    ...times({ startsAt, endsAt, acceptedAt, accessFrom: spell?.from, accessTo: spell?.to }),
  }
}

/** What AWS did not say is left out. */
function known<T extends object>(fields: T): { [Field in keyof T]?: Exclude<T[Field], undefined> } {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as {
    [Field in keyof T]?: Exclude<T[Field], undefined>
  }
}

function times<T extends Readonly<Record<string, number | undefined>>>(
  fields: T,
): { [Field in keyof T]?: string } {
  const entries = Object.entries(fields).flatMap(([field, ms]) =>
    ms === undefined ? [] : [[field, timeText(ms)] as const],
  )
  return Object.fromEntries(entries) as { [Field in keyof T]?: string }
}

function timeText(ms: number): string {
  return new Date(ms).toISOString()
}
