import { findAwsAccount } from '../compose.ts'
import type { Config } from '../config.ts'
import { CliError } from './output.ts'

/**
 * Before the first call of a live deployment: the credentials must be of the seller's account. A wrong account would meter
 * nothing, or somebody else's product.
 *
 * @throws {CliError} that says what to do
 */
export async function checkLive(config: Config): Promise<void> {
  if (config.mode !== 'live') return
  const account = await findAwsAccount(config)
  if (account !== config.aws.accountId) {
    throw new CliError(
      `live mode: the AWS credentials are of account ${account}, aws.accountId says ${config.aws.accountId}; use the seller's role, or mend aws.accountId`,
    )
  }
}
