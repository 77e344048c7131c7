import { accessSync, constants, existsSync, statfsSync } from 'node:fs'
import { dirname } from 'node:path'
import { Command } from 'commander'
import { findAwsCaller, openLedger } from '../../compose.ts'
import type { Config } from '../../config.ts'
import { auditUsage } from '../../domain/usage/audit-usage.ts'
import { systemClock } from '../../system-clock.ts'
import { type CommonOptions, configOf, isMissing } from '../context.ts'
import { guarded, print } from '../output.ts'

interface Check {
  readonly name: string
  readonly ok: boolean
  /** It works, but a person should look. */
  readonly warns?: boolean
  /** What was found, or what to do. */
  readonly says: string
}

const FREE_BYTES_MIN = 1_000_000_000
const SKEW_MAX_MS = 60_000
/** Where metering is offered to sellers of SaaS (facts of November 2026). */
const REGION = /^(us|eu|ap|ca|sa|me|af|il|cn)-[a-z]+-\d$/

/** Checks what a deployment stands on, and says what to do. Exit code 2 when a check fails. */
export function doctorCommand(): Command {
  return new Command('doctor')
    .description('check configuration, clock, credentials, account, region, disk and database')
    .option('--config <file>', 'configuration file')
    .option('--json', 'print JSON')
    .action(
      guarded(async (options: CommonOptions) => {
        const config = configOf(options)
        const checks = [
          {
            name: 'configuration',
            ok: true,
            says:
              config.file === undefined
                ? 'none here: the demo'
                : `${config.file}, mode ${config.mode}, ${config.products.length} products`,
          },
          { name: 'node', ...checkNode() },
          { name: 'disk', ...checkDisk(config) },
          { name: 'ledger', ...(await checkLedger(config)) },
          { name: 'region', ...checkRegions(config) },
          ...(await checkMarketplace(config)),
        ]
        const ok = checks.every((check) => check.ok)
        print(options.json, { ok, checks }, () =>
          checks
            .map(
              (check) =>
                `${check.warns ? 'warn' : check.ok ? 'ok  ' : 'FAIL'} ${check.name.padEnd(14)} ${check.says}`,
            )
            .join('\n'),
        )
        if (!ok) process.exitCode = 2
      }),
    )
}

type Finding = Omit<Check, 'name'>

function checkNode(): Finding {
  const major = Number.parseInt(process.versions.node, 10)
  return {
    ok: major >= 24,
    says:
      major >= 24
        ? `Node.js ${process.versions.node}`
        : `Node.js ${process.versions.node} is too old: npm install node@24`,
  }
}

function checkDisk(config: Config): Finding {
  const { store } = config
  if (store.kind !== 'sqlite') return { ok: true, says: `none needed: the ledger is at ${store.name}` }
  const { file } = store
  if (file === ':memory:')
    return {
      ok: config.mode === 'simulated',
      says: 'the ledger is in memory: it is lost with the process; set store.url to a file',
    }
  let directory = dirname(file)
  while (!existsSync(directory)) directory = dirname(directory)
  try {
    accessSync(directory, constants.W_OK)
  } catch {
    return {
      ok: false,
      says: `${directory} cannot be written: give this user permission, or change store.url`,
    }
  }
  const { bavail, bsize } = statfsSync(directory)
  const free = bavail * bsize
  return {
    ok: free >= FREE_BYTES_MIN,
    says: `${(free / 1e9).toFixed(1)} GB free at ${directory}${free < FREE_BYTES_MIN ? ': make room, a full disk stops metering' : ''}`,
  }
}

async function checkLedger(config: Config): Promise<Finding> {
  const { store } = config
  if (isMissing(store)) return { ok: true, says: `none yet at ${store.file}: it is made at the first start` }
  try {
    const ledger = await openLedger(config, systemClock)
    try {
      const audit = await auditUsage(ledger.usage)
      const halts = await ledger.usage.listHalts()
      if (!audit.balanced)
        return { ok: false, says: `${audit.discrepancies.length} discrepancies: see tollkeeper usage audit` }
      if (halts.length > 0)
        return {
          ok: false,
          says: `sending is stopped for ${halts.map(({ product }) => product).join(', ')}: see tollkeeper usage status`,
        }
      const [warning] = config.mode === 'simulated' ? [] : ledger.warnings
      if (warning !== undefined) return { ok: true, warns: true, says: warning }
      return { ok: true, says: `${audit.meters} meters, balanced` }
    } finally {
      await ledger.close()
    }
  } catch (error) {
    return { ok: false, says: messageOf(error) }
  }
}

function checkRegions(config: Config): Finding {
  const regions = [...new Set(config.products.map(({ region }) => region))]
  const wrong = regions.filter((region) => !REGION.test(region))
  return wrong.length === 0
    ? { ok: true, says: regions.join(', ') || config.aws.region }
    : { ok: false, says: `${wrong.join(', ')} is no AWS region: mend aws.region or the product's region` }
}

async function checkMarketplace(config: Config): Promise<Check[]> {
  if (config.mode === 'simulated') {
    const found = await dateOf(new URL('/_control/clock', config.aws.endpoint))
    return [
      {
        name: 'simulator',
        ok: true,
        says:
          found === undefined
            ? `does not run at ${config.aws.endpoint} (tollkeeper dev or tollkeeper simulator start runs it)`
            : `runs at ${config.aws.endpoint}`,
      },
    ]
  }
  const checks: Check[] = []
  const date = await dateOf(
    new URL(config.aws.endpoint ?? `https://metering.marketplace.${config.aws.region}.amazonaws.com`),
  )
  if (date === undefined)
    checks.push({
      name: 'clock',
      ok: false,
      says: `AWS's metering service in ${config.aws.region} cannot be reached: check network and region`,
    })
  else {
    const skew = Math.abs(Date.now() - date)
    checks.push({
      name: 'clock',
      ok: skew <= SKEW_MAX_MS,
      says:
        skew <= SKEW_MAX_MS
          ? `within ${Math.ceil(skew / 1000)} s of AWS`
          : `${Math.round(skew / 1000)} s away from AWS's: set up time synchronisation (NTP)`,
    })
  }
  checks.push(await checkCredentials(config))
  return checks
}

async function checkCredentials(config: Config): Promise<Check> {
  const name = 'credentials'
  try {
    const { account, arn, longLivedKey } = await findAwsCaller(config)
    const who = `${arn} of account ${account}`
    if (config.aws.accountId !== undefined && account !== config.aws.accountId)
      return { name, ok: false, says: `are ${who}; aws.accountId says ${config.aws.accountId}` }
    if (config.mode === 'live' && longLivedKey)
      return {
        name,
        ok: true,
        warns: true,
        says: `${who}, by a user's access key that never ends: give this machine a role instead (docs/iam.md)`,
      }
    return { name, ok: true, says: who }
  } catch (error) {
    return { name, ok: false, says: messageOf(error) }
  }
}

/** The server's own time, from any answer that it gives. */
async function dateOf(url: URL): Promise<number | undefined> {
  try {
    const response = await fetch(url, { method: 'GET', signal: AbortSignal.timeout(5_000) })
    const date = Date.parse(response.headers.get('date') ?? '')
    return Number.isNaN(date) ? undefined : date
  } catch {
    // What cannot be reached is what this check reports.
    return undefined
  }
}

function messageOf(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split('\n', 1)[0]!
}
