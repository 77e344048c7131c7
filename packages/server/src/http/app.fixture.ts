import { pino } from 'pino'
import { createAltchaChallenges } from '../challenges/altcha-challenges.ts'
import { createCatalogReader } from '../config/catalog-reader.ts'
import { createCheckAccess } from '../domain/entitlements/check-access.ts'
import { issueServiceKey } from '../domain/keys/issue-service-key.ts'
import { createManageApiKeys } from '../domain/keys/manage-api-keys.ts'
import type { KeyScope } from '../domain/keys/service-key.ts'
import { createApiKeyVerifier } from '../domain/keys/verify-api-key.ts'
import { createLiveCatalog } from '../domain/products/live-catalog.ts'
import { createManageProducts } from '../domain/products/manage-products.ts'
import type { Product } from '../domain/products/product.ts'
import { createQuotaGate } from '../domain/quotas/quota-gate.ts'
import type { AgreementService } from '../domain/subscriptions/agreement-service.ts'
import { createManageSubscriptions } from '../domain/subscriptions/manage-subscription.ts'
import { createNotificationIntake } from '../domain/subscriptions/notification-intake.ts'
import { createReceiveEvent } from '../domain/subscriptions/receive-event.ts'
import { createRefusalLog } from '../domain/subscriptions/refusal-log.ts'
import { createCompleteRegistration, createRegisterBuyer } from '../domain/subscriptions/register-buyer.ts'
import { createRegistrationTickets } from '../domain/subscriptions/registration-ticket.ts'
import { createRequestCancellation } from '../domain/subscriptions/request-cancellation.ts'
import { refused, type SnsGate } from '../domain/subscriptions/sns-gate.ts'
import { createTopicCheck } from '../domain/subscriptions/sns-message.ts'
import { createIngestUsage } from '../domain/usage/ingest-usage.ts'
import type { ResolvedCustomer } from '../domain/usage/metering-service.ts'
import { createVisitorGate } from '../domain/visitors/visitor-gate.ts'
import { aClock, aDimension, aProduct, aSubscription, utc } from '../storage/contract/fixtures.ts'
import { createSqlApiKeyStore } from '../storage/sql/api-key-store.ts'
import { createSqlAuditTrail } from '../storage/sql/audit-trail.ts'
import { createSqlBuyerCaseStore } from '../storage/sql/buyer-case-store.ts'
import { createSqlBuyerStore } from '../storage/sql/buyer-store.ts'
import { createSqlCatalogStore } from '../storage/sql/catalog-store.ts'
import { createSqlEntitlementStore } from '../storage/sql/entitlement-store.ts'
import { createSqlHealthStore } from '../storage/sql/health-store.ts'
import { checkDimensions } from '../storage/sql/ledger-identity.ts'
import { createSqlMailbox } from '../storage/sql/mailbox.ts'
import { migrate } from '../storage/sql/migrations.ts'
import { createSqlOutboxStore } from '../storage/sql/outbox-store.ts'
import { createSqlQuotaStore } from '../storage/sql/quota-store.ts'
import { createSqlServiceKeyStore } from '../storage/sql/service-key-store.ts'
import { openSqlite } from '../storage/sql/sqlite.ts'
import { createSqliteUsageStore } from '../storage/sql/sqlite-stores.ts'
import { createSqlSubscriptionHistory } from '../storage/sql/subscription-history.ts'
import { createSqlSubscriptionStore } from '../storage/sql/subscription-store.ts'
import { createSqlUsageAccounts } from '../storage/sql/usage-accounts.ts'
import { createSqlVisitorStore } from '../storage/sql/visitor-store.ts'
import { createHttpApp } from './app.ts'
import type { HttpDeps } from './deps.ts'
import { createRequestLimits, type RateLimits } from './limits/request-limits.ts'
import { LOGGER_OPTIONS } from './logging.ts'

export const NOW = utc('2026-11-21T07:30')
export const AN_HOUR = '2026-11-21T07:00:00Z'

/** As the configuration has them by default. */
export const RATE_LIMITS: RateLimits = {
  usageAndGate: 6_000,
  otherRoutes: 1_000,
  perAddress: 50,
  unknownKeys: 30,
  unknownApiKeys: 600,
}

/** Two products, so that a key of one can be a stranger to the other. The first is seed 000's, with seed 001's metrics. */
export const PRODUCTS = [
  aProduct({
    id: 'acme',
    title: 'Acme Analytics',
    productCode: 'acme0code0of0twenty0five0',
    listing: 'acme',
    dimensions: [
      aDimension({ key: 'records_processed', name: 'Records', unitSize: 1000n }),
      aDimension({
        key: 'storage-gb',
        name: 'Storage',
        aggregation: 'max',
        metrics: ['storageUsedGB'],
        scale: 3,
      }),
      aDimension({ key: 'scans', name: 'Scans', aggregation: 'total', metrics: ['totalScans'] }),
      aDimension({ key: 'users', name: 'Users', aggregation: 'max', metrics: ['totalUsers'] }),
      aDimension({ key: 'findings', name: 'Findings', aggregation: 'total', metrics: ['totalFindings'] }),
      aDimension({ key: 'api-calls', name: 'Calls', aggregation: 'total', metrics: ['apiCalls'] }),
      aDimension({ key: 'ai-sessions', name: 'Sessions', aggregation: 'total', metrics: ['aiChatSessions'] }),
      aDimension({ key: 'seats', name: 'Seats', aggregation: 'unique' }),
      aDimension({ key: 'calls', name: 'Calls', aggregation: 'count' }),
    ],
  }),
  aProduct({ id: 'other', title: 'Other', productCode: 'other0code0of0twenty0five', listing: 'other' }),
] as const

const notAsked = (): never => {
  throw new Error('this test asks nothing of the Agreement API')
}
const noAgreements: AgreementService = {
  searchAgreements: notAsked,
  describeAgreement: notAsked,
  getAgreementTerms: notAsked,
  requestCancellation: notAsked,
  listCancellationRequests: notAsked,
}

/** The app on the real ledger, in memory, with AWS's answers as the test says. */
export async function anApp({
  resolve,
  agreements,
  products = PRODUCTS,
  gate = { verify: nobodyVouches, confirm: nobodyVouches },
  topics = [],
  newPerAddress = 20,
  rateLimits = RATE_LIMITS,
  elapsed,
  ...given
}: Partial<HttpDeps> & {
  readonly resolve?: (token: string) => ResolvedCustomer
  readonly agreements?: AgreementService
  readonly products?: readonly Product[]
  /** Who vouches for messages of SNS; nobody by default. */
  readonly gate?: SnsGate
  readonly topics?: readonly string[]
  /** New visitors of one address in an hour without a challenge. */
  readonly newPerAddress?: number | 'off'
  readonly rateLimits?: RateLimits
  /** What rates are limited by, ms; by default the machine's time. */
  readonly elapsed?: (() => number) | undefined
} = {}) {
  const database = openSqlite(':memory:')
  await migrate(database)
  const clock = aClock(NOW)
  const usage = createSqliteUsageStore(database)
  const subscriptions = createSqlSubscriptionStore(database)
  const cases = createSqlBuyerCaseStore(database)
  const buyers = createSqlBuyerStore(database)
  const entitlements = createSqlEntitlementStore(database)
  const keys = createSqlServiceKeyStore(database)
  const catalogStore = createSqlCatalogStore(database)
  const catalog = createLiveCatalog({ store: catalogStore, declared: products, clock })
  const history = createSqlSubscriptionHistory(database)
  const audit = createSqlAuditTrail(database)
  const lines: string[] = []
  const apiKeys = createSqlApiKeyStore(database)
  const verifier = createApiKeyVerifier({ apiKeys, clock })
  const checkAccess = createCheckAccess({ subscriptions, entitlements, catalog })
  const ingest = createIngestUsage({
    usage,
    subscriptions,
    catalog,
    clock,
    limits: { acceptBackMs: 7 * 86_400_000, acceptAheadMs: 300_000 },
  })
  const quotas = createSqlQuotaStore(database)
  const challenges = createAltchaChallenges(new Uint8Array(32).fill(2), 20)
  const visitors = createVisitorGate({
    visitors: createSqlVisitorStore(database),
    quotas,
    subscriptions,
    challenges,
    clock,
    settings: { saltMs: 30 * 86_400_000, newPerAddress: newPerAddress === 'off' ? undefined : newPerAddress },
  })
  const deps: HttpDeps = {
    visitors,
    ingest,
    usage,
    usageAccounts: createSqlUsageAccounts(database),
    subscriptions,
    buyers,
    history,
    manage: createManageSubscriptions({ cases, subscriptions, history, catalog, clock }),
    requestCancellation: createRequestCancellation({
      subscriptions,
      history,
      agreements: agreements ?? noAgreements,
      catalog,
      audit,
      clock,
    }),
    register: createRegisterBuyer({
      metering: {
        resolveCustomer: async (_region, token) => {
          if (resolve === undefined) throw new Error('this test registers nobody')
          return resolve(token)
        },
      },
      cases,
      catalog,
      clock,
    }),
    completeRegistration: createCompleteRegistration({ cases, clock }),
    tickets: createRegistrationTickets(new Uint8Array(32).fill(1)),
    cases,
    notifications: createNotificationIntake({
      receive: createReceiveEvent({ cases, catalog, clock }),
      store: cases,
      alarms: usage,
      audit,
      gate,
      isExpectedTopic: createTopicCheck({
        productCodes: () => products.map(({ productCode }) => productCode),
        topics,
      }),
      clock,
    }),
    refusals: createRefusalLog({ audit, clock }),
    checkAccess,
    quota: createQuotaGate({
      checkAccess,
      verifyKey: verifier.verify,
      findVisitor: visitors.find,
      catalog,
      quotas,
      usage,
      ingest,
      outbox: createSqlOutboxStore(database),
      clock,
      onError: (error) => {
        throw error
      },
    }),
    entitlements,
    entitlementRefreshMs: 3_600_000,
    outbox: createSqlOutboxStore(database),
    sinks: [],
    mailbox: createSqlMailbox(database),
    keys,
    limits: createRequestLimits(rateLimits, elapsed),
    apiKeys: createManageApiKeys({ apiKeys, subscriptions, clock, verifier }),
    audit,
    catalog,
    health: createSqlHealthStore(database),
    manageProducts: createManageProducts({
      catalog,
      store: catalogStore,
      reader: createCatalogReader('us-east-1', 'simulated'),
      checkDimensions: (wanted) => checkDimensions(database, wanted),
      adopt: ({ productCode, id }) => cases.adopt(productCode, id),
      configuration: 'tollkeeper.yaml',
      clock,
    }),
    clock,
    mode: 'simulated',
    metrics: { contentType: 'text/plain; version=0.0.4', text: async () => 'up 1\n' },
    mayChange: async () => {},
    ready: async () => ({ ready: true, checks: { database: 'ok' } }),
    logger: pino({ ...LOGGER_OPTIONS, level: 'info' }, { write: (line: string) => void lines.push(line) }),
    version: '0.0.0-test',
    overloadDelayMs: 0, // tests load the machine: being slow is not what they are about
    ...given,
  }
  const app = await createHttpApp(deps)
  const subscription = aSubscription({ product: 'acme', tenantId: 'tenant-a' })
  await subscriptions.create(subscription, 'system')

  const aKey = async (scopes: readonly KeyScope[], product?: string, ratePerSecond?: number) =>
    issueServiceKey(deps, { name: 'test', scopes, product, ratePerSecond }, 'cli:test')
  const { secret } = await aKey(['usage:write', 'usage:read', 'admin'])
  return {
    app,
    deps,
    clock,
    entitlements,
    database,
    cases,
    /** A notification of AWS Marketplace comes in. */
    receive: createReceiveEvent({ cases, catalog, clock }),
    subscription,
    secret,
    aKey,
    logged: () => lines.join(''),
    auth: { authorization: `Bearer ${secret}` },
    close: async () => {
      await app.close()
      await database.close()
    },
  }
}

async function nobodyVouches(): Promise<never> {
  throw refused('forged', 'nobody vouches for messages in this test')
}
