import Type, { type Static } from 'typebox'
import { AwsSchema, NotificationsSchema } from './schema/aws.ts'
import { EventsSchema } from './schema/events.ts'
import { ProductSchema } from './schema/products.ts'
import { ServerSchema } from './schema/server.ts'
import { StoreSchema } from './schema/store.ts'
import { ConnectorSchema, SubscriptionSchema } from './schema/subscriptions.ts'
import { CLOSED } from './schema/values.ts'

/**
 * The shape of `tollkeeper.yaml`, and the only place that has its defaults, bounds and descriptions: the loader, the
 * published JSON Schema and `docs/configuration.md` are made from it. A property with a `default` may be left out.
 *
 * `errorMessage` says what a value must be where type and bounds do not (editors with a JSON Schema show it, too).
 * `numeric` marks text of digits that may be written as a YAML number: its own spelling counts, never a float of it.
 */
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
    server: ServerSchema,
    store: StoreSchema,
    aws: AwsSchema,
    notifications: NotificationsSchema,
    events: EventsSchema,
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
