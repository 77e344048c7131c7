import type { Logger } from 'pino'
import type { Clock } from '../domain/clock.ts'
import { type CheckAccess, createCheckAccess } from '../domain/entitlements/check-access.ts'
import type { EntitlementService } from '../domain/entitlements/entitlement.ts'
import { createRefreshEntitlements, createRefreshQueue } from '../domain/entitlements/refresh-entitlements.ts'
import type { AgreementService } from '../domain/subscriptions/agreement-service.ts'
import type { NotificationIntake } from '../domain/subscriptions/notification-intake.ts'
import { createReceiveEvent, type ReceiveEvent } from '../domain/subscriptions/receive-event.ts'
import { createAgreementSync } from '../domain/subscriptions/sync-agreements.ts'
import type { IngestUsage } from '../domain/usage/ingest-usage.ts'
import type { MeteringService } from '../domain/usage/metering-service.ts'
import { createShadowMetering } from '../domain/usage/shadow-metering.ts'
import { createWorkShare } from '../domain/work-share.ts'
import { createTelling, type Telling } from '../jobs/deliver-events.ts'
import type { JobReport, Jobs } from '../jobs/jobs.ts'
import { createQueuePoller, type QueuePoller } from '../jobs/poll-queues.ts'
import { createNodeId } from '../node-id.ts'
import { systemClock } from '../system-clock.ts'
import { createAgreements, createEntitlements, createMetering, openQueues } from './aws.ts'
import { composeGate, type Gate } from './gate.ts'
import { composeIngest } from './ingest.ts'
import { composeJobs } from './jobs.ts'
import { type Ledger, mayChange } from './ledger.ts'
import { createLogger } from './logger.ts'
import { composeNotifications } from './notifications.ts'
import { createSinks } from './sinks.ts'

/** The parts that act on an open ledger. */
export interface Engine extends Gate {
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
  const ingest = composeIngest(ledger, clock)
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
  const everyMs = config.jobs.intervalMs
  const jobs = composeJobs(ledger, {
    clock,
    share: createWorkShare({ leases: ledger.leases, holder: node, clock, everyMs }),
    metering,
    refreshing: { ...refreshing, refresh },
    queue,
    telling,
    sync: options.syncsAgreements === true ? sync : undefined,
    logger,
    onReport: options.onJobReport,
  })
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
    checkAccess: createCheckAccess({ subscriptions, entitlements, catalog }),
    refreshSoon: queue.add,
    ...composeGate(ledger, { ingest, clock, logger }),
    jobs,
    telling,
    logger,
  }
}
