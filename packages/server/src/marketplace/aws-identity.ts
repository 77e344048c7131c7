import { DomainError } from '../domain/error.ts'
import { requestHandlerOptions } from './aws-exchange.ts'

const TIMEOUT_MS = 5_000

/**
 * The AWS account of the ambient credentials, by STS. Live mode compares it with the configured seller account before
 * the first call, and `tollkeeper doctor` shows it. Reads credentials: never call it in simulated mode.
 *
 * @param options.endpoint - another address for STS, such as a VPC endpoint; no setting reaches it
 * @throws {DomainError} `marketplace.unavailable`, saying what failed
 */
export async function getAccountId(
  region: string,
  options: { timeoutMs?: number; endpoint?: string; signal?: AbortSignal } = {},
): Promise<string> {
  const { timeoutMs = TIMEOUT_MS, endpoint } = options
  const { GetCallerIdentityCommand, STSClient } = await import('@aws-sdk/client-sts')
  const client = new STSClient({
    region,
    maxAttempts: 2,
    requestHandler: requestHandlerOptions(timeoutMs),
    ...(endpoint === undefined ? {} : { endpoint }),
  })
  const timeout = AbortSignal.timeout(2 * timeoutMs)
  const abortSignal = options.signal ? AbortSignal.any([options.signal, timeout]) : timeout
  try {
    const { Account: account } = await client.send(new GetCallerIdentityCommand({}), { abortSignal })
    if (account === undefined || !/^\d{12}$/.test(account)) throw new Error('STS names no account')
    return account
  } catch (error) {
    const why = error instanceof Error ? `${error.name}: ${error.message}`.split('\n')[0] : String(error)
    throw new DomainError(
      'marketplace.unavailable',
      `cannot tell whose AWS credentials these are (${why}): set up credentials of the seller's account`,
      { cause: error },
    )
  } finally {
    client.destroy()
  }
}
