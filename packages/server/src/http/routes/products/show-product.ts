import type { Static } from 'typebox'
import type { Plan } from '../../../domain/plans/plan.ts'
import type { PlanVersion } from '../../../domain/plans/plan-version.ts'
import type { ProductVersion } from '../../../domain/products/catalog-versions.ts'
import type { Endpoint } from '../../../domain/products/endpoint.ts'
import type { Dimension, Product } from '../../../domain/products/product.ts'
import { timeText } from '../subscriptions/subscription-body.ts'
import {
  COMPUTED,
  type EndpointBody,
  type EndpointInput,
  type PlanBody,
  type PlanInput,
  type PlanVersionBody,
  type ProductBody,
  type ProductInput,
  type ProductVersionBody,
  type planFields,
} from './product-body.ts'

/** What is asked for, without what only answers have. */
export function planSection({ from: _, ...given }: Static<typeof PlanInput>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(given).filter(([name]) => !(COMPUTED as readonly string[]).includes(name)),
  )
}

export function productSection({
  origin: _,
  plans,
  endpoints,
  ...given
}: Static<typeof ProductInput>): Record<string, unknown> {
  return {
    ...given,
    // Who says that a plan is retired does not ask for it.
    ...(plans !== undefined && {
      plans: plans.filter(({ retired }) => retired !== true).map(planSection),
    }),
    ...(endpoints !== undefined && { endpoints: endpoints.map(endpointSection) }),
  }
}

export function endpointSection({
  origin: _,
  ...given
}: Static<typeof EndpointInput>): Record<string, unknown> {
  return given
}

export function toEndpointBody({
  everyMs,
  timeoutMs,
  healthUrl,
  ...endpoint
}: Endpoint): Static<typeof EndpointBody> {
  return {
    ...endpoint,
    ...present({ healthUrl }),
    everySeconds: everyMs / 1000,
    timeoutSeconds: timeoutMs / 1000,
  }
}

export function toPlan({ trial, price, features, limits, included, ...plan }: Omit<Plan, 'isRetired'>) {
  return {
    ...present({ ...plan, isRetired: undefined }),
    ...present({ trial, price }),
    features,
    limits: [...limits],
    included: included.map(({ units, per, ...entry }) => ({
      ...entry,
      units: String(units),
      ...present({ per }),
    })),
  } as Pick<Static<typeof PlanBody>, keyof typeof planFields>
}

/** A plan as it is now. */
export function toPlanBody(plan: Plan, product: Product, now: number): Static<typeof PlanBody> {
  const versions = product.planVersions.filter(({ body }) => body.id === plan.id)
  const held = versions.findLast(({ from }) => from <= now)
  const next = versions.filter(({ from, version }) => from > now && version > (held?.version ?? 0))
  return {
    ...toPlan(plan),
    version: held?.version ?? 1,
    ...sinceOf(held?.from ?? 0),
    origin: held?.origin ?? 'config',
    retired: plan.isRetired,
    ...(next.length > 0 && { next: timeText(Math.min(...next.map(({ from }) => from))) }),
  }
}

export function toPlanVersion({
  body,
  from,
  version,
  origin,
  actor,
  at,
}: PlanVersion): Static<typeof PlanVersionBody> {
  return {
    ...toPlan(body),
    version,
    ...sinceOf(from),
    origin,
    retired: body.isRetired,
    actor,
    at: timeText(at),
  }
}

function toDimension({ unitSize, holdAbove, price, per, metrics, ...dimension }: Dimension) {
  const isOfPeriod = dimension.aggregation === 'max' || dimension.aggregation === 'unique'
  return {
    ...dimension,
    ...(isOfPeriod && { per }),
    unitSize: String(unitSize),
    ...(holdAbove && { holdAbove: 'units' in holdAbove ? { units: String(holdAbove.units) } : holdAbove }),
    ...present({ price }),
    metrics: [...metrics],
  }
}

function toFields(product: Omit<Product, 'plans' | 'planVersions'>) {
  const { id, title, productCode, productId, pricing, metering, region, listing, upgradeUrl } = product
  return {
    ...{ id, title, productCode, ...present({ productId }), pricing, metering, region, listing },
    graceMinutes: product.graceMs / 60_000,
    goodbyeSettleMinutes: product.goodbyeSettleMs / 60_000,
    upgradeUrl: present(upgradeUrl),
    landing: { ...present(product.landing), fields: [...product.landing.fields] },
    dimensions: product.dimensions.map(toDimension),
    endpoints: product.endpoints.map(toEndpointBody),
  }
}

export function toProductBody(
  product: Product,
  origin: 'config' | 'api',
  now: number,
): Static<typeof ProductBody> {
  return { ...toFields(product), plans: product.plans.map((plan) => toPlanBody(plan, product, now)), origin }
}

export function toProductVersion({
  body,
  version,
  origin,
  actor,
  at,
  isRetired,
}: ProductVersion): Static<typeof ProductVersionBody> {
  return { ...toFields(body), version, ...sinceOf(at), origin, retired: isRetired, actor, at: timeText(at) }
}

function sinceOf(from: number): { since?: string } {
  return from === 0 ? {} : { since: timeText(from) }
}

/** Without what is undefined. */
function present<T extends object>(values: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: Exclude<T[K], undefined>
  }
}
