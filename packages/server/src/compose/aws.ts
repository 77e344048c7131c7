import type { Config } from '../config.ts'
import type { Clock } from '../domain/clock.ts'
import type { EntitlementService } from '../domain/entitlements/entitlement.ts'
import type { AgreementService } from '../domain/subscriptions/agreement-service.ts'
import type { NotificationQueue } from '../domain/subscriptions/notification-queue.ts'
import type { MeteringService } from '../domain/usage/metering-service.ts'
import type { AwsClientOptions, AwsCredentials } from '../marketplace/aws-client.ts'
import type { AwsCaller } from '../marketplace/aws-identity.ts'

export async function createMetering(config: Config): Promise<MeteringService> {
  const { createAwsMetering } = await import('../marketplace/aws-metering.ts')
  return createAwsMetering({ ...(await awsClientOptions(config)), endpoint: config.aws.endpoint })
}

/** AWS's entitlement service; its client is made at the first call. */
export async function createEntitlements(config: Config, clock: Clock): Promise<EntitlementService> {
  const { createAwsEntitlements } = await import('../marketplace/aws-entitlements.ts')
  return createAwsEntitlements({ ...(await awsClientOptions(config)), clock })
}

/**
 * AWS's Agreement API; its client is made at the first call.
 *
 * @param pace.haste - wait so many times less between calls: where AWS is simulated, and its quotas are not at stake
 */
export async function createAgreements(
  config: Config,
  pace: { readonly haste?: number } = {},
): Promise<AgreementService> {
  const { createAwsAgreements } = await import('../marketplace/aws-agreements.ts')
  return createAwsAgreements({ ...(await awsClientOptions(config)), ...pace })
}

export async function openQueues(config: Config): Promise<readonly NotificationQueue[]> {
  const { sqsQueues } = config.notifications
  if (sqsQueues.length === 0) return []
  const { createSqsQueue } = await import('../marketplace/notifications/sqs-queue.ts')
  const options = await awsClientOptions(config)
  return sqsQueues.map((queueUrl) => createSqsQueue({ ...options, queueUrl, region: config.aws.region }))
}

/**
 * Items of a DynamoDB table in its typed JSON, page by page. In simulated mode only of an endpoint on this machine.
 *
 * @throws {DomainError} `marketplace.unavailable`
 */
export async function* scanDynamoTable(
  config: Config,
  table: { readonly table: string; readonly region: string; readonly endpoint: string | undefined },
): AsyncIterable<readonly unknown[]> {
  const { scanTable } = await import('../marketplace/dynamodb-table.ts')
  yield* scanTable({ ...(await awsClientOptions(config)), ...table })
}

const credentialsOf = new WeakMap<Config, AwsCredentials>()

/**
 * What every AWS client is made from: mode, timeout and credentials, one session of an assumed role for all. The
 * address is AWS's own, or in simulated mode the simulator's; `aws.endpoint` elsewhere is metering's alone.
 */
export async function awsClientOptions(config: Config): Promise<AwsClientOptions> {
  const { mode, aws } = config
  if (!credentialsOf.has(config)) {
    const { createAwsCredentials } = await import('../marketplace/aws-credentials.ts')
    // Another may have made them meanwhile: all share one session.
    if (!credentialsOf.has(config))
      credentialsOf.set(
        config,
        createAwsCredentials({ mode, region: aws.region, assumeRole: aws.assumeRole }),
      )
  }
  return {
    mode,
    timeoutMs: aws.timeoutMs,
    endpoint: mode === 'simulated' ? aws.endpoint : undefined,
    credentials: credentialsOf.get(config),
  }
}

/**
 * Whom AWS takes this deployment for: the assumed role where one is configured, else the machine's own credentials.
 * Never asked in simulated mode.
 */
export async function findAwsCaller(config: Config): Promise<AwsCaller> {
  const { getCaller } = await import('../marketplace/aws-identity.ts')
  const { credentials } = await awsClientOptions(config)
  return getCaller(config.aws.region, { credentials })
}
