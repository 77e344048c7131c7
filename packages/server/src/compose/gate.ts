import type { Logger } from 'pino'
import type { Clock } from '../domain/clock.ts'
import { createCheckAccess } from '../domain/entitlements/check-access.ts'
import type { ManageApiKeys } from '../domain/keys/manage-api-keys.ts'
import { type ApiKeyVerifier, createApiKeyVerifier } from '../domain/keys/verify-api-key.ts'
import { createQuotaGate, type QuotaGate } from '../domain/quotas/quota-gate.ts'
import type { IngestUsage } from '../domain/usage/ingest-usage.ts'
import { createVisitorGate, type VisitorGate } from '../domain/visitors/visitor-gate.ts'
import { createKeyUseNotes, type KeyUseNotes } from '../jobs/note-key-uses.ts'
import { createRounds, type Rounds } from '../jobs/rounds.ts'
import { composeChallenges } from './challenges.ts'
import type { Ledger } from './ledger.ts'
import { composeManageApiKeys } from './manage.ts'

/** What stands before each request of a product, on this node. */
export interface Gate {
  /** Of the keys that end users show. */
  readonly apiKeyVerifier: ApiKeyVerifier
  readonly manageApiKeys: ManageApiKeys
  readonly quota: QuotaGate
  /** Those who show no key. */
  readonly visitors: VisitorGate
  /** Gives back what this node does not use of the limits that it counts by itself. */
  readonly leasedQuota: Rounds
  /** Started by whoever answers requests, jobs or not. */
  readonly keyUses: KeyUseNotes
}

/** So often a node gives back what it does not use of limits that it counts by itself. */
const LEASE_SWEEP_MS = 1_000

export function composeGate(
  ledger: Ledger,
  { ingest, clock, logger }: { readonly ingest: IngestUsage; readonly clock: Clock; readonly logger: Logger },
): Gate {
  const { config, usage, subscriptions, entitlements, catalog } = ledger
  const { apiKeys, guard } = ledger
  const apiKeyVerifier = createApiKeyVerifier({ apiKeys, clock })
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
  const manageApiKeys = composeManageApiKeys(ledger, clock, apiKeyVerifier)
  return { apiKeyVerifier, manageApiKeys, quota, visitors, leasedQuota, keyUses }
}
