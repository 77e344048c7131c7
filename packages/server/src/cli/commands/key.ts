import { Command } from 'commander'
import { issueServiceKey } from '../../domain/keys/issue-service-key.ts'
import { KEY_SCOPES, type KeyScope } from '../../domain/keys/service-key.ts'
import { KEY_CACHE_MS } from '../../domain/keys/verify-service-key.ts'
import { type CommonOptions, changeLedger, cliActor, withLedger } from '../context.ts'
import { CliError, guarded, print, table } from '../output.ts'

const RATE_MAX = 1_000_000

export function keyCommand(): Command {
  const command = new Command('key').description('service keys: what a product shows to report its usage')
  command
    .command('create')
    .description('make a key; its secret is shown once')
    .requiredOption('--name <name>', 'what it is for')
    .option('--scope <scope...>', `what it may do: ${KEY_SCOPES.join(', ')}`, ['usage:write'])
    .option('--product <id>', 'bind it to one product')
    .option('--rate <requests>', 'a second, to report usage and ask the gate; 0: any number', readRate)
    .option('--config <file>', 'configuration file')
    .option('--json', 'print JSON')
    .action(
      guarded(
        async (
          options: CommonOptions & { name: string; scope: string[]; product?: string; rate?: number },
        ) => {
          const wrong = options.scope.find((scope) => !(KEY_SCOPES as readonly string[]).includes(scope))
          if (wrong !== undefined)
            throw new CliError(`--scope ${wrong} is none: use ${KEY_SCOPES.join(', ')}`)
          await changeLedger(options, async (ledger, clock) => {
            const product = options.product === undefined ? undefined : ledger.catalog.find(options.product)
            if (options.product !== undefined && product === undefined)
              throw new CliError(`no product ${options.product} in the configuration`)
            const request = {
              name: options.name,
              scopes: options.scope as KeyScope[],
              product: product?.id,
              ratePerSecond: options.rate,
            }
            const { key, secret } = await issueServiceKey({ keys: ledger.keys, clock }, request, cliActor())
            print(
              options.json,
              {
                id: key.id,
                name: key.name,
                scopes: key.scopes,
                product: key.product,
                ratePerSecond: key.ratePerSecond,
                secret,
              },
              () =>
                [
                  `${secret}`,
                  '',
                  `Key ${key.id} (${key.scopes.join(', ')}${key.product ? `, product ${key.product}` : ''}). Keep the secret: it is not shown again.`,
                ].join('\n'),
            )
          })
        },
      ),
    )
  command
    .command('list')
    .description('all keys, without their secrets')
    .option('--config <file>', 'configuration file')
    .option('--json', 'print JSON')
    .action(
      guarded(async (options: CommonOptions) => {
        const keys = await withLedger(options, (ledger) => ledger.keys.list())
        const shown = keys.map(({ hash: _, ...key }) => key)
        print(options.json, { keys: shown }, () =>
          table(
            ['key', 'name', 'scopes', 'product', 'created', 'revoked'],
            shown.map((key) => [
              key.id,
              key.name,
              key.scopes.join(' '),
              key.product ?? 'all',
              day(key.createdAt),
              key.revokedAt === undefined ? '' : day(key.revokedAt),
            ]),
          ),
        )
      }),
    )
  command
    .command('revoke')
    .description('end a key: servers that run refuse it within 5 seconds')
    .argument('<id>', 'the key, key_…')
    .option('--config <file>', 'configuration file')
    .option('--json', 'print JSON')
    .action(
      guarded(async (id: string, options: CommonOptions) => {
        await changeLedger(options, (ledger, clock) => ledger.keys.revoke(id, cliActor(), clock.now()))
        print(
          options.json,
          { id, revoked: true },
          () => `Revoked ${id}: servers that run refuse it within ${KEY_CACHE_MS / 1000} seconds.`,
        )
      }),
    )
  return command
}

/** As the configuration's own limits. */
function readRate(text: string): number {
  if (!/^[0-9]{1,7}$/.test(text) || Number(text) > RATE_MAX)
    throw new CliError(`--rate ${text} is none: use a whole number of requests a second, at most ${RATE_MAX}`)
  return Number(text)
}

function day(time: number): string {
  return new Date(time).toISOString().slice(0, 16).replace('T', ' ')
}
