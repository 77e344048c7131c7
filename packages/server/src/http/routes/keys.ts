import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import { DomainError } from '../../domain/error.ts'
import type { ApiKey } from '../../domain/keys/api-key.ts'
import { OVERLAP_MS } from '../../domain/keys/change-api-key.ts'
import type { ServiceKey } from '../../domain/keys/service-key.ts'
import { readTime } from '../../domain/usage/read-time.ts'
import { REFERENCES, referenceOf } from '../buyer-reference.ts'
import { readCursor, writeCursor } from '../cursor.ts'
import type { HttpDeps } from '../deps.ts'
import { findVisible, productFilter } from '../product-scope.ts'
import { Name, pageOf, pageQuery, problems, ref } from '../schemas.ts'
import { KeyBody, KeyOrder, MadeKeyBody, RotatedKeyBody, RotationBody, toKeyBody } from './keys/key-body.ts'
import { actorOf } from './subscriptions/manage-subscriptions.ts'

/** The keys that end users show to a product. */
export function keyRoutes(deps: Pick<HttpDeps, 'apiKeys' | 'catalog' | 'clock'>): FastifyPluginAsyncTypebox {
  const { apiKeys, catalog, clock } = deps
  const visibleKey = (serviceKey: ServiceKey | undefined, id: string) =>
    findVisible(serviceKey, 'key.not_found', 'key', () => apiKeys.get(id))
  const viewOf = (key: ApiKey) => toKeyBody(key, clock.now())

  return async (app) => {
    for (const schema of [MadeKeyBody, RotatedKeyBody, KeyOrder]) app.addSchema(schema)
    const params = Type.Object({ keyId: Name })

    app.post(
      '/keys',
      {
        config: { access: 'keys:write' },
        schema: {
          operationId: 'createKey',
          summary: 'Make an API key for a user',
          description:
            'Whoever retries it says a `requestId`: without one each request makes a key. The secret is in this answer alone; where it was lost, rotate the key. A buyer has at most 1,000 keys that work at the same time: 409 `key.too_many`.',
          tags: ['keys'],
          body: ref(KeyOrder),
          response: { 201: ref(MadeKeyBody), ...problems(400, 401, 403, 404, 409, 415) },
        },
      },
      async ({ body, serviceKey }, reply) => {
        const { product, user, name, scopes = [], expiresAt, requestId } = body
        if (REFERENCES.every((field) => body[field] === undefined))
          throw new DomainError('request.invalid', `name the buyer by one of ${REFERENCES.join(', ')}`)
        const { key, secret } = await apiKeys.issue(
          {
            product: productFilter(catalog, serviceKey, product),
            reference: referenceOf(body),
            user,
            name,
            scopes,
            expiresAt: timeOf(expiresAt),
            requestId,
          },
          actorOf(serviceKey),
        )
        reply.code(201).header('cache-control', 'no-store')
        return { ...viewOf(key), key: secret }
      },
    )

    app.get(
      '/keys',
      {
        config: { access: 'keys:write' },
        schema: {
          operationId: 'listKeys',
          summary: 'API keys, newest first; without their secrets',
          tags: ['keys'],
          querystring: Type.Object(
            {
              product: Type.Optional(
                Type.String({
                  ...Name,
                  description:
                    'May be left out with another filter, with a key that is bound to one, or where there is only one.',
                }),
              ),
              buyerId: Type.Optional(Name),
              subscriptionId: Type.Optional(Name),
              user: Type.Optional(Name),
              ...pageQuery,
            },
            { additionalProperties: false },
          ),
          response: { 200: pageOf(ref(KeyBody)), ...problems(400, 401, 403, 404) },
        },
      },
      async ({ query, serviceKey }) => {
        const { buyerId: buyer, subscriptionId: subscription, user, limit, cursor } = query
        const others = { buyer, subscription, user }
        const asked = productFilter(catalog, serviceKey, query.product)
        const isOpen = asked === undefined && Object.values(others).every((value) => value === undefined)
        const product = isOpen ? onlyProduct(catalog) : asked
        const rows = await apiKeys.list({ product, ...others }, { limit, before: readCursor(cursor) })
        const last = rows.at(-1)
        return {
          items: rows.map(viewOf),
          ...(last !== undefined && rows.length === limit && { next: writeCursor(last.id) }),
        }
      },
    )

    app.get(
      '/keys/:keyId',
      {
        config: { access: 'keys:write' },
        schema: {
          operationId: 'getKey',
          summary: 'One API key; without its secret',
          tags: ['keys'],
          params,
          response: { 200: ref(KeyBody), ...problems(400, 401, 403, 404) },
        },
      },
      async ({ params, serviceKey }) => viewOf(await visibleKey(serviceKey, params.keyId)),
    )

    app.post(
      '/keys/:keyId/rotate',
      {
        config: { access: 'keys:write' },
        schema: {
          operationId: 'rotateKey',
          summary: 'Replace an API key',
          description:
            'Makes a new key of the same rights. The old one works on for the overlap, so that its user can change over. A key that was replaced, has expired or was revoked is answered 409.',
          tags: ['keys'],
          params,
          body: RotationBody,
          response: { 201: ref(RotatedKeyBody), ...problems(400, 401, 403, 404, 409, 415) },
        },
      },
      async ({ params, body, serviceKey }, reply) => {
        const { id } = await visibleKey(serviceKey, params.keyId)
        const { overlapSeconds = OVERLAP_MS / 1000, expiresAt } = body ?? {}
        const { key, secret, replaced } = await apiKeys.rotate(
          id,
          { overlapMs: overlapSeconds * 1000, expiresAt: timeOf(expiresAt) },
          actorOf(serviceKey),
        )
        reply.code(201).header('cache-control', 'no-store')
        return { ...viewOf(key), key: secret, replaces: viewOf(replaced) }
      },
    )

    app.delete(
      '/keys/:keyId',
      {
        config: { access: 'keys:write' },
        schema: {
          operationId: 'revokeKey',
          summary: 'Revoke an API key',
          description:
            'From here on it is refused: at once by the node that answers, within 5 seconds by others. To revoke it again is not an error.',
          tags: ['keys'],
          params,
          response: { 200: ref(KeyBody), ...problems(400, 401, 403, 404) },
        },
      },
      async ({ params, serviceKey }) => {
        const { id } = await visibleKey(serviceKey, params.keyId)
        return viewOf(await apiKeys.revoke(id, actorOf(serviceKey)))
      },
    )
  }
}

function onlyProduct(catalog: HttpDeps['catalog']): string {
  const [only, ...others] = catalog.list()
  if (only === undefined || others.length > 0)
    throw new DomainError('request.invalid', 'name one of product, buyerId, subscriptionId, user')
  return only.id
}

/** @throws {DomainError} `request.invalid` */
function timeOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const time = readTime(text)
  if (time === undefined)
    throw new DomainError('request.invalid', 'expiresAt: write it as RFC 3339, with a zone')
  return time
}
