import { Command } from 'commander'
import { openStores } from '../../compose.ts'
import { isOnThisMachine, readStoreUrl, type StoreConfig } from '../../config/store.ts'
import type { Config } from '../../config.ts'
import type { LedgerDigest } from '../../domain/moving/compare-ledgers.ts'
import { type CopyProgress, type CopyReport, copyLedger } from '../../domain/moving/copy-ledger.ts'
import type { Stores } from '../../domain/stores.ts'
import { ACCOUNTS } from '../../domain/usage/account.ts'
import { type CommonOptions, cliActor, clockOf, configOf, isMissing } from '../context.ts'
import { CliError, guarded, print, table } from '../output.ts'

/** Longer than a process that has a ledger open is ever silent. */
const BUSY_EXTRA_MS = 2_000
const PROGRESS_EVERY_MS = 1_000
const PROGRESS_LINE_EVERY_MS = 30_000

/** Between any two stores; run again after a stop, it goes on. */
export function copyCommand(): Command {
  return new Command('copy')
    .description(
      'move the ledger to another store: every row, verified on both sides; run again, it goes on where it was stopped',
    )
    .argument('<from>', 'sqlite:…, postgres://… or dynamodb://…; nobody may have it open')
    .argument('<to>', 'an empty store')
    .option('--config <file>', 'configuration file')
    .option('--json', 'print JSON')
    .action(
      guarded(async (fromUrl: string, toUrl: string, options: CommonOptions) => {
        const config = configOf(options)
        const from = storeOf(config, fromUrl, 'FROM')
        const to = storeOf(config, toUrl, 'TO')
        if (from.name === to.name) throw new CliError('FROM and TO are the same store')
        if (isMissing(from)) throw new CliError(`there is no ledger at ${from.file}`)
        const report = await copy(config, from, to, options.json === true)
        print(options.json, reportJson(report, from, to), () => reportText(report, from, to))
        if (report.differences.length > 0) process.exitCode = 1
      }),
    )
}

function storeOf(config: Config, url: string, which: string): StoreConfig {
  const store = readStoreUrl(url, process.cwd())
  if (typeof store === 'string') throw new CliError(`${which} ${store}`)
  if (store.kind === 'sqlite' && store.file === ':memory:')
    throw new CliError(`${which} must be a store that lasts`)
  if (config.mode === 'simulated' && !isOnThisMachine(store))
    throw new CliError(
      `${which} must be on this machine: simulated mode opens no connection beyond it (for another ledger, name its configuration with --config)`,
    )
  return withSettingsOf(config.store, store)
}

/**
 * A store as it was typed, used as configuration says where it is the one that configuration names. Who connects, and how,
 * stays as typed: another user, `sslmode` or endpoint is what it was typed for.
 */
export function withSettingsOf(configured: StoreConfig, typed: StoreConfig): StoreConfig {
  if (configured.name !== typed.name) return typed
  if (configured.kind === 'postgres' && typed.kind === 'postgres') {
    const { poolMax, connectTimeoutMs, statementTimeoutMs } = configured
    return { ...typed, poolMax, connectTimeoutMs, statementTimeoutMs }
  }
  if (configured.kind === 'dynamodb' && typed.kind === 'dynamodb') {
    const { transactionItems, shards } = configured
    return { ...typed, transactionItems, shards }
  }
  return typed
}

async function copy(config: Config, from: StoreConfig, to: StoreConfig, isQuiet: boolean) {
  const clock = await clockOf(config)
  const source = await openStores({ ...config, store: from })
  try {
    const target = await openStores({ ...config, store: to })
    try {
      const isBusyAfterMs = config.jobs.intervalMs + BUSY_EXTRA_MS
      const progress = isQuiet ? undefined : createProgress()
      progress?.say(`seeing for ${isBusyAfterMs / 1000} s whether anybody uses ${from.name}`)
      const report = await copyLedger({
        from: {
          ...sideOf(source, from),
          openGuard: () => source.guardLedger(clock.now()),
        },
        to: sideOf(target, to),
        actor: cliActor(),
        clock,
        isBusyAfterMs,
        ...(progress && { onProgress: progress.show }),
      })
      progress?.end()
      return report
    } finally {
      await target.close()
    }
  } finally {
    await source.close()
  }
}

function sideOf({ copy, usage }: Stores, { name }: StoreConfig) {
  return { copy, usage, name }
}

/** On a terminal one line that changes; elsewhere a line now and then. */
function createProgress() {
  const { isTTY } = process.stderr
  let shownAt = 0
  let rows = 0
  const say = (text: string) => process.stderr.write(isTTY ? `\r\x1b[K${text}` : `${text}\n`)
  return {
    say,
    show({ step, kind, rows: more }: CopyProgress) {
      rows += more
      const now = performance.now()
      if (now - shownAt < (isTTY ? PROGRESS_EVERY_MS : PROGRESS_LINE_EVERY_MS)) return
      shownAt = now
      say(`${step === 'copy' ? 'copying' : 'verifying'} ${kind}: ${rows} rows so far`)
    },
    end: () => void (isTTY && process.stderr.write('\r\x1b[K')),
  }
}

function reportJson(report: CopyReport, from: StoreConfig, to: StoreConfig) {
  return {
    from: from.name,
    to: to.name,
    resumed: report.isResumed,
    rows: report.rows,
    verified: report.differences.length === 0,
    differences: report.differences,
    compared: comparedJson(report.to),
  }
}

function comparedJson({ kinds, records, meters, balances }: LedgerDigest) {
  return {
    kinds: Object.fromEntries(Object.entries(kinds).map(([kind, { rows }]) => [kind, rows])),
    records,
    meters,
    balances: Object.fromEntries(balances),
  }
}

function reportText(report: CopyReport, from: StoreConfig, to: StoreConfig): string {
  const { kinds, records, meters, balances } = report.to
  const compared = [
    table(
      ['compared row by row', 'rows'],
      Object.entries(kinds).map(([kind, { rows }]) => [kind, rows]),
    ),
    '',
    `Audited on both sides: ${meters} meters.`,
    ...[...balances].map(
      ([name, amounts]) =>
        `${name}, base units: ${ACCOUNTS.filter((account) => amounts[account] !== 0n)
          .map((account) => `${account} ${amounts[account]}`)
          .join(', ')}`,
    ),
    ...Object.entries(records).map(([state, count]) => `records ${state}: ${count}`),
  ]
  if (report.differences.length > 0)
    return [
      ...compared,
      '',
      'NOT THE SAME:',
      ...report.differences,
      '',
      `Neither goes on. If ${from.name} was written meanwhile, let it go on with \`tollkeeper usage resolve ledger\`, stop whatever writes, and copy to an empty store.`,
    ].join('\n')
  return [
    ...compared,
    '',
    `${report.rows} rows copied${report.isResumed ? ' since it was stopped' : ''}; both are the same and balanced.`,
    `The ledger goes on at ${to.name}: set store.url to it. ${from.name} takes no more usage and sends nothing.`,
  ].join('\n')
}
