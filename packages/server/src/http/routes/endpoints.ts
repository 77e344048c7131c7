import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import { DomainError } from '../../domain/error.ts'
import { describeHealth } from '../../domain/health/describe-health.ts'
import type { ServiceKey } from '../../domain/keys/service-key.ts'
import type { Product } from '../../domain/products/product.ts'
import { hourOf } from '../../domain/usage/hour.ts'
import { readTime } from '../../domain/usage/read-time.ts'
import { readCursor, writeCursor } from '../cursor.ts'
import type { HttpDeps } from '../deps.ts'
import { productFilter } from '../product-scope.ts'
import { Name, pageOf, pageQuery, problems, ref, TimeFilter } from '../schemas.ts'
import { EndpointBody, EndpointInput, HealthBody, HealthHourBody } from './products/product-body.ts'
import { toHealthBody, toHourBody } from './products/show-health.ts'
import { endpointSection, toEndpointBody } from './products/show-product.ts'
import { actorOf } from './subscriptions/manage-subscriptions.ts'

/** Where a product serves, and how each place is and was. Its schemas are those of `productRoutes`. */
export function endpointRoutes(
  deps: Pick<HttpDeps, 'catalog' | 'manageProducts' | 'health' | 'clock'>,
): FastifyPluginAsyncTypebox {
  const { catalog, manageProducts, health, clock } = deps
  const visible = (key: ServiceKey | undefined, name: string): Product =>
    catalog.find(productFilter(catalog, key, name)!)!

  return async (app) => {
    const params = Type.Object({ product: Name })
    const endpointParams = Type.Object({ product: Name, endpoint: Name })
    const items = <T extends Parameters<typeof ref>[0]>(schema: T) =>
      Type.Object({ items: Type.Array(ref(schema)) })

    app.get(
      '/products/:product/endpoints',
      {
        config: { access: 'usage:read' },
        schema: {
          operationId: 'listEndpoints',
          summary: 'Where a product serves',
          tags: ['products'],
          params,
          response: { 200: items(EndpointBody), ...problems(401, 403, 404) },
        },
      },
      ({ params, serviceKey }) => ({
        items: visible(serviceKey, params.product).endpoints.map(toEndpointBody),
      }),
    )

    app.get(
      '/products/:product/endpoints/:endpoint',
      {
        config: { access: 'usage:read' },
        schema: {
          operationId: 'getEndpoint',
          summary: 'One endpoint of a product',
          tags: ['products'],
          params: endpointParams,
          response: { 200: ref(EndpointBody), ...problems(401, 403, 404) },
        },
      },
      ({ params, serviceKey }) => {
        const { id, endpoints } = visible(serviceKey, params.product)
        const found = endpoints.find((endpoint) => endpoint.id === params.endpoint)
        if (found === undefined)
          throw new DomainError('endpoint.not_found', `${id} has no endpoint ${params.endpoint}`)
        return toEndpointBody(found)
      },
    )

    app.put(
      '/products/:product/endpoints/:endpoint',
      {
        config: { access: 'products:write' },
        schema: {
          operationId: 'putEndpoint',
          summary: 'Register an endpoint of a product, or change it',
          description:
            'All of it: what is left out gets its default. Its health address is asked by a plain GET that shows no key. What the configuration declares is changed there. The same request again changes nothing.',
          tags: ['products'],
          params: endpointParams,
          body: ref(EndpointInput),
          response: {
            200: ref(EndpointBody),
            201: ref(EndpointBody),
            ...problems(400, 401, 403, 404, 409, 415, 503),
          },
        },
      },
      async ({ params, body, serviceKey }, reply) => {
        const { id } = visible(serviceKey, params.product)
        const given = { id: params.endpoint, body: endpointSection(body) }
        const { endpoint, created } = await manageProducts.putEndpoint(id, given, actorOf(serviceKey))
        reply.code(created ? 201 : 200)
        return toEndpointBody(endpoint)
      },
    )

    app.delete(
      '/products/:product/endpoints/:endpoint',
      {
        config: { access: 'products:write' },
        schema: {
          operationId: 'removeEndpoint',
          summary: 'Ask an endpoint no more; how it was is kept for ninety days',
          tags: ['products'],
          params: endpointParams,
          response: { 200: ref(EndpointBody), ...problems(400, 401, 403, 404, 409, 503) },
        },
      },
      async ({ params, serviceKey }) => {
        const { id } = visible(serviceKey, params.product)
        const removed = await manageProducts.removeEndpoint(id, params.endpoint, actorOf(serviceKey))
        return toEndpointBody(removed)
      },
    )

    app.get(
      '/products/:product/health',
      {
        config: { access: 'usage:read' },
        schema: {
          operationId: 'getProductHealth',
          summary: 'How each endpoint of a product is, since when, and how often it was up',
          tags: ['products'],
          params,
          response: { 200: items(HealthBody), ...problems(401, 403, 404) },
        },
      },
      async ({ params, serviceKey }) => {
        const product = visible(serviceKey, params.product)
        return { items: (await describeHealth(health, product, clock.now())).map(toHealthBody) }
      },
    )

    app.get(
      '/products/:product/health/history',
      {
        config: { access: 'usage:read' },
        schema: {
          operationId: 'listProductHealth',
          summary: 'How the endpoints of a product were, by the hour, newest first; for ninety days',
          tags: ['products'],
          params,
          querystring: Type.Object(
            { endpoint: Type.Optional(Name), from: Type.Optional(TimeFilter), ...pageQuery },
            { additionalProperties: false },
          ),
          response: { 200: pageOf(ref(HealthHourBody)), ...problems(400, 401, 403, 404) },
        },
      },
      async ({ params, query, serviceKey }) => {
        const { id: product } = visible(serviceKey, params.product)
        const { endpoint, limit } = query
        const from = query.from === undefined ? undefined : hourOf(timeOf(query.from))
        const cursor = readCursor(query.cursor)
        const { items, next } = await health.hours({ product, endpoint, from, limit, cursor })
        return { items: items.map(toHourBody), ...(next !== undefined && { next: writeCursor(next) }) }
      },
    )
  }
}

function timeOf(text: string): number {
  const time = readTime(text)
  if (time === undefined)
    throw new DomainError('request.invalid', 'from must be a time: RFC 3339 with a zone')
  return time
}
