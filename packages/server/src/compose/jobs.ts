import type { Logger } from 'pino'
import type { Clock } from '../domain/clock.ts'
import { type RefreshQueue, refreshDueEntitlements } from '../domain/entitlements/refresh-entitlements.ts'
import { purgeHealth } from '../domain/health/probe-endpoints.ts'
import { tidyQuotas } from '../domain/quotas/tidy-quotas.ts'
import { lookAfterSubscriptions } from '../domain/subscriptions/look-after.ts'
import type { AgreementSync } from '../domain/subscriptions/sync-agreements.ts'
import { closeDueBuckets } from '../domain/usage/close-due-buckets.ts'
import type { MeteringService } from '../domain/usage/metering-service.ts'
import { reportSilence } from '../domain/usage/report-silence.ts'
import { submitDueRecords } from '../domain/usage/submit-due-records.ts'
import { forgetVisitors } from '../domain/visitors/forget-visitors.ts'
import type { WorkShare } from '../domain/work-share.ts'
import type { Telling } from '../jobs/deliver-events.ts'
import { createJobs, type JobReport, type Jobs } from '../jobs/jobs.ts'
import { createEndpointWatch } from '../jobs/watch-endpoints.ts'
import type { Ledger } from './ledger.ts'
import { createProbe } from './sinks.ts'

/** Ids are kept a day longer than events are accepted: a repeat at the very edge is still known. */
const KEEP_IDS_EXTRA_MS = 86_400_000

/** Visitors are forgotten, and salts destroyed, within this time of when they should be. */
const FORGET_EVERY_MS = 3_600_000

/** So often what was reserved and never settled is let go of, where nobody asks for it sooner. */
const QUOTA_UPKEEP_MS = 60_000

/** So often hours and changes of endpoints that are too old are forgotten. */
const HEALTH_PURGE_MS = 3_600_000

/** What the jobs need besides the ledger. */
interface JobParts {
  readonly clock: Clock
  /** Shares the work with other nodes. */
  readonly share: WorkShare
  readonly metering: MeteringService
  readonly refreshing: Parameters<typeof refreshDueEntitlements>[0]
  readonly queue: RefreshQueue
  readonly telling: Telling
  /** Undefined: AWS is not asked hourly what its notifications did not say. */
  readonly sync: AgreementSync | undefined
  readonly logger: Logger
  readonly onReport: ((report: JobReport) => void) | undefined
}

export function composeJobs(ledger: Ledger, parts: JobParts): Jobs {
  const { clock, share, metering, refreshing, queue, telling, sync, logger, onReport } = parts
  const { config, usage, subscriptions, cases, catalog } = ledger
  const { intervalMs } = config.jobs
  const deps = { usage, subscriptions, catalog, quotas: ledger.quotas, share }
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
    ...(onReport && { onReport }),
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
          usage.purge(now - config.usage.acceptBackMs - KEEP_IDS_EXTRA_MS, now),
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
          run: (_, signal) => refreshDueEntitlements(refreshing, signal),
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
        ...(sync === undefined
          ? []
          : [
              {
                name: 'agreements',
                run: (now: number, signal: AbortSignal) =>
                  share.whileKept('agreements', () => sync.run(now, signal)),
              },
            ]),
      ],
    },
  })
  // What cannot be given back expires.
  const endShare = () =>
    share.end().catch((error) => logger.warn({ err: error }, 'leases are kept until they expire'))
  return {
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
  }
}
