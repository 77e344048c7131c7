import { DomainError } from '../domain/error.ts'
import type { AwsCredentials, AwsIdentity } from './aws-client.ts'
import { requestHandlerOptions } from './aws-exchange.ts'

/** A role to assume, as configuration says it. */
export interface RoleToAssume {
  readonly roleArn: string
  readonly externalId: string | undefined
  readonly sessionName: string
}

/**
 * Keys are renewed this long before their end. The SDK asks anew five minutes before it, and must then be given others.
 */
const RENEW_AHEAD_MS = 10 * 60_000
/** After a renewal that failed, the keys at hand serve for this long before the next try. */
const RETRY_MS = 30_000
/** AWS's default, and the most that a role assumed from a role may have. */
const SESSION_SECONDS = 3_600
const TIMEOUT_MS = 5_000
const MESSAGE_LENGTH_MAX = 300

/**
 * What every AWS client of the server is given as its credentials.
 *
 * - without `assumeRole`: undefined, so that each client takes the machine's own (a role of the task, instance or pod,
 *   or a profile)
 * - with it: one session of the role for all clients, renewed ahead of its end
 * - in simulated mode: undefined, and `awsClientConfig` signs with made-up keys: nothing ambient is read
 */
export function createAwsCredentials(options: {
  readonly mode: 'simulated' | 'shadow' | 'live'
  readonly region: string
  readonly assumeRole: RoleToAssume | undefined
  /** Another address for STS, such as a VPC endpoint; no setting reaches it. */
  readonly stsEndpoint?: string
  /** Milliseconds since the epoch by the machine's clock: AWS's keys end by real time. */
  readonly now?: () => number
}): AwsCredentials {
  const { mode, region, assumeRole: role, stsEndpoint, now = Date.now } = options
  if (mode === 'simulated' || role === undefined) return undefined
  return renewing(() => assumeRole(role, region, stsEndpoint), now)
}

/**
 * One session for all who ask, renewed ahead of its end, by one renewal at a time. Where a renewal fails, the keys at
 * hand serve to their end.
 */
function renewing(begin: () => Promise<AwsIdentity>, now: () => number): () => Promise<AwsIdentity> {
  let current: AwsIdentity | undefined
  let renewal: Promise<AwsIdentity> | undefined
  let retryAt = Number.NEGATIVE_INFINITY

  function renew(): Promise<AwsIdentity> {
    renewal ??= begin()
      .then((identity) => {
        current = identity
        return identity
      })
      .catch((error) => {
        retryAt = now() + RETRY_MS
        throw error
      })
      .finally(() => {
        renewal = undefined
      })
    return renewal
  }

  return async () => {
    const left = current === undefined ? 0 : (current.expiration?.getTime() ?? 0) - now()
    if (current !== undefined && left > RENEW_AHEAD_MS) return current
    const fallback = left > 0 ? current : undefined
    if (fallback !== undefined && now() < retryAt) return fallback
    try {
      return await renew()
    } catch (error) {
      if (fallback !== undefined) return fallback
      throw error
    }
  }
}

/** @throws {DomainError} `marketplace.unavailable` that says which role, and what to look at */
async function assumeRole(
  role: RoleToAssume,
  region: string,
  endpoint: string | undefined,
): Promise<AwsIdentity> {
  const { AssumeRoleCommand, STSClient } = await import('@aws-sdk/client-sts')
  const client = new STSClient({
    region,
    maxAttempts: 3,
    requestHandler: requestHandlerOptions(TIMEOUT_MS),
    ...(endpoint === undefined ? {} : { endpoint }),
  })
  try {
    const { Credentials: keys } = await client.send(
      new AssumeRoleCommand({
        RoleArn: role.roleArn,
        RoleSessionName: role.sessionName,
        DurationSeconds: SESSION_SECONDS,
        ...(role.externalId !== undefined && { ExternalId: role.externalId }),
      }),
      { abortSignal: AbortSignal.timeout(3 * TIMEOUT_MS) },
    )
    const {
      AccessKeyId: accessKeyId,
      SecretAccessKey: secretAccessKey,
      SessionToken: sessionToken,
    } = keys ?? {}
    if (!accessKeyId || !secretAccessKey || !sessionToken || keys?.Expiration === undefined)
      throw new Error('STS answered without keys')
    return { accessKeyId, secretAccessKey, sessionToken, expiration: keys.Expiration }
  } catch (error) {
    throw new DomainError('marketplace.unavailable', explain(role, error), {
      details: { role: role.roleArn, reason: nameOf(error) },
    })
  } finally {
    client.destroy()
  }
}

/** The external id is between two parties: it is said to be set or not, never shown. Nor is the cause kept. */
function explain({ roleArn, externalId }: RoleToAssume, error: unknown): string {
  const name = nameOf(error)
  const text = error instanceof Error ? error.message.replace(/\s+/g, ' ') : String(error)
  const said = (externalId === undefined ? text : text.replaceAll(externalId, '…')).slice(
    0,
    MESSAGE_LENGTH_MAX,
  )
  const hint =
    name === 'AccessDenied' || name === 'AccessDeniedException'
      ? `: its trust policy must name the caller and ${
          externalId === undefined
            ? 'ask for no external id (aws.assumeRole.externalId is not set)'
            : 'the same external id as aws.assumeRole.externalId'
        }, and the caller must be allowed sts:AssumeRole on it`
      : name === 'CredentialsProviderError'
        ? ': there are no AWS credentials here to assume it with'
        : ''
  return `cannot assume the role ${roleArn} (${name}: ${said})${hint}`
}

function nameOf(error: unknown): string {
  return error instanceof Error ? error.name : 'unknown error'
}
