import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { type Static, Type } from 'typebox'
import { DomainError } from '../../domain/error.ts'
import { API_SECRET } from '../../domain/keys/api-key.ts'
import type { ServiceKey } from '../../domain/keys/service-key.ts'
import { whenKnown } from '../../domain/prompt.ts'
import type { QuotaAnswer } from '../../domain/quotas/quota-answer.ts'
import type { Reservation } from '../../domain/quotas/quota-store.ts'
import { summaryOf } from '../../domain/quotas/summary.ts'
import type { SubscriptionReference } from '../../domain/subscriptions/subscription.ts'
import type { VisitorClaim } from '../../domain/visitors/identify-visitor.ts'
import { REFERENCES, type Referring, referenceOf } from '../buyer-reference.ts'
import type { HttpDeps } from '../deps.ts'
import { productFilter } from '../product-scope.ts'
import {
  OverviewBody,
  OverviewQuery,
  QUOTA_SCHEMAS,
  QuotaBody,
  ReserveBody,
  ReservedBody,
  SettleBody,
  SettledBody,
  ValidateBody,
} from '../quota/quota-schemas.ts'
import { answerView, holderView, limitView, timeText, units, upgradeView } from '../quota/quota-views.ts'
import { rateLimitHeaders } from '../quota/rate-limit-headers.ts'
import { Name, problems, ref } from '../schemas.ts'

const WHO_MAY_ASK = ['key', 'visitor', ...REFERENCES] as const

type Asking = Referring & { readonly key?: string; readonly visitor?: VisitorClaim }

/** The gate: may this caller do this now? */
export function quotaRoutes(
  deps: Pick<HttpDeps, 'quota' | 'catalog' | 'clock' | 'limits'>,
): FastifyPluginAsyncTypebox {
  const { catalog, clock, limits, quota } = deps

  /** A key says its product, and must not open another one's door: where there are several, the caller says which door it is. */
  const productOf = (serviceKey: ServiceKey | undefined, body: { product?: string; key?: string }) => {
    const product = productFilter(catalog, serviceKey, body.product)
    if (product === undefined && body.key !== undefined && catalog.list().length > 1)
      throw new DomainError('request.invalid', 'product is required: which product is the key shown to?')
    return product
  }

  const send = (reply: FastifyReply, decided: QuotaAnswer) => {
    const answer = decided.reason === 'key_unknown' ? slowed(reply.request, decided) : decided
    const [summary, now] = [summaryOf(answer), clock.now()]
    const headers = rateLimitHeaders(answer, summary, now)
    for (const name in headers) reply.header(name, besideOwn(reply, name, headers[name]!))
    return answerView(answer, summary, now)
  }

  /** Those who guess are slowed, and nobody else: what is said here is said of keys that were looked up and are nobody's. */
  function slowed(request: FastifyRequest, answer: QuotaAnswer): QuotaAnswer {
    const { key = '' } = request.body as Asking
    if (!API_SECRET.fits(key)) return answer // a typing error, and no look-up
    const wait = limits.noteUnknownApiKey(request)
    return wait === 0 ? answer : { ...answer, reason: 'rate_limited', retryAt: clock.now() + wait }
  }

  return async (app) => {
    for (const schema of QUOTA_SCHEMAS) app.addSchema(schema)

    app.post(
      '/quota/validate',
      {
        config: { access: 'access:check' },
        schema: {
          operationId: 'validateQuota',
          summary: 'May this caller do this now?',
          description:
            'Name the caller by an API key, by one reference to a subscription or buyer, or as a `visitor` without a key, who gets the product’s anonymous plan. What is let through is counted before the answer leaves, never more than the limit; with an `id` a retry counts once. A dimension with `meteredBy: gate` becomes a usage event in the same step, and is billed by it. Always 200: `allowed` and `reason` say the rest, as `RateLimit`, `RateLimit-Policy` and `Retry-After` do.',
          tags: ['quota'],
          body: ValidateBody,
          response: { 200: ref(QuotaBody), ...problems(400, 401, 403, 404, 409, 413, 415, 429, 503) },
        },
      },
      // Answered in the same turn where all is in memory.
      ({ body, serviceKey }, reply) => {
        const answered = quota.validate({
          ...whoOf(body, WHO_MAY_ASK),
          product: productOf(serviceKey, body),
          scope: body.scope,
          feature: body.feature,
          dimension: body.dimension,
          quantity: body.quantity,
          id: body.id,
          mode: body.mode ?? 'consume',
        })
        return whenKnown(answered, (answer) => send(reply, answer) as Static<typeof QuotaBody>)
      },
    )

    app.get(
      '/quota',
      {
        config: { access: 'access:check' },
        schema: {
          operationId: 'getQuota',
          summary: 'What a buyer has used of their plan, and what is left',
          description:
            'Name the buyer by one of `subscriptionId`, `buyerId`, `tenantId`, `licenseArn`, `customerAWSAccountId`, `customerIdentifier`. Counts nothing. Of limits that nodes count in slices, what other nodes have taken of a slice and not used yet shows as used for some seconds.',
          tags: ['quota'],
          querystring: OverviewQuery,
          response: { 200: ref(OverviewBody), ...problems(400, 401, 403, 404, 409, 503) },
        },
      },
      async ({ query, serviceKey }) => {
        const { holder, refusal, limits } = await quota.describe({
          ...whoOf(query, REFERENCES),
          product: productFilter(catalog, serviceKey, query.product),
          dimension: query.dimension,
        })
        return {
          allowed: refusal === undefined,
          reason: refusal,
          ...(holder && { ...holderView(holder), upgrade: upgradeView(holder) }),
          limits: limits.map(({ dimension, scale, state }) => ({ dimension, ...limitView(state, scale) })),
        } as Static<typeof OverviewBody>
      },
    )

    app.post(
      '/quota/reservations',
      {
        config: { access: 'access:check' },
        schema: {
          operationId: 'reserveQuota',
          summary: 'Hold a quantity for what takes long',
          description:
            'Settle it for what was really used, or release it. What is held counts against the limit. One that is never settled expires.',
          tags: ['quota'],
          body: ReserveBody,
          response: { 200: ref(ReservedBody), ...problems(400, 401, 403, 404, 409, 413, 415, 429, 503) },
        },
      },
      async ({ body, serviceKey }, reply) => {
        const { reservation, ...answer } = await quota.reserve({
          ...whoOf(body, WHO_MAY_ASK),
          product: productOf(serviceKey, body),
          scope: body.scope,
          feature: body.feature,
          dimension: body.dimension,
          quantity: body.quantity,
          id: body.id,
          forMs: (body.expiresInSeconds ?? 300) * 1000,
        })
        return {
          ...send(reply, answer),
          reservation: reservation && {
            id: reservation.id,
            state: reservation.state,
            expiresAt: timeText(reservation.expiresAt),
          },
        } as Static<typeof ReservedBody>
      },
    )

    app.post(
      '/quota/reservations/:reservationId/settle',
      {
        config: { access: 'access:check' },
        schema: {
          operationId: 'settleReservation',
          summary: 'Count what was really used of a reservation',
          description:
            'At most what is reserved; the rest is let go of. Settled again with the same quantity, it is as it is. Of a dimension with `meteredBy: gate` this is the usage event that is billed: where the subscription ended meanwhile, up to 40 minutes after its end; later, and where nobody pays by use, the answer says `billed: false`.',
          tags: ['quota'],
          params: Type.Object({ reservationId: Name }),
          body: SettleBody,
          response: { 200: ref(SettledBody), ...problems(400, 401, 403, 404, 409, 413, 415, 429, 503) },
        },
      },
      async ({ params, body, serviceKey }) => {
        const settled = await quota.settle(params.reservationId, body.quantity, serviceKey?.product)
        const { reservation, isSettled, scale, recordId, unbilled } = settled
        return {
          ...reservationView(reservation, scale),
          settled: isSettled,
          ...(recordId !== undefined && { recordId, billed: true }),
          ...(unbilled !== undefined && { billed: false, reason: unbilled }),
        }
      },
    )

    app.post(
      '/quota/reservations/:reservationId/release',
      {
        config: { access: 'access:check' },
        schema: {
          operationId: 'releaseReservation',
          summary: 'Let go of a reservation',
          tags: ['quota'],
          params: Type.Object({ reservationId: Name }),
          response: { 200: ref(SettledBody), ...problems(400, 401, 403, 404, 409, 429, 503) },
        },
      },
      async ({ params, serviceKey }) => {
        const { reservation, scale } = await quota.release(params.reservationId, serviceKey?.product)
        return { ...reservationView(reservation, scale), settled: reservation.state === 'settled' }
      },
    )
  }
}

/** The caller's own limit may stand there already: each is an item of the same list. */
function besideOwn(reply: FastifyReply, name: string, value: string): string {
  const own = reply.getHeader(name)
  return own === undefined ? value : `${own}, ${value}`
}

/** @throws {DomainError} `request.invalid` unless exactly one way names the caller */
function whoOf(
  body: Asking,
  ways: readonly (keyof Asking)[],
): {
  key: string | undefined
  visitor: VisitorClaim | undefined
  reference: SubscriptionReference | undefined
} {
  if (ways.filter((name) => body[name] !== undefined).length !== 1)
    throw new DomainError('request.invalid', `name the caller by exactly one of ${ways.join(', ')}`)
  const { key, visitor } = body
  const reference = key === undefined && visitor === undefined ? referenceOf(body) : undefined
  return { key, visitor, reference }
}

function reservationView({ id, state, dimension, quantity, used }: Reservation, scale: number) {
  return {
    id,
    state,
    dimension,
    reserved: units(quantity, scale),
    ...(used !== undefined && { used: units(used, scale) }),
  }
}
