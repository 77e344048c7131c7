import Type from 'typebox'
import { CLOSED, HTTP_URL, perMinute, perSecond } from './values.ts'

export const ServerSchema = Type.Object(
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
)
