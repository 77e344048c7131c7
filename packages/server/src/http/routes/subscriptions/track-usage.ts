import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { type Static, Type } from 'typebox'
import { DomainError } from '../../../domain/error.ts'
import { findDimension } from '../../../domain/products/product.ts'
import type { Subscription } from '../../../domain/subscriptions/subscription.ts'
import type { IngestOutcome, UsageReport } from '../../../domain/usage/ingest-usage.ts'
import { readJson } from '../../../domain/usage/read-json.ts'
import { readTime } from '../../../domain/usage/read-time.ts'
import { isObject, isQuantity, isText, NAME_LENGTH_MAX } from '../../../domain/usage/read-usage-event.ts'
import type { HttpDeps } from '../../deps.ts'
import { findVisible } from '../../product-scope.ts'
import { EventStatus, Name, problems, Quantity, ref } from '../../schemas.ts'

/** Metrics in one report: a product has at most 200 dimensions at AWS. */
const METRICS_MAX = 200
const METRICS_BYTES_MAX = 65_536

const MetricOutcome = Type.Object(
  {
    metric: Type.String(),
    dimension: Type.Optional(Type.String()),
    status: EventStatus,
    reason: Type.Optional(Type.String()),
    code: Type.Optional(Type.String()),
    meteringRecordId: Type.Optional(Type.String()),
  },
  { $id: 'MetricOutcome' },
)

const MetricsBody = Type.Object(
  {
    time: Type.Optional(
      Type.String({ format: 'date-time', description: 'When it was read; now, by default.' }),
    ),
    correlationId: Type.Optional(
      Type.String({
        maxLength: NAME_LENGTH_MAX,
        description:
          'Needed, with `time`, where a metric is no total or gauge: what adds up must not repeat.',
      }),
    ),
  },
  {
    $id: 'Metrics',
    additionalProperties: Quantity,
    description: 'Metric names, or dimension keys, and their values: `{"totalScans": 50, "totalUsers": 10}`.',
  },
)

/** The usage that a platform reports for one subscription, as named totals. */
export function trackUsageRoute(
  deps: Pick<HttpDeps, 'subscriptions' | 'ingest' | 'catalog' | 'clock'>,
): FastifyPluginAsyncTypebox {
  return async (app) => {
    for (const schema of [MetricOutcome, MetricsBody]) app.addSchema(schema)
    const params = Type.Object({ subscriptionId: Name })

    await app.register(async (scope) => {
      scope.removeAllContentTypeParsers()
      scope.addContentTypeParser(
        'application/json',
        { parseAs: 'buffer' },
        async (_request: unknown, body: Buffer) => readJson(body),
      )
      scope.post<{ Params: Static<typeof params>; Body: unknown }>(
        '/marketplace/subscriptions/:subscriptionId/meter',
        {
          config: { access: 'usage:write' },
          bodyLimit: METRICS_BYTES_MAX,
          // Ajv names `anyOf`, not what is wrong with a metric; each is refused alone by `toReports`.
          validatorCompiler: () => () => true,
          schema: {
            operationId: 'trackUsage',
            summary: 'Report a platform’s metrics of one subscription',
            description:
              'Running totals are metered by their growth and gauges by their peak: both may be sent again and again. One outcome for each metric.',
            tags: ['usage', 'subscriptions'],
            params,
            body: ref(MetricsBody),
            response: {
              200: Type.Object({ outcomes: Type.Array(ref(MetricOutcome)) }),
              ...problems(400, 401, 403, 404, 413, 415, 429, 503),
            },
          },
        },
        async (request) => {
          const { subscriptionId } = request.params
          if (!isText(subscriptionId, NAME_LENGTH_MAX)) {
            throw new DomainError('subscription.not_found', 'no such subscription')
          }
          const metrics = readMetrics(request.body)
          const subscription = await findVisible(
            request.serviceKey,
            'subscription.not_found',
            'subscription',
            () => deps.subscriptions.get(subscriptionId),
          )
          return { outcomes: await ingestMetrics(deps, subscription, metrics) }
        },
      )
    })
  }
}

interface Metrics {
  readonly time: number | undefined
  readonly correlationId: string | undefined
  readonly values: readonly (readonly [name: string, value: unknown])[]
}

/** @throws {DomainError} `request.invalid` for what concerns all metrics */
function readMetrics(body: unknown): Metrics {
  if (!isObject(body)) throw new DomainError('request.invalid', 'send an object of metric names and values')
  const { time, correlationId, ...metrics } = body
  const readAt = typeof time === 'string' ? readTime(time) : undefined
  if (time !== undefined && readAt === undefined) {
    throw new DomainError('request.invalid', 'time must be an RFC 3339 time with a zone')
  }
  if (correlationId !== undefined && !isText(correlationId, NAME_LENGTH_MAX)) {
    throw new DomainError('request.invalid', 'correlationId must be a printable text')
  }
  if (correlationId !== undefined && readAt === undefined) {
    throw new DomainError('request.invalid', 'correlationId needs time: both the same on every retry')
  }
  const values = Object.entries(metrics)
  if (values.length > METRICS_MAX) throw new DomainError('request.invalid', `at most ${METRICS_MAX} metrics`)
  return { time: readAt, correlationId, values }
}

async function ingestMetrics(
  { ingest, catalog, clock }: Pick<HttpDeps, 'ingest' | 'catalog' | 'clock'>,
  subscription: Subscription,
  metrics: Metrics,
): Promise<Static<typeof MetricOutcome>[]> {
  const product = catalog.find(subscription.product)
  const time = metrics.time ?? clock.now()
  const reports: UsageReport[] = []
  const reads = metrics.values.map(([metric, value]) => {
    const dimension = product && findDimension(product, metric)
    const named = { metric: metric.slice(0, NAME_LENGTH_MAX), ...(dimension && { dimension: dimension.key }) }
    if (!isQuantity(value)) {
      const reason = 'must be a number of at most 15 digits, or a decimal string'
      return { ...named, outcome: { id: '', status: 'refused', code: 'invalid', reason } as const }
    }
    // A total or a gauge read twice is harmless, so its own reading may stand for an id. The subscription is part
    // of it: two that report the same total at the same time are two events.
    const repeats = dimension?.aggregation === 'total' || dimension?.aggregation === 'max'
    const reading = repeats ? `${subscription.id}:${time}:${value}` : undefined
    const position = reports.push({
      product: subscription.product,
      reference: { subscriptionId: subscription.id },
      dimension: metric,
      id: metrics.correlationId ?? reading,
      time,
      quantity: value,
    })
    return { ...named, position: position - 1 }
  })
  const ingested = reports.length === 0 ? [] : await ingest(reports, { product: subscription.product })
  return reads.map((read) => {
    const { metric, dimension } = read
    const { status, reason, code, meteringRecordId }: IngestOutcome =
      'outcome' in read ? read.outcome : ingested[read.position]!
    return {
      metric,
      ...(dimension !== undefined && { dimension }),
      status,
      ...(reason !== undefined && { reason }),
      ...(code !== undefined && { code }),
      ...(meteringRecordId !== undefined && { meteringRecordId }),
    }
  })
}
