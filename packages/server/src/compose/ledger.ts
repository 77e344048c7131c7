import type { DynamoStoreConfig } from '../config/store.ts'
import type { Config } from '../config.ts'
import type { Clock } from '../domain/clock.ts'
import { createRecentEpochs, noticing, type RecentEpochs } from '../domain/entitlements/recent-epochs.ts'
import { checkNames, createLiveCatalog, type LiveCatalog } from '../domain/products/live-catalog.ts'
import type { Stores } from '../domain/stores.ts'
import { adoptAgreements } from '../domain/subscriptions/look-after.ts'
import { type SinkSpec, sinkSpecs } from '../domain/telling/sink.ts'
import { type LedgerGuard, refuseWhileMoved } from '../domain/usage/ledger-guard.ts'
import type { AwsClientOptions } from '../marketplace/aws-client.ts'
import type { DynamoPlace } from '../storage/dynamodb/client.ts'
import { openSqliteStores } from '../storage/sql/sqlite-stores.ts'
import { awsClientOptions } from './aws.ts'

/** The ledger and what belongs to it, opened. */
export interface Ledger extends Omit<Stores, 'claimLedger' | 'guardLedger'> {
  readonly config: Config
  readonly catalog: LiveCatalog
  /** Who is told what happens, as configured. */
  readonly sinks: readonly SinkSpec[]
  readonly guard: LedgerGuard
  /** As `entitlements.epochs`, but what another node changes is seen a little later. */
  readonly recentEpochs: RecentEpochs['epochs']
  /** Looks every few seconds for products and plans that were changed elsewhere, until the ledger is closed. */
  watchCatalog(onError: (error: unknown) => void): void
}

/** What is changed on one node holds within 5 s on the others: an interval, and time to read it. */
const CATALOG_WATCH_MS = 2_000

/**
 * Opens the ledger that a configuration names and brings its tables to this version.
 *
 * @throws {DomainError} `ledger.mode_mismatch`, `ledger.dimension_changed`, `ledger.too_new`
 */
export async function openLedger(config: Config, clock: Clock): Promise<Ledger> {
  const { claimLedger, guardLedger, ...stores } = await openStores(config)
  try {
    await claimLedger({ mode: config.mode, accountId: config.aws.accountId })
    const catalog = createLiveCatalog({ store: stores.catalogStore, declared: config.products, clock })
    await catalog.refresh()
    checkNames(config.products, catalog.versions())
    await stores.checkDimensions(catalog)
    const sinks = sinkSpecs(config.events)
    // Before anything can happen: a sink is told of all that happens while it is known.
    if (sinks.length > 0) await stores.outbox.register(sinks, clock.now())
    await adoptAgreements(stores.cases, catalog)
    let watch: NodeJS.Timeout | undefined
    const { entitlements } = stores
    const { epochs: recentEpochs, forget } = createRecentEpochs({ entitlements, clock })
    return {
      ...stores,
      subscriptions: noticing(stores.subscriptions, ['create', 'change'], forget),
      cases: noticing(stores.cases, ['receive', 'settle', 'settleOf', 'adopt'], forget),
      entitlements: noticing(entitlements, ['settle'], forget),
      recentEpochs,
      config,
      catalog,
      sinks,
      guard: await guardLedger(clock.now()),
      watchCatalog(onError) {
        watch ??= setInterval(() => void catalog.refresh().catch(onError), CATALOG_WATCH_MS).unref()
      },
      close: async () => {
        clearInterval(watch)
        await stores.close()
      },
    }
  } catch (error) {
    await stores.close()
    throw error
  }
}

/** Every port on the store that a configuration names, of a ledger that nobody has claimed yet. */
export async function openStores(config: Config): Promise<Stores> {
  const { store } = config
  if (store.kind === 'sqlite') return openSqliteStores(store.file)
  if (store.kind === 'postgres') {
    const { openPostgresStores } = await import('../storage/sql/postgres-stores.ts')
    const { url, poolMax, connectTimeoutMs, statementTimeoutMs } = store
    const idleInTransactionTimeoutMs = statementTimeoutMs
    return openPostgresStores(url, {
      poolMax,
      connectTimeoutMs,
      statementTimeoutMs,
      idleInTransactionTimeoutMs,
    })
  }
  const { openDynamoStores } = await import('../storage/dynamodb/dynamo-stores.ts')
  const { transactionItems, shards } = store
  const isAtAws = config.mode !== 'simulated'
  return openDynamoStores(await dynamoPlace(store, await awsClientOptions(config)), {
    transactionItems,
    shards,
    isAtAws,
  })
}

/** One request to the ledger's table takes milliseconds; what is lost is sent again. */
const LEDGER_TIMEOUT_MS = 5_000

export async function dynamoPlace(
  { region, table, endpoint }: DynamoStoreConfig,
  { mode, credentials }: Pick<AwsClientOptions, 'mode' | 'credentials'>,
): Promise<DynamoPlace> {
  const { awsClientConfig } = await import('../marketplace/aws-client.ts')
  const options = { mode, endpoint, timeoutMs: LEDGER_TIMEOUT_MS, ...(credentials && { credentials }) }
  return { region, table, client: awsClientConfig(options, 'DynamoDB'), timeoutMs: LEDGER_TIMEOUT_MS }
}

/**
 * Asked before each change of subscriptions, keys or people: they are rare.
 *
 * @throws {DomainError} `ledger.too_new`, `ledger.waiting_for_release`
 */
export async function mayChange({ guard, checkLevel }: Ledger): Promise<void> {
  await checkLevel()
  await refuseWhileMoved(guard)
}
