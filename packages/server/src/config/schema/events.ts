import Type from 'typebox'
import { CLOSED, NAME, REGION } from './values.ts'

export const EventsSchema = Type.Object(
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
          product: Type.Optional(Type.String({ minLength: 1, description: 'Only events of this product.' })),
          types: Type.Array(Type.String({ minLength: 1, maxLength: 60, description: 'A type of event.' }), {
            default: [],
            maxItems: 50,
            uniqueItems: true,
            description: 'Only these types. Default: all.',
          }),
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
)
