import { findAwsCaller } from '../compose.ts'
import type { Config } from '../config.ts'
import { CliError } from './output.ts'

/**
 * Before the first call of a live deployment: the credentials, or the role that is assumed with them, must be of the
 * seller's account. A wrong account would meter nothing, or somebody else's product.
 *
 * @throws {CliError} that says what to do
 */
export async function checkLive(config: Config): Promise<void> {
  if (config.mode !== 'live') return
  const { account } = await findAwsCaller(config)
  if (account !== config.aws.accountId) {
    const whose = config.aws.assumeRole === undefined ? 'the AWS credentials are' : 'aws.assumeRole is'
    throw new CliError(
      `live mode: ${whose} of account ${account}, aws.accountId says ${config.aws.accountId}; use the seller's role, or mend aws.accountId`,
    )
  }
}
