import { existsSync } from 'node:fs'
import { userInfo } from 'node:os'
import { join, resolve } from 'node:path'
import { type Ledger, mayChange, openLedger } from '../compose.ts'
import type { SqliteStoreConfig, StoreConfig } from '../config/store.ts'
import { type Config, demoConfig, loadConfig } from '../config.ts'
import type { Clock } from '../domain/clock.ts'
import { systemClock } from '../system-clock.ts'
import { CliError } from './output.ts'

export interface CommonOptions {
  readonly config?: string
  readonly json?: boolean
}

/** Where `tollkeeper dev` keeps the demo's ledger, the simulator's state and its own key. */
export const DEV_DIRECTORY = '.tollkeeper'

/** The configuration of this folder; where there is none, the demo that `tollkeeper dev` runs. */
export function configOf(options: CommonOptions, demoDirectory = DEV_DIRECTORY, cwd = process.cwd()): Config {
  if (
    options.config !== undefined ||
    existsSync(join(cwd, 'tollkeeper.yaml')) ||
    process.env.TOLLKEEPER_CONFIG
  ) {
    return loadConfig({
      ...(options.config !== undefined && { file: options.config }),
      cwd,
      env: process.env,
    })
  }
  return demoConfig({ directory: resolve(cwd, demoDirectory), env: process.env })
}

/**
 * Changes the ledger of this folder: all commands that do go through here, but for those that end what it waits for.
 *
 * @throws {DomainError} `ledger.waiting_for_release` while it is being moved elsewhere, or was: the change would be lost
 */
export async function changeLedger<T>(
  options: CommonOptions,
  work: (ledger: Ledger, clock: Clock) => Promise<T>,
): Promise<T> {
  return withLedger(options, async (ledger, clock) => {
    await mayChange(ledger)
    return work(ledger, clock)
  })
}

/** Reads the ledger of this folder, and closes it whatever happens. */
export async function withLedger<T>(
  options: CommonOptions,
  work: (ledger: Ledger, clock: Clock) => Promise<T>,
): Promise<T> {
  const config = configOf(options)
  if (isMissing(config.store)) {
    throw new CliError(
      `there is no ledger at ${config.store.file} yet: start \`tollkeeper dev\` or \`tollkeeper serve\`, or run \`tollkeeper db migrate\``,
    )
  }
  const clock = await clockOf(config)
  const ledger = await openLedger(config, clock)
  try {
    return await work(ledger, clock)
  } finally {
    await ledger.close()
  }
}

/** A file that nobody has made yet. */
export function isMissing(store: StoreConfig): store is SqliteStoreConfig {
  return store.kind === 'sqlite' && store.file !== ':memory:' && !existsSync(store.file)
}

/** A simulated ledger lives by the simulator's time; without a simulator, and else always, by the machine's. */
export async function clockOf(config: Config): Promise<Clock> {
  if (config.mode !== 'simulated' || config.aws.endpoint === undefined) return systemClock
  try {
    const response = await fetch(new URL('/_control/clock', config.aws.endpoint), {
      signal: AbortSignal.timeout(1_000),
    })
    const { now } = (await response.json()) as { now: string }
    const offset = Date.parse(now) - Date.now()
    if (!Number.isFinite(offset)) return systemClock
    return { now: () => Date.now() + offset, sleep: systemClock.sleep }
  } catch {
    // No simulator is running: there is no other time than the machine's.
    return systemClock
  }
}

/** Who acts, for the audit trail. */
export function cliActor(): string {
  try {
    return `cli:${userInfo().username}`
  } catch {
    return 'cli:unknown'
  }
}
