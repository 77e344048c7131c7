import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyRequest } from 'fastify'
import { type Static, Type } from 'typebox'
import { DomainError } from '../../../domain/error.ts'
import type { ServiceKey } from '../../../domain/keys/service-key.ts'
import type { Product } from '../../../domain/products/product.ts'
import {
  CANCELLATION_REASONS,
  type CancellationReason,
} from '../../../domain/subscriptions/agreement-service.ts'
import type { SubscriptionUpdate } from '../../../domain/subscriptions/manage-subscription.ts'
import type { RequestedCancellation } from '../../../domain/subscriptions/request-cancellation.ts'
import type { Subscription } from '../../../domain/subscriptions/subscription.ts'
import type { HttpDeps } from '../../deps.ts'
import { productFilter } from '../../product-scope.ts'
import { Name, PRINTABLE, problems, ref, Time } from '../../schemas.ts'
import {
  CHANNELS,
  Detail,
  findSubscription,
  readDetail,
  STATUSES,
  SubscriptionBody,
  SubscriptionDetail,
  timeText,
  toSubscription,
} from './subscription-body.ts'

/** RFC 5321. */
const EMAIL_LENGTH_MAX = 254
const PERSON_LENGTH_MAX = 200
/** AWS's own bound. */
const DESCRIPTION_LENGTH_MAX = 2_000

const PersonText = Type.String({ minLength: 1, maxLength: PERSON_LENGTH_MAX, pattern: PRINTABLE })

const Opening = Type.Object(
  {
    channel: Type.Enum([...CHANNELS], {
      description:
        '`free` or `direct`. On AWS Marketplace only the buyer accepts an agreement: `aws` is answered 409.',
    }),
    product: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 255,
        pattern: PRINTABLE,
        description: 'May be left out with a key that is bound to one, or where there is only one.',
      }),
    ),
    plan: Type.Optional(Name),
    tenantId: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 255,
        pattern: PRINTABLE,
        description: 'Your own name for the buyer’s workspace. It has one such subscription at a time.',
      }),
    ),
    buyer: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 255,
        pattern: PRINTABLE,
        description: 'Of a buyer who is known already; by default whose tenant it is or was, else a new one.',
      }),
    ),
    contact: Type.Optional(
      Type.Object(
        {
          email: Type.String({ format: 'email', maxLength: EMAIL_LENGTH_MAX, pattern: PRINTABLE }),
          name: Type.Optional(PersonText),
          company: Type.Optional(PersonText),
          phone: Type.Optional(PersonText),
        },
        { additionalProperties: false },
      ),
    ),
    licenseArn: Type.Optional(Name),
    customerAWSAccountId: Type.Optional(Name),
    customerIdentifier: Type.Optional(Name),
    agreementId: Type.Optional(Name),
  },
  {
    $id: 'SubscriptionOpening',
    additionalProperties: false,
    description: 'What names a buyer of AWS Marketplace is answered 409: those subscribe there.',
  },
)

const Changes = Type.Object(
  {
    plan: Type.Optional(Name),
    tenantId: Type.Optional(Name),
    status: Type.Optional(
      Type.Enum([...STATUSES], {
        description:
          '`active` lets a pending one begin that AWS has not confirmed, or resumes a suspended one.',
      }),
    ),
    suspended: Type.Optional(Type.Boolean({ description: 'Only off AWS Marketplace.' })),
    successor: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 255,
        pattern: PRINTABLE,
        description:
          'Where AWS renewed or replaced an agreement and several could have taken its place: the agreement (`agmt-…`) or the subscription that did.',
      }),
    ),
  },
  {
    $id: 'SubscriptionChanges',
    additionalProperties: true,
    description:
      'What is left out stays. A subscription may be sent back as it was read, with changes: another value of a field that is not listed here is answered 422.',
  },
)

const cancellationFields = {
  reasonCode: Type.Optional(Type.Enum([...CANCELLATION_REASONS])),
  description: Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: DESCRIPTION_LENGTH_MAX,
      pattern: '^[^\\p{Cs}]+$',
      description: 'For the buyer to read.',
    }),
  ),
}

interface CancellationFields {
  readonly reasonCode?: CancellationReason
  readonly description?: string
}

const CancellationBody = Type.Unsafe<CancellationFields | null>({
  type: ['object', 'null'],
  additionalProperties: false,
  properties: cancellationFields,
})

const Cancellation = Type.Object(
  {
    subscription: ref(SubscriptionBody),
    cancellationRequest: Type.Object({
      id: Type.String(),
      agreementId: Type.String(),
      status: Type.String({ description: 'AWS’s: `PENDING_APPROVAL` until the buyer or time has decided.' }),
      reasonCode: Type.Optional(Type.String()),
      createdAt: Type.Optional(Time),
      autoApprovalAt: Type.String({
        format: 'date-time',
        description: 'When AWS approves it by itself, if the buyer has not answered.',
      }),
    }),
    detail: Type.String(),
  },
  { $id: 'CancellationRequested' },
)

const IDEMPOTENCY_KEY = 'idempotency-key'

/** What a seller may do with subscriptions: all of their own, and what AWS leaves to a seller of the others. */
export function manageSubscriptionRoutes(
  deps: Pick<
    HttpDeps,
    'subscriptions' | 'manage' | 'requestCancellation' | 'history' | 'entitlements' | 'catalog' | 'clock'
  >,
): FastifyPluginAsyncTypebox {
  return async (app) => {
    for (const schema of [Opening, Changes, Cancellation]) app.addSchema(schema)
    const params = Type.Object({ subscriptionId: Name })

    app.post(
      '/marketplace/subscriptions',
      {
        config: { access: 'subscriptions:write' },
        schema: {
          operationId: 'createSubscription',
          summary: 'Open a free or direct subscription',
          description:
            'Access starts at once. The same request again, known by its `Idempotency-Key` or its tenant, is answered 200 with the same subscription. On AWS Marketplace only the buyer accepts an agreement: send them the listing’s link or a private offer’s.',
          tags: ['subscriptions'],
          headers: Type.Object({
            [IDEMPOTENCY_KEY]: Type.Optional(
              Type.String({ minLength: 1, maxLength: 255, description: 'The same on every retry.' }),
            ),
          }),
          body: ref(Opening),
          response: { 200: Detail, 201: Detail, ...problems(400, 401, 403, 404, 409, 415, 422) },
        },
      },
      async ({ body, headers, serviceKey }, reply) => {
        const { channel, product, plan, tenantId, buyer, contact } = body
        requireOffAws(body)
        const { subscription, created } = await deps.manage.open(
          {
            product: productOf(deps, serviceKey, product),
            channel: channel === 'free' ? 'free' : 'direct',
            plan,
            tenantId,
            buyer,
            contact: contact && {
              email: contact.email,
              name: contact.name,
              company: contact.company,
              phone: contact.phone,
            },
            idempotencyKey: headers[IDEMPOTENCY_KEY],
          },
          actorOf(serviceKey),
        )
        reply.code(created ? 201 : 200)
        reply.header('location', `/marketplace/subscriptions/${subscription.id}`)
        return readDetail(deps, subscription)
      },
    )

    app.put(
      '/marketplace/subscriptions/:subscriptionId',
      {
        config: { access: 'subscriptions:write' },
        schema: {
          operationId: 'updateSubscription',
          summary: 'Change plan or tenant, suspend, resume, activate, or choose the successor',
          description: 'All of it or nothing. Audited with the key that did it.',
          tags: ['subscriptions'],
          params,
          body: ref(Changes),
          response: { 200: Detail, ...problems(400, 401, 403, 404, 409, 410, 415, 422) },
        },
      },
      async ({ params, body, serviceKey }) => {
        const before = await findSubscription(deps, serviceKey, params.subscriptionId)
        requireOnlyChangeable(body, before)
        const after = await deps.manage.update(before.id, toUpdate(body, before), actorOf(serviceKey))
        return readDetail(deps, after)
      },
    )

    app.delete(
      '/marketplace/subscriptions/:subscriptionId',
      {
        config: { access: 'subscriptions:write' },
        schema: {
          operationId: 'cancelSubscription',
          summary:
            'End a free or direct subscription; of AWS Marketplace, ask the buyer for the cancellation',
          description:
            'A free or direct one ends now (200). On AWS Marketplace only the buyer ends an agreement: a cancellation request is sent (202, `reasonCode` is needed), which the buyer answers and AWS approves by itself after seven days. The subscription goes on until AWS says that it ended. Asked again while a request waits, the same one is answered.',
          tags: ['subscriptions'],
          params,
          querystring: Type.Object(cancellationFields, { additionalProperties: false }),
          body: CancellationBody,
          response: {
            200: Detail,
            202: ref(Cancellation),
            ...problems(400, 401, 403, 404, 409, 415, 503),
          },
        },
      },
      async ({ params, query, body, serviceKey }, reply) => {
        const { id, channel, accessEnd } = await findSubscription(deps, serviceKey, params.subscriptionId)
        if (channel !== 'aws' || accessEnd !== undefined) {
          return readDetail(deps, await deps.manage.end(id, actorOf(serviceKey)))
        }
        const { reasonCode, description }: CancellationFields = { ...query, ...body }
        if (reasonCode === undefined) {
          throw new DomainError(
            'request.invalid',
            `only the buyer ends an agreement on AWS Marketplace; to ask for its cancellation, say why: reasonCode must be one of ${CANCELLATION_REASONS.join(', ')}`,
          )
        }
        const requested = await deps.requestCancellation(id, { reasonCode, description }, actorOf(serviceKey))
        reply.code(202)
        return toCancellation(await deps.subscriptions.get(id), requested)
      },
    )
  }
}

/** Who acts, for the audit trail. */
export function actorOf(key: FastifyRequest['serviceKey']): string {
  return key === undefined ? 'unknown' : `key:${key.id}`
}

const AWS_FIELDS = ['licenseArn', 'customerAWSAccountId', 'customerIdentifier', 'agreementId'] as const

function requireOffAws(body: Static<typeof Opening>): void {
  const named = AWS_FIELDS.filter((field) => body[field] !== undefined)
  if (body.channel !== 'aws' && named.length === 0) return
  throw new DomainError(
    'subscription.buyer_only',
    'on AWS Marketplace only the buyer accepts an agreement: send them the listing’s link, or a private offer’s; their subscription appears here when they have accepted and registered. A free or direct subscription, without AWS identifiers, can be opened here',
    named.length === 0 ? {} : { details: { fields: named } },
  )
}

function productOf(
  { catalog }: Pick<HttpDeps, 'catalog'>,
  key: ServiceKey | undefined,
  asked: string | undefined,
): Product {
  const id = productFilter(catalog, key, asked)
  const products = catalog.list()
  const product = id === undefined ? (products.length === 1 ? products[0] : undefined) : catalog.find(id)
  if (product === undefined)
    throw new DomainError(
      id === undefined ? 'request.invalid' : 'product.not_found',
      id === undefined ? 'product is needed: there are several' : 'no such product here',
    )
  return product
}

const CHANGEABLE = new Set(Object.keys(Changes.properties))
const READ_ONLY = new Set(Object.keys(SubscriptionBody.properties))
/** Made for each answer: to send them back means nothing. */
const COMPUTED = new Set(Object.keys(SubscriptionDetail.properties).filter((key) => !READ_ONLY.has(key)))

/** @throws {DomainError} `subscription.field_fixed`, `request.invalid` for a field that there is not */
function requireOnlyChangeable(body: Static<typeof Changes>, before: Subscription): void {
  const shown: Readonly<Record<string, unknown>> = toSubscription(before)
  for (const [field, value] of Object.entries(body)) {
    if (CHANGEABLE.has(field) || COMPUTED.has(field)) continue
    if (!READ_ONLY.has(field)) throw new DomainError('request.invalid', `body: ${field} is not known here`)
    if (JSON.stringify(value) === JSON.stringify(shown[field])) continue
    throw new DomainError(
      'subscription.field_fixed',
      before.channel === 'aws'
        ? `${field} follows from what AWS Marketplace says of the agreement, and is not changed here`
        : `${field} is not changed after a subscription was opened`,
      { details: { field } },
    )
  }
}

/** @throws {DomainError} `request.invalid` for a status that is not set by hand */
function toUpdate(
  { plan, tenantId, status, suspended, successor }: Static<typeof Changes>,
  before: Subscription,
): SubscriptionUpdate {
  const update = { plan, tenantId, successor }
  if (status === undefined || status === before.status) return { ...update, suspended }
  if (suspended !== undefined && suspended !== (status === 'suspended'))
    throw new DomainError('request.invalid', 'status and suspended contradict one another')
  if (status === 'suspended') return { ...update, suspended: true }
  if (status === 'active')
    return before.status === 'suspended' ? { ...update, suspended: false } : { ...update, activate: true }
  throw new DomainError(
    'request.invalid',
    `status ${status} is not set by hand: DELETE ends a subscription, and the rest follows from it`,
  )
}

function toCancellation(
  subscription: Subscription,
  { request, autoApprovalAt }: RequestedCancellation,
): Static<typeof Cancellation> {
  const { id, agreementId, status, reasonCode, createdAt } = request
  return {
    subscription: toSubscription(subscription),
    cancellationRequest: {
      id,
      agreementId,
      status,
      ...(reasonCode !== undefined && { reasonCode }),
      ...(createdAt !== undefined && { createdAt: timeText(createdAt) }),
      autoApprovalAt: timeText(autoApprovalAt),
    },
    detail: `The buyer was asked, and decides; without an answer AWS approves it on ${timeText(autoApprovalAt).slice(0, 10)}. Until AWS says that the agreement ended, the subscription goes on.`,
  }
}
