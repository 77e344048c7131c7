import Type from 'typebox'
import { ACCOUNT_ID, CLOSED, HTTP_URL, REGION } from './values.ts'

export const AwsSchema = Type.Object(
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
)

export const NotificationsSchema = Type.Object(
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
)
