import { randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import type { Writable } from 'node:stream'
import type { FastifyInstance } from 'fastify'
import { type Logger, pino } from 'pino'
import { createCatalogReader } from './config/catalog-reader.ts'
import {
  type DynamoStoreConfig,
  type PostgresStoreConfig,
  readStoreUrl,
  type StoreConfig,
} from './config/store.ts'
import type { Config, Email } from './config.ts'
import type { Clock } from './domain/clock.ts'
import { type CheckAccess, createCheckAccess } from './domain/entitlements/check-access.ts'
import type { EntitlementService } from './domain/entitlements/entitlement.ts'
import type { EntitlementStore } from './domain/entitlements/entitlement-store.ts'
import { createRecentEpochs, noticing } from './domain/entitlements/recent-epochs.ts'
import {
  createRefreshEntitlements,
  createRefreshQueue,
  refreshDueEntitlements,
} from './domain/entitlements/refresh-entitlements.ts'
import { DomainError } from './domain/error.ts'
import { type Probe, purgeHealth } from './domain/health/probe-endpoints.ts'
import { createManageApiKeys, type ManageApiKeys } from './domain/keys/manage-api-keys.ts'
import { type ApiKeyVerifier, createApiKeyVerifier } from './domain/keys/verify-api-key.ts'
import { declareProducts } from './domain/products/declare-products.ts'
import { checkNames, createLiveCatalog, type LiveCatalog } from './domain/products/live-catalog.ts'
import { createManageProducts, type ManageProducts } from './domain/products/manage-products.ts'
import { createQuotaGate, type QuotaGate } from './domain/quotas/quota-gate.ts'
import { tidyQuotas } from './domain/quotas/tidy-quotas.ts'
import type { Stores } from './domain/stores.ts'
import type { AgreementService } from './domain/subscriptions/agreement-service.ts'
import { adoptAgreements, lookAfterSubscriptions } from './domain/subscriptions/look-after.ts'
import {
  createManageSubscriptions,
  type ManageSubscriptions,
} from './domain/subscriptions/manage-subscription.ts'
import {
  createNotificationIntake,
  type NotificationIntake,
} from './domain/subscriptions/notification-intake.ts'
import type { NotificationQueue } from './domain/subscriptions/notification-queue.ts'
import { createReceiveEvent, type ReceiveEvent } from './domain/subscriptions/receive-event.ts'
import { createRefusalLog } from './domain/subscriptions/refusal-log.ts'
import { createCompleteRegistration, createRegisterBuyer } from './domain/subscriptions/register-buyer.ts'
import { createRegistrationTickets, TICKET_KEY_BYTES } from './domain/subscriptions/registration-ticket.ts'
import {
  createRequestCancellation,
  type RequestCancellation,
} from './domain/subscriptions/request-cancellation.ts'
import { createTopicCheck } from './domain/subscriptions/sns-message.ts'
import { newSubscription } from './domain/subscriptions/subscription.ts'
import { createAgreementSync } from './domain/subscriptions/sync-agreements.ts'
import type { MailTransport } from './domain/telling/mail.ts'
import { type Sink, type SinkSpec, sinkSpecs } from './domain/telling/sink.ts'
import { closeDueBuckets } from './domain/usage/close-due-buckets.ts'
import { createIngestUsage, type IngestLimits, type IngestUsage } from './domain/usage/ingest-usage.ts'
import { type LedgerGuard, refuseWhileMoved, waitsForRelease } from './domain/usage/ledger-guard.ts'
import type { MeteringService } from './domain/usage/metering-service.ts'
import { reportSilence } from './domain/usage/report-silence.ts'
import { createShadowMetering } from './domain/usage/shadow-metering.ts'
import { submitDueRecords } from './domain/usage/submit-due-records.ts'
import type { Challenges } from './domain/visitors/challenge.ts'
import { forgetVisitors } from './domain/visitors/forget-visitors.ts'
import { createVisitorGate, type VisitorGate } from './domain/visitors/visitor-gate.ts'
import { createWorkShare } from './domain/work-share.ts'
import type { Readiness } from './http/deps.ts'
import { LOGGER_OPTIONS } from './http/logging.ts'
import { createTelling, type Telling } from './jobs/deliver-events.ts'
import { createJobs, type JobReport, type Jobs } from './jobs/jobs.ts'
import { createKeyUseNotes, type KeyUseNotes } from './jobs/note-key-uses.ts'
import { createQueuePoller, type QueuePoller } from './jobs/poll-queues.ts'
import { createRounds, type Rounds } from './jobs/rounds.ts'
import { createEndpointWatch } from './jobs/watch-endpoints.ts'
import type { AwsClientOptions, AwsCredentials } from './marketplace/aws-client.ts'
import type { AwsCaller } from './marketplace/aws-identity.ts'
import { whereIsHost } from './marketplace/loopback.ts'
import { createBoundedGet } from './marketplace/notifications/bounded-get.ts'
import { createSigningCertificates } from './marketplace/notifications/signing-certificates.ts'
import { createAwsSnsGate } from './marketplace/notifications/sns-gate.ts'
import type { Metrics } from './metrics.ts'
import { createNodeId } from './node-id.ts'
import type { DynamoPlace } from './storage/dynamodb/client.ts'
import { openSqliteStores } from './storage/sql/sqlite-stores.ts'
import { systemClock } from './system-clock.ts'

/** The ledger and what belongs to it, opened. */
export interface Ledger extends Omit<Stores, 'claimLedger' | 'guardLedger'> {
  readonly config: Config
  readonly catalog: LiveCatalog
  /** Who is told what happens, as configured. */
  readonly sinks: readonly SinkSpec[]
  readonly guard: LedgerGuard
  /** As `entitlements.epochs`, but what another node changes is seen a little later. */
  readonly recentEpochs: EntitlementStore['epochs']
  /** Looks every few seconds for products and plans that were changed elsewhere, until the ledger is closed. */
  watchCatalog(onError: (error: unknown) => void): void
}

/** What is changed on one node holds within 5 s on the others: an interval, and time to read it. */
const CATALOG_WATCH_MS = 2_000

/** Ids are kept a day longer than events are accepted: a repeat at the very edge is still known. */
const KEEP_IDS_EXTRA_MS = 86_400_000
/** Visitors are forgotten, and salts destroyed, within this time of when they should be. */
const FORGET_EVERY_MS = 3_600_000

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
    const { openPostgresStores } = await import('./storage/sql/postgres-stores.ts')
    const { url, poolMax, connectTimeoutMs, statementTimeoutMs } = store
    const idleInTransactionTimeoutMs = statementTimeoutMs
    return openPostgresStores(url, {
      poolMax,
      connectTimeoutMs,
      statementTimeoutMs,
      idleInTransactionTimeoutMs,
    })
  }
  const { openDynamoStores } = await import('./storage/dynamodb/dynamo-stores.ts')
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

async function dynamoPlace(
  { region, table, endpoint }: DynamoStoreConfig,
  { mode, credentials }: Pick<AwsClientOptions, 'mode' | 'credentials'>,
): Promise<DynamoPlace> {
  const { awsClientConfig } = await import('./marketplace/aws-client.ts')
  const options = { mode, endpoint, timeoutMs: LEDGER_TIMEOUT_MS, ...(credentials && { credentials }) }
  return { region, table, client: awsClientConfig(options, 'DynamoDB'), timeoutMs: LEDGER_TIMEOUT_MS }
}

/**
 * Writes a copy of a SQLite ledger to a file, while others go on to use the ledger.
 *
 * @param file - must not be there yet
 * @throws {DomainError} `request.invalid` for a store that has its own way
 */
export async function backUpStore(store: StoreConfig, file: string): Promise<void> {
  if (store.kind !== 'sqlite')
    throw new DomainError(
      'request.invalid',
      `${store.name} is backed up with ${store.kind === 'postgres' ? '`pg_dump --format=custom`' : '`aws dynamodb create-backup`'}: see docs/backup.md`,
    )
  const { backUpSqlite } = await import('./storage/sql/sqlite-backup.ts')
  await backUpSqlite(store.file, file)
}

/** An empty store beside the one that a configuration names, for what must not touch it. */
export interface ScratchStore {
  readonly store: StoreConfig
  remove(): Promise<void>
}

/**
 * A database of its own on the same server, or a table of its own beside the one that is named.
 *
 * @throws {DomainError} `request.invalid` where nobody may make one there
 */
export async function createScratchStore(
  store: PostgresStoreConfig | DynamoStoreConfig,
): Promise<ScratchStore> {
  if (store.kind === 'postgres') {
    const { createScratchDatabase } = await import('./storage/sql/postgres-scratch.ts')
    const { url, remove } = await createScratchDatabase(store.url, store.connectTimeoutMs)
    return { store: { ...store, ...named(url) }, remove }
  }
  const { createScratchTable } = await import('./storage/dynamodb/dynamo-scratch.ts')
  // What must touch nothing is simulated.
  const { table, remove } = createScratchTable(await dynamoPlace(store, { mode: 'simulated' }))
  const url = new URL(store.url)
  url.pathname = `/${table}`
  const { name } = readStoreUrl(url.href, '/') as DynamoStoreConfig
  return { store: { ...store, table, url: url.href, name }, remove }
}

function named(url: string) {
  const { host, pathname } = new URL(url)
  return { url, name: `postgres://${host}${pathname}` }
}

/**
 * Takes what the configuration declares into the ledger: products and plans, whose changes hold from now on, and
 * subscriptions.
 *
 * @throws {DomainError} `product.exists`, `request.invalid`
 */
export async function declareConfiguration(ledger: Ledger, clock: Clock): Promise<void> {
  // What is being moved is left as it is: the copy would not have it.
  if (ledger.guard.waiting()?.copy !== undefined) return
  await declareProducts(ledger.catalogStore, ledger.config.products, clock.now())
  await ledger.catalog.refresh()
  await declareSubscriptions(ledger, clock)
}

/**
 * Adds the subscriptions that the configuration declares and that the ledger never had. One that has ended stays
 * ended; a changed plan or tenant id is taken over, audited.
 *
 * @throws {DomainError} `request.invalid` where a declared start differs from the ledger's: what was billed stands on it
 */
async function declareSubscriptions({ config, subscriptions }: Ledger, clock: Clock): Promise<void> {
  for (const declared of config.subscriptions) {
    const { product, licenseArn, customerIdentifier, plan, tenantId, accessStart } = declared
    const reference = licenseArn === undefined ? { customerIdentifier } : { licenseArn }
    const [known] = await subscriptions.findMatching(product, reference)
    const now = clock.now()
    if (known === undefined) {
      await subscriptions.create(
        newSubscription({
          ...declared,
          id: `sub_${randomUUID()}`,
          buyer: `buy_${randomUUID()}`,
          status: 'active',
          grantedAt: declared.accessStart,
          createdAt: now,
        }),
        'config',
      )
      continue
    }
    if (known.accessStart !== accessStart) {
      const time = new Date(known.accessStart).toISOString()
      throw new DomainError(
        'request.invalid',
        `the subscription of ${licenseArn ?? customerIdentifier} starts at ${time} in the ledger: set its accessStart to that`,
      )
    }
    const changed =
      (plan !== undefined && plan !== known.plan) || (tenantId !== undefined && tenantId !== known.tenantId)
    if (changed) await subscriptions.change(known.id, () => ({ plan, tenantId }), 'config', now)
  }
}

/** The parts that act on an open ledger. */
export interface Engine {
  readonly ledger: Ledger
  /** This process among those that share the ledger. */
  readonly node: string
  readonly clock: Clock
  readonly ingest: IngestUsage
  readonly metering: MeteringService
  /** Takes a notification of AWS Marketplace in. */
  readonly receiveEvent: ReceiveEvent
  readonly agreements: AgreementService
  /** The same, from the messages that bring them. */
  readonly notifications: NotificationIntake
  /** Fetches them from queues, once it is started. */
  readonly poller: QueuePoller
  readonly checkAccess: CheckAccess
  /** Reads what AWS grants a subscription, beside whatever asked for it. */
  readonly refreshSoon: (subscription: string) => void
  readonly jobs: Jobs
  /** Of the keys that end users show. */
  readonly apiKeyVerifier: ApiKeyVerifier
  readonly quota: QuotaGate
  /** Those who show no key. */
  readonly visitors: VisitorGate
  /** Gives back what this node does not use of the limits that it counts by itself. */
  readonly leasedQuota: Rounds
  readonly manageApiKeys: ManageApiKeys
  /** Started by whoever answers requests, jobs or not. */
  readonly keyUses: KeyUseNotes
  /** Started and stopped with the jobs. */
  readonly telling: Telling
  readonly logger: Logger
  /** From now on `/ready` says 503: this process is about to stop. */
  leave(): void
  isLeaving(): boolean
}

export async function composeEngine(
  ledger: Ledger,
  options: {
    clock: Clock
    metering?: MeteringService
    entitlementService?: EntitlementService
    agreements?: AgreementService
    /** Ask AWS hourly what its notifications did not say: where the jobs run for long. */
    syncsAgreements?: boolean
    logger?: Logger
    onJobReport?: (report: JobReport) => void
  },
): Promise<Engine> {
  const { config, usage, subscriptions, catalog } = ledger
  const { clock } = options
  const node = createNodeId()
  const logger = (options.logger ?? createLogger(config)).child({ node })
  if (config.mode !== 'simulated') for (const warning of ledger.warnings) logger.warn(warning)
  const aws = options.metering ?? (await createMetering(config))
  const metering = config.mode === 'shadow' ? createShadowMetering(aws) : aws
  const limits = config.usage
  const ingest = composeIngest(ledger, clock)
  const { intervalMs } = config.jobs
  const share = createWorkShare({ leases: ledger.leases, holder: node, clock, everyMs: intervalMs })
  const deps = { usage, subscriptions, catalog, quotas: ledger.quotas, share }
  const { cases, entitlements } = ledger
  const refreshing = {
    entitlements,
    service: options.entitlementService ?? (await createEntitlements(config, clock)),
    cases,
    usage,
    catalog,
    clock,
    refreshMs: config.entitlements.refreshMs,
  }
  const refresh = createRefreshEntitlements(refreshing)
  const queue = createRefreshQueue(refresh, (error) =>
    logger.error({ err: error }, 'entitlements could not be read; they are read again on schedule'),
  )
  const receive = createReceiveEvent({
    cases,
    catalog,
    clock,
    onFollowed: (subscription, { occurredAt }) => queue.add(subscription, occurredAt),
  })
  const receiveEvent: ReceiveEvent = async (event) => {
    await mayChange(ledger)
    return receive(event)
  }
  const agreements = options.agreements ?? (await createAgreements(config))
  const sync = createAgreementSync({
    agreements,
    receive: receiveEvent,
    catalog,
    subscriptions,
    cases,
    usage,
  })
  const telling = createTelling({
    outbox: ledger.outbox,
    sinks: await createSinks(ledger, clock),
    clock,
    random: Math.random,
    mayRun: () => ledger.guard.waiting() === undefined,
    onError: (step, error) => logger.error({ step, err: error }, 'telling failed; it is tried again'),
  })
  const probing = { health: ledger.health, catalog, probe: createProbe(config), clock }
  const watch = createEndpointWatch({
    ...probing,
    share,
    everyMs: intervalMs,
    mayRun: async () => {
      await ledger.checkLevel()
      // Of one that another node registered, nothing may be forgotten.
      await catalog.refresh()
      return ledger.guard.waiting() === undefined
    },
    onError: (error) => logger.error({ err: error }, 'endpoints were not asked; the next round tries again'),
  })
  const jobs = createJobs({
    clock,
    beside: [telling, watch],
    intervalMs,
    onError: (step, error) => logger.error({ step, err: error }, 'a job failed; the next run tries again'),
    ...(options.onJobReport && { onReport: options.onJobReport }),
    steps: {
      mayRun: async (now) => {
        await ledger.checkLevel()
        // Products and plans may have been changed on another node.
        await catalog.refresh()
        await ledger.guard.beat(now)
        return ledger.guard.waiting() === undefined
      },
      closeDue: (now, signal) => closeDueBuckets(deps, now, signal),
      reportSilence: (now, signal) => reportSilence(deps, now, signal),
      submitDue: (signal, runMs) =>
        submitDueRecords({ usage, metering, clock, share, timeoutMs: config.aws.timeoutMs, runMs }, signal),
      purge: async (now) =>
        (await share.whileKept('purge', () =>
          usage.purge(now - limits.acceptBackMs - KEEP_IDS_EXTRA_MS, now),
        )) ?? 0,
      upkeep: [
        {
          name: 'subscriptions',
          run: (now, signal) =>
            share.whileKept('subscriptions', () =>
              lookAfterSubscriptions({ cases, usage, catalog }, now, signal),
            ),
        },
        {
          name: 'visitors',
          everyMs: FORGET_EVERY_MS,
          run: (now, signal) =>
            share.whileKept('visitors', () =>
              forgetVisitors({ visitors: ledger.visitors, catalog, settings: config.visitors }, now, signal),
            ),
        },
        {
          name: 'entitlements',
          run: (_, signal) => refreshDueEntitlements({ ...refreshing, refresh }, signal),
        },
        {
          name: 'quotas',
          everyMs: QUOTA_UPKEEP_MS,
          run: async (now, signal) => (await share.keeps('quotas')) && tidyQuotas(ledger.quotas, now, signal),
        },
        {
          name: 'old health',
          everyMs: HEALTH_PURGE_MS,
          run: async (_, signal) => (await share.keeps('health')) && purgeHealth(probing, signal),
        },
        ...(options.syncsAgreements === true
          ? [
              {
                name: 'agreements',
                run: (now: number, signal: AbortSignal) =>
                  share.whileKept('agreements', () => sync.run(now, signal)),
              },
            ]
          : []),
      ],
    },
  })
  // What cannot be given back expires.
  const endShare = () =>
    share.end().catch((error) => logger.warn({ err: error }, 'leases are kept until they expire'))
  const notifications = composeNotifications(ledger, receiveEvent, clock)
  const poller = createQueuePoller({
    queues: await openQueues(config),
    intake: notifications,
    alarms: usage,
    mayReceive: async () => {
      await ledger.checkLevel()
      await ledger.guard.refresh()
      return ledger.guard.waiting()?.copy === undefined
    },
    clock,
    pause: systemClock.sleep,
    receivesMax: config.notifications.receivesMax,
    onError: (queue, error) =>
      logger.error({ queue, err: error }, 'a notification was not taken from its queue'),
  })
  const { apiKeys, guard } = ledger
  const apiKeyVerifier = createApiKeyVerifier({ apiKeys, clock })
  const checkAccess = createCheckAccess({ subscriptions, entitlements, catalog })
  const visitors = createVisitorGate({
    visitors: ledger.visitors,
    quotas: ledger.quotas,
    subscriptions,
    challenges: composeChallenges(ledger),
    clock,
    settings: config.visitors,
  })
  const quota = createQuotaGate({
    // Asked at every request of a product: it reads nothing for most of them.
    checkAccess: createCheckAccess({
      subscriptions,
      entitlements: { ...entitlements, epochs: ledger.recentEpochs },
      catalog,
    }),
    verifyKey: apiKeyVerifier.verify,
    findVisitor: visitors.find,
    catalog,
    quotas: ledger.quotas,
    usage,
    ingest,
    outbox: ledger.outbox,
    clock,
    onError: (error) => logger.warn({ err: error }, 'that a limit is nearly used is told later'),
  })
  const leasedQuota = createRounds({
    everyMs: LEASE_SWEEP_MS,
    round: quota.sweep,
    last: quota.close,
    onError: (error) =>
      logger.warn({ err: error }, 'slices of limits are not given back: they count as used'),
  })
  const keyUses = createKeyUseNotes({
    verifier: apiKeyVerifier,
    apiKeys,
    mayRun: async () => {
      await guard.refresh()
      return guard.waiting() === undefined
    },
    onError: (error) => logger.warn({ err: error }, 'last uses of keys are written down later'),
  })
  let leaving = false
  return {
    ledger,
    node,
    leave: () => {
      leaving = true
    },
    isLeaving: () => leaving,
    clock,
    ingest,
    metering,
    receiveEvent,
    agreements,
    notifications,
    poller,
    checkAccess,
    refreshSoon: queue.add,
    apiKeyVerifier,
    quota,
    visitors,
    leasedQuota,
    manageApiKeys: composeManageApiKeys(ledger, clock, apiKeyVerifier),
    keyUses,
    jobs: {
      ...jobs,
      runOnce: async () => {
        try {
          return await jobs.runOnce()
        } finally {
          await endShare()
        }
      },
      stop: async () => {
        await Promise.all([jobs.stop(), queue.stop()])
        await endShare()
      },
    },
    telling,
    logger,
  }
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

/** AWS Marketplace's notifications, whichever way they come. */
function composeNotifications(
  { config, catalog, cases, usage, audit }: Ledger,
  receive: ReceiveEvent,
  clock: Clock,
): NotificationIntake {
  const { mode } = config
  const { endpoint } = config.aws
  const get = createBoundedGet()
  const subject = 'SNS certificates'
  const gate = createAwsSnsGate({
    mode,
    endpoint,
    get,
    certificates: createSigningCertificates({ mode, endpoint, get, clock }),
    async onCertificates(trouble) {
      if (trouble === undefined) await usage.clearAlarm('notifications', subject)
      else
        await usage.raise({
          kind: 'notifications',
          subject,
          message: `messages of AWS Marketplace's topics wait: the certificate that they are signed with cannot be fetched (${trouble}). Let this server reach SNS over HTTPS, or take them from a queue`,
          at: clock.now(),
        })
    },
  })
  return createNotificationIntake({
    receive,
    store: cases,
    alarms: usage,
    audit,
    gate,
    isExpectedTopic: createTopicCheck({
      productCodes: () => catalog.list().map(({ productCode }) => productCode),
      topics: config.notifications.snsTopics,
    }),
    clock,
  })
}

async function openQueues(config: Config): Promise<readonly NotificationQueue[]> {
  const { sqsQueues } = config.notifications
  if (sqsQueues.length === 0) return []
  const { createSqsQueue } = await import('./marketplace/notifications/sqs-queue.ts')
  const options = await awsClientOptions(config)
  return sqsQueues.map((queueUrl) => createSqsQueue({ ...options, queueUrl, region: config.aws.region }))
}

/** The ways to all who are told. Loaded only where they are configured. */
async function createSinks(ledger: Ledger, clock: Clock): Promise<readonly Sink[]> {
  const { config, buyers } = ledger
  const { eventBridge, webhooks, email } = config.events
  const parts = email && { ...ledger, transport: await createMailTransport(ledger, email, clock) }
  const create = async (spec: SinkSpec): Promise<Sink | undefined> => {
    const webhook = webhooks.find(({ id }) => spec.name === `webhook:${id}`)
    if (webhook !== undefined) {
      const { createWebhookSink } = await import('./sinks/webhook-sink.ts')
      const { url, secret, allowPrivate } = webhook
      const policy = config.mode === 'simulated' ? 'loopback' : allowPrivate ? 'private' : 'public'
      // Receivers compare the time of a signature with their own: the machine's, whatever our clock pretends.
      const { now } = systemClock
      const userAgent = `tollkeeper/${VERSION}`
      return createWebhookSink({ spec, url, secret, policy, buyers, now, userAgent })
    }
    if (spec.name === 'eventbridge' && eventBridge !== undefined) return createEventBridge(config, spec)
    if (parts === undefined) return undefined
    const { createBuyerMailSink, createSellerMailSink } = await import('./sinks/mail-sink.ts')
    return spec.name === 'email:seller'
      ? createSellerMailSink({ ...parts, spec, to: email!.sellerTo })
      : createBuyerMailSink({ ...parts, spec })
  }
  const sinks = await Promise.all(ledger.sinks.map(create))
  return sinks.filter((sink) => sink !== undefined)
}

/** Asks endpoints how they are. Loaded when there is one. */
function createProbe({ mode }: Config): Probe {
  let loaded: Promise<Probe> | undefined
  const load = async () => {
    const { createHealthProbe } = await import('./sinks/health-probe.ts')
    return createHealthProbe({
      policyOf: ({ allowPrivate }) =>
        mode === 'simulated' ? 'loopback' : allowPrivate ? 'private' : 'public',
      userAgent: `tollkeeper/${VERSION}`,
    })
  }
  return async (endpoint, signal) => {
    loaded ??= load()
    return (await loaded)(endpoint, signal)
  }
}

/** A delivery's lease is longer, whatever `aws.timeoutMs` says. */
const EVENTBRIDGE_TIMEOUT_MS = 20_000

async function createEventBridge(config: Config, spec: SinkSpec): Promise<Sink> {
  const { createEventBridgeSink } = await import('./sinks/event-bridge-sink.ts')
  const { awsClientConfig, placeOf } = await import('./marketplace/aws-client.ts')
  const options = await awsClientOptions(config)
  return createEventBridgeSink({
    ...config.events.eventBridge!,
    spec,
    client: awsClientConfig(options, 'EventBridge'),
    isAllowedHost: (host) => whereIsHost(host) === placeOf(config.mode),
    timeoutMs: Math.min(options.timeoutMs, EVENTBRIDGE_TIMEOUT_MS),
  })
}

async function createMailTransport(
  { mailbox }: Pick<Ledger, 'mailbox'>,
  { smtpUrl, from }: Email,
  clock: Clock,
): Promise<MailTransport> {
  if (smtpUrl === undefined) {
    const { createMailboxTransport } = await import('./sinks/mailbox-transport.ts')
    return createMailboxTransport({ mailbox, from, clock })
  }
  const { createSmtpTransport } = await import('./sinks/smtp-transport.ts')
  return createSmtpTransport({ url: smtpUrl, from, whereIsHost })
}

/** How long a process that is too old for the ledger may not notice: asked for each request, it would cost as much as one. */
const LEVEL_EVERY_MS = 5_000

/**
 * Takes usage in. A ledger that waits for a person takes nothing: the caller keeps its events and tries again.
 *
 * @param overrides - an import states its own window
 */
export function composeIngest(
  ledger: Ledger,
  clock: Clock,
  overrides: Partial<IngestLimits> = {},
): IngestUsage {
  const { usage, subscriptions, catalog, config, guard } = ledger
  const ingest = createIngestUsage({
    usage,
    subscriptions,
    catalog,
    clock,
    limits: { ...config.usage, ...overrides },
  })
  let levelAt: number | undefined
  return async (reports, scope) => {
    const now = clock.now()
    if (levelAt === undefined || Math.abs(now - levelAt) >= LEVEL_EVERY_MS) {
      await ledger.checkLevel()
      levelAt = now
    }
    await refuseWaiting(guard)
    return ingest(reports, scope)
  }
}

/** @throws {DomainError} `ledger.waiting_for_release` */
async function refuseWaiting(guard: LedgerGuard): Promise<void> {
  // Another process may have let it go on.
  if (guard.waiting() !== undefined) await guard.refresh()
  const wait = guard.waiting()
  if (wait !== undefined) throw waitsForRelease(wait)
}

const CHALLENGE_KEY_BYTES = 32

/** Loaded, and its key made, when somebody is first asked to solve one. */
function composeChallenges(ledger: Ledger): Challenges {
  let made: Promise<Challenges> | undefined
  const load = async () => {
    const { createAltchaChallenges } = await import('./challenges/altcha-challenges.ts')
    const key = await ledger.secret('challenge', CHALLENGE_KEY_BYTES)
    return createAltchaChallenges(key, ledger.config.visitors.difficulty)
  }
  const get = () => {
    made ??= load().catch((error: unknown) => {
      made = undefined
      throw error
    })
    return made
  }
  return {
    create: async (...args) => (await get()).create(...args),
    verify: async (...args) => (await get()).verify(...args),
  }
}

/** So often what was reserved and never settled is let go of, where nobody asks for it sooner. */
const QUOTA_UPKEEP_MS = 60_000

/** So often hours and changes of endpoints that are too old are forgotten. */
const HEALTH_PURGE_MS = 3_600_000

/** So often a node gives back what it does not use of limits that it counts by itself. */
const LEASE_SWEEP_MS = 1_000

/** The HTTP door to an engine. */
export async function composeServer(
  engine: Engine,
  options: { storefrontUrl?: string; overloadDelayMs?: number } = {},
): Promise<FastifyInstance> {
  const { createHttpApp } = await import('./http/app.ts')
  const { createRequestLimits } = await import('./http/limits/request-limits.ts')
  const { ledger, clock, ingest, metering, notifications, checkAccess, refreshSoon, jobs, logger } = engine
  const { usage, subscriptions, buyers, cases, entitlements, catalog, keys, audit, config } = ledger
  const { outbox, sinks, mailbox } = ledger
  const limits = createRequestLimits(config.server.rateLimits)
  const closed = config.deployment?.listings.filter(({ enabled }) => !enabled) ?? []
  ledger.watchCatalog((error) =>
    logger.warn({ err: error }, 'changes of products and plans could not be read; they are read again soon'),
  )
  return createHttpApp({
    ingest,
    usage,
    usageAccounts: ledger.usageAccounts,
    subscriptions,
    buyers,
    history: ledger.history,
    manage: composeManage(ledger, clock),
    manageProducts: composeManageProducts(ledger, clock),
    requestCancellation: composeRequestCancellation(ledger, engine.agreements, clock),
    register: createRegisterBuyer({ metering, cases, catalog, clock, onRegistered: refreshSoon }),
    completeRegistration: createCompleteRegistration({ cases, clock }),
    tickets: createRegistrationTickets(await ledger.secret('registration', TICKET_KEY_BYTES)),
    closedListings: new Map(closed.map(({ path, name }) => [path, name])),
    publicUrl: config.server.publicUrl,
    cases,
    notifications,
    refusals: createRefusalLog({ audit, clock }),
    relay: config.notifications.relay && { ...config.notifications.relay, clock: systemClock },
    checkAccess,
    entitlements,
    entitlementRefreshMs: config.entitlements.refreshMs,
    outbox,
    sinks,
    mailbox,
    keys,
    limits,
    apiKeys: engine.manageApiKeys,
    quota: engine.quota,
    visitors: engine.visitors,
    audit,
    catalog,
    health: ledger.health,
    clock,
    mode: config.mode,
    metrics: lazyMetrics(async () =>
      (await import('./metrics.ts')).createMetrics({
        usage,
        health: ledger.health,
        catalog,
        clock,
        jobs,
        apiKeys: engine.apiKeyVerifier,
        visitors: engine.visitors,
        limits,
        node: engine.node,
        mode: config.mode,
      }),
    ),
    mayChange: () => mayChange(ledger),
    ready: composeReady(engine),
    logger,
    version: VERSION,
    storefrontUrl: options.storefrontUrl,
    overloadDelayMs: options.overloadDelayMs,
    ...(config.server.trustProxy.length > 0 && { trustProxy: config.server.trustProxy }),
  })
}

/**
 * May requests be sent here? Everybody may ask, so the answer says what is wrong in words that tell nothing of where the
 * ledger is; the log has the rest, once for each change.
 */
function composeReady({ ledger, logger, isLeaving }: Engine): () => Promise<Readiness> {
  let noted = ''
  const notReady = (said: string, why: string): Readiness => {
    if (noted !== why) logger.warn({ why }, `not ready: the ledger ${said}`)
    noted = why
    return { ready: false, checks: { ledger: said } }
  }
  return async () => {
    if (isLeaving()) return { ready: false, checks: { server: 'stops: send requests elsewhere' } }
    try {
      // Of the ledger itself: another process may have let it go on, or begun to move it.
      await ledger.guard.refresh()
      await ledger.checkLevel()
      const wait = ledger.guard.waiting()
      if (wait !== undefined)
        return notReady('waits for a person: see `tollkeeper usage status`', wait.reason)
    } catch (error) {
      const said =
        error instanceof DomainError && error.code === 'ledger.too_new'
          ? 'is of a later version than this process'
          : 'cannot be read'
      return notReady(said, error instanceof Error ? error.message : String(error))
    }
    noted = ''
    return { ready: true, checks: { ledger: 'ok' } }
  }
}

/** What a seller does with subscriptions by hand. */
export function composeManage(ledger: Ledger, clock: Clock): ManageSubscriptions {
  return createManageSubscriptions({ ...ledger, clock })
}

/** What a seller does with the keys of its users. @param verifier - of this process, if it checks keys */
export function composeManageApiKeys(
  { apiKeys, subscriptions }: Pick<Ledger, 'apiKeys' | 'subscriptions'>,
  clock: Clock,
  verifier?: ApiKeyVerifier,
): ManageApiKeys {
  return createManageApiKeys({ apiKeys, subscriptions, clock, verifier })
}

/** What a seller does with products and plans that configuration does not declare. */
export function composeManageProducts(ledger: Ledger, clock: Clock): ManageProducts {
  const { config, catalog, catalogStore, checkDimensions, cases, guard } = ledger
  return createManageProducts({
    catalog,
    store: {
      ...catalogStore,
      async change(decide) {
        await refuseWhileMoved(guard)
        await catalogStore.change(decide)
      },
    },
    reader: createCatalogReader(config.aws.region, config.mode),
    checkDimensions,
    adopt: ({ productCode, id }) => cases.adopt(productCode, id),
    configuration: config.file ?? 'the configuration',
    clock,
  })
}

/** Asks buyers, through AWS, to let an agreement be cancelled. */
export function composeRequestCancellation(
  ledger: Ledger,
  agreements: AgreementService,
  clock: Clock,
): RequestCancellation {
  return createRequestCancellation({ ...ledger, agreements, clock })
}

/** Loaded when they are first asked for: a start needs none, and what makes them is 80 modules. */
function lazyMetrics(load: () => Promise<Metrics>): Metrics {
  let loading: Promise<Metrics> | undefined
  return {
    contentType: 'text/plain; version=0.0.4; charset=utf-8',
    async text() {
      loading ??= load()
      return (await loading).text()
    },
  }
}

async function createMetering(config: Config): Promise<MeteringService> {
  const { createAwsMetering } = await import('./marketplace/aws-metering.ts')
  return createAwsMetering({ ...(await awsClientOptions(config)), endpoint: config.aws.endpoint })
}

/** AWS's entitlement service; its client is made at the first call. */
async function createEntitlements(config: Config, clock: Clock): Promise<EntitlementService> {
  const { createAwsEntitlements } = await import('./marketplace/aws-entitlements.ts')
  return createAwsEntitlements({ ...(await awsClientOptions(config)), clock })
}

/**
 * AWS's Agreement API; its client is made at the first call.
 *
 * @param pace.haste - wait so many times less between calls: where AWS is simulated, and its quotas are not at stake
 */
export async function createAgreements(
  config: Config,
  pace: { readonly haste?: number } = {},
): Promise<AgreementService> {
  const { createAwsAgreements } = await import('./marketplace/aws-agreements.ts')
  return createAwsAgreements({ ...(await awsClientOptions(config)), ...pace })
}

/**
 * Items of a DynamoDB table in its typed JSON, page by page. In simulated mode only of an endpoint on this machine.
 *
 * @throws {DomainError} `marketplace.unavailable`
 */
export async function* scanDynamoTable(
  config: Config,
  table: { readonly table: string; readonly region: string; readonly endpoint: string | undefined },
): AsyncIterable<readonly unknown[]> {
  const { scanTable } = await import('./marketplace/dynamodb-table.ts')
  yield* scanTable({ ...(await awsClientOptions(config)), ...table })
}

const credentialsOf = new WeakMap<Config, AwsCredentials>()

/**
 * What every AWS client is made from: mode, timeout and credentials, one session of an assumed role for all. The
 * address is AWS's own, or in simulated mode the simulator's; `aws.endpoint` elsewhere is metering's alone.
 */
export async function awsClientOptions(config: Config): Promise<AwsClientOptions> {
  const { mode, aws } = config
  if (!credentialsOf.has(config)) {
    const { createAwsCredentials } = await import('./marketplace/aws-credentials.ts')
    // Another may have made them meanwhile: all share one session.
    if (!credentialsOf.has(config))
      credentialsOf.set(
        config,
        createAwsCredentials({ mode, region: aws.region, assumeRole: aws.assumeRole }),
      )
  }
  return {
    mode,
    timeoutMs: aws.timeoutMs,
    endpoint: mode === 'simulated' ? aws.endpoint : undefined,
    credentials: credentialsOf.get(config),
  }
}

/** @param stream - default: standard output */
export function createLogger(config: Pick<Config, 'log'>, stream?: Writable): Logger {
  const options = { ...LOGGER_OPTIONS, level: config.log.level }
  return stream === undefined ? pino(options) : pino(options, stream)
}

export const VERSION: string = JSON.parse(
  readFileSync(new URL('../package.json', import.meta.url), 'utf8'),
).version

/**
 * Whom AWS takes this deployment for: the assumed role where one is configured, else the machine's own credentials.
 * Never asked in simulated mode.
 */
export async function findAwsCaller(config: Config): Promise<AwsCaller> {
  const { getCaller } = await import('./marketplace/aws-identity.ts')
  const { credentials } = await awsClientOptions(config)
  return getCaller(config.aws.region, { credentials })
}
