import Type, { type Static, type TSchema } from 'typebox'

/**
 * The shape of `tollkeeper.yaml`, and the only place that has its defaults, bounds and descriptions: the loader, the
 * published JSON Schema and `docs/configuration.md` are made from it. A property with a `default` may be left out.
 *
 * `errorMessage` says what a value must be where type and bounds do not (editors with a JSON Schema show it, too).
 * `numeric` marks text of digits that may be written as a YAML number: its own spelling counts, never a float of it.
 */

const CLOSED = { additionalProperties: false } as const

const NAME = {
  pattern: '^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$',
  errorMessage: '1 to 64 letters, digits, `_`, `.` or `-`, beginning with a letter or digit',
} as const

const REGION = {
  pattern: '^[a-z]{2,4}(-[a-z]+)+-[0-9]$',
  errorMessage: 'an AWS region such as `us-east-1`',
} as const

const HTTP_URL = {
  pattern: '^https?://[^\\s/?#@]+(/[^\\s?#]*)?$',
  errorMessage: 'a URL that begins with `http://` or `https://`, without user, query or fragment',
} as const

const UPGRADE_URL = {
  pattern: '^https?://[^\\s/?#@]+(/[^\\s#]*|\\?[^\\s#]*)?$',
  maxLength: 2000,
  errorMessage: 'a URL that begins with `https://` or `http://`, without user or fragment',
} as const

const ENDPOINT_URL = { ...UPGRADE_URL } as const

const ACCOUNT_ID = {
  pattern: '^[0-9]{12}$',
  numeric: true,
  errorMessage: 'an AWS account id of 12 digits',
} as const

/** `LicenseArn` of the metering model, `@aws-sdk/client-marketplace-metering` 3.1138.0. */
const LICENSE_ARN = {
  pattern:
    '^arn:aws[a-zA-Z-]*:[A-Za-z0-9][A-Za-z0-9_/.-]{0,62}:[A-Za-z0-9_/.-]{0,63}:[A-Za-z0-9_/.-]{0,63}:[A-Za-z0-9][A-Za-z0-9:_/+=,@.-]{0,1023}$',
  errorMessage: 'a license ARN such as `arn:aws:license-manager::294406891311:license:l-…`',
} as const

/** `ProductCode` of the metering model; AWS generates 25 lower-case letters and digits. */
const PRODUCT_CODE = {
  pattern: '^[-a-zA-Z0-9/=:_.@]{1,255}$',
  errorMessage: "AWS Marketplace's product code: 1 to 255 letters, digits or `-/=:_.@`, without spaces",
} as const

const perSecond = (requests: number, description: string) =>
  Type.Integer({ minimum: 0, maximum: 1_000_000, default: requests, description })
const perMinute = perSecond

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

const SubscriptionSchema = Type.Object(
  {
    product: Type.String({ minLength: 1, description: 'Id of a product of this file.' }),
    plan: Type.Optional(Type.String({ minLength: 1, description: 'Id of one of its plans.' })),
    tenantId: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 200,
        pattern: '^[^\\u0000-\\u001f]*$',
        numeric: true,
        errorMessage: 'text of 1 to 200 characters',
        description: "The seller's own name for the buyer's workspace.",
      }),
    ),
    licenseArn: Type.Optional(
      Type.String({ ...LICENSE_ARN, description: "The buyer's license. Required for `license` metering." }),
    ),
    customerAwsAccountId: Type.Optional(
      Type.String({
        ...ACCOUNT_ID,
        description: "The buyer's AWS account. Required for `license` metering.",
      }),
    ),
    customerIdentifier: Type.Optional(
      Type.String({
        pattern: '^[^\\s]{1,255}$',
        numeric: true,
        errorMessage: '1 to 255 characters without spaces',
        description: "AWS's customer identifier. Required for `legacy` metering.",
      }),
    ),
    agreementId: Type.Optional(
      Type.String({
        pattern: '^[A-Za-z0-9_/-]{1,64}$',
        errorMessage: 'an agreement id such as `agmt-…`',
        description: "AWS's agreement.",
      }),
    ),
    accessStart: Type.String({
      pattern:
        '^[0-9]{4}-[0-9]{2}-[0-9]{2}(T[0-9]{2}:[0-9]{2}(:[0-9]{2}(\\.[0-9]{1,3})?)?(Z|[+-][0-9]{2}:[0-9]{2}))?$',
      errorMessage: 'a time such as `2026-11-01T00:00:00Z`, or a date (midnight UTC)',
      description: 'From when usage is billed. AWS refuses a whole batch for a time before the agreement.',
    }),
  },
  {
    ...CLOSED,
    description: 'A buyer who subscribed before Tollkeeper was there. New ones register by themselves.',
  },
)

const ConnectorSchema = Type.Object(
  {
    enabled: Type.Boolean({
      default: true,
      description:
        'With `MP_PRODUCT_CODE` and no product declared, sell that product. False: the section is ignored.',
    }),
    schedule_cron: Type.Optional(
      Type.String({
        pattern: '^\\S+( +\\S+){4}$',
        errorMessage: 'a cron expression of five fields such as `0 2 * * *`',
        description:
          'When to read the catalog, UTC. Accepted, not used yet. Usage is sent every hour whatever this says.',
      }),
    ),
    entities: Type.Array(
      Type.Enum(['products', 'offers', 'subscriptions', 'entitlements'], {
        description: 'Something to read from AWS Marketplace.',
      }),
      {
        default: ['products', 'offers', 'subscriptions', 'entitlements'],
        uniqueItems: true,
        maxItems: 4,
        description: 'What to read from AWS Marketplace. Accepted, not used yet.',
      },
    ),
    write_actions: Type.Array(
      Type.Enum(['publish_change_set', 'emit_meter_usage'], {
        description: 'Something that may be written to AWS Marketplace.',
      }),
      {
        default: ['publish_change_set', 'emit_meter_usage'],
        uniqueItems: true,
        maxItems: 2,
        description:
          'What may be written to AWS Marketplace. Live mode without `emit_meter_usage` is refused: `mode: shadow` is for that.',
      },
    ),
  },
  { ...CLOSED, description: 'The marketplace connector, in the words of earlier installations.' },
)

export const ConfigSchema = Type.Object(
  {
    mode: Type.Enum(['simulated', 'shadow', 'live'], {
      default: 'simulated',
      description:
        '`simulated` talks to the simulator on this machine only, `shadow` does all but send, `live` bills real buyers. A ledger keeps its mode for good.',
    }),
    log: Type.Object(
      {
        level: Type.Enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'], {
          default: 'info',
          description: 'The least that is logged.',
        }),
      },
      { ...CLOSED, default: {}, description: 'Logging.' },
    ),
    server: Type.Object(
      {
        host: Type.String({
          pattern: '^[A-Za-z0-9.:-]{1,253}$',
          errorMessage: 'a host name or IP address',
          default: '127.0.0.1',
          description: 'Address to listen on; `0.0.0.0` for all.',
        }),
        port: Type.Integer({
          minimum: 0,
          maximum: 65535,
          default: 4000,
          description: 'TCP port to listen on; 0 takes a free one.',
        }),
        publicUrl: Type.Optional(
          Type.String({
            ...HTTP_URL,
            description: 'How buyers and AWS reach this server. Default: `http://` with host and port.',
          }),
        ),
        trustProxy: Type.Array(
          Type.String({
            pattern: '^[0-9a-fA-F.:]{2,45}(?:/[0-9]{1,3})?$',
            description: 'An IP address, or a range such as `10.0.0.0/8`.',
          }),
          {
            maxItems: 50,
            default: [],
            description:
              'Proxies before this server whose `X-Forwarded-For` is believed. Behind a proxy that is not named here, all buyers share one rate limit.',
          },
        ),
        rateLimits: Type.Object(
          {
            usageAndGate: perSecond(
              6_000,
              'Requests a second of one service key that report usage or ask what a caller may do. `tollkeeper key create --rate` says otherwise for one key.',
            ),
            otherRoutes: perSecond(1_000, 'Requests a second of one service key to all other routes.'),
            perAddress: perSecond(
              50,
              'Requests a second of one address to routes that take no key. Registration and the webhook have limits of their own.',
            ),
            unknownKeys: perMinute(
              30,
              'Requests of one address in a minute without a valid service key. More are told to wait, each time longer; a valid key always works.',
            ),
            unknownApiKeys: perMinute(
              600,
              'API keys that are nobody’s, in a minute, that one service key asks about. More are answered `rate_limited`; a good key always works.',
            ),
          },
          {
            ...CLOSED,
            default: {},
            description:
              'How much one caller may ask of one process, which counts in its memory; an IPv6 address counts as its /64. Five seconds’ worth may come at once. 0: no limit.',
          },
        ),
        drainSeconds: Type.Optional(
          Type.Integer({
            minimum: 0,
            maximum: 600,
            description:
              'How long a server that is told to stop goes on answering while `/ready` says 503: as long as the balancer before it needs to see that and send requests elsewhere. Default: 5, and 0 with a ledger in a SQLite file.',
          }),
        ),
      },
      { ...CLOSED, default: {}, description: 'The HTTP server.' },
    ),
    store: Type.Object(
      {
        url: Type.String({
          pattern: '^(sqlite:.+|postgres(ql)?://.+|dynamodb://.+)$',
          errorMessage:
            '`sqlite:` and a path, such as `sqlite:./tollkeeper.db`, or `postgres://USER:PASSWORD@HOST/DATABASE`, or `dynamodb://REGION/TABLE`',
          default: 'sqlite:./tollkeeper.db',
          description:
            'Where the ledger is: a SQLite file (a path is relative to this file), a PostgreSQL database or a DynamoDB table.',
        }),
        postgres: Type.Object(
          {
            poolMax: Type.Integer({
              minimum: 2,
              maximum: 100,
              default: 10,
              description: 'Connections of one process at most.',
            }),
            connectTimeoutSeconds: Type.Integer({
              minimum: 1,
              maximum: 60,
              default: 10,
              description: 'Seconds to wait for a connection.',
            }),
            statementTimeoutSeconds: Type.Integer({
              minimum: 1,
              maximum: 600,
              default: 30,
              description: 'Seconds that one statement may take, and that a transaction may stand idle.',
            }),
          },
          { ...CLOSED, default: {}, description: 'Where the ledger is on PostgreSQL.' },
        ),
        dynamodb: Type.Object(
          {
            transactionItems: Type.Optional(
              Type.Integer({
                minimum: 10,
                maximum: 100,
                description:
                  'Items in one transaction at most. Default: 100 on AWS, 10 at an `endpoint`, since old versions of DynamoDB Local take no more.',
              }),
            ),
            shards: Type.Optional(
              Type.Integer({
                minimum: 1,
                maximum: 16,
                description:
                  'Items that share the counters of one hour, so that none is hot. Fixed when the ledger is made. Default: 4 on AWS, 2 at an `endpoint`.',
              }),
            ),
          },
          { ...CLOSED, default: {}, description: 'Where the ledger is on DynamoDB.' },
        ),
      },
      { ...CLOSED, default: {}, description: 'The ledger.' },
    ),
    aws: Type.Object(
      {
        accountId: Type.Optional(
          Type.String({
            ...ACCOUNT_ID,
            description:
              "The seller's AWS account, which published the listings. Live mode requires it and checks it before the first call.",
          }),
        ),
        region: Type.String({
          ...REGION,
          default: 'us-east-1',
          description: 'AWS region for products that name none.',
        }),
        endpoint: Type.Optional(
          Type.String({
            ...HTTP_URL,
            description:
              "Address of the metering service. Default: the simulator's `http://127.0.0.1:4010` in simulated mode, AWS's own otherwise.",
          }),
        ),
        assumeRole: Type.Optional(
          Type.Object(
            {
              roleArn: Type.String({
                pattern: '^arn:aws[a-z-]*:iam::[0-9]{12}:role/[A-Za-z0-9+=,.@_/-]{1,512}$',
                errorMessage: 'the ARN of a role such as `arn:aws:iam::123456789012:role/tollkeeper`',
                description: 'A role in the account that published the listings.',
              }),
              externalId: Type.Optional(
                Type.String({
                  pattern: '^[A-Za-z0-9+=,.@:/-]{2,1224}$',
                  errorMessage: '2 to 1224 letters, digits or `+=,.@:/-`',
                  description: "What the role's trust policy expects.",
                }),
              ),
              sessionName: Type.String({
                pattern: '^[A-Za-z0-9+=,.@_-]{2,64}$',
                default: 'tollkeeper',
                errorMessage: '2 to 64 letters, digits or `+=,.@_-`',
                description: 'How CloudTrail names the calls.',
              }),
            },
            {
              ...CLOSED,
              description:
                'Assume this role with the ambient credentials, where Tollkeeper runs in another account than the one that published the listings.',
            },
          ),
        ),
        timeoutMs: Type.Integer({
          minimum: 100,
          maximum: 120_000,
          default: 10_000,
          description:
            'Milliseconds that one call may take, its answer read. After that it counts as unanswered.',
        }),
      },
      { ...CLOSED, default: {}, description: 'AWS Marketplace.' },
    ),
    notifications: Type.Object(
      {
        sqsQueues: Type.Array(Type.String({ ...HTTP_URL, description: "A queue's URL." }), {
          default: [],
          maxItems: 20,
          uniqueItems: true,
          description:
            'SQS queues that AWS Marketplace’s SNS topics or an EventBridge rule for `aws.agreement-marketplace` deliver to.',
        }),
        snsTopics: Type.Array(
          Type.String({
            pattern: '^arn:aws[a-z-]*:sns:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_-]{1,256}$',
            errorMessage: 'the ARN of an SNS topic',
            description: 'An SNS topic.',
          }),
          {
            default: [],
            maxItems: 100,
            uniqueItems: true,
            description:
              "Topics whose messages are taken, besides AWS Marketplace's own two for each product: a topic of yours that an EventBridge rule delivers to.",
          },
        ),
        relaySecret: Type.Optional(
          Type.String({
            minLength: 16,
            maxLength: 500,
            description:
              'Shared secret of a relay that signs what it forwards to `/marketplace/webhook` with HMAC-SHA256 (`X-Signature`, `X-Timestamp`). Best read from the environment.',
          }),
        ),
        relayToleranceSeconds: Type.Integer({
          minimum: 10,
          maximum: 3600,
          default: 300,
          description: 'How old a relayed message may be, and how far ahead of our clock.',
        }),
        receivesMax: Type.Integer({
          minimum: 1,
          maximum: 1000,
          default: 10,
          description:
            'A message of a queue that cannot be read after this many tries is put aside for a person.',
        }),
      },
      { ...CLOSED, default: {}, description: 'What AWS Marketplace tells.' },
    ),
    events: Type.Object(
      {
        eventBridge: Type.Optional(
          Type.Object(
            {
              bus: Type.String({
                pattern: '^[A-Za-z0-9/_.:-]{1,1600}$',
                errorMessage: 'the name or ARN of an event bus',
                description: 'Name or ARN of the bus.',
              }),
              region: Type.Optional(
                Type.String({ ...REGION, description: "Default: that of the bus's ARN, else `aws.region`." }),
              ),
              source: Type.String({
                pattern: '^[A-Za-z0-9._/-]{1,256}$',
                default: 'tollkeeper',
                errorMessage: 'letters, digits or `._/-`',
                description: 'The `source` of the events; their `detail-type` is the type.',
              }),
            },
            { ...CLOSED, description: 'Tell an EventBridge bus.' },
          ),
        ),
        webhooks: Type.Array(
          Type.Object(
            {
              id: Type.String({ ...NAME, description: 'Stable name: deliveries are kept under it.' }),
              url: Type.String({
                pattern: '^https?://[^\\s#@]+$',
                errorMessage: 'a URL that begins with `https://`, without user or fragment',
                description: 'Where events are posted.',
              }),
              secret: Type.String({
                pattern: '^whsec_[A-Za-z0-9+/]{32,88}={0,2}$',
                errorMessage: '`whsec_` and 24 to 64 random bytes in base64 (`tollkeeper init` shows how)',
                description: 'Signs them as Standard Webhooks says. Best read from the environment.',
              }),
              product: Type.Optional(
                Type.String({ minLength: 1, description: 'Only events of this product.' }),
              ),
              types: Type.Array(
                Type.String({ minLength: 1, maxLength: 60, description: 'A type of event.' }),
                {
                  default: [],
                  maxItems: 50,
                  uniqueItems: true,
                  description: 'Only these types. Default: all.',
                },
              ),
              allowPrivate: Type.Boolean({
                default: false,
                description:
                  'Let it be an address of a private network, and plain HTTP. Always so in simulated mode.',
              }),
            },
            { ...CLOSED, description: 'A webhook.' },
          ),
          { default: [], maxItems: 50, description: 'Tell these addresses: provisioning, for example.' },
        ),
        email: Type.Optional(
          Type.Object(
            {
              smtpUrl: Type.Optional(
                Type.String({
                  pattern: '^smtps?://[^\\s]+$',
                  errorMessage: 'a URL such as `smtps://user:password@mail.example.com:465`',
                  description:
                    'Mail server. Best read from the environment. Without it, mail is kept in the mailbox page of simulated mode.',
                }),
              ),
              from: Type.String({
                pattern:
                  '^(?:[^\\r\\n<>]{0,200}<[^\\s@<>]{1,64}@[^\\s@<>]{1,190}>|[^\\s@<>]{1,64}@[^\\s@<>]{1,190})$',
                errorMessage: 'an address such as `Example <hello@example.com>`',
                description: 'Sender.',
              }),
              sellerTo: Type.Array(
                Type.String({
                  pattern: '^[^\\s@<>"]{1,64}@[^\\s@<>"]{1,190}$',
                  errorMessage: 'an e-mail address',
                  description: 'An address.',
                }),
                {
                  default: [],
                  maxItems: 20,
                  uniqueItems: true,
                  description: 'Who at the seller is told of registrations, starts and ends.',
                },
              ),
            },
            { ...CLOSED, description: 'Tell by e-mail: a welcome to the buyer, a note to the seller.' },
          ),
        ),
      },
      { ...CLOSED, default: {}, description: 'Whom Tollkeeper tells what happens to subscriptions.' },
    ),
    entitlements: Type.Object(
      {
        refreshMinutes: Type.Integer({
          minimum: 1,
          maximum: 1440,
          default: 60,
          description: 'How often entitlements are read anew, besides at registration and on every event.',
        }),
      },
      { ...CLOSED, default: {}, description: 'What contracts grant.' },
    ),
    usage: Type.Object(
      {
        acceptBackDays: Type.Integer({
          minimum: 1,
          maximum: 35,
          default: 7,
          description: 'Days that an event may be old. Event ids are remembered for a day longer.',
        }),
        acceptAheadMinutes: Type.Integer({
          minimum: 0,
          maximum: 60,
          default: 5,
          description: 'Minutes that an event may be ahead of our clock.',
        }),
      },
      { ...CLOSED, default: {}, description: 'What usage is accepted.' },
    ),
    visitors: Type.Object(
      {
        saltDays: Type.Integer({
          minimum: 1,
          maximum: 366,
          default: 30,
          description:
            'Days until addresses and user agents are hashed with a new salt. Who comes back within as many days is known again; after twice as many, nobody can tell.',
        }),
        keepDays: Type.Integer({
          minimum: 1,
          maximum: 1100,
          default: 90,
          description:
            'Days that one who does not come back is remembered; at least the anonymous plan’s trial and one salt.',
        }),
        newPerAddress: Type.String({
          pattern: '^(off|0|[1-9][0-9]{0,6})$',
          numeric: true,
          default: '20',
          errorMessage: 'a whole number of at most 7 digits, or `off`',
          description:
            'New visitors of one address in an hour without a challenge; of its network (a /48 of IPv6, a /24 of IPv4) ten times as many. `0`: each solves one. `off`: nobody does.',
        }),
        difficulty: Type.Integer({
          minimum: 1,
          maximum: 1_000_000,
          default: 10_000,
          description:
            'Tries of 1,000 rounds of PBKDF2 that a challenge takes at most; half as many at least.',
        }),
      },
      { ...CLOSED, default: {}, description: 'Those who use a product without a key.' },
    ),
    jobs: Type.Object(
      {
        intervalSeconds: Type.Integer({
          minimum: 1,
          maximum: 600,
          default: 30,
          description: 'Seconds between two looks for hours to seal and records to send.',
        }),
      },
      { ...CLOSED, default: {}, description: 'Work in the background.' },
    ),
    products: Type.Array(ProductSchema, { default: [], maxItems: 1000, description: 'What is sold.' }),
    subscriptions: Type.Array(SubscriptionSchema, {
      default: [],
      maxItems: 10_000,
      description: 'Buyers who subscribed before Tollkeeper was there.',
    }),
    connectors: Type.Object(
      { marketplace: Type.Optional(ConnectorSchema) },
      { ...CLOSED, default: {}, description: 'Connectors, in the words of earlier installations.' },
    ),
  },
  { ...CLOSED, description: 'Configuration of Tollkeeper, `tollkeeper.yaml`.' },
)

/** What the file says, with the defaults filled in and not yet checked across its parts. */
export type ConfigFile = Static<typeof ConfigSchema>
export type ProductSection = ConfigFile['products'][number]
export type DimensionSection = ProductSection['dimensions'][number]
export type PlanSection = ProductSection['plans'][number]
export type EndpointSection = ProductSection['endpoints'][number]
export type SubscriptionSection = ConfigFile['subscriptions'][number]

const ListingSchema = Type.Object(
  {
    name: Type.Optional(Type.String({ minLength: 1, maxLength: 200, description: 'Name for people.' })),
    description: Type.Optional(
      Type.String({ maxLength: 5000, description: 'What it is, for the landing page.' }),
    ),
    productCode: Type.Optional(Type.String({ ...PRODUCT_CODE, description: "AWS's product code." })),
    path: Type.Optional(
      Type.String({ ...NAME, description: "Path of the landing page. Default: the listing's key." }),
    ),
    enabled: Type.Boolean({ description: 'False: not sold by this deployment.' }),
  },
  { description: 'One listing.' },
)

/** `marketplace-config.json`: another program's file, so what it has besides is left alone. */
export const MarketplaceFileSchema = Type.Object(
  {
    marketplaceListings: Type.Record(Type.String(), ListingSchema, {
      description: 'Listings by a name of their own.',
    }),
    deploymentSettings: Type.Object(
      {
        region: Type.Optional(
          Type.String({ ...REGION, description: 'AWS region, where `tollkeeper.yaml` has none.' }),
        ),
        environment: Type.Optional(
          Type.String({ minLength: 1, maxLength: 100, description: 'Name of the deployment.' }),
        ),
        retainResources: Type.Optional(
          Type.Boolean({ description: 'Keep tables and buckets when a listing is removed.' }),
        ),
      },
      { default: {}, description: 'Settings of the deployment.' },
    ),
  },
  { description: 'Listings of one deployment, `marketplace-config.json`.' },
)

export type MarketplaceFile = Static<typeof MarketplaceFileSchema>

/** A schema as plain data: the parts of JSON Schema that ours are made of. */
export interface SchemaNode {
  readonly type?: string | readonly string[]
  readonly enum?: readonly unknown[]
  readonly properties?: Readonly<Record<string, SchemaNode>>
  readonly patternProperties?: Readonly<Record<string, SchemaNode>>
  readonly required?: readonly string[]
  readonly additionalProperties?: boolean
  readonly items?: SchemaNode
  readonly default?: unknown
  readonly description?: string
  readonly errorMessage?: string
  readonly numeric?: boolean
  readonly pattern?: string
  readonly minimum?: number
  readonly maximum?: number
  readonly exclusiveMinimum?: number
  readonly minLength?: number
  readonly maxLength?: number
  readonly minItems?: number
  readonly maxItems?: number
}

export function asNode(schema: TSchema): SchemaNode {
  return schema
}
