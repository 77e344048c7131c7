import type { FastifyInstance } from 'fastify'
import { DomainError } from '../domain/error.ts'
import { createRefusalLog } from '../domain/subscriptions/refusal-log.ts'
import { createCompleteRegistration, createRegisterBuyer } from '../domain/subscriptions/register-buyer.ts'
import { createRegistrationTickets, TICKET_KEY_BYTES } from '../domain/subscriptions/registration-ticket.ts'
import type { Readiness } from '../http/deps.ts'
import type { Metrics } from '../metrics.ts'
import { systemClock } from '../system-clock.ts'
import type { Engine } from './engine.ts'
import { mayChange } from './ledger.ts'
import { VERSION } from './logger.ts'
import { composeManage, composeManageProducts, composeRequestCancellation } from './manage.ts'

/** The HTTP door to an engine. */
export async function composeServer(
  engine: Engine,
  options: { storefrontUrl?: string; overloadDelayMs?: number } = {},
): Promise<FastifyInstance> {
  const { createHttpApp } = await import('../http/app.ts')
  const { createRequestLimits } = await import('../http/limits/request-limits.ts')
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
      (await import('../metrics.ts')).createMetrics({
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
