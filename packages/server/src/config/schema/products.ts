import Type from 'typebox'
import { PlanSchema } from './plans.ts'
import { CLOSED, ENDPOINT_URL, HTTP_URL, NAME, PRODUCT_CODE, REGION, UPGRADE_URL } from './values.ts'

const HoldAboveSchema = Type.Object(
  {
    units: Type.Optional(
      Type.String({
        pattern: '^[1-9][0-9]{0,9}$',
        numeric: true,
        errorMessage: 'a whole number of billed units, 1 or more',
        description: 'Hold an hour above this many billed units.',
      }),
    ),
    times: Type.Optional(
      Type.Number({
        exclusiveMinimum: 1,
        maximum: 1_000_000,
        description:
          'Hold an hour above this many times the median of the last 168 non-zero hours, from the 24th on.',
      }),
    ),
  },
  {
    ...CLOSED,
    minProperties: 1,
    maxProperties: 1,
    errorMessage: '`{units: N}` or `{times: N}`, one of the two',
    description:
      'Hold an hour that is too large for a person to release, lower or waive before it is sent for good. Without it nothing is held.',
  },
)

const DimensionSchema = Type.Object(
  {
    key: Type.String({
      pattern: '^[A-Za-z0-9_.-]{1,100}$',
      errorMessage: '1 to 100 letters, digits, `_`, `.` or `-`',
      description: "AWS's dimension key, exactly as in the listing: upper and lower case differ.",
    }),
    name: Type.Optional(
      Type.String({ minLength: 1, maxLength: 200, description: 'Name for people. Default: the key.' }),
    ),
    aggregation: Type.Enum(['sum', 'count', 'max', 'unique', 'total'], {
      default: 'sum',
      description:
        "How events become a quantity: `sum` adds quantities up, `count` counts events, `max` takes a period's highest (a gauge), `unique` counts a period's different values, `total` meters the growth of a running total.",
    }),
    per: Type.Optional(
      Type.Enum(['hour', 'day', 'month'], {
        description:
          'The UTC period of `max` and `unique`, required for these two and for no other. AWS adds all hours up: five users active all month are billed as 5 with `month`, as 3,600 with `hour`.',
      }),
    ),
    scale: Type.Integer({
      minimum: 0,
      maximum: 6,
      default: 0,
      description:
        'Decimal digits that a reported quantity may have. Extra digits are refused, never rounded. 0 for `count` and `unique`.',
    }),
    unitSize: Type.String({
      pattern: '^[1-9][0-9]{0,9}$',
      numeric: true,
      errorMessage: 'a whole number, 1 or more',
      default: '1',
      description:
        'Reported units in one billed unit: 1000 where AWS sells thousands of requests. The remainder is carried to the next hour. `unitSize` × 10^`scale` is at most 1,000,000,000.',
    }),
    holdAbove: Type.Optional(HoldAboveSchema),
    onDeadline: Type.Enum(['release', 'waive'], {
      default: 'release',
      description:
        'What happens to a held hour that nobody decided on, one hour before AWS stops taking it: AWS can refund, but takes nothing late.',
    }),
    remainder: Type.Enum(['forgive', 'roundUp'], {
      default: 'forgive',
      description: 'What happens to less than one billed unit when a subscription ends.',
    }),
    reportZero: Type.Boolean({
      default: false,
      description: 'Send a zero for each completed hour without usage, so that AWS sees that metering works.',
    }),
    price: Type.Optional(
      Type.String({
        pattern: '^[0-9]{1,9}(\\.[0-9]{1,12})?$',
        numeric: true,
        errorMessage: 'an amount in plain decimal digits such as `0.002`',
        description:
          'US dollars for one billed unit, to show usage at risk in money. AWS bills its own price.',
      }),
    ),
    metrics: Type.Array(
      Type.String({
        pattern: '^[A-Za-z0-9_.:/-]{1,100}$',
        errorMessage: '1 to 100 letters, digits or `_.:/-`',
        description: "A name of the seller's platform.",
      }),
      {
        default: [],
        maxItems: 50,
        uniqueItems: true,
        description: 'Names under which the platform reports this dimension, such as `totalScans`.',
      },
    ),
    meteredBy: Type.Enum(['product', 'gate'], {
      default: 'product',
      description:
        'Who says what was used: `product` reports it; `gate`: what `POST /quota/validate` lets through is metered, and nothing else can report it. Only for `sum`.',
    }),
  },
  { ...CLOSED, description: 'A unit of a product that is counted.' },
)

const LandingSchema = Type.Object(
  {
    description: Type.Optional(
      Type.String({
        maxLength: 5000,
        description: 'What it is. Default: the description in `marketplace-config.json`.',
      }),
    ),
    logoUrl: Type.Optional(
      Type.String({
        pattern: '^https://[^\\s?#@]+$',
        errorMessage: 'an address that begins with `https://`, without user, query or fragment',
        description: 'Address of an image.',
      }),
    ),
    accentColor: Type.Optional(
      Type.String({
        pattern: '^#[0-9a-fA-F]{6}$',
        errorMessage: 'a colour such as `#0059b3`',
        description: 'Colour of buttons and links; made darker where it could not be read.',
      }),
    ),
    supportEmail: Type.Optional(
      Type.String({
        pattern: '^[^\\s@<>"]{1,64}@[^\\s@<>"]{1,190}$',
        errorMessage: 'an e-mail address',
        description: 'Where buyers ask. AWS requires a support contact on the page.',
      }),
    ),
    supportUrl: Type.Optional(Type.String({ ...HTTP_URL, description: "The seller's support pages." })),
    loginUrl: Type.Optional(
      Type.String({ ...HTTP_URL, description: 'Where those sign in who have an account already.' }),
    ),
    nextSteps: Type.Optional(
      Type.String({
        maxLength: 2000,
        description: 'What the buyer may expect after registering, and how long it takes.',
      }),
    ),
    fields: Type.Array(
      Type.Object(
        {
          name: Type.Enum(['name', 'company', 'phone'], { description: 'What is asked for.' }),
          required: Type.Boolean({
            default: false,
            description: 'True: the form cannot be sent without it.',
          }),
        },
        { ...CLOSED, description: 'A field of the form.' },
      ),
      {
        default: [
          { name: 'name', required: false },
          { name: 'company', required: false },
        ],
        maxItems: 3,
        description: 'What the page asks for besides the e-mail address. Never payment data: AWS forbids it.',
      },
    ),
  },
  { ...CLOSED, default: {}, description: 'The landing page of the listing.' },
)

export const EndpointSchema = Type.Object(
  {
    id: Type.String({ ...NAME, description: 'Stable name of the endpoint, unique within the product.' }),
    url: Type.String({ ...ENDPOINT_URL, description: 'Where it serves.' }),
    healthUrl: Type.Optional(
      Type.String({
        ...ENDPOINT_URL,
        description:
          'Where it says how it is: any 2xx is up. Begins with `https://` in shadow and live mode. Without it nobody asks.',
      }),
    ),
    everySeconds: Type.Integer({
      minimum: 10,
      maximum: 3600,
      default: 60,
      description: 'Seconds from one question to the next; never fewer than `jobs.intervalSeconds`.',
    }),
    timeoutSeconds: Type.Integer({
      minimum: 1,
      maximum: 10,
      default: 5,
      description: 'Seconds that an answer may take.',
    }),
    downAfter: Type.Integer({
      minimum: 1,
      maximum: 100,
      default: 3,
      description: 'So many failures in a row make it down. One success makes it up again.',
    }),
    allowPrivate: Type.Boolean({
      default: false,
      description:
        'Let it be an address of a private network, and plain HTTP. Not by the API. In simulated mode only this machine is asked.',
    }),
  },
  { ...CLOSED, description: 'An address at which the product serves.' },
)

export const ProductSchema = Type.Object(
  {
    id: Type.String({ ...NAME, description: 'Stable name of the product, chosen by you; never change it.' }),
    title: Type.Optional(
      Type.String({ minLength: 1, maxLength: 200, description: 'Name for people. Default: the id.' }),
    ),
    productCode: Type.Optional(
      Type.String({
        ...PRODUCT_CODE,
        description:
          "AWS's product code of the listing. May come from `MP_PRODUCT_CODE` where there is one product, or from a listing in `marketplace-config.json`.",
      }),
    ),
    productId: Type.Optional(
      Type.String({
        pattern: '^[A-Za-z0-9-]{3,64}$',
        errorMessage: 'an entity id such as `prod-k35yywhyj4eqg`',
        description: "AWS's id of the product, `prod-…`: the Agreement API knows products by it.",
      }),
    ),
    pricing: Type.Enum(['usage', 'contract', 'contract-with-consumption'], {
      default: 'usage',
      description:
        "AWS's pricing model of the listing. `contract` has entitlements and is never metered; `contract-with-consumption` meters what exceeds them.",
    }),
    metering: Type.Enum(['license', 'legacy'], {
      default: 'license',
      description:
        'How AWS is told who used it: `license` by license and account (every product since June 2026), `legacy` by product code and customer identifier. Both at once bill twice; a change counts from the next hour.',
    }),
    region: Type.Optional(
      Type.String({
        ...REGION,
        description:
          'AWS region whose metering endpoint takes the records; AWS removes duplicates per region only. Default: `aws.region`.',
      }),
    ),
    listing: Type.Optional(
      Type.String({ ...NAME, description: 'Path of the listing in `/l/{listing}`. Default: the id.' }),
    ),
    graceMinutes: Type.Integer({
      minimum: 0,
      maximum: 1080,
      default: 15,
      description: "Minutes after an hour's end in which its events may still arrive before it is sent.",
    }),
    goodbyeSettleMinutes: Type.Integer({
      minimum: 0,
      maximum: 40,
      default: 10,
      description:
        "Minutes that the hour in progress stays open after a subscription's end, for buffered events.",
    }),
    dimensions: Type.Array(DimensionSchema, {
      default: [],
      maxItems: 200,
      description: 'What is counted.',
    }),
    plans: Type.Array(PlanSchema, { default: [], maxItems: 100, description: 'What buyers can choose.' }),
    upgradeUrl: Type.Object(
      {
        aws: Type.Optional(
          Type.String({
            ...UPGRADE_URL,
            description:
              'For who came through AWS Marketplace, which forbids to show them another way to pay: a page of AWS Marketplace.',
          }),
        ),
        direct: Type.Optional(
          Type.String({ ...UPGRADE_URL, description: 'For everybody else, visitors too.' }),
        ),
      },
      { ...CLOSED, default: {}, description: 'Where one moves up to another plan.' },
    ),
    landing: LandingSchema,
    endpoints: Type.Array(EndpointSchema, {
      default: [],
      maxItems: 20,
      description: 'Where it serves, and where each place says how it is.',
    }),
  },
  { ...CLOSED, description: 'What is sold.' },
)
