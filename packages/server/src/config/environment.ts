/** What a name of the environment does. */
export interface EnvironmentName {
  readonly name: string
  /** Whose name it is: ours, AWS's, or the program's it comes from. */
  readonly origin: string
  /** The setting of `tollkeeper.yaml` that it stands for. */
  readonly sets?: string
  /** `overrides` the file, or `fills` in where the file says nothing. */
  readonly how?: 'overrides' | 'fills'
  /** For a reader of the documentation. */
  readonly meaning: string
}

const CONNECTOR = 'marketplace connector'
const SHEPHERD = 'compliance platform'
const GATEWAY = 'API marketplace'
const STACKS = 'multi-stack deployment'

const UNUSED = 'Accepted, not used yet:'
const NOT_NEEDED = 'Accepted, not needed:'

/**
 * Every name of the environment that means something here, ours and those of the programs whose installations
 * move to Tollkeeper. `${NAME}` within the file may read any other.
 */
export const ENVIRONMENT: readonly EnvironmentName[] = [
  {
    name: 'TOLLKEEPER_CONFIG',
    origin: 'Tollkeeper',
    meaning: 'Path of the configuration file, where the command names none. Default `tollkeeper.yaml`.',
  },
  {
    name: 'TOLLKEEPER_MODE',
    origin: 'Tollkeeper',
    sets: 'mode',
    how: 'overrides',
    meaning: '`simulated`, `shadow` or `live`.',
  },
  {
    name: 'TOLLKEEPER_HOST',
    origin: 'Tollkeeper',
    sets: 'server.host',
    how: 'overrides',
    meaning: 'Address to listen on.',
  },
  {
    name: 'TOLLKEEPER_PORT',
    origin: 'Tollkeeper',
    sets: 'server.port',
    how: 'overrides',
    meaning: 'TCP port to listen on.',
  },
  {
    name: 'TOLLKEEPER_PUBLIC_URL',
    origin: 'Tollkeeper',
    sets: 'server.publicUrl',
    how: 'overrides',
    meaning: 'How buyers and AWS reach this server.',
  },
  {
    name: 'TOLLKEEPER_STORE',
    origin: 'Tollkeeper',
    sets: 'store.url',
    how: 'overrides',
    meaning: 'Where the ledger is; a path is relative to the configuration file.',
  },
  {
    name: 'TOLLKEEPER_AWS_ENDPOINT',
    origin: 'Tollkeeper',
    sets: 'aws.endpoint',
    how: 'overrides',
    meaning: 'Address of the metering service.',
  },
  {
    name: 'TOLLKEEPER_AWS_ACCOUNT_ID',
    origin: 'Tollkeeper',
    sets: 'aws.accountId',
    how: 'overrides',
    meaning: "The seller's AWS account.",
  },
  {
    name: 'LOG_LEVEL',
    origin: SHEPHERD,
    sets: 'log.level',
    how: 'fills',
    meaning: 'In upper or lower case.',
  },
  {
    name: 'AWS_REGION',
    origin: SHEPHERD,
    sets: 'aws.region',
    how: 'fills',
    meaning: 'AWS Lambda sets it as well.',
  },
  {
    name: 'AWS_ACCESS_KEY_ID',
    origin: STACKS,
    meaning:
      'Credentials, read by the AWS SDK in live mode and for `tollkeeper doctor`; never in simulated mode.',
  },
  { name: 'AWS_SECRET_ACCESS_KEY', origin: STACKS, meaning: 'As `AWS_ACCESS_KEY_ID`.' },
  { name: 'AWS_SESSION_TOKEN', origin: STACKS, meaning: 'As `AWS_ACCESS_KEY_ID`.' },
  {
    name: 'MP_PRODUCT_CODE',
    origin: CONNECTOR,
    sets: 'products[].productCode',
    how: 'fills',
    meaning:
      'The product code of the one product that declares none. With `connectors.marketplace` and no product at all, a product of its own.',
  },
  {
    name: 'MARKETPLACE_PRODUCT_CODE',
    origin: SHEPHERD,
    sets: 'products[].productCode',
    how: 'fills',
    meaning: 'As `MP_PRODUCT_CODE`.',
  },
  {
    name: 'PRODUCT_CODE',
    origin: GATEWAY,
    sets: 'products[].productCode',
    how: 'fills',
    meaning: 'As `MP_PRODUCT_CODE`.',
  },
  {
    name: 'S3_LAKE_BUCKET',
    origin: CONNECTOR,
    meaning: `${UNUSED} catalog data is not exported to a data lake.`,
  },
  {
    name: 'EVENTBRIDGE_BUS',
    origin: CONNECTOR,
    sets: 'events.eventBridge.bus',
    how: 'fills',
    meaning: 'Name or ARN of the EventBridge bus that is told what happens to subscriptions.',
  },
  {
    name: 'MARKETPLACE_SECRET_TOKEN',
    origin: SHEPHERD,
    meaning: `${UNUSED} it is to sign what a relay posts to the webhook. AWS itself has no such secret.`,
  },
  {
    name: 'WEBHOOK_ENDPOINT',
    origin: SHEPHERD,
    meaning: `${NOT_NEEDED} the path is always \`/marketplace/webhook\`.`,
  },
  {
    name: 'SERVICE_VERSION',
    origin: SHEPHERD,
    meaning: `${NOT_NEEDED} the version is the installed package's.`,
  },
  { name: 'CUSTOMER_TABLE', origin: SHEPHERD, meaning: `${NOT_NEEDED} buyers are in the ledger's store.` },
  {
    name: 'SUBSCRIPTION_TABLE',
    origin: SHEPHERD,
    meaning: `${NOT_NEEDED} subscriptions are in the ledger's store.`,
  },
  { name: 'USAGE_TABLE', origin: SHEPHERD, meaning: `${NOT_NEEDED} usage is in the ledger's store.` },
  { name: 'SUBSCRIBERS_TABLE', origin: GATEWAY, meaning: `${NOT_NEEDED} buyers are in the ledger's store.` },
  {
    name: 'METERING_RECORDS_TABLE',
    origin: GATEWAY,
    meaning: `${NOT_NEEDED} usage is in the ledger's store.`,
  },
]

export type Environment = Readonly<Record<string, string | undefined>>

/** A variable's value; one that is empty counts as not set. */
export function readEnvironment(env: Environment, name: string): string | undefined {
  const value = Object.hasOwn(env, name) ? env[name] : undefined
  return typeof value === 'string' && value !== '' ? value : undefined
}
