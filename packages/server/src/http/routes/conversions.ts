import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import { DomainError } from '../../domain/error.ts'
import type { HttpDeps } from '../deps.ts'
import { productFilter } from '../product-scope.ts'
import { VisitorBody } from '../quota/quota-schemas.ts'
import { Name, problems, ref, Time } from '../schemas.ts'
import { actorOf } from './subscriptions/manage-subscriptions.ts'

const REFERENCES = [
  'subscriptionId',
  'buyerId',
  'tenantId',
  'licenseArn',
  'customerAWSAccountId',
  'customerIdentifier',
] as const

const ConversionBody = Type.Object(
  {
    status: Type.Enum(['converted', 'repeated', 'taken', 'unknown'], {
      description:
        'converted: noted now · repeated: noted before · taken: this visitor became another buyer before, and stays so · unknown: no visitor from there was seen lately',
    }),
    visitor: Type.Optional(Type.String()),
    product: Type.String(),
    buyer: Type.String(),
    subscription: Type.String(),
    firstSeenAt: Type.Optional(Time),
    convertedAt: Type.Optional(Time),
  },
  { $id: 'Conversion' },
)

/** Visitors who became buyers. */
export function conversionRoutes(deps: Pick<HttpDeps, 'visitors' | 'catalog'>): FastifyPluginAsyncTypebox {
  return async (app) => {
    app.addSchema(ConversionBody)
    app.post(
      '/quota/conversions',
      {
        config: { access: 'subscriptions:write' },
        schema: {
          operationId: 'convertVisitor',
          summary: 'Note that a visitor became a buyer',
          description:
            'Call it when somebody who used the product without a key has registered, from the request that they registered with. Name the buyer by one reference. It is noted once for a visitor, in the history of the subscription, and told as `visitor.converted`.',
          tags: ['quota'],
          body: Type.Object(
            {
              visitor: VisitorBody,
              product: Type.Optional(Name),
              ...Object.fromEntries(REFERENCES.map((name) => [name, Type.Optional(Name)])),
            } as {
              visitor: typeof VisitorBody
              product: ReturnType<typeof Type.Optional<typeof Name>>
            } & Record<(typeof REFERENCES)[number], ReturnType<typeof Type.Optional<typeof Name>>>,
            { additionalProperties: false },
          ),
          response: { 200: ref(ConversionBody), ...problems(400, 401, 403, 404, 409, 413, 415, 503) },
        },
      },
      async ({ body, serviceKey }) => {
        if (REFERENCES.filter((name) => body[name] !== undefined).length !== 1)
          throw new DomainError(
            'request.invalid',
            `name the buyer by exactly one of ${REFERENCES.join(', ')}`,
          )
        const { visitor: claim, product, customerAWSAccountId, ...others } = body
        const { status, visitor, subscription } = await deps.visitors.convert(
          {
            visitor: claim,
            reference: { ...others, customerAwsAccountId: customerAWSAccountId },
            product: productFilter(deps.catalog, serviceKey, product),
          },
          actorOf(serviceKey),
        )
        const isTheirs = status === 'converted' || status === 'repeated'
        return {
          status,
          product: subscription.product,
          buyer: subscription.buyer,
          subscription: subscription.id,
          ...(isTheirs && {
            visitor: visitor!.id,
            firstSeenAt: new Date(visitor!.firstSeenAt).toISOString(),
            convertedAt: new Date(visitor!.conversion!.at).toISOString(),
          }),
        }
      },
    )
  }
}
