import Type from 'typebox'
import { CLOSED, NAME } from './values.ts'

const IncludedSchema = Type.Object(
  {
    dimension: Type.String({ minLength: 1, description: 'Key of a metered dimension of this product.' }),
    units: Type.String({
      pattern: '^[1-9][0-9]{0,17}$',
      numeric: true,
      errorMessage: 'a whole number of billed units, 1 or more',
      description: 'Billed units that the contract paid for, per period.',
    }),
    per: Type.Optional(
      Type.String({
        pattern: '^[A-Za-z0-9_.-]{1,100}$',
        errorMessage: '1 to 100 letters, digits, `_`, `.` or `-`',
        description:
          'Key of an entitled dimension of the contract: `units` are included for each unit of it that the buyer has, and an upgrade counts from its own time. Without it they are a fixed number.',
      }),
    ),
    reset: Type.Enum(['calendarMonth', 'anniversary', 'term'], {
      default: 'calendarMonth',
      description:
        "When the included units start anew: each UTC month, each month from the agreement's own day, or never within its term.",
    }),
  },
  { ...CLOSED, description: 'Units of a metered dimension that a contract already paid for.' },
)

const LimitSchema = Type.Object(
  {
    dimension: Type.String({ minLength: 1, maxLength: 100, description: 'What is limited.' }),
    quantity: Type.String({
      pattern: '^(unlimited|0|[1-9][0-9]{0,14})$',
      numeric: true,
      errorMessage: 'a whole number of at most 15 digits, or `unlimited`',
      description: 'How much of it; `unlimited` says that nobody forgot.',
    }),
    window: Type.Enum(['minute', 'hour', 'day', 'month', 'lifetime'], {
      default: 'month',
      description: "When it starts anew, in UTC; `month` from the subscription's anniversary.",
    }),
    onExceed: Type.Enum(['block', 'bill'], {
      default: 'block',
      description:
        'What happens to more: it is refused, or let through and billed. `bill` only for a dimension of the product.',
    }),
  },
  { ...CLOSED, description: 'How much of something a plan allows.' },
)

/** What a price is where it is no amount. Text beside a mapping, so that `price: custom` reads as it is meant. */
const PriceSchema = Type.Unsafe<'custom' | { amount: string; currency: string; per: 'month' | 'year' }>({
  type: ['object', 'string'],
  pattern: '^custom$',
  required: ['amount', 'currency', 'per'],
  additionalProperties: false,
  properties: {
    amount: Type.String({
      pattern: '^[0-9]{1,9}(\\.[0-9]{1,12})?$',
      numeric: true,
      errorMessage: 'an amount in plain decimal digits such as `49.00`',
      description: 'How much.',
    }),
    currency: Type.String({
      pattern: '^[A-Z]{3}$',
      default: 'USD',
      errorMessage: 'three capital letters such as `USD`',
      description: 'ISO 4217.',
    }),
    per: Type.Enum(['month', 'year'], { default: 'month', description: 'For how long.' }),
  },
  errorMessage: '`custom`, or a mapping such as `{amount: "49.00", currency: USD, per: month}`',
  description:
    'What it costs, for people to read; `custom`: agreed with each buyer. AWS bills its own price.',
})

export const PlanSchema = Type.Object(
  {
    id: Type.String({ ...NAME, description: 'Stable name of the plan, unique within the product.' }),
    title: Type.Optional(
      Type.String({ minLength: 1, maxLength: 200, description: 'Name for people. Default: the id.' }),
    ),
    grantedBy: Type.Optional(
      Type.String({
        pattern: '^[A-Za-z0-9_.-]{1,100}$',
        errorMessage: '1 to 100 letters, digits, `_`, `.` or `-`',
        description:
          'Key of the entitled dimension that grants this plan. Of several that a buyer has, the last plan of the list counts.',
      }),
    ),
    audience: Type.Enum(['anonymous', 'registered', 'paid'], {
      default: 'paid',
      description:
        'Who gets it: visitors without a key, those who registered and pay nothing, or those who bought it. One plan each of the first two at most.',
    }),
    trial: Type.Optional(
      Type.Object(
        {
          days: Type.Integer({ minimum: 1, maximum: 3650, description: 'Days of 24 hours.' }),
        },
        {
          ...CLOSED,
          description:
            "Days from the holder's first one on after which all use is refused, whatever limits are left.",
        },
      ),
    ),
    price: Type.Optional(PriceSchema),
    upgradeTo: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 64,
        description: 'Id of the plan of this product that one moves up to.',
      }),
    ),
    features: Type.Record(
      Type.String({ pattern: '^[A-Za-z0-9_.-]{1,100}$' }),
      Type.Unsafe<boolean | number | string>({
        type: ['boolean', 'number', 'string'],
        maxLength: 500,
        errorMessage: '`true`, `false`, a number, or text of at most 500 characters',
        description: 'A feature: on or off, a number, or a text.',
      }),
      { default: {}, description: 'What the product asks for, by names of your own.' },
    ),
    limits: Type.Array(LimitSchema, { default: [], maxItems: 200, description: 'How much of what.' }),
    included: Type.Array(IncludedSchema, {
      default: [],
      maxItems: 200,
      description: 'Contract with consumption: only what exceeds these units is metered.',
    }),
  },
  { ...CLOSED, description: 'A named bundle that a buyer chose.' },
)
