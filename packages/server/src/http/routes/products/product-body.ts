import { type TProperties, Type } from 'typebox'
import { ref, Time } from '../../schemas.ts'

// The words of `tollkeeper.yaml`. What is asked for is read by the rules of configuration, which say exactly what is wrong:
// here stands its shape.

const CLOSED = { additionalProperties: false } as const
const NumberText = Type.Unsafe<number | string>({ type: ['number', 'string'] })
/** As it is asked for. A text stays one: `49.00` is not 49. */
const NumberTextInput = Type.Union([Type.String(), Type.Number()])

const limitFields = {
  dimension: Type.String({ description: 'What is limited.' }),
  quantity: Type.Unsafe<number | string>({
    type: ['number', 'string'],
    description: 'How much of it, or `unlimited`.',
  }),
  window: Type.Enum(['minute', 'hour', 'day', 'month', 'lifetime'], {
    description: "When it starts anew, in UTC; `month` from the subscription's anniversary.",
  }),
  onExceed: Type.Enum(['block', 'bill'], {
    description: 'What happens to more: it is refused, or let through and billed.',
  }),
}
const includedFields = {
  dimension: Type.String(),
  units: NumberText,
  per: Type.Optional(Type.String()),
  reset: Type.Enum(['calendarMonth', 'anniversary', 'term']),
}
const priceFields = {
  amount: NumberText,
  currency: Type.String(),
  per: Type.Enum(['month', 'year']),
}

const priceOf = <F extends TProperties>(fields: F) =>
  Type.Union([Type.Literal('custom'), Type.Object(fields, CLOSED)], {
    description: 'What it costs, for people to read; `custom`: agreed with each buyer.',
  })

const Features = Type.Unsafe<Readonly<Record<string, boolean | number | string>>>({
  type: 'object',
  additionalProperties: {},
  description: 'What the product asks for: on or off, a number, or a text.',
})
const Audience = Type.Enum(['anonymous', 'registered', 'paid'], {
  description:
    'Who gets it: visitors without a key, those who registered and pay nothing, or those who bought it.',
})

export const planFields = {
  id: Type.String(),
  title: Type.String(),
  audience: Audience,
  grantedBy: Type.Optional(
    Type.String({ description: 'Key of the entitled dimension of AWS that grants it.' }),
  ),
  trial: Type.Optional(Type.Object({ days: Type.Integer() }, CLOSED)),
  price: Type.Optional(priceOf(priceFields)),
  upgradeTo: Type.Optional(Type.String({ description: 'The plan that one moves up to.' })),
  features: Features,
  limits: Type.Array(Type.Object(limitFields)),
  included: Type.Array(Type.Object(includedFields)),
}

/** Where a version comes from. */
const versionFields = {
  version: Type.Integer({ description: 'Of this plan or product: 1 for the first.' }),
  since: Type.Optional(
    Type.String({
      format: 'date-time',
      description: 'Holds from then on; left out: as far back as it goes.',
    }),
  ),
  origin: Type.Enum(['config', 'api'], {
    description: '`config`: declared in the configuration, and changed there alone.',
  }),
  retired: Type.Boolean({ description: 'Nobody gets it any more; whoever is on it keeps it.' }),
}

export const PlanBody = Type.Object(
  {
    ...planFields,
    ...versionFields,
    next: Type.Optional(
      Type.String({ format: 'date-time', description: 'When it becomes another one: see its history.' }),
    ),
  },
  { $id: 'Plan', description: 'A named bundle of features and limits.' },
)

export const PlanVersionBody = Type.Object(
  {
    ...planFields,
    ...versionFields,
    actor: Type.String({ description: 'Who wrote it.' }),
    at: Time,
  },
  { $id: 'PlanVersion' },
)

/** What is answered may be sent back: these say nothing there. */
export const COMPUTED = ['version', 'since', 'origin', 'retired', 'next'] as const
const computed = {
  version: Type.Optional(Type.Unknown()),
  since: Type.Optional(Type.Unknown()),
  origin: Type.Optional(Type.Unknown()),
  retired: Type.Optional(Type.Unknown()),
  next: Type.Optional(Type.Unknown()),
}

const planInput = {
  ...planFields,
  price: Type.Optional(
    priceOf(Type.Partial(Type.Object({ ...priceFields, amount: NumberTextInput })).properties),
  ),
  limits: Type.Array(Type.Partial(Type.Object({ ...limitFields, quantity: NumberTextInput }))),
  included: Type.Array(Type.Partial(Type.Object({ ...includedFields, units: NumberTextInput }))),
}

export const PlanInput = Type.Partial(
  Type.Object({
    ...planInput,
    from: Type.String({
      format: 'date-time',
      maxLength: 40,
      description: 'Holds from then on, RFC 3339 with a zone; default: now. Never before now.',
    }),
    ...computed,
  }),
  { $id: 'PlanInput', description: 'A plan in the words of `tollkeeper.yaml`.' },
)

const dimensionFields = {
  key: Type.String({ description: 'AWS’s dimension key.' }),
  name: Type.String(),
  aggregation: Type.Enum(['sum', 'count', 'max', 'unique', 'total']),
  per: Type.Optional(Type.Enum(['hour', 'day', 'month'])),
  scale: Type.Integer(),
  unitSize: NumberText,
  holdAbove: Type.Optional(
    Type.Object({ units: Type.Optional(NumberText), times: Type.Optional(Type.Number()) }, CLOSED),
  ),
  onDeadline: Type.Enum(['release', 'waive']),
  remainder: Type.Enum(['forgive', 'roundUp']),
  reportZero: Type.Boolean(),
  price: Type.Optional(NumberText),
  metrics: Type.Array(Type.String()),
  meteredBy: Type.Enum(['product', 'gate']),
}

const dimensionInput = {
  ...dimensionFields,
  unitSize: NumberTextInput,
  holdAbove: Type.Optional(
    Type.Object({ units: Type.Optional(NumberTextInput), times: Type.Optional(Type.Number()) }),
  ),
  price: Type.Optional(NumberTextInput),
}

const landingFields = {
  description: Type.Optional(Type.String()),
  logoUrl: Type.Optional(Type.String()),
  accentColor: Type.Optional(Type.String()),
  supportEmail: Type.Optional(Type.String()),
  supportUrl: Type.Optional(Type.String()),
  loginUrl: Type.Optional(Type.String()),
  nextSteps: Type.Optional(Type.String()),
  fields: Type.Array(Type.Object({ name: Type.String(), required: Type.Boolean() })),
}

export const endpointFields = {
  id: Type.String({ description: 'Unique within the product.' }),
  url: Type.String({ description: 'Where it serves.' }),
  healthUrl: Type.Optional(
    Type.String({
      description:
        'Where it says how it is: any 2xx is up. `https://` in shadow and live mode. Without it nobody asks.',
    }),
  ),
  everySeconds: Type.Integer({ description: 'From one question to the next.' }),
  timeoutSeconds: Type.Integer({ description: 'How long an answer may take.' }),
  downAfter: Type.Integer({ description: 'So many failures in a row make it down.' }),
  allowPrivate: Type.Boolean({
    description: 'May be on a private network. Only configuration says so.',
  }),
  origin: versionFields.origin,
}

export const EndpointBody = Type.Object(endpointFields, {
  $id: 'Endpoint',
  description: 'An address at which a product serves.',
})

export const EndpointInput = Type.Partial(Type.Object({ ...endpointFields, origin: Type.Unknown() }), {
  $id: 'EndpointInput',
  description: 'An endpoint in the words of `tollkeeper.yaml`.',
})

const productFields = {
  id: Type.String(),
  title: Type.String(),
  productCode: Type.String({ description: 'AWS’s product code.' }),
  productId: Type.Optional(Type.String({ description: 'AWS’s entity id, `prod-…`.' })),
  pricing: Type.Enum(['usage', 'contract', 'contract-with-consumption']),
  metering: Type.Enum(['license', 'legacy']),
  region: Type.String(),
  listing: Type.String(),
  graceMinutes: Type.Integer(),
  goodbyeSettleMinutes: Type.Integer(),
  upgradeUrl: Type.Object(
    { aws: Type.Optional(Type.String()), direct: Type.Optional(Type.String()) },
    {
      ...CLOSED,
      description: 'Where one moves up to another plan, by the channel that a buyer came through.',
    },
  ),
}

export const ProductBody = Type.Object(
  {
    ...productFields,
    landing: Type.Object(landingFields),
    dimensions: Type.Array(Type.Object(dimensionFields)),
    endpoints: Type.Array(ref(EndpointBody)),
    plans: Type.Array(ref(PlanBody), { description: 'As they are now.' }),
    origin: versionFields.origin,
  },
  { $id: 'Product', description: 'What is sold.' },
)

export const ProductVersionBody = Type.Object(
  {
    ...productFields,
    landing: Type.Object(landingFields),
    dimensions: Type.Array(Type.Object(dimensionFields)),
    endpoints: Type.Array(ref(EndpointBody)),
    ...versionFields,
    actor: Type.String(),
    at: Time,
  },
  { $id: 'ProductVersion' },
)

export const ProductInput = Type.Partial(
  Type.Object({
    ...productFields,
    landing: Type.Partial(Type.Object(landingFields)),
    dimensions: Type.Array(Type.Partial(Type.Object(dimensionInput))),
    endpoints: Type.Array(Type.Partial(Type.Object({ ...endpointFields, origin: Type.Unknown() })), {
      description: 'Left out: they stay as they are.',
    }),
    plans: Type.Array(Type.Partial(Type.Object({ ...planInput, ...computed })), {
      description:
        'Of a product that is there: its plans from now on, in this order; others are retired, but for those that are not there yet. A plan that says `retired: true` is not asked for, and stays retired. Left out: they stay as they are.',
    }),
    origin: Type.Unknown(),
  }),
  { $id: 'ProductInput', description: 'A product in the words of `tollkeeper.yaml`.' },
)

const UptimeBody = Type.Object({
  up: Type.Integer({ description: 'Good answers.' }),
  down: Type.Integer({ description: 'Failures.' }),
  percent: Type.Optional(
    Type.Number({ description: 'Two decimals, rounded down; absent where nobody asked.' }),
  ),
})

const HealthState = Type.Enum(['unknown', 'up', 'down'])

export const HealthBody = Type.Object(
  {
    endpoint: Type.String(),
    url: Type.String(),
    state: HealthState,
    since: Type.Optional(Type.String({ format: 'date-time', description: 'It has been so since then.' })),
    checkedAt: Type.Optional(Type.String({ format: 'date-time', description: 'When it was last asked.' })),
    latencyMs: Type.Optional(Type.Integer({ description: 'Of the last good answer.' })),
    failures: Type.Integer({ description: 'In a row, up to now.' }),
    reason: Type.Optional(Type.String({ description: 'Why it failed last, or is not asked.' })),
    uptime: Type.Object({ '24h': UptimeBody, '7d': UptimeBody, '30d': UptimeBody }),
    changes: Type.Array(Type.Object({ at: Time, state: HealthState, reason: Type.Optional(Type.String()) }), {
      description: 'The last twenty, newest first.',
    }),
  },
  { $id: 'EndpointHealth', description: 'How an endpoint is, and was.' },
)

export const HealthHourBody = Type.Object(
  {
    endpoint: Type.String(),
    hour: Type.String({ format: 'date-time', description: 'When it began.' }),
    up: Type.Integer({ description: 'Good answers.' }),
    down: Type.Integer({ description: 'Failures.' }),
    p50Ms: Type.Optional(Type.Integer({ description: 'Half of the good answers took no longer.' })),
    p95Ms: Type.Optional(Type.Integer()),
    maxMs: Type.Optional(Type.Integer()),
  },
  { $id: 'EndpointHour' },
)

export const PRODUCT_SCHEMAS = [
  HealthBody,
  HealthHourBody,
  EndpointBody,
  EndpointInput,
  PlanBody,
  PlanVersionBody,
  PlanInput,
  ProductBody,
  ProductVersionBody,
  ProductInput,
]
