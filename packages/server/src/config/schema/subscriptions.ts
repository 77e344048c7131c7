import Type from 'typebox'
import { ACCOUNT_ID, CLOSED, LICENSE_ARN } from './values.ts'

export const SubscriptionSchema = Type.Object(
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

export const ConnectorSchema = Type.Object(
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
