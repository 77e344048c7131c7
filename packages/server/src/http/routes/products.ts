import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import { DomainError } from '../../domain/error.ts'
import type { ServiceKey } from '../../domain/keys/service-key.ts'
import { planVersions, productVersions } from '../../domain/products/catalog-versions.ts'
import type { Product } from '../../domain/products/product.ts'
import { readTime } from '../../domain/usage/read-time.ts'
import type { HttpDeps } from '../deps.ts'
import { DoorError } from '../problem.ts'
import { productFilter } from '../product-scope.ts'
import { Name, problems, ref } from '../schemas.ts'
import { endpointRoutes } from './endpoints.ts'
import {
  PlanBody,
  PlanInput,
  PlanVersionBody,
  PRODUCT_SCHEMAS,
  ProductBody,
  ProductInput,
  ProductVersionBody,
} from './products/product-body.ts'
import {
  planSection,
  productSection,
  toPlanBody,
  toPlanVersion,
  toProductBody,
  toProductVersion,
} from './products/show-product.ts'
import { actorOf } from './subscriptions/manage-subscriptions.ts'

/** What is sold, and on which plans. */
export function productRoutes(
  deps: Pick<HttpDeps, 'catalog' | 'manageProducts' | 'health' | 'clock'>,
): FastifyPluginAsyncTypebox {
  const { catalog, manageProducts, clock } = deps
  const visible = (key: ServiceKey | undefined, name: string): Product =>
    catalog.find(productFilter(catalog, key, name)!)!
  const show = (product: Product) => {
    const isDeclared = catalog.declared.some(({ id }) => id === product.id)
    return toProductBody(product, isDeclared ? 'config' : 'api', clock.now())
  }
  const showPlan = (product: string, id: string) => {
    const found = catalog.find(product)!
    const plan = found.plans.find((one) => one.id === id)
    // Dated ahead: it is not there yet.
    return plan === undefined
      ? toPlanVersion(planVersions(catalog.versions(), product, id).at(-1)!)
      : toPlanBody(plan, found, clock.now())
  }

  return async (app) => {
    for (const schema of PRODUCT_SCHEMAS) app.addSchema(schema)
    await app.register(endpointRoutes(deps))
    const params = Type.Object({ product: Name })
    const planParams = Type.Object({ product: Name, plan: Name })
    const items = <T extends Parameters<typeof ref>[0]>(schema: T) =>
      Type.Object({ items: Type.Array(ref(schema)) })

    app.get(
      '/products',
      {
        config: { access: 'usage:read' },
        schema: {
          operationId: 'listProducts',
          summary: 'What is sold',
          tags: ['products'],
          response: { 200: items(ProductBody), ...problems(401, 403) },
        },
      },
      ({ serviceKey }) => ({
        items: catalog
          .list()
          .filter(({ id }) => serviceKey?.product === undefined || serviceKey.product === id)
          .map(show),
      }),
    )

    app.get(
      '/products/:product',
      {
        config: { access: 'usage:read' },
        schema: {
          operationId: 'getProduct',
          summary: 'A product with its plans',
          tags: ['products'],
          params,
          response: { 200: ref(ProductBody), ...problems(401, 403, 404) },
        },
      },
      ({ params, serviceKey }) => show(visible(serviceKey, params.product)),
    )

    app.get(
      '/products/:product/history',
      {
        config: { access: 'usage:read' },
        schema: {
          operationId: 'getProductHistory',
          summary: 'How a product came to be what it is, oldest first; without its plans',
          tags: ['products'],
          params,
          response: { 200: items(ProductVersionBody), ...problems(401, 403, 404) },
        },
      },
      ({ params, serviceKey }) => {
        const { id } = visible(serviceKey, params.product)
        return { items: productVersions(catalog.versions(), id).map(toProductVersion) }
      },
    )

    app.post(
      '/products',
      {
        config: { access: 'products:write' },
        schema: {
          operationId: 'createProduct',
          summary: 'Sell a product that the configuration does not declare',
          description:
            'In the words of `products[]` in `tollkeeper.yaml`, by the same rules. It holds at once here, and within five seconds on other nodes. The same request again is answered 200.',
          tags: ['products'],
          body: ref(ProductInput),
          response: {
            200: ref(ProductBody),
            201: ref(ProductBody),
            ...problems(400, 401, 403, 409, 415, 503),
          },
        },
      },
      async ({ body, serviceKey }, reply) => {
        if (serviceKey?.product !== undefined)
          throw new DoorError('key.bound_to_product', 'a new product is for keys of all products')
        const made = await manageProducts.createProduct(productSection(body), actorOf(serviceKey))
        reply.code(made.created ? 201 : 200)
        reply.header('location', `/products/${made.product.id}`)
        return show(made.product)
      },
    )

    app.put(
      '/products/:product',
      {
        config: { access: 'products:write' },
        schema: {
          operationId: 'putProduct',
          summary: 'Change a product that the configuration does not declare',
          description:
            'All of it: what is left out gets its default, but plans stay as they are where there are none in the body. What is read may be sent back: a plan that is given as it is stays as it is, with what is dated ahead of it. What a dimension is counted in (`scale`, `aggregation`, `per`) is fixed from its first day. A key that is bound to the product does not change `productCode`, `productId` and `listing`.',
          tags: ['products'],
          params,
          body: ref(ProductInput),
          response: { 200: ref(ProductBody), ...problems(400, 401, 403, 404, 409, 415, 503) },
        },
      },
      async ({ params, body, serviceKey }) => {
        const { id } = visible(serviceKey, params.product)
        // Under another name it would take over what waits for another product.
        const rights = { mayRename: serviceKey?.product === undefined }
        const section = productSection(body)
        return show(await manageProducts.putProduct(id, section, actorOf(serviceKey), rights))
      },
    )

    app.get(
      '/products/:product/plans',
      {
        config: { access: 'usage:read' },
        schema: {
          operationId: 'listPlans',
          summary: 'Plans of a product as they are now, lowest first',
          tags: ['products'],
          params,
          response: { 200: items(PlanBody), ...problems(401, 403, 404) },
        },
      },
      ({ params, serviceKey }) => ({ items: show(visible(serviceKey, params.product)).plans }),
    )

    app.put(
      '/products/:product/plans/:plan',
      {
        config: { access: 'products:write' },
        schema: {
          operationId: 'putPlan',
          summary: 'Make a plan, or change it from now or a later time on',
          description:
            'All of it: what is left out gets its default. Each change is a version: what was included in an hour, or allowed in it, stays as it was. What the configuration declares is changed there. The same request again changes nothing. It also gives a retired plan to people again; a body that says `retired: true` is refused.',
          tags: ['products'],
          params: planParams,
          body: ref(PlanInput),
          response: {
            200: ref(PlanVersionBody),
            201: ref(PlanVersionBody),
            ...problems(400, 401, 403, 404, 409, 415, 503),
          },
        },
      },
      async ({ params, body, serviceKey }, reply) => {
        const { id } = visible(serviceKey, params.product)
        if (body.retired === true)
          throw new DomainError(
            'request.invalid',
            'retired: DELETE retires a plan; without this field it is given to people again',
          )
        const from = body.from === undefined ? undefined : timeOf(body.from)
        const given = { id: params.plan, body: planSection(body), from }
        const { version, created } = await manageProducts.putPlan(id, given, actorOf(serviceKey))
        reply.code(created ? 201 : 200)
        return toPlanVersion(version)
      },
    )

    app.get(
      '/products/:product/plans/:plan',
      {
        config: { access: 'usage:read' },
        schema: {
          operationId: 'getPlan',
          summary: 'A plan as it is now, or is going to be',
          tags: ['products'],
          params: planParams,
          response: { 200: ref(PlanBody), ...problems(401, 403, 404) },
        },
      },
      ({ params, serviceKey }) => {
        const { id, plans } = visible(serviceKey, params.product)
        const isKnown =
          plans.some((plan) => plan.id === params.plan) ||
          planVersions(catalog.versions(), id, params.plan).length > 0
        if (!isKnown) throw new DomainError('plan.not_found', `${id} has no plan ${params.plan}`)
        return showPlan(id, params.plan)
      },
    )

    app.get(
      '/products/:product/plans/:plan/history',
      {
        config: { access: 'usage:read' },
        schema: {
          operationId: 'getPlanHistory',
          summary: 'Every version of a plan, oldest first; also what is dated ahead',
          tags: ['products'],
          params: planParams,
          response: { 200: items(PlanVersionBody), ...problems(401, 403, 404) },
        },
      },
      ({ params, serviceKey }) => {
        const { id } = visible(serviceKey, params.product)
        const versions = planVersions(catalog.versions(), id, params.plan)
        if (versions.length === 0) throw new DomainError('plan.not_found', `${id} has no plan ${params.plan}`)
        return { items: versions.map(toPlanVersion) }
      },
    )

    app.delete(
      '/products/:product/plans/:plan',
      {
        config: { access: 'products:write' },
        schema: {
          operationId: 'retirePlan',
          summary: 'Give a plan to nobody any more; whoever is on it keeps it',
          tags: ['products'],
          params: planParams,
          response: { 200: ref(PlanVersionBody), ...problems(400, 401, 403, 404, 409, 503) },
        },
      },
      async ({ params, serviceKey }) => {
        const { id } = visible(serviceKey, params.product)
        return toPlanVersion(await manageProducts.retirePlan(id, params.plan, actorOf(serviceKey)))
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
