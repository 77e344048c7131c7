import type { Clock } from '../domain/clock.ts'
import { createIngestUsage, type IngestLimits, type IngestUsage } from '../domain/usage/ingest-usage.ts'
import { type LedgerGuard, waitsForRelease } from '../domain/usage/ledger-guard.ts'
import type { Ledger } from './ledger.ts'

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
