import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { type Static, Type } from 'typebox'
import { type Access, ageOf } from '../../domain/entitlements/check-access.ts'
import type { ContractHistory } from '../../domain/entitlements/contract-history.ts'
import { type AccessSubject, planOf } from '../../domain/entitlements/decide-access.ts'
import type { Entitlement, EntitlementReading } from '../../domain/entitlements/entitlement.ts'
import { DomainError } from '../../domain/error.ts'
import { REFERENCES, referenceOf } from '../buyer-reference.ts'
import type { HttpDeps } from '../deps.ts'
import { answerError, sendProblem, toProblem } from '../problem.ts'
import { findVisible, productFilter } from '../product-scope.ts'
import { Name, problems, ref, Time } from '../schemas.ts'

const EntitlementBody = Type.Object(
  {
    dimension: Type.String({ description: 'AWS’s dimension key.' }),
    value: Type.Unsafe<boolean | number | string>({
      description: 'A number of units, a switch or a text, as AWS wrote it.',
    }),
    expiresAt: Type.Optional(
      Type.String({
        format: 'date-time',
        description: 'Valid at least until then; a renewal moves it. Not an end of access by itself.',
      }),
    ),
  },
  { $id: 'Entitlement' },
)

const Reason = Type.Enum(['pending', 'suspended', 'cancelling', 'ended', 'not_entitled'], {
  description:
    'pending: registered, AWS has not said that access starts · suspended: the seller holds it · cancelling, ended: it is over · not_entitled: plan and contract do not include it',
})

const AccessBody = Type.Object(
  {
    allowed: Type.Boolean(),
    reason: Type.Optional(Reason),
    buyer: Type.String(),
    subscription: Type.String(),
    product: Type.String(),
    status: Type.String(),
    plan: Type.Optional(Type.String()),
    features: Type.Unsafe<Readonly<Record<string, boolean | number | string>>>({
      type: 'object',
      additionalProperties: {},
      description: 'Of the plan: on or off, a number, or a text.',
    }),
    limits: Type.Array(
      Type.Object({
        dimension: Type.String(),
        quantity: Type.Unsafe<number | 'unlimited'>({ type: ['number', 'string'] }),
        window: Type.String(),
        onExceed: Type.Enum(['block', 'bill']),
      }),
    ),
    entitlements: Type.Array(ref(EntitlementBody)),
    expiresAt: Type.Optional(
      Type.String({
        format: 'date-time',
        description: 'The earliest date of an entitlement, else the agreement’s end.',
      }),
    ),
    readAt: Type.Optional(
      Type.String({ format: 'date-time', description: 'When AWS was asked what it answered last.' }),
    ),
    ageSeconds: Type.Optional(Type.Integer()),
    stale: Type.Boolean({
      description: 'AWS could not be asked lately, or never: what it said last still serves.',
    }),
    subscriptions: Type.Optional(
      Type.Array(
        Type.Object({
          subscription: Type.String(),
          status: Type.String(),
          plan: Type.Optional(Type.String()),
          allowed: Type.Boolean(),
          reason: Type.Optional(Reason),
        }),
        {
          description:
            'Where the buyer has several: all of them. The answer above is of the one that allows it.',
        },
      ),
    ),
  },
  { $id: 'Access' },
)

const ContractBody = Type.Object(
  {
    subscription: Type.String(),
    entitlements: Type.Array(ref(EntitlementBody)),
    readAt: Type.Optional(Time),
    ageSeconds: Type.Optional(Type.Integer()),
    stale: Type.Boolean(),
    emptySince: Type.Optional(
      Type.String({
        format: 'date-time',
        description: 'Since then AWS has answered that nothing is granted.',
      }),
    ),
    failedAt: Type.Optional(
      Type.String({ format: 'date-time', description: 'When AWS was asked in vain since.' }),
    ),
    failure: Type.Optional(Type.String()),
    periods: Type.Array(
      Type.Object({
        dimension: Type.String(),
        units: Type.Integer(),
        from: Type.Optional(
          Type.String({ format: 'date-time', description: 'Left out: from the beginning on.' }),
        ),
      }),
      { description: 'What was granted from when on: included units of an hour are counted by it.' },
    ),
    plans: Type.Array(Type.Object({ plan: Type.Optional(Type.String()), from: Type.Optional(Time) }), {
      description: 'Which plan held from when on; empty where it never changed.',
    }),
  },
  { $id: 'Contract' },
)

/** What contracts grant, and who may use what. */
export function entitlementRoutes(
  deps: Pick<
    HttpDeps,
    'checkAccess' | 'entitlements' | 'entitlementRefreshMs' | 'subscriptions' | 'catalog' | 'clock'
  >,
): FastifyPluginAsyncTypebox {
  const { catalog, clock, entitlementRefreshMs } = deps
  /** What does not change with time, written once for as long as the subject is the same. */
  const views = new WeakMap<AccessSubject, ReturnType<typeof viewOf>>()
  const viewOnce = (subject: AccessSubject) => {
    let view = views.get(subject)
    if (view === undefined) {
      view = viewOf(subject)
      views.set(subject, view)
    }
    return view
  }

  return async (app) => {
    for (const schema of [EntitlementBody, AccessBody, ContractBody]) app.addSchema(schema)

    app.get(
      '/entitlements/check',
      {
        config: { access: 'access:check' },
        errorHandler: (error, request, reply) => {
          if (!(error instanceof DomainError) || error.code !== 'subscription.ambiguous')
            return answerError(error, request, reply)
          const { details, ...problem } = toProblem(error, request.id)
          return sendProblem(reply, { ...problem, ...error.details })
        },
        schema: {
          operationId: 'checkAccess',
          summary: 'May this buyer use the product, or this part of it?',
          description:
            'Name the buyer by one of `subscriptionId`, `buyerId`, `tenantId`, `licenseArn`, `customerAWSAccountId`, `customerIdentifier`. Answers from what AWS said last, and says how old that is; it never asks AWS, so a gateway may call it on each login. `feature` is one of the plan’s, or a dimension of the contract; `dimension` is a dimension’s key or the platform’s name for it.',
          tags: ['subscriptions'],
          querystring: Type.Object(
            {
              ...Object.fromEntries(REFERENCES.map((name) => [name, Type.Optional(Name)])),
              product: Type.Optional(Name),
              feature: Type.Optional(Name),
              dimension: Type.Optional(Name),
            } as Record<
              (typeof REFERENCES)[number] | 'product' | 'feature' | 'dimension',
              ReturnType<typeof Type.Optional<typeof Name>>
            >,
            { additionalProperties: false },
          ),
          response: { 200: ref(AccessBody), ...problems(400, 401, 403, 404, 409, 503) },
        },
      },
      async ({ query, serviceKey }) => {
        const { product, feature, dimension } = query
        if (REFERENCES.every((name) => query[name] === undefined))
          throw new DomainError('request.invalid', `name the buyer by one of ${REFERENCES.join(', ')}`)
        const { access, all } = await deps.checkAccess({
          reference: referenceOf(query),
          product: productFilter(catalog, serviceKey, product),
          feature,
          dimension,
        })
        const { reading } = access.subject
        const { ageSeconds, isStale } = ageOf(reading, clock.now(), entitlementRefreshMs)
        return {
          ...verdictOf(access),
          ...viewOnce(access.subject),
          ageSeconds,
          stale: isStale,
          ...(all.length > 1 && { subscriptions: all.map(shortViewOf) }),
        } as Static<typeof AccessBody>
      },
    )

    app.get(
      '/marketplace/subscriptions/:subscriptionId/entitlements',
      {
        config: { access: 'usage:read' },
        schema: {
          operationId: 'getEntitlements',
          summary: 'What AWS granted a subscription, and from when on',
          tags: ['subscriptions'],
          params: Type.Object({ subscriptionId: Name }),
          response: { 200: ref(ContractBody), ...problems(400, 401, 403, 404) },
        },
      },
      async ({ params, serviceKey }) => {
        const { id } = await findVisible(serviceKey, 'subscription.not_found', 'subscription', () =>
          deps.subscriptions.get(params.subscriptionId),
        )
        const { reading, history } = await deps.entitlements.find(id)
        return {
          subscription: id,
          ...readingView(reading, clock.now(), entitlementRefreshMs),
          ...historyView(history),
        }
      },
    )
  }
}

function verdictOf({ refusal }: Access) {
  return refusal === undefined ? { allowed: true } : { allowed: false, reason: refusal }
}

function shortViewOf(access: Access) {
  const { id, status, plan } = access.subject.subscription
  return { subscription: id, status, ...(plan !== undefined && { plan }), ...verdictOf(access) }
}

function viewOf(subject: AccessSubject) {
  const { subscription, reading } = subject
  const plan = planOf(subject)
  const isOver = subscription.accessEnd !== undefined && subscription.status !== 'superseded'
  const entitlements = isOver ? [] : (reading?.entitlements ?? [])
  const dates = entitlements.flatMap(({ expiresAt }) => expiresAt ?? [])
  return {
    buyer: subscription.buyer,
    subscription: subscription.id,
    product: subscription.product,
    status: subscription.status,
    plan: subscription.plan,
    features: plan?.features ?? {},
    limits: [...(plan?.limits ?? [])],
    entitlements: entitlements.map(entitlementView),
    expiresAt: timeText(dates.length > 0 ? Math.min(...dates) : subscription.termEnd),
    readAt: timeText(reading?.readAt),
  }
}

function entitlementView({ dimension, value, expiresAt }: Entitlement): Static<typeof EntitlementBody> {
  return {
    dimension,
    value: value.value,
    ...(expiresAt !== undefined && { expiresAt: new Date(expiresAt).toISOString() }),
  }
}

function readingView(reading: EntitlementReading | undefined, now: number, refreshMs: number) {
  const { ageSeconds, isStale } = ageOf(reading, now, refreshMs)
  return {
    entitlements: (reading?.entitlements ?? []).map(entitlementView),
    ...time('readAt', reading?.readAt),
    ...(ageSeconds !== undefined && { ageSeconds }),
    stale: isStale,
    ...time('emptySince', reading?.emptySince),
    ...time('failedAt', reading?.failedAt),
    ...(reading?.failure !== undefined && { failure: reading.failure }),
  }
}

function historyView({ entitlements, plans }: ContractHistory) {
  return {
    periods: entitlements.map(({ dimension, units, from }) => ({
      dimension,
      units,
      ...time('from', from === 0 ? undefined : from),
    })),
    plans: plans.map(({ plan, from }) => ({
      ...(plan !== undefined && { plan }),
      ...time('from', from === 0 ? undefined : from),
    })),
  }
}

function time<K extends string>(key: K, ms: number | undefined): { [name in K]?: string } {
  return (ms === undefined ? {} : { [key]: timeText(ms) }) as { [name in K]?: string }
}

function timeText(ms: number | undefined): string | undefined {
  return ms === undefined ? undefined : new Date(ms).toISOString()
}
