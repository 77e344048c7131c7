import { Command } from 'commander'
import { composeManageApiKeys, type Ledger } from '../../compose.ts'
import type { Clock } from '../../domain/clock.ts'
import { type ApiKey, stateOf } from '../../domain/keys/api-key.ts'
import { OVERLAP_MS, OVERLAP_MS_MAX } from '../../domain/keys/change-api-key.ts'
import type { ManageApiKeys } from '../../domain/keys/manage-api-keys.ts'
import { readTime } from '../../domain/usage/read-time.ts'
import { type CommonOptions, changeLedger, cliActor, withLedger } from '../context.ts'
import { CliError, guarded, integerOption, print, table } from '../output.ts'

interface OwnerOptions {
  readonly buyer?: string
  readonly subscription?: string
  readonly tenant?: string
  readonly license?: string
  readonly account?: string
  readonly customer?: string
}

interface CreateOptions extends CommonOptions, OwnerOptions {
  readonly product?: string
  readonly user?: string
  readonly name?: string
  readonly scope: string[]
  readonly expires?: string
}

interface ListOptions extends CommonOptions, Pick<OwnerOptions, 'buyer' | 'subscription'> {
  readonly product?: string
  readonly user?: string
  readonly limit: string
}

interface RotateOptions extends CommonOptions {
  readonly overlap: string
  readonly expires?: string
}

/** Changes made here hold in servers that run within 5 seconds. */
export function apiKeyCommand(): Command {
  const command = new Command('api-key').description('API keys: what your users show to your product')
  command.addCommand(createCommand())
  command.addCommand(listCommand())
  command.addCommand(rotateCommand())
  command.addCommand(revokeCommand())
  return command
}

function createCommand(): Command {
  return new Command('create')
    .description('make a key for a user of one buyer; it is shown once')
    .option('--buyer <id>', 'whose it is, buy_…')
    .option('--subscription <id>', 'whose it is, and the only subscription that it is good for, sub_…')
    .option('--tenant <id>', 'whose it is, by your own name of the workspace')
    .option('--license <arn>', 'whose it is, by AWS’s license')
    .option('--account <id>', 'whose it is, by AWS account')
    .option('--customer <id>', 'whose it is, by AWS’s legacy customer identifier')
    .option('--product <id>', 'of this product, where the name of the buyer does not say')
    .option('--user <id>', 'your own id of the user; not a name or an address')
    .option('--name <name>', 'what the user calls it')
    .option('--scope <scope...>', 'what it may do, in your own words', [])
    .option('--expires <time>', 'from then on it is refused: RFC 3339, or days from now such as 90d')
    .option('--config <file>', 'configuration file')
    .option('--json', 'print JSON')
    .action(
      guarded(async (options: CreateOptions) => {
        const reference = {
          buyerId: options.buyer,
          subscriptionId: options.subscription,
          tenantId: options.tenant,
          licenseArn: options.license,
          customerAwsAccountId: options.account,
          customerIdentifier: options.customer,
        }
        if (Object.values(reference).every((value) => value === undefined))
          throw new CliError(
            'say whose it is: --buyer, --subscription, --tenant, --license, --account or --customer',
          )
        await withKeys(options, async (keys, ledger, clock) => {
          const { key, secret } = await keys.issue(
            {
              product: productOf(ledger, options.product),
              reference,
              user: options.user,
              name: options.name,
              scopes: options.scope,
              expiresAt: timeOption(options.expires, clock.now()),
            },
            cliActor(),
          )
          print(options.json, { ...view(key, clock.now()), key: secret }, () =>
            [secret, '', `${madeText(key)} Keep the secret: it is not shown again.`].join('\n'),
          )
        })
      }),
    )
}

function listCommand(): Command {
  return new Command('list')
    .description('newest first, without secrets; all filters that are given must fit')
    .option('--product <id>', 'only of this product; needed where there are several and nothing else is said')
    .option('--buyer <id>', 'only of this buyer, buy_…')
    .option('--subscription <id>', 'only those bound to this subscription, sub_…')
    .option('--user <id>', 'only of this user')
    .option('--limit <n>', 'at most this many', '50')
    .option('--config <file>', 'configuration file')
    .option('--json', 'print JSON')
    .action(
      guarded(async (options: ListOptions) => {
        const limit = integerOption('--limit', options.limit, 1, 10_000)
        await withKeys(
          options,
          async (keys, ledger, clock) => {
            const { buyer, subscription, user } = options
            const isOpen = [buyer, subscription, user].every((value) => value === undefined)
            const product = productOf(ledger, options.product) ?? (isOpen ? onlyProduct(ledger) : undefined)
            const found = await keys.list({ product, buyer, subscription, user }, { limit })
            const shown = found.map((key) => view(key, clock.now()))
            print(options.json, { keys: shown }, () =>
              shown.length === 0
                ? 'No such keys.'
                : table(
                    [
                      'key',
                      'ends in',
                      'state',
                      'name',
                      'user',
                      'buyer',
                      'scopes',
                      'created',
                      'until',
                      'last used',
                    ],
                    shown.map((key) => [
                      key.id,
                      key.hint,
                      key.state,
                      key.name ?? '',
                      key.user ?? '',
                      key.buyer,
                      key.scopes.join(' '),
                      minute(key.createdAt),
                      minute(endOf(key)),
                      minute(key.lastUsedAt),
                    ]),
                  ),
            )
          },
          withLedger,
        )
      }),
    )
}

function rotateCommand(): Command {
  return new Command('rotate')
    .description('make a new key in the place of one, which works on for a while')
    .argument('<id>', 'the key, apk_…')
    .option('--overlap <seconds>', 'how long the old one works on; 0: not at all', String(OVERLAP_MS / 1000))
    .option('--expires <time>', 'from then on the new one is refused: RFC 3339, or days from now such as 90d')
    .option('--config <file>', 'configuration file')
    .option('--json', 'print JSON')
    .action(
      guarded(async (id: string, options: RotateOptions) => {
        const overlapMs = integerOption('--overlap', options.overlap, 0, OVERLAP_MS_MAX / 1000) * 1000
        await withKeys(options, async (keys, _, clock) => {
          const expiresAt = timeOption(options.expires, clock.now())
          const { key, secret, replaced } = await keys.rotate(id, { overlapMs, expiresAt }, cliActor())
          const replaces = view(replaced, clock.now())
          print(options.json, { ...view(key, clock.now()), key: secret, replaces }, () =>
            [
              secret,
              '',
              `${madeText(key)} Keep the secret: it is not shown again. ${id} works until ${minute(replaced.usableUntil)} UTC.`,
            ].join('\n'),
          )
        })
      }),
    )
}

function revokeCommand(): Command {
  return new Command('revoke')
    .description('end a key: servers that run refuse it within 5 seconds')
    .argument('<id>', 'the key, apk_…')
    .option('--config <file>', 'configuration file')
    .option('--json', 'print JSON')
    .action(
      guarded(async (id: string, options: CommonOptions) => {
        await withKeys(options, async (keys, _, clock) => {
          const key = await keys.revoke(id, cliActor())
          print(options.json, view(key, clock.now()), () => `Revoked ${id}.`)
        })
      }),
    )
}

async function withKeys(
  options: CommonOptions,
  work: (keys: ManageApiKeys, ledger: Ledger, clock: Clock) => Promise<void>,
  open = changeLedger,
): Promise<void> {
  await open(options, (ledger, clock) => work(composeManageApiKeys(ledger, clock), ledger, clock))
}

function productOf({ catalog }: Ledger, name: string | undefined): string | undefined {
  if (name === undefined) return undefined
  const product = catalog.find(name)
  if (product === undefined)
    throw new CliError(`there is no product ${name}: there are ${productIds(catalog)}`)
  return product.id
}

function onlyProduct({ catalog }: Ledger): string {
  const [only, ...others] = catalog.list()
  if (only === undefined || others.length > 0)
    throw new CliError(`say which product by --product: there are ${productIds(catalog)}`)
  return only.id
}

function productIds(catalog: Ledger['catalog']): string {
  return catalog
    .list()
    .map(({ id }) => id)
    .join(', ')
}

const DAY_MS = 86_400_000
const DAYS_MAX = 36_500

function timeOption(text: string | undefined, now: number): number | undefined {
  if (text === undefined) return undefined
  const days = /^(\d{1,5})d$/.exec(text)?.[1]
  if (days !== undefined && Number(days) <= DAYS_MAX) return now + Number(days) * DAY_MS
  const time = readTime(text)
  if (time === undefined)
    throw new CliError(
      `--expires ${text} is no time: write 2027-01-31T00:00:00Z, or days from now such as 90d`,
    )
  return time
}

function view({ hash: _, ...key }: ApiKey, now: number) {
  return { ...key, state: stateOf({ hash: '', ...key }, now) }
}

/** When it stops by itself. */
function endOf({ expiresAt, usableUntil, revokedAt }: Omit<ApiKey, 'hash'>): number | undefined {
  const ends = [expiresAt, usableUntil, revokedAt].filter((time) => time !== undefined)
  return ends.length === 0 ? undefined : Math.min(...ends)
}

function madeText({ id, buyer, product, subscription, scopes, expiresAt }: ApiKey): string {
  const may = scopes.length === 0 ? 'no scopes' : scopes.join(', ')
  const of = subscription === undefined ? buyer : `${buyer}, only ${subscription}`
  const until = expiresAt === undefined ? '' : `, until ${minute(expiresAt)} UTC`
  return `Key ${id} of ${of} (${product}; ${may}${until}).`
}

function minute(time: number | undefined): string {
  return time === undefined ? '' : new Date(time).toISOString().slice(0, 16).replace('T', ' ')
}
