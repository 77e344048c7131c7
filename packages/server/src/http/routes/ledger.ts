import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { type Static, Type } from 'typebox'
import { DomainError } from '../../domain/error.ts'
import type { ServiceKey } from '../../domain/keys/service-key.ts'
import type { ProductCatalog } from '../../domain/products/product.ts'
import { hourOf, hourText } from '../../domain/usage/hour.ts'
import { formatBaseUnits } from '../../domain/usage/quantity.ts'
import { readTime } from '../../domain/usage/read-time.ts'
import { statusAt, worthAtRisk } from '../../domain/usage/usage-at-risk.ts'
import type { UsageRecord } from '../../domain/usage/usage-record.ts'
import type {
  Attempt,
  BaseAmount,
  BucketStatus,
  UnsealedHours,
  UsageBucket,
  UsageStatus,
} from '../../domain/usage/usage-store.ts'
import { readCursor, writeCursor } from '../cursor.ts'
import type { HttpDeps } from '../deps.ts'
import { findVisible, productFilter } from '../product-scope.ts'
import { Name, pageOf, pageQuery, problems, ref, Time, TimeFilter } from '../schemas.ts'

const BUCKET_STATUSES = ['open', 'held', 'closed'] as const satisfies readonly BucketStatus[]
const RECORD_STATES = [
  'ready',
  'sent',
  'accepted',
  'assumed',
  'in_doubt',
  'conflict',
  'refused',
  'carried',
] as const satisfies readonly UsageRecord['state'][]

/** Attempts carry whole requests: fewer of them make a page. */
const ATTEMPTS_PER_PAGE_MAX = 50

const BaseUnits = Type.String({
  description: 'An integer of the dimension’s smallest unit, as a decimal string.',
})

const Bucket = Type.Object(
  {
    product: Type.String(),
    subscription: Type.String(),
    dimension: Type.String(),
    hourStart: Time,
    status: Type.Enum([...BUCKET_STATUSES]),
    quantity: Type.Optional(
      Type.String({
        description: 'In the dimension’s own unit; absent once the dimension is no longer configured.',
      }),
    ),
    baseUnits: BaseUnits,
    unbillableBaseUnits: BaseUnits,
    events: Type.Integer(),
    hold: Type.Optional(Type.Object({ reason: Type.String(), heldAt: Time })),
  },
  { $id: 'UsageBucket' },
)

const Identity = Type.Object({
  kind: Type.Enum(['license', 'legacy']),
  licenseArn: Type.Optional(Type.String()),
  customerAWSAccountId: Type.Optional(Type.String()),
  productCode: Type.Optional(Type.String()),
  customerIdentifier: Type.Optional(Type.String()),
})

const Amount = Type.String({ description: 'US dollars by the configured prices, exact.' })

const recordFields = {
  id: Type.String(),
  product: Type.String(),
  subscription: Type.String(),
  dimension: Type.String(),
  hourStart: Time,
  timestamp: Time,
  region: Type.String(),
  identity: Identity,
  quantity: Type.Integer({ description: 'Whole units, as AWS is sent them.' }),
  baseUnitsPerUnit: Type.String(),
  state: Type.Enum([...RECORD_STATES]),
  deadline: Time,
  sealedAt: Time,
  attempts: Type.Integer(),
  unanswered: Type.Integer(),
  nextAttemptAt: Type.Optional(Time),
  meteringRecordId: Type.Optional(Type.String()),
  note: Type.Optional(Type.String()),
}

const RecordSummary = Type.Object(
  { ...recordFields, allocationCount: Type.Integer() },
  { $id: 'UsageRecordSummary' },
)

const Record = Type.Object(
  {
    ...recordFields,
    allocations: Type.Array(
      Type.Object({ quantity: Type.Integer(), tags: Type.Record(Type.String(), Type.String()) }),
    ),
  },
  { $id: 'UsageRecord' },
)

const AttemptBody = Type.Object(
  {
    id: Type.String(),
    startedAt: Time,
    finishedAt: Type.Optional(Time),
    outcome: Type.Enum(['answered', 'unanswered', 'in_flight']),
    records: Type.Array(Type.String()),
    request: Type.String({ description: 'What was sent to AWS, as JSON.' }),
    response: Type.Optional(Type.String({ description: 'What AWS answered.' })),
  },
  { $id: 'UsageAttempt' },
)

const BaseAmountBody = Type.Object({ product: Type.String(), dimension: Type.String(), baseUnits: BaseUnits })

const UnsealedHoursBody = Type.Object({
  product: Type.String(),
  buckets: Type.Integer(),
  oldestHourStart: Time,
  deadline: Time,
})

const Status = Type.Object(
  {
    mode: Type.Enum(['simulated', 'shadow', 'live']),
    records: Type.Object(Object.fromEntries(RECORD_STATES.map((state) => [state, Type.Integer()]))),
    oldest: Type.Optional(
      Type.Object({
        hourStart: Time,
        deadline: Time,
        product: Type.String(),
        timeLeftMs: Type.Integer({ description: 'How long AWS still takes it; below zero: it does not.' }),
      }),
    ),
    openBuckets: Type.Integer(),
    heldBuckets: Type.Integer(),
    pending: Type.Array(
      Type.Object({
        product: Type.String(),
        dimension: Type.String(),
        units: Type.String(),
        amount: Type.Optional(Amount),
      }),
    ),
    atRisk: Amount,
    overdue: Type.Array(UnsealedHoursBody, { description: 'Hours that should be sealed by now.' }),
    held: Type.Array(UnsealedHoursBody, { description: 'Hours that wait for a person.' }),
    carried: Type.Array(BaseAmountBody, { description: 'Whole units that wait for a next hour.' }),
    refusedUnrecorded: Type.Array(BaseAmountBody, { description: 'More than AWS takes at an end.' }),
    forgiven: Type.Array(BaseAmountBody, { description: 'Remainders at an end.' }),
    lateAcrossMonths: Type.Integer(),
    lateAcrossAgreements: Type.Integer(),
    unbillable: Type.Array(BaseAmountBody),
  },
  { $id: 'UsageStatus' },
)

const filters = {
  product: Type.Optional(Name),
  subscription: Type.Optional(Name),
  dimension: Type.Optional(Name),
}

/** What became of reported usage: buckets, records, attempts, and what is at risk. */
export function ledgerRoutes(
  deps: Pick<HttpDeps, 'usage' | 'catalog' | 'clock' | 'mode'>,
): FastifyPluginAsyncTypebox {
  const { usage, catalog } = deps
  const visibleRecord = (key: ServiceKey | undefined, id: string) =>
    findVisible(key, 'record.not_found', 'record', () => usage.getRecord(id))
  return async (app) => {
    for (const schema of [Bucket, RecordSummary, Record, AttemptBody, Status]) app.addSchema(schema)

    app.get(
      '/usage/buckets',
      {
        config: { access: 'usage:read' },
        schema: {
          operationId: 'listUsageBuckets',
          summary: 'Usage by subscription, dimension and hour',
          tags: ['ledger'],
          querystring: Type.Object(
            {
              ...filters,
              status: Type.Optional(Type.Enum([...BUCKET_STATUSES])),
              from: Type.Optional(TimeFilter),
              to: Type.Optional(TimeFilter),
              ...pageQuery,
            },
            { additionalProperties: false },
          ),
          response: { 200: pageOf(ref(Bucket)), ...problems(400, 401, 403, 404) },
        },
      },
      async ({ query, serviceKey }) => {
        const { from, to, cursor, ...filter } = query
        const page = await usage.listBuckets({
          ...filter,
          product: productFilter(catalog, serviceKey, query.product),
          from: hourFilter('from', from),
          to: hourFilter('to', to),
          cursor: readCursor(cursor),
        })
        return { items: page.items.map((bucket) => toBucket(bucket, catalog)), ...nextOf(page.next) }
      },
    )

    app.get(
      '/usage/records',
      {
        config: { access: 'usage:read' },
        schema: {
          operationId: 'listUsageRecords',
          summary: 'What was sealed for AWS',
          tags: ['ledger'],
          querystring: Type.Object(
            { ...filters, state: Type.Optional(Type.Enum([...RECORD_STATES])), ...pageQuery },
            { additionalProperties: false },
          ),
          response: { 200: pageOf(ref(RecordSummary)), ...problems(400, 401, 403, 404) },
        },
      },
      async ({ query, serviceKey }) => {
        const page = await usage.listRecords({
          ...query,
          product: productFilter(catalog, serviceKey, query.product),
          cursor: readCursor(query.cursor),
        })
        const items = page.items.map((record) => ({
          ...toRecord(record),
          allocationCount: record.allocations.length,
        }))
        return { items, ...nextOf(page.next) }
      },
    )

    const recordParams = Type.Object({ recordId: Name })

    app.get(
      '/usage/records/:recordId',
      {
        config: { access: 'usage:read' },
        schema: {
          operationId: 'getUsageRecord',
          summary: 'One record',
          tags: ['ledger'],
          params: recordParams,
          response: { 200: ref(Record), ...problems(400, 401, 403, 404) },
        },
      },
      async ({ params, serviceKey }) => {
        const record = await visibleRecord(serviceKey, params.recordId)
        return {
          ...toRecord(record),
          allocations: record.allocations.map(({ quantity, tags }) => ({
            quantity,
            tags: Object.fromEntries(tags),
          })),
        }
      },
    )

    app.get(
      '/usage/records/:recordId/attempts',
      {
        config: { access: 'usage:read' },
        schema: {
          operationId: 'listUsageAttempts',
          summary: 'Every call to AWS that carried it, with request and answer',
          tags: ['ledger'],
          params: recordParams,
          querystring: Type.Object(
            {
              limit: Type.Integer({ minimum: 1, maximum: ATTEMPTS_PER_PAGE_MAX, default: 20 }),
              cursor: pageQuery.cursor,
            },
            { additionalProperties: false },
          ),
          response: { 200: pageOf(ref(AttemptBody)), ...problems(400, 401, 403, 404) },
        },
      },
      async ({ params, query, serviceKey }) => {
        await visibleRecord(serviceKey, params.recordId)
        const page = await usage.listAttempts({
          record: params.recordId,
          limit: query.limit,
          cursor: readCursor(query.cursor),
        })
        return { items: page.items.map(toAttempt), ...nextOf(page.next) }
      },
    )

    app.get(
      '/usage/status',
      {
        config: { access: 'usage:read' },
        schema: {
          operationId: 'getUsageStatus',
          summary: 'Usage at risk: the oldest unsent hour, and what is on its way',
          tags: ['ledger'],
          querystring: Type.Object({ product: Type.Optional(Name) }, { additionalProperties: false }),
          response: { 200: ref(Status), ...problems(400, 401, 403, 404) },
        },
      },
      async ({ query, serviceKey }) => {
        const now = deps.clock.now()
        const product = productFilter(catalog, serviceKey, query.product)
        const status = await usage.status(product, statusAt(catalog, now))
        return toStatus(status, catalog, deps.mode, now)
      },
    )
  }
}

function hourFilter(field: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const time = readTime(text)
  if (time === undefined) {
    throw new DomainError('request.invalid', `${field} must be an RFC 3339 time with a zone`)
  }
  return hourOf(time)
}

function nextOf(place: string | undefined): { next?: string } {
  return place === undefined ? {} : { next: writeCursor(place) }
}

function timeText(ms: number): string {
  return new Date(ms).toISOString()
}

function toBucket(bucket: UsageBucket, catalog: ProductCatalog): Static<typeof Bucket> {
  const { product, subscription, dimension, hour, status, quantity, unbillable, events, hold } = bucket
  const configured = catalog.find(product)?.dimensions.find(({ key }) => key === dimension)
  return {
    product,
    subscription,
    dimension,
    hourStart: hourText(hour),
    status,
    ...(configured !== undefined && { quantity: formatBaseUnits(quantity, configured.scale) }),
    baseUnits: String(quantity),
    unbillableBaseUnits: String(unbillable),
    events,
    ...(hold !== undefined && { hold: { reason: hold.reason, heldAt: timeText(hold.heldAt) } }),
  }
}

function toRecord(record: UsageRecord) {
  const { id, product, subscription, dimension, region, identity, quantity, state } = record
  const { attempts, unanswered, meteringRecordId, note } = record
  return {
    id,
    product,
    subscription,
    dimension,
    hourStart: hourText(record.hour),
    timestamp: timeText(record.timestamp),
    region,
    identity:
      identity.kind === 'license'
        ? {
            kind: identity.kind,
            licenseArn: identity.licenseArn,
            customerAWSAccountId: identity.customerAwsAccountId,
          }
        : identity,
    quantity,
    baseUnitsPerUnit: String(record.unitBase),
    state,
    deadline: timeText(record.deadline),
    sealedAt: timeText(record.sealedAt),
    attempts,
    unanswered,
    ...((state === 'ready' || state === 'sent') && { nextAttemptAt: timeText(record.nextAttemptAt) }),
    ...(meteringRecordId !== undefined && { meteringRecordId }),
    ...(note !== undefined && { note }),
  }
}

function toAttempt(attempt: Attempt): Static<typeof AttemptBody> {
  const { id, outcome, records, request, response } = attempt
  return {
    id,
    startedAt: timeText(attempt.startedAt),
    ...(attempt.finishedAt !== undefined && { finishedAt: timeText(attempt.finishedAt) }),
    outcome,
    records: [...records],
    request,
    ...(response !== undefined && { response }),
  }
}

function toStatus(
  status: UsageStatus,
  catalog: ProductCatalog,
  mode: HttpDeps['mode'],
  now: number,
): Static<typeof Status> {
  const { oldest } = status
  const { pending, total } = worthAtRisk(status, catalog)
  return {
    mode,
    records: { ...status.records },
    ...(oldest !== undefined && {
      oldest: {
        hourStart: hourText(oldest.hour),
        deadline: timeText(oldest.deadline),
        product: oldest.product,
        timeLeftMs: oldest.deadline - now,
      },
    }),
    openBuckets: status.openBuckets,
    heldBuckets: status.heldBuckets,
    pending: pending.map(({ product, dimension, units, amount }) => ({
      product,
      dimension,
      units: String(units),
      ...(amount !== undefined && { amount }),
    })),
    atRisk: total,
    overdue: status.overdue.map(toUnsealedHours),
    held: status.held.map(toUnsealedHours),
    carried: status.carried.map(toBaseAmount),
    refusedUnrecorded: status.refusedUnrecorded.map(toBaseAmount),
    forgiven: status.forgiven.map(toBaseAmount),
    lateAcrossMonths: status.lateAcrossMonths,
    lateAcrossAgreements: status.lateAcrossAgreements,
    unbillable: status.unbillable.map(toBaseAmount),
  }
}

function toBaseAmount({ product, dimension, base }: BaseAmount) {
  return { product, dimension, baseUnits: String(base) }
}

function toUnsealedHours({ product, buckets, oldestHour, deadline }: UnsealedHours) {
  return { product, buckets, oldestHourStart: hourText(oldestHour), deadline: timeText(deadline) }
}
