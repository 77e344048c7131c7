import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { type Static, Type } from 'typebox'
import { DomainError } from '../../../domain/error.ts'
import { baseUnitsPerUnit, type Dimension } from '../../../domain/products/product.ts'
import type { Balances } from '../../../domain/usage/account.ts'
import { HOUR_MS, hourOf, hourStart, monthStart } from '../../../domain/usage/hour.ts'
import { formatBaseUnits } from '../../../domain/usage/quantity.ts'
import { readTime } from '../../../domain/usage/read-time.ts'
import { addBalances, type DimensionAccounts } from '../../../domain/usage/usage-accounts.ts'
import type { HttpDeps } from '../../deps.ts'
import { Name, problems, ref, Time, TimeFilter } from '../../schemas.ts'
import { findSubscription, timeText } from './subscription-body.ts'

const DAY_MS = 24 * HOUR_MS
/** How much time one answer covers: what is read grows with its hours. */
const DAYS_MAX = { total: 366, day: 366, hour: 31 } as const
type Granularity = keyof typeof DAYS_MAX

const Amount = Type.Object(
  {
    quantity: Type.String({ description: 'In the dimension’s own unit, exact.' }),
    units: Type.Optional(
      Type.String({
        description: 'Whole billed units; absent once the dimension is no longer configured.',
      }),
    ),
    remainder: Type.String({ description: 'What is beside them, in the dimension’s smallest unit.' }),
  },
  { $id: 'UsageAmount' },
)

const amount = (description: string) =>
  Type.Optional(Type.Unsafe<Static<typeof Amount>>({ allOf: [{ $ref: 'UsageAmount#' }], description }))

/** Zero ones are left out. */
const accountFields = {
  measured: amount('All that was reported. It is the sum of the others below, to the smallest unit.'),
  included: amount('Paid for by a contract, or not bought through AWS Marketplace: counted, never sent.'),
  billed: amount('AWS has it: accepted, or assumed after an attempt that was not answered.'),
  waiting: amount('On its way: open, held, ready, sent and carry together.'),
  refused: amount('AWS said no for good.'),
  inDoubt: amount('AWS takes it no more, and nobody knows whether it has it.'),
  conflict: amount('Somebody else metered that hour.'),
  unbillable: amount('Used when no subscription lived.'),
  waived: amount('Given away by a person.'),
  forgiven: amount('Less than a unit at the end; negative where it was rounded up.'),
}

const onTheWay = Type.Object(
  {
    open: amount('In hours that still grow.'),
    held: amount('Waits for a person.'),
    ready: amount('Sealed, not sent.'),
    sent: amount('Sent, not answered.'),
    carry: amount(
      'What these hours left for later ones: less than a unit, or not sealed in time. Negative: they used up what earlier hours had left.',
    ),
  },
  { description: 'What `waiting` is made of.' },
)

const UsageBody = Type.Object(
  {
    subscription: Type.String(),
    product: Type.String(),
    from: Time,
    to: Time,
    granularity: Type.Enum(['total', 'day', 'hour']),
    dimensions: Type.Array(
      Type.Object({
        dimension: Type.String(),
        name: Type.Optional(Type.String()),
        baseUnitsPerUnit: Type.Optional(Type.String()),
        events: Type.Integer(),
        ...accountFields,
        onTheWay,
        periods: Type.Optional(
          Type.Array(Type.Object({ start: Time, events: Type.Integer(), ...accountFields }), {
            description: 'In order of time; those without usage are left out.',
          }),
        ),
      }),
    ),
  },
  { $id: 'SubscriptionUsage' },
)

/** `GET /marketplace/subscriptions/{id}/usage`: from the ledger's own accounts. */
export function subscriptionUsageRoute(
  deps: Pick<HttpDeps, 'subscriptions' | 'usageAccounts' | 'catalog' | 'clock'>,
): FastifyPluginAsyncTypebox {
  return async (app) => {
    for (const schema of [Amount, UsageBody]) app.addSchema(schema)
    app.get(
      '/marketplace/subscriptions/:subscriptionId/usage',
      {
        config: { access: 'usage:read' },
        schema: {
          operationId: 'getSubscriptionUsage',
          summary: 'What a subscription used, and what became of it',
          description:
            'By dimension, for the hours that begin from `from` up to `to`: by default the month to date, in UTC. A year at most, a month by the hour. Late usage counts in the hour that bills it.',
          tags: ['usage', 'subscriptions'],
          params: Type.Object({ subscriptionId: Name }),
          querystring: Type.Object(
            {
              from: Type.Optional(TimeFilter),
              to: Type.Optional(TimeFilter),
              granularity: Type.Enum(['total', 'day', 'hour'], { default: 'total' }),
            },
            { additionalProperties: false },
          ),
          response: { 200: ref(UsageBody), ...problems(400, 401, 403, 404) },
        },
      },
      async ({ params, query, serviceKey }) => {
        const { granularity } = query
        const subscription = await findSubscription(deps, serviceKey, params.subscriptionId)
        const range = readRange(query, deps.clock.now(), granularity)
        const found = await deps.usageAccounts.read(subscription.id, {
          ...range,
          hoursPerPeriod: { total: undefined, day: 24, hour: 1 }[granularity],
        })
        const product = deps.catalog.find(subscription.product)
        return {
          subscription: subscription.id,
          product: subscription.product,
          from: timeText(hourStart(range.from)),
          to: timeText(hourStart(range.to)),
          granularity,
          dimensions: found.map((accounts) =>
            toDimension(
              accounts,
              product?.dimensions.find(({ key }) => key === accounts.dimension),
              granularity,
            ),
          ),
        }
      },
    )
  }
}

/** Whole hours. @throws {DomainError} `request.invalid` */
function readRange(
  query: { readonly from?: string; readonly to?: string },
  now: number,
  granularity: Granularity,
): { from: number; to: number } {
  const to = readHour('to', query.to) ?? hourOf(now) + 1
  const from = readHour('from', query.from) ?? hourOf(monthStart(hourStart(to) - 1))
  if (from >= to) throw new DomainError('request.invalid', 'from must be an hour before to')
  const daysMax = DAYS_MAX[granularity]
  if (hourStart(to) - hourStart(from) > daysMax * DAY_MS) {
    throw new DomainError(
      'request.invalid',
      `from and to may be ${daysMax} days apart${granularity === 'hour' ? ' by the hour' : ''}`,
    )
  }
  return { from, to }
}

function readHour(field: 'from' | 'to', text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const time = readTime(text)
  if (time === undefined)
    throw new DomainError('request.invalid', `${field} must be an RFC 3339 time with a zone`)
  // An hour that has begun by then is asked for.
  return field === 'from' ? hourOf(time) : Math.ceil(time / HOUR_MS)
}

function toDimension(
  { dimension, scale, periods }: DimensionAccounts,
  configured: Dimension | undefined,
  granularity: Granularity,
): Static<typeof UsageBody>['dimensions'][number] {
  const unit = configured && baseUnitsPerUnit(configured)
  const toAmount = (base: bigint): Static<typeof Amount> => ({
    quantity: formatBaseUnits(base, scale),
    ...(unit !== undefined && { units: String(base / unit) }),
    remainder: String(unit === undefined ? base : base % unit),
  })
  const total = addBalances(periods)
  return {
    dimension,
    ...(configured !== undefined && { name: configured.name, baseUnitsPerUnit: String(unit) }),
    events: periods.reduce((sum, { events }) => sum + events, 0),
    ...toAccounts(total, toAmount),
    onTheWay: nonZero(
      { open: total.open, held: total.held, ready: total.ready, sent: total.sent, carry: total.carry },
      toAmount,
    ),
    ...(granularity !== 'total' && {
      periods: periods.map(({ from, events, balances }) => ({
        start: timeText(hourStart(from)),
        events,
        ...toAccounts(balances, toAmount),
      })),
    }),
  }
}

function toAccounts<T>(balances: Balances, toAmount: (base: bigint) => T) {
  const { measured, included, accepted, assumed, open, held, ready, sent, carry } = balances
  const { refused, conflict, unbillable, waived, forgiven } = balances
  return nonZero(
    {
      measured: -measured,
      included,
      billed: accepted + assumed,
      waiting: open + held + ready + sent + carry,
      refused,
      inDoubt: balances.in_doubt,
      conflict,
      unbillable,
      waived,
      forgiven,
    },
    toAmount,
  )
}

function nonZero<Key extends string, T>(
  balances: Readonly<Record<Key, bigint>>,
  toAmount: (base: bigint) => T,
): Partial<Record<Key, T>> {
  const shown = Object.entries<bigint>(balances).filter(([, base]) => base !== 0n)
  return Object.fromEntries(shown.map(([key, base]) => [key, toAmount(base)])) as Partial<Record<Key, T>>
}
