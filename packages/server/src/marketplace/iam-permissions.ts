/**
 * What the server asks of AWS, and nothing more: `docs/iam.md` is made from this list, and a test compares it with the
 * calls in the code.
 */
export interface Permission {
  /** What of Tollkeeper needs it. */
  readonly feature: string
  /** When it is needed: for people. */
  readonly when: string
  readonly sid: string
  readonly actions: readonly string[]
  readonly resources: readonly string[]
  /** For as long as something takes, and no part of the whole policy: what it is then needed for, as the page says it. */
  readonly whoFor?: string
}

/** AWS knows no resources for Marketplace's metering, entitlements and agreements. */
const ANY = ['*']
const ACCOUNT = '123456789012'
const LEDGER = `arn:aws:dynamodb:us-east-1:${ACCOUNT}:table/tollkeeper`

export const PERMISSIONS: readonly Permission[] = [
  {
    feature: 'Metering',
    when: 'always; without it nothing is billed',
    sid: 'Metering',
    actions: ['aws-marketplace:BatchMeterUsage'],
    resources: ANY,
  },
  {
    feature: 'Registration',
    when: 'always; in the account that published the listings',
    sid: 'Registration',
    actions: ['aws-marketplace:ResolveCustomer'],
    resources: ANY,
  },
  {
    feature: 'Entitlements',
    when: 'for products with `pricing: contract` or `contract-with-consumption`',
    sid: 'Entitlements',
    actions: ['aws-marketplace:GetEntitlements'],
    resources: ANY,
  },
  {
    feature: 'Agreements',
    when: 'recommended: heals notifications that got lost (`subscription sync`), `subscription import agreements`, free trials',
    sid: 'Agreements',
    actions: [
      'aws-marketplace:SearchAgreements',
      'aws-marketplace:DescribeAgreement',
      'aws-marketplace:GetAgreementTerms',
    ],
    resources: ANY,
  },
  {
    feature: 'Cancellation requests',
    when: 'where you ask buyers to cancel (`DELETE /marketplace/subscriptions/{id}`)',
    sid: 'CancellationRequests',
    actions: [
      'aws-marketplace:SendAgreementCancellationRequest',
      'aws-marketplace:ListAgreementCancellationRequests',
    ],
    resources: ANY,
  },
  {
    feature: 'Notifications from queues',
    when: 'for each of `notifications.sqsQueues`',
    sid: 'Notifications',
    actions: ['sqs:ReceiveMessage', 'sqs:DeleteMessage', 'sqs:ChangeMessageVisibility'],
    resources: [`arn:aws:sqs:us-east-1:${ACCOUNT}:marketplace-notifications`],
  },
  {
    feature: 'Telling an event bus',
    when: 'with `events.eventBridge`',
    sid: 'Events',
    actions: ['events:PutEvents'],
    resources: [`arn:aws:events:us-east-1:${ACCOUNT}:event-bus/default`],
  },
  {
    feature: 'The ledger on DynamoDB',
    when: 'with `store.url: dynamodb://…`',
    sid: 'Ledger',
    actions: [
      'dynamodb:DescribeTable',
      'dynamodb:DescribeContinuousBackups',
      'dynamodb:DescribeTimeToLive',
      'dynamodb:GetItem',
      'dynamodb:BatchGetItem',
      'dynamodb:Query',
      'dynamodb:PutItem',
      'dynamodb:UpdateItem',
      'dynamodb:DeleteItem',
      'dynamodb:ConditionCheckItem',
    ],
    resources: [LEDGER, `${LEDGER}/index/*`],
  },
  {
    feature: 'Making that table',
    when: 'for its first start, if your infrastructure does not make it; take it away afterwards',
    sid: 'LedgerSetUp',
    // Nothing of ours deletes a table at AWS: rehearsals make and delete theirs on this machine alone.
    actions: ['dynamodb:CreateTable', 'dynamodb:UpdateTimeToLive'],
    resources: [LEDGER],
    whoFor: 'Whoever makes the ledger’s table on DynamoDB',
  },
  {
    feature: 'Moving house from or to DynamoDB',
    when: 'while you run `db copy` with a `dynamodb://…` store; take it away afterwards',
    sid: 'LedgerCopy',
    actions: ['dynamodb:Scan'],
    resources: [LEDGER],
    whoFor: 'Whoever runs `db copy` from or to DynamoDB',
  },
  {
    feature: 'Import from DynamoDB',
    when: 'while you run `subscription import dynamodb://…`; take it away afterwards',
    sid: 'Import',
    actions: ['dynamodb:Scan'],
    resources: [
      `arn:aws:dynamodb:us-east-1:${ACCOUNT}:table/AWSMarketplaceSubscribers`,
      `arn:aws:dynamodb:us-east-1:${ACCOUNT}:table/AWSMarketplaceMeteringRecords`,
    ],
    whoFor: 'Whoever imports from DynamoDB',
  },
]

/** A policy document of these permissions. */
export function iamPolicy(permissions: readonly Permission[]): object {
  return {
    Version: '2012-10-17',
    Statement: permissions.map(({ sid, actions, resources }) => ({
      Sid: sid,
      Effect: 'Allow',
      Action: actions,
      Resource: resources.length === 1 ? resources[0] : resources,
    })),
  }
}

const TRUST = {
  Version: '2012-10-17',
  Statement: [
    {
      Effect: 'Allow',
      Principal: { AWS: 'arn:aws:iam::999988887777:role/tollkeeper-task' },
      Action: 'sts:AssumeRole',
      Condition: { StringEquals: { 'sts:ExternalId': 'a long random text that only you two know' } },
    },
  ],
}

const MAY_ASSUME = {
  Version: '2012-10-17',
  Statement: [
    {
      Effect: 'Allow',
      Action: 'sts:AssumeRole',
      Resource: `arn:aws:iam::${ACCOUNT}:role/marketplace-seller`,
    },
  ],
}

function jsonBlock(document: object): string {
  return `\`\`\`json\n${JSON.stringify(document, null, 2)}\n\`\`\``
}

/** `docs/iam.md`. */
export function iamPage(): string {
  const standing = PERMISSIONS.filter(({ whoFor }) => whoFor === undefined)
  const passing = PERMISSIONS.flatMap((permission) =>
    permission.whoFor === undefined
      ? []
      : [`${permission.whoFor}, as long as it takes:\n\n${jsonBlock(iamPolicy([permission]))}`],
  )
  const rows = PERMISSIONS.map(
    ({ feature, when, actions }) =>
      `| ${feature} | ${when} | ${actions.map((action) => `\`${action}\``).join(', ')} |`,
  )
  return `# AWS permissions

<!-- Made from packages/server/src/marketplace/iam-permissions.ts by \`npm run generate\`: change it there. -->

Tollkeeper calls AWS with the role of the machine that it runs on: an ECS task, a Lambda function, an EC2 instance, a pod. There is no
setting for an access key, and there will be none: a role's keys end by themselves, a key in a file is there for good. In simulated mode
nothing of AWS's credentials is read. \`tollkeeper doctor\` says whom AWS takes it for, and warns of a user's key in live mode.

The account must be the one that published the listings: AWS resolves registrations and takes usage from no other. \`aws.accountId\` says
which it is, and live mode compares it with AWS's answer before the first call.

## What it asks for

| for | when | actions |
| --- | --- | --- |
${rows.join('\n')}

AWS knows no resources for the \`aws-marketplace\` actions of metering, entitlements and agreements: their resource is \`*\`. Names of queues,
buses and tables below are examples. A queue or table that is encrypted with a key of your own needs \`kms:Decrypt\` on that key as well.
Asking AWS whose credentials they are (\`sts:GetCallerIdentity\`) needs no permission.

What is not permitted and not needed is missed nowhere. Without the agreements, lost notifications are not healed: one alarm says so.

## The whole policy

All that it needs for good; what some work needs for as long as it takes is no part of it, and follows.

${jsonBlock(iamPolicy(standing))}

${passing.join('\n\n')}

## Another account

Where Tollkeeper runs in another account than the seller's, it assumes a role there:

\`\`\`yaml
aws:
  accountId: "${ACCOUNT}" # the seller's: of the role, not of the machine
  assumeRole:
    roleArn: arn:aws:iam::${ACCOUNT}:role/marketplace-seller
    externalId: \${TOLLKEEPER_EXTERNAL_ID}
\`\`\`

The role has the policy above and trusts the machine's role, with the external id: without one, whoever else the machine's operator works for
could have it assume your role. Session name and calls are in CloudTrail of the seller's account.

${jsonBlock(TRUST)}

The machine's own role needs only this:

${jsonBlock(MAY_ASSUME)}

One session of an hour serves all calls, and is renewed ten minutes before its end; a renewal that fails is tried again every half minute while
the session at hand serves. Queues, buses and tables are then used with the assumed role too: where they are in the machine's account, their own
policies must let it in.
`
}
