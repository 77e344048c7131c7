import { Command } from 'commander'
import { confirmRevocations, listRevocable } from '../../domain/entitlements/revoke-unentitled.ts'
import { DomainError } from '../../domain/error.ts'
import { type CommonOptions, changeLedger, cliActor, withLedger } from '../context.ts'
import { guarded, print, table } from '../output.ts'

/** The answer to the alarm `revocation_stopped`: a look, and then a word. */
export function revokeCommand(): Command {
  return new Command('revoke')
    .description(
      'show whose access would end because AWS grants them nothing any more; with --confirm, end it',
    )
    .argument('<product>', 'the product of the alarm `revocation_stopped`')
    .option('--confirm', 'end the access of all of them')
    .option('--config <file>', 'configuration file')
    .option('--json', 'print JSON')
    .action(
      guarded(async (name: string, options: CommonOptions & { confirm?: boolean }) => {
        const open = options.confirm ? changeLedger : withLedger
        const { listed, revoked } = await open(options, async (ledger, clock) => {
          const product = ledger.catalog.find(name)
          if (product === undefined) throw new DomainError('product.not_found', `no product ${name} here`)
          const now = clock.now()
          const found = await listRevocable(ledger, product, now)
          const ended =
            options.confirm === true ? await confirmRevocations(ledger, product, cliActor(), now) : []
          return { listed: found, revoked: ended }
        })
        print(options.json, { subscriptions: listed.map(({ id }) => id), revoked }, () => {
          if (options.confirm === true) return `The access of ${revoked.length} subscriptions ended.`
          if (listed.length === 0)
            return 'AWS grants something to everybody, or has not been asked twice yet.'
          const rows = listed.map(({ id, tenantId, customerAwsAccountId, customerIdentifier }) => [
            id,
            tenantId ?? '',
            customerAwsAccountId ?? customerIdentifier ?? '',
          ])
          return `${table(['subscription', 'tenant', 'account'], rows)}\nIf that is right, end their access with --confirm.`
        })
      }),
    )
}
