import type { QuotaStore } from './quota-store.ts'

/** Ids of uses, ended reservations and windows that are over are kept so long, ms: a retry finds its answer. */
export const REMEMBERED_MS = 7 * 86_400_000
const AT_ONCE = 500

/** Lets go of what was reserved and never settled, and forgets what nobody asks for any more. */
export async function tidyQuotas(
  quotas: Pick<QuotaStore, 'expire' | 'purge'>,
  now: number,
  signal: AbortSignal,
): Promise<void> {
  for (const work of [() => quotas.expire(now, AT_ONCE), () => quotas.purge(now - REMEMBERED_MS, AT_ONCE)])
    while (!signal.aborted && (await work()) >= AT_ONCE);
}
