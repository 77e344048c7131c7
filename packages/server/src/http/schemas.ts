import assert from 'node:assert/strict'
import { type Static, type TSchema, Type } from 'typebox'
import {
  NAME_LENGTH_MAX,
  QUANTITY_LENGTH_MAX,
  SOURCE_LENGTH_MAX,
  VALUE_LENGTH_MAX,
} from '../domain/usage/read-usage-event.ts'

/** Bounds of the texts that the API takes. Ours: AWS's own identifiers are shorter. */
export const BATCH_EVENTS_MAX = 1_000
export const PAGE_LIMIT_MAX = 500

/** Printable: no control characters and no broken surrogates, which not every store can keep. */
export const PRINTABLE = '^[^\\p{Cc}\\p{Cs}]+$'

/** A schema by its name: the OpenAPI document says it once, and generated types get a name. */
export function ref<S extends TSchema>(schema: S) {
  const id = '$id' in schema ? String(schema.$id) : undefined
  assert(id !== undefined, 'a schema that is referred to has an $id')
  return Type.Unsafe<Static<S>>({ $ref: `${id}#` })
}

export const Name = Type.String({ minLength: 1, maxLength: NAME_LENGTH_MAX, pattern: PRINTABLE })

/** As answered: RFC 3339, UTC. */
export const Time = Type.String({ format: 'date-time' })

/** As asked in a query; read by `readTime`. */
export const TimeFilter = Type.String({
  format: 'date-time',
  maxLength: 40,
  description: 'RFC 3339 with a zone',
})

export const Quantity = Type.Union(
  [
    Type.Number({ minimum: 0 }),
    Type.String({ minLength: 1, maxLength: QUANTITY_LENGTH_MAX, pattern: '^[0-9.]+$' }),
  ],
  {
    description:
      'A number of at most 15 digits, or a decimal string. Not for dimensions that count events or different values.',
  },
)

export const Tags = Type.Record(Type.String(), Type.String(), {
  maxProperties: 5,
  description: 'AWS Marketplace cost allocation tags, for dimensions that sum or count.',
})

const buyerFields = {
  subscriptionId: Type.Optional(Name),
  tenantId: Type.Optional(Name),
  licenseArn: Type.Optional(Name),
  customerAWSAccountId: Type.Optional(Name),
  customerIdentifier: Type.Optional(Name),
}

export const UsageEventBody = Type.Object(
  {
    dimension: Type.String({
      minLength: 1,
      maxLength: NAME_LENGTH_MAX,
      pattern: PRINTABLE,
      description: 'The dimension’s key, or the name under which your platform reports it.',
    }),
    quantity: Type.Optional(Quantity),
    usageTime: Type.String({
      format: 'date-time',
      description: 'When it was used: RFC 3339 with a zone, the same on every retry.',
    }),
    correlationId: Type.String({
      minLength: 1,
      maxLength: NAME_LENGTH_MAX,
      pattern: PRINTABLE,
      description: 'The event’s id, the same on every retry; unique within product, dimension and source.',
    }),
    product: Type.Optional(Name),
    source: Type.Optional(Type.String({ minLength: 1, maxLength: SOURCE_LENGTH_MAX, pattern: PRINTABLE })),
    value: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: VALUE_LENGTH_MAX,
        pattern: PRINTABLE,
        description: 'What is counted once, for `unique` dimensions: a user’s id. Only its hash is stored.',
      }),
    ),
    tags: Type.Optional(Tags),
    ...buyerFields,
  },
  {
    $id: 'UsageEvent',
    additionalProperties: false,
    description:
      'One use of a product. Name the buyer by one of `subscriptionId`, `tenantId`, `licenseArn`, `customerAWSAccountId`, `customerIdentifier`; it may be left out while only one subscription lives.',
  },
)

export const CloudEventBody = Type.Object(
  {
    specversion: Type.Literal('1.0'),
    id: Name,
    source: Type.String({ minLength: 1, maxLength: SOURCE_LENGTH_MAX, pattern: PRINTABLE }),
    type: Type.String({
      minLength: 1,
      maxLength: NAME_LENGTH_MAX,
      pattern: PRINTABLE,
      description: 'The dimension, where `data.dimension` does not say.',
    }),
    time: Type.String({ format: 'date-time', description: 'Required here: the same on every retry.' }),
    subject: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: NAME_LENGTH_MAX,
        pattern: PRINTABLE,
        description: 'The buyer’s tenant id, where `data` does not name the buyer.',
      }),
    ),
    data: Type.Optional(
      Type.Object(
        {
          dimension: Type.Optional(Name),
          quantity: Type.Optional(Quantity),
          value: Type.Optional(Type.String({ maxLength: VALUE_LENGTH_MAX })),
          product: Type.Optional(Name),
          tags: Type.Optional(Tags),
          ...buyerFields,
        },
        { description: 'What else it holds is yours and ignored.' },
      ),
    ),
  },
  { $id: 'CloudEvent', description: 'A CloudEvents 1.0 event in the JSON format.' },
)

export const EventStatus = Type.Enum(['accepted', 'late', 'duplicate', 'conflict', 'refused'], {
  description:
    'accepted: on disk, counted in its hour · late: on disk, counted in a later hour · duplicate: seen before, counted once · conflict: its id was seen with other content · refused: not counted',
})

export const UsageOutcome = Type.Object(
  {
    id: Type.String(),
    status: EventStatus,
    reason: Type.Optional(Type.String()),
    code: Type.Optional(Type.String()),
    meteringRecordId: Type.Optional(Type.String()),
  },
  { $id: 'UsageOutcome' },
)

export const Problem = Type.Object(
  {
    type: Type.String(),
    title: Type.String(),
    status: Type.Integer(),
    detail: Type.String(),
    code: Type.String({ description: 'Stable: branch on this.' }),
    errors: Type.Optional(Type.Array(Type.Object({ field: Type.String(), reason: Type.String() }))),
    candidates: Type.Optional(
      Type.Array(Type.Object({ subscriptionId: Type.String(), license: Type.Optional(Type.String()) })),
    ),
    requestId: Type.Optional(Type.String()),
  },
  { $id: 'Problem', description: 'RFC 9457.', additionalProperties: true },
)

/** The answers that any route may give besides its own. */
export function problems(...statuses: readonly number[]) {
  return Object.fromEntries(
    statuses.map((status) => [
      status,
      {
        description: PROBLEM_TEXT[status] ?? 'Problem',
        content: { 'application/problem+json': { schema: ref(Problem) } },
      },
    ]),
  )
}

const PROBLEM_TEXT: Readonly<Record<number, string>> = {
  400: 'The request is not what this route takes; `errors` names the field.',
  401: 'No service key, or one that is not known.',
  403: 'The key lacks a scope.',
  404: 'Not here, or not visible with this key.',
  409: 'It conflicts with what is stored, or the buyer is ambiguous.',
  410: 'The subscription has ended.',
  413: 'Too large.',
  415: 'A content type that this route does not take.',
  422: 'The request is well formed, but names something that does not exist here.',
  429: 'Too many requests; see `Retry-After`.',
  503: 'Overloaded, or not to be reached now; see `Retry-After`. What was accepted is kept.',
}

export function pageOf<S extends TSchema>(item: S) {
  return Type.Object({
    items: Type.Array(item),
    next: Type.Optional(
      Type.String({ description: 'Pass as `cursor` for the next page; absent on the last.' }),
    ),
  })
}

export const pageQuery = {
  limit: Type.Integer({ minimum: 1, maximum: PAGE_LIMIT_MAX, default: 100 }),
  cursor: Type.Optional(Type.String({ minLength: 1, maxLength: 2_048 })),
}
