import { DomainError } from '../domain/error.ts'
import type { AwsCredentials } from './aws-client.ts'
import { requestHandlerOptions } from './aws-exchange.ts'

const TIMEOUT_MS = 5_000

/** Whom AWS takes us for. */
export interface AwsCaller {
  /** 12 digits. */
  readonly account: string
  /** Such as `arn:aws:sts::123456789012:assumed-role/tollkeeper/session`. */
  readonly arn: string
  /** The machine's own credentials are a key that never ends: a role's would be safer. */
  readonly longLivedKey: boolean
}

interface Options {
  readonly timeoutMs?: number
  readonly endpoint?: string
  readonly signal?: AbortSignal
  /** `createAwsCredentials()`: of the role, where one is to be assumed. */
  readonly credentials?: AwsCredentials
}

/**
 * The AWS account that our calls are of, by STS. Live mode compares it with the configured seller account before
 * the first call, and `tollkeeper doctor` shows it. Reads credentials: never call it in simulated mode.
 *
 * @param options.endpoint - another address for STS, such as a VPC endpoint; no setting reaches it
 * @throws {DomainError} `marketplace.unavailable`, saying what failed
 */
export async function getAccountId(region: string, options: Options = {}): Promise<string> {
  return (await getCaller(region, options)).account
}

/** @throws {DomainError} `marketplace.unavailable`, saying what failed */
export async function getCaller(region: string, options: Options = {}): Promise<AwsCaller> {
  const { timeoutMs = TIMEOUT_MS, endpoint, credentials } = options
  const { GetCallerIdentityCommand, STSClient } = await import('@aws-sdk/client-sts')
  const shared = {
    region,
    maxAttempts: 2,
    requestHandler: requestHandlerOptions(timeoutMs),
    ...(endpoint === undefined ? {} : { endpoint }),
  }
  const ambient = new STSClient(shared)
  const client = credentials === undefined ? ambient : new STSClient({ ...shared, credentials })
  const timeout = AbortSignal.timeout(2 * timeoutMs)
  const abortSignal = options.signal ? AbortSignal.any([options.signal, timeout]) : timeout
  try {
    const { Account: account, Arn: arn = '' } = await client.send(new GetCallerIdentityCommand({}), {
      abortSignal,
    })
    if (account === undefined || !/^\d{12}$/.test(account)) throw new Error('STS names no account')
    const { accessKeyId } = await ambient.config.credentials()
    return { account, arn, longLivedKey: accessKeyId.startsWith('AKIA') }
  } catch (error) {
    // Of a role that cannot be assumed, all is said already.
    if (error instanceof DomainError) throw error
    const why = error instanceof Error ? `${error.name}: ${error.message}`.split('\n')[0] : String(error)
    throw new DomainError(
      'marketplace.unavailable',
      `cannot tell whose AWS credentials these are (${why}): set up credentials of the seller's account`,
      { cause: error },
    )
  } finally {
    ambient.destroy()
    client.destroy()
  }
}
